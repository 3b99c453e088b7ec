#!/usr/bin/env bash
# torch 2.13.0: a new scheduler on a used optimizer starts at the first learning
# rate, at the last one, or at 0, each class in its own way.
#
# Versions: torch 2.13.0, numpy 2.4.6; any CPU.
# Behaviour: a scheduler leaves the decayed rate in the optimizer, and the first
#   rate beside it as `initial_lr`. The next scheduler builds on one or the other.
#   After PolynomialLR and CosineAnnealingLR the second training runs at 0 from its
#   first step to its last. After LambdaLR a rate that was set by hand between the
#   two trainings is replaced by the first one.
# Guess: a new scheduler object is a new schedule; if one kind begins again, so do
#   the others. A rewind puts the weights back, not this.
# Seen (rate 0.1, first and last rate of training 1 and of training 2):
#   LambdaLR: 0.1 to 0.0125, then 0.1 to 0.0125
#   LinearLR: 0.01 to 0.1, then 0.01 to 0.1
#   StepLR: 0.1 to 0.01, then 0.001 to 0.0001
#   ExponentialLR: 0.1 to 0.0125, then 0.00625 to 0.000781
#   PolynomialLR: 0.1 to 0.025, then 0 to 0
#   CosineAnnealingLR: 0.1 to 0.0146, then 0 to 0
#   LambdaLR after the rate was set to 0.02: 0.1
set -euo pipefail
tmp="$(mktemp -d)"
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile torch==2.13.0 numpy==2.4.6
"$tmp/venv/bin/python" - <<'PY'
import torch
from torch.optim import lr_scheduler

STEPS = 4


def fresh():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)


def train(optimizer, scheduler):
    rates = []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return f"{rates[0]:.3g} to {rates[-1]:.3g}"


makers = {
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda i: 0.5**i),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, 0.1, total_iters=3),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 2, 0.1),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.5),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, STEPS),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS),
}
expected = {
    "LambdaLR": "0.1 to 0.0125, then 0.1 to 0.0125",
    "LinearLR": "0.01 to 0.1, then 0.01 to 0.1",
    "StepLR": "0.1 to 0.01, then 0.001 to 0.0001",
    "ExponentialLR": "0.1 to 0.0125, then 0.00625 to 0.000781",
    "PolynomialLR": "0.1 to 0.025, then 0 to 0",
    "CosineAnnealingLR": "0.1 to 0.0146, then 0 to 0",
}
for name, make in makers.items():
    optimizer = fresh()
    seen = ", then ".join(train(optimizer, make(optimizer)) for _ in range(2))
    print(f"{name}: {seen}")
    if seen != expected[name]:
        raise SystemExit(f"Changed: {name} was '{expected[name]}' before.")

optimizer = fresh()
train(optimizer, makers["LambdaLR"](optimizer))
optimizer.param_groups[0]["lr"] = 0.02
makers["LambdaLR"](optimizer)
rate = optimizer.param_groups[0]["lr"]
print(f"LambdaLR after the rate was set to 0.02: {rate}")
if rate != 0.1:
    raise SystemExit("Changed: LambdaLR honours the rate that was set by hand.")
PY
