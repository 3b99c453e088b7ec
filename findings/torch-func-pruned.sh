#!/usr/bin/env bash
# torch 2.13.0: `torch.func.functional_call` on a pruned layer is not functional.
#
# Versions: torch 2.13.0, numpy 2.4.6; any CPU.
# Behaviour: `nn.utils.prune` computes `weight` in a hook before each forward pass
#   and stores it on the layer. Called with replaced values the layer uses them and
#   keeps the product: afterwards `layer.weight` shows numbers of another network,
#   and after `vmap` a tensor that cannot be read at all. Replacing `weight` itself
#   is ignored without a word; under a parametrization it is refused.
# Guess: `functional_call` puts back what it replaced, so the layer is the same
#   after as before.
# Seen:
#   stored weight after the call: untouched
#   layer.weight after the call: the replaced values, 7.0 at most
#   layer.weight after vmap: RuntimeError when it is read
#   'weight' replaced by zeros, pruned: output as before
#   'weight' replaced by zeros, parametrization: RuntimeError
set -euo pipefail
tmp="$(mktemp -d)"
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile torch==2.13.0 numpy==2.4.6
"$tmp/venv/bin/python" - <<'PY'
import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.nn.utils import parametrize, prune


class Mask(nn.Module):
    def forward(self, weight):
        return weight * (weight.abs() > 0.1)


def check(what, seen, expected):
    print(f"{what}: {seen}")
    if seen != expected:
        raise SystemExit(f"Changed: {what} was '{expected}' before.")


def error_of(act):
    try:
        act()
    except RuntimeError as error:
        return type(error).__name__
    return "no error"


torch.manual_seed(0)
images = torch.ones(1, 3)
layer = prune.l1_unstructured(nn.Linear(3, 2), "weight", amount=0.5)
stored = layer.weight_orig.detach().clone()

functional_call(layer, {"weight_orig": torch.full((2, 3), 7.0)}, (images,))
same = torch.equal(stored, layer.weight_orig)
check("stored weight after the call", "untouched" if same else "changed", "untouched")
check(
    "layer.weight after the call",
    f"the replaced values, {layer.weight.max().item()} at most",
    "the replaced values, 7.0 at most",
)

vmap(lambda w: functional_call(layer, {"weight_orig": w}, (images,)))(
    torch.randn(5, 2, 3)
)
read = error_of(lambda: layer.weight.sum().item())
check(
    "layer.weight after vmap", f"{read} when it is read", "RuntimeError when it is read"
)

before = layer(images)
zeros = {"weight": torch.zeros(2, 3)}
same = torch.equal(before, functional_call(layer, zeros, (images,)))
check(
    "'weight' replaced by zeros, pruned",
    "output as before" if same else "another output",
    "output as before",
)

other = parametrize.register_parametrization(nn.Linear(3, 2), "weight", Mask())
check(
    "'weight' replaced by zeros, parametrization",
    error_of(lambda: functional_call(other, zeros, (images,))),
    "RuntimeError",
)
PY
