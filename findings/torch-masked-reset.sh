#!/usr/bin/env bash
# torch 2.13.0: `reset_parameters()` of a masked layer draws a new bias and leaves
# the weights as they are.
#
# Versions: torch 2.13.0, numpy 2.4.6; any CPU.
# Behaviour: under `nn.utils.prune` and under a parametrization the layer's `weight`
#   is a product of mask and stored weight. Writing into it in place, as
#   `reset_parameters`, `nn.init.*` and `layer.weight.copy_(start)` do, changes a
#   passing tensor. Pruned with `nn.utils.prune` the layer even shows the new
#   values, until the next forward pass brings the old ones back.
# Guess: an assignment to `layer.weight` is either carried out or refused (a
#   parametrization without an inverse does refuse `layer.weight = ...`). The bias
#   does change, so the random reinitialization looks done.
# Seen:
#   prune: bias new, weight shown new, weight used old
#   parametrization: bias new, weight shown old, weight used old
set -euo pipefail
tmp="$(mktemp -d)"
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile torch==2.13.0 numpy==2.4.6
"$tmp/venv/bin/python" - <<'PY'
import torch
from torch import nn
from torch.nn.utils import parametrize, prune


class Mask(nn.Module):
    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight):
        return weight * self.mask


def pruned():
    return prune.l1_unstructured(nn.Linear(8, 4), "weight", amount=0.5)


def parametrized():
    layer = nn.Linear(8, 4)
    mask = (layer.weight.abs() > 0.1).float()
    return parametrize.register_parametrization(layer, "weight", Mask(mask))


def used_weight(layer):
    with torch.no_grad():
        return (layer(torch.eye(8)) - layer.bias).t()


def word(before, after):
    return "old" if torch.allclose(before, after, atol=1e-6) else "new"


expected = {
    "prune": "bias new, weight shown new, weight used old",
    "parametrization": "bias new, weight shown old, weight used old",
}
for name, make in (("prune", pruned), ("parametrization", parametrized)):
    torch.manual_seed(0)
    layer = make()
    used, bias = used_weight(layer), layer.bias.detach().clone()
    with torch.no_grad():
        layer.reset_parameters()
    shown = word(used, layer.weight)
    seen = (
        f"bias {word(bias, layer.bias)}, weight shown {shown},"
        f" weight used {word(used, used_weight(layer))}"
    )
    print(f"{name}: {seen}")
    if seen != expected[name]:
        raise SystemExit(f"Changed: {name} was '{expected[name]}' before.")
PY
