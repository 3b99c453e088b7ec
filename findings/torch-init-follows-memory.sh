#!/usr/bin/env bash
# torch 2.13.0: random numbers fill the memory in its order, not the tensor, so
# with one seed the layout of a weight decides which network is drawn.
#
# Versions: torch 2.13.0, numpy 2.4.6; any CPU.
# Behaviour: `nn.init.xavier_uniform_` and `xavier_normal_` with the same seed give
#   a channels_last convolution other weights than a contiguous one (the normal
#   ones are not even the same numbers in another order). `rand_like` of a
#   transposed weight is no random score of the same places either. But
#   `Conv2d.reset_parameters` takes care: it draws in the contiguous order.
# Guess: channels_last is about speed, and one seed gives one network; a check
#   with the layer's own `reset_parameters` confirms it.
# Seen:
#   reset_parameters: same weights
#   xavier_uniform_: other weights, the same numbers elsewhere
#   xavier_normal_: other weights, other numbers
#   rand_like of a transposed weight: other scores
set -euo pipefail
tmp="$(mktemp -d)"
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile torch==2.13.0 numpy==2.4.6
"$tmp/venv/bin/python" - <<'PY'
import torch
from torch import nn


def drawn(how, layout):
    conv = nn.Conv2d(4, 8, 3).to(memory_format=layout)
    torch.manual_seed(0)
    with torch.no_grad():
        how(conv)
    return conv.weight.detach()


def compare(how):
    plain = drawn(how, torch.contiguous_format)
    fast = drawn(how, torch.channels_last)
    if torch.equal(plain, fast):
        return "same weights"
    same_set = torch.equal(plain.flatten().sort().values, fast.flatten().sort().values)
    numbers = "the same numbers elsewhere" if same_set else "other numbers"
    return f"other weights, {numbers}"


expected = {
    "reset_parameters": "same weights",
    "xavier_uniform_": "other weights, the same numbers elsewhere",
    "xavier_normal_": "other weights, other numbers",
}
ways = {
    "reset_parameters": lambda conv: conv.reset_parameters(),
    "xavier_uniform_": lambda conv: nn.init.xavier_uniform_(conv.weight),
    "xavier_normal_": lambda conv: nn.init.xavier_normal_(conv.weight),
}
for name, how in ways.items():
    seen = compare(how)
    print(f"{name}: {seen}")
    if seen != expected[name]:
        raise SystemExit(f"Changed: {name} gave '{expected[name]}' before.")

weight = torch.zeros(6, 8).t()
torch.manual_seed(0)
scores = torch.rand_like(weight)
torch.manual_seed(0)
same = torch.equal(scores, torch.rand_like(weight.contiguous()))
print(f"rand_like of a transposed weight: {'same' if same else 'other'} scores")
if same:
    raise SystemExit("Changed: rand_like no longer follows the memory.")
PY
