#!/usr/bin/env bash
# torch 2.13.0: the CPU's generator reads the low 32 bits of a seed.
#
# Versions: torch 2.13.0, numpy 2.4.6; any CPU.
# Behaviour: seeds that differ by a multiple of 2**32 give the same numbers, and
#   -1 is 2**32 - 1. `initial_seed()` still shows all 64 bits. NumPy's Generator
#   reads a seed of any length whole.
# Guess: `manual_seed` takes 64 bits, says that it took them, and a seed cut from
#   a hash (8 bytes of SHA-256) is then one of 2**64 streams. It is one of 2**32:
#   among 80,000 such seeds two alike are more likely than not.
# Seen:
#   torch 7 and 7 + 2**32: same numbers, initial_seed 7 and 4294967303
#   torch -1 and 2**32 - 1: same numbers
#   numpy 7 and 7 + 2**32: other numbers
set -euo pipefail
tmp="$(mktemp -d)"
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile torch==2.13.0 numpy==2.4.6
"$tmp/venv/bin/python" - <<'PY'
import numpy as np
import torch


def torch_numbers(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1000, generator=generator), generator.initial_seed()


def same(a, b):
    return "same numbers" if (a == b).all() else "other numbers"


(low, low_seed), (high, high_seed) = torch_numbers(7), torch_numbers(7 + 2**32)
seen = same(low, high)
print(f"torch 7 and 7 + 2**32: {seen}, initial_seed {low_seed} and {high_seed}")
if seen != "same numbers" or high_seed != 7 + 2**32:
    raise SystemExit("Changed: the CPU's generator reads more than 32 bits.")

seen = same(torch_numbers(-1)[0], torch_numbers(2**32 - 1)[0])
print(f"torch -1 and 2**32 - 1: {seen}")
if seen != "same numbers":
    raise SystemExit("Changed: -1 is no longer 2**32 - 1 to the CPU's generator.")

first, second = (np.random.default_rng(s).random(1000) for s in (7, 7 + 2**32))
seen = same(first, second)
print(f"numpy 7 and 7 + 2**32: {seen}")
if seen != "other numbers":
    raise SystemExit("Changed: NumPy's Generator cuts a seed too.")
PY
