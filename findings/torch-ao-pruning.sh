#!/usr/bin/env bash
# torch 2.13.0: `torch.ao.pruning.WeightNormSparsifier` leaves convolutions dense, and
# says so only with a shape error if one is named.
#
# Versions: torch 2.13.0, numpy 2.4.6; any CPU.
# Behaviour: `prepare(net, config=None)` takes the linear layers alone; in a small
#   convolutional network the rest stays at 0 zeros, without a warning. A
#   configuration that names the convolution is accepted, and `step()` then stops on
#   the shape of its weight. What is ranked is a block of four neighbours: a weight
#   of 6 beside three small ones goes, four weights of 4 stay.
# Guess: a magnitude pruner of the framework itself prunes what
#   `nn.utils.prune` prunes, weight by weight, or refuses at `prepare`.
# Seen:
#   zeros at a sparsity of 0.8: convolution 0.0, linear 0.8
#   convolution named: prepare accepts, step raises RuntimeError
#   [6, 0.1, 0.1, 0.1, 4, 4, 4, 4] at 0.5: [0.0, 0.0, 0.0, 0.0, 4.0, 4.0, 4.0, 4.0]
set -euo pipefail
tmp="$(mktemp -d)"
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile torch==2.13.0 numpy==2.4.6
"$tmp/venv/bin/python" - <<'PY'
import torch
from torch import nn
from torch.ao.pruning import WeightNormSparsifier


def check(what, seen, expected):
    print(f"{what}: {seen}")
    if seen != expected:
        raise SystemExit(f"Changed: {what} was '{expected}' before.")


def sparsify(net, level, config=None):
    sparsifier = WeightNormSparsifier(sparsity_level=level)
    sparsifier.prepare(net, config=config)
    sparsifier.step()


def zeros(layer):
    return round((layer.weight == 0).float().mean().item(), 2)


torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(4, 8, 3), nn.Flatten(), nn.Linear(80, 10))
sparsify(net, 0.8)
check(
    "zeros at a sparsity of 0.8",
    f"convolution {zeros(net[0])}, linear {zeros(net[2])}",
    "convolution 0.0, linear 0.8",
)

named = [{"tensor_fqn": "0.weight"}]
WeightNormSparsifier().prepare(nn.Sequential(nn.Conv2d(4, 8, 3)), config=named)
try:
    sparsify(nn.Sequential(nn.Conv2d(4, 8, 3)), 0.8, named)
    seen = "step prunes"
except RuntimeError:
    seen = "step raises RuntimeError"
check(
    "convolution named",
    f"prepare accepts, {seen}",
    "prepare accepts, step raises RuntimeError",
)

net = nn.Sequential(nn.Linear(8, 1, bias=False))
with torch.no_grad():
    net[0].weight.copy_(torch.tensor([[6, 0.1, 0.1, 0.1, 4, 4, 4, 4]]))
sparsify(net, 0.5)
check(
    "[6, 0.1, 0.1, 0.1, 4, 4, 4, 4] at 0.5",
    net[0].weight[0].tolist(),
    [0.0, 0.0, 0.0, 0.0, 4.0, 4.0, 4.0, 4.0],
)
PY
