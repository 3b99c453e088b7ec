#!/usr/bin/env bash
# safetensors 0.8.0: with two or more metadata entries, saving the same thing twice
# gives two different files.
#
# Versions: safetensors 0.8.0, numpy 2.4.6; any machine.
# Behaviour: the tensors are written in a fixed order, the entries of `metadata` in
#   an order that is drawn anew for each call, also within one process and with
#   PYTHONHASHSEED set. The content read back is the same.
# Guess: a format without times and with sorted tensors is reproducible to the byte,
#   and Python's dictionaries keep their order; so the hash of a file stands for
#   what is in it.
# Seen:
#   different files in 50 saves: 1 without metadata, 1 with one entry, 50 with eight
#   (eight entries can stand in 40,320 orders: the last number may be 49 one day)
set -euo pipefail
tmp="$(mktemp -d)"
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile safetensors==0.8.0 numpy==2.4.6
PYTHONHASHSEED=0 "$tmp/venv/bin/python" - <<'PY'
import numpy as np
from safetensors.numpy import save

tensors = {"weight": np.zeros(4, np.float32), "mask": np.ones(4, np.bool_)}


def files(entries):
    metadata = {f"key{i}": str(i) for i in range(entries)} or None
    return len({save(tensors, metadata=metadata) for _ in range(50)})


none, one, eight = files(0), files(1), files(8)
print(
    f"different files in 50 saves: {none} without metadata, {one} with one entry,"
    f" {eight} with eight"
)
if (none, one) != (1, 1):
    raise SystemExit("Changed: files differ even without an order of metadata.")
if eight == 1:
    raise SystemExit("Changed: metadata is written in a fixed order now.")
PY
