#!/usr/bin/env bash
# torch 2.13.0: a CSR weight works in forward and backward, and then trains nothing:
# its gradient is dense, no optimizer takes it, and its FLOPs count as dense.
#
# Versions: torch 2.13.0 (built with MKL, as for x86-64), numpy 2.4.6.
# Behaviour: `F.linear` with a CSR weight of 10 % computes the right output and a
#   gradient. The gradient is a strided tensor, full at the pruned places too. SGD,
#   Adam, AdamW, RMSprop and Adagrad raise errors about layouts, SparseAdam one
#   about the dense gradient. FlopCounterMode reports the dense number.
# Guess: where forward and backward work an optimizer step works; the gradient has
#   the layout of its weight; `torch.sparse` and the FLOP counter know each other.
# Seen:
#   output: right
#   gradient: strided, 1.0 of it not 0
#   FLOPs: 28224000 dense, 28224000 CSR
#   SGD, Adam, AdamW, RMSprop, Adagrad, SparseAdam: RuntimeError
set -euo pipefail
tmp="$(mktemp -d)"
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile torch==2.13.0 numpy==2.4.6
"$tmp/venv/bin/python" - <<'PY'
import warnings

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")


def check(what, seen, expected):
    print(f"{what}: {seen}")
    if seen != expected:
        raise SystemExit(f"Changed: {what} was '{expected}' before.")


torch.manual_seed(0)
dense = torch.randn(300, 784)
dense[torch.rand(300, 784) < 0.9] = 0
images = torch.rand(60, 784)
weight = dense.to_sparse_csr().requires_grad_()

output = F.linear(images, weight)
right = torch.allclose(output, F.linear(images, dense), atol=1e-3)
check("output", "right" if right else "wrong", "right")
output.sum().backward()
layout = str(weight.grad.layout).removeprefix("torch.")
full = (weight.grad != 0).float().mean().item()
check("gradient", f"{layout}, {full} of it not 0", "strided, 1.0 of it not 0")

counts = []
for each in (dense, weight.detach()):
    with FlopCounterMode(display=False) as counter:
        F.linear(images, each)
    counts.append(counter.get_total_flops())
check("FLOPs", "{} dense, {} CSR".format(*counts), "28224000 dense, 28224000 CSR")

names = ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "SparseAdam")
for name in names:
    parameter = torch.nn.Parameter(dense.to_sparse_csr())
    try:
        optimizer = getattr(torch.optim, name)([parameter], lr=0.1)
        F.linear(images, parameter).sum().backward()
        optimizer.step()
    except RuntimeError:
        continue
    raise SystemExit(f"Changed: {name} takes a CSR weight now.")
print(f"{', '.join(names)}: RuntimeError")
PY
