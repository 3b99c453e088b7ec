#!/usr/bin/env bash
# torch 2.13.0: `torch.set_flush_denormal(True)` holds for the thread that calls it
# and for threads that start later, so which half of a tensor is flushed depends on
# what ran before.
#
# Versions: torch 2.13.0, numpy 2.4.6; Linux, a processor that can flush (x86-64 can).
# Behaviour: the switch is in each thread. Set after the first parallel operation,
#   it misses the pool: of one product, the part that the calling thread computes is
#   flushed to 0, the part of the others is not. Set before, all of it is flushed.
# Guess: one switch for torch's CPU arithmetic, as the name and the returned True
#   say; and arithmetic does not depend on the place in the tensor.
# Seen (share of tiny numbers that survive a product, first and second half):
#   set after the first parallel operation: 0.0 and 1.0
#   set before it: 0.0 and 0.0
set -euo pipefail
tmp="$(mktemp -d)"
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile torch==2.13.0 numpy==2.4.6
"$tmp/venv/bin/python" - <<'PY'
import subprocess
import sys

PROGRAM = """
import sys
import numpy as np
import torch

torch.set_num_threads(2)
tiny = torch.from_numpy(np.full(200_000, 1e-42, np.float32))
if sys.argv[1] == "after":
    tiny * 1.0
if not torch.set_flush_denormal(True):
    sys.exit("This processor cannot flush: nothing can be seen here.")
product = tiny * 1.0
torch.set_flush_denormal(False)
print(*((half != 0).float().mean().item() for half in product.chunk(2)))
"""
for when, words, expected in (
    ("after", "set after the first parallel operation", "0.0 1.0"),
    ("before", "set before it", "0.0 0.0"),
):
    seen = subprocess.run(
        [sys.executable, "-c", PROGRAM, when],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.strip()
    print(f"{words}: {seen.replace(' ', ' and ')}")
    if seen != expected:
        raise SystemExit(f"Changed: {words}, the halves were {expected} before.")
PY
