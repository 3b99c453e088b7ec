#!/usr/bin/env bash
# torch 2.15.0: while one thread traces a network with torch.fx, another thread's call
# of its own network raises NameError.
#
# Versions: torch 2.15.0, numpy 2.4.6; any CPU.
# Behaviour: for as long as the traced `forward` runs, `nn.Module.__call__` itself is
#   replaced, for the whole process. A module that nobody traces, called meanwhile in
#   another thread, is looked for among the traced one's parts, and is not there.
# Guess: `symbolic_trace` is asked about one module and returns a new object, so it
#   touches nothing else. A training in one thread then fails, in any step, if another
#   thread happens to trace, compile or quantize by torch.fx.
# Seen:
#   before: tensor([0., 1.])
#   meanwhile: NameError: module is not installed as a submodule
#   after: tensor([0., 1.])
set -euo pipefail
tmp="$(mktemp -d)"
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile torch==2.15.0 numpy==2.4.6
"$tmp/venv/bin/python" - <<'PY'
import sys
import threading

import torch
from torch import fx, nn

inside, go = threading.Event(), threading.Event()


class Slow(nn.Module):
    def forward(self, x):
        inside.set()
        go.wait(60)
        return x + 1


def call():
    try:
        return str(mine(torch.tensor([-1.0, 1.0])))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


mine = nn.ReLU()
seen = {"before": call()}
other = threading.Thread(target=fx.symbolic_trace, args=(Slow(),))
other.start()
inside.wait(60)
seen["meanwhile"] = call()
go.set()
other.join()
seen["after"] = call()
for when, what in seen.items():
    print(f"{when}: {what}")
expected = {
    "before": "tensor([0., 1.])",
    "meanwhile": "NameError: module is not installed as a submodule",
    "after": "tensor([0., 1.])",
}
if seen != expected:
    sys.exit("Changed: tracing no longer reaches into other threads.")
PY
