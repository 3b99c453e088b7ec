#!/usr/bin/env bash
# torch 2.13.0: a deep copy of a Parameter leaves its attributes, its hooks and its
# gradient behind; a deep copy of a plain tensor keeps attributes and gradient, and
# a saved and loaded Parameter keeps its attributes.
#
# Versions: torch 2.13.0, numpy 2.4.6; any CPU.
# Behaviour: as above. A mask that hangs on `weight.mask`, or a hook that zeroes the
#   gradient of pruned weights, is gone from `copy.deepcopy(net)` without a word:
#   the pruned weights of the copy train. `net.double()` keeps both.
# Guess: a deep copy is the most faithful of copies, and takes along at least what
#   a file does.
# Seen:
#   Parameter: attribute lost, gradient lost
#   plain tensor: attribute kept, gradient kept
#   Parameter saved and loaded: attribute kept
#   gradient at a pruned weight: 0.0 in the network, 1.0 in its copy, 0.0 after double()
set -euo pipefail
tmp="$(mktemp -d)"
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile torch==2.13.0 numpy==2.4.6
"$tmp/venv/bin/python" - <<'PY'
import copy
import io

import torch
from torch import nn


def holds(tensor):
    attribute = "kept" if hasattr(tensor, "mask") else "lost"
    gradient = "kept" if tensor.grad is not None else "lost"
    return f"attribute {attribute}, gradient {gradient}"


def check(what, seen, expected):
    print(f"{what}: {seen}")
    if seen != expected:
        raise SystemExit(f"Changed: {what} was '{expected}' before.")


def zero_gradient(weight):
    weight.grad.zero_()


def gradient_of(net):
    net.zero_grad()
    net(torch.ones(1, 3, dtype=net.weight.dtype)).sum().backward()
    return net.weight.grad[0, 0].item()


parameter = nn.Parameter(torch.ones(3))
plain = torch.ones(3, requires_grad=True)
for tensor in (parameter, plain):
    tensor.mask, tensor.grad = torch.zeros(3), torch.ones(3)
lost, kept = "attribute lost, gradient lost", "attribute kept, gradient kept"
check("Parameter", holds(copy.deepcopy(parameter)), lost)
check("plain tensor", holds(copy.deepcopy(plain)), kept)

file = io.BytesIO()
torch.save(parameter, file)
file.seek(0)
loaded = torch.load(file, weights_only=True)
seen = holds(loaded).split(",")[0]
check("Parameter saved and loaded", seen, "attribute kept")

net = nn.Linear(3, 1)
net.weight.register_post_accumulate_grad_hook(zero_gradient)
first, copied = gradient_of(net), gradient_of(copy.deepcopy(net))
doubled = gradient_of(net.double())
check(
    "gradient at a pruned weight",
    f"{first} in the network, {copied} in its copy, {doubled} after double()",
    "0.0 in the network, 1.0 in its copy, 0.0 after double()",
)
PY
