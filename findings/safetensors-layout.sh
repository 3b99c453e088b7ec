#!/usr/bin/env bash
# safetensors 0.8.0: `safetensors.numpy` writes the memory of an array, so a
# transposed one comes back with its numbers in other places; `safetensors.torch`
# refuses such a tensor, unless its strides happen not to matter.
#
# Versions: safetensors 0.8.0, numpy 2.4.6, torch 2.13.0; any machine.
# Behaviour: saving `weight.T` or a Fortran-ordered array with `safetensors.numpy`
#   gives a file of the right shape and the wrong values, without a word. With
#   `safetensors.torch` a channels_last convolution is refused as non-contiguous, but
#   one with a 1x1 kernel or one input channel passes: its strides are as good as
#   contiguous ones.
# Guess: both halves of one library treat a layout alike; a format with a shape and
#   no strides refuses what it cannot write, or copies it. And a test with a 1x1
#   convolution is enough for channels_last.
# Seen:
#   numpy [[0 1 2] [3 4 5]], Fortran order: read back as [[0, 3, 1], [4, 2, 5]]
#   torch 3x3 kernel, channels_last: refused (ValueError)
#   torch 1x1 kernel, channels_last: right
#   torch 3x3 kernel of one channel, channels_last: right
set -euo pipefail
tmp="$(mktemp -d)"
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile safetensors==0.8.0 torch==2.13.0 numpy==2.4.6
"$tmp/venv/bin/python" - <<'PY'
import numpy as np
import safetensors.numpy
import safetensors.torch
import torch


def check(what, seen, expected):
    print(f"{what}: {seen}")
    if seen != expected:
        raise SystemExit(f"Changed: {what} was '{expected}' before.")


array = np.asfortranarray(np.arange(6).reshape(2, 3))
back = safetensors.numpy.load(safetensors.numpy.save({"w": array}))["w"]
check(
    "numpy [[0 1 2] [3 4 5]], Fortran order",
    f"read back as {back.tolist()}",
    "read back as [[0, 3, 1], [4, 2, 5]]",
)

for words, shape, expected in (
    ("3x3 kernel", (8, 4, 3, 3), "refused (ValueError)"),
    ("1x1 kernel", (8, 4, 1, 1), "right"),
    ("3x3 kernel of one channel", (8, 1, 3, 3), "right"),
):
    weight = torch.randn(shape).to(memory_format=torch.channels_last)
    try:
        back = safetensors.torch.load(safetensors.torch.save({"w": weight}))["w"]
        seen = "right" if torch.equal(back, weight) else "wrong values"
    except ValueError:
        seen = "refused (ValueError)"
    check(f"torch {words}, channels_last", seen, expected)
PY
