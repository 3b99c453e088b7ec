#!/usr/bin/env bash
# pandas 3.1.1: what hangs on `DataFrame.attrs` is deeply copied by each look at a
# column, decides whether a concatenation works, and in a sum comes from the right.
#
# Versions: pandas 3.1.1, numpy 2.4.6; any machine.
# Behaviour: `table["x"]` makes a deep copy of all attrs, thousands of times slower than
#   the look itself where they hold a list of 200,000 numbers. `pd.concat` keeps attrs
#   that are equal, drops all of them if one entry differs, and raises ValueError if
#   one holds a NumPy array. `merge` drops what differs; `a + b` takes those of b.
# Guess: attrs are a note that travels along or is lost, and never part of the
#   work; where they differ, the left table's are kept, as its index is.
# Seen:
#   attrs of a column: equal, but another object
#   concat, equal attrs: {'device': 'cpu', 'run': 1}
#   concat, one entry differs: {}
#   concat, attrs with an array: ValueError
#   a + b: {'device': 'cpu', 'run': 2}
#   a look at a column: 18 microseconds, with 200,000 numbers in attrs 92345
#   (the last line differs from machine to machine)
set -euo pipefail
tmp="$(mktemp -d)"
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile pandas==3.1.1 numpy==2.4.6
"$tmp/venv/bin/python" - <<'PY'
from time import perf_counter

import numpy as np
import pandas as pd


def check(what, seen, expected):
    print(f"{what}: {seen}")
    if seen != expected:
        raise SystemExit(f"Changed: {what} was '{expected}' before.")


def table(**attrs):
    made = pd.DataFrame({"x": np.arange(100.0)})
    made.attrs = attrs
    return made


def microseconds(act):
    start = perf_counter()
    for _ in range(10):
        act()
    return (perf_counter() - start) / 10 * 1e6


a, b = table(device="cpu", run=1), table(device="cpu", run=2)
long = table(seeds=list(range(200_000)))
column = long["x"].attrs["seeds"]
same = "equal" if column == long.attrs["seeds"] else "other"
which = "but another object" if column is not long.attrs["seeds"] else "the same object"
check("attrs of a column", f"{same}, {which}", "equal, but another object")

check("concat, equal attrs", pd.concat([a, a.copy()]).attrs, {"device": "cpu", "run": 1})
check("concat, one entry differs", pd.concat([a, b]).attrs, {})
array = table(sizes=np.arange(3))
try:
    seen = str(pd.concat([array, array.copy()]).attrs)
except ValueError:
    seen = "ValueError"
check("concat, attrs with an array", seen, "ValueError")
check("a + b", (a + b).attrs, {"device": "cpu", "run": 2})

plain = table()
print(
    f"a look at a column: {microseconds(lambda: plain['x']):.0f} microseconds,"
    f" with 200,000 numbers in attrs {microseconds(lambda: long['x']):.0f}"
)
PY
