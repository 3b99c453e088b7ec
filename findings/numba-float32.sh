#!/usr/bin/env bash
# numba 0.68.1: NumPy's words compiled by Numba compute float32 in another width, a
# sum in a narrower one and an update in a wider one.
#
# Versions: numba 0.68.1, numpy 2.4.6; any CPU.
# Behaviour: `array.sum()` adds float32 numbers one after the other in float32 and
#   stops at 2**24; NumPy adds in pairs. `array.mean()` and `np.cumsum` stop too
#   (NumPy's cumsum as well). In an element's update `w[i] -= lr * g[i]` a Python
#   number is a float64 and the product is computed in float64; NumPy 2 keeps
#   float32. With `np.float32(lr)` both agree to the bit.
# Guess: `@njit` speeds a function up and keeps its numbers; 1.0 times 20 million is
#   20 million; and NumPy 2's rule (a Python number takes the array's type) holds.
# Seen:
#   sum of 20,000,000 ones: numba 16777216, numpy 20000000
#   mean of 20,000,000 ones: numba 0.839, numpy 1.000
#   type of np.float32(0.3) * 0.1: numba float64, numpy float32
#   weights that differ from NumPy's update: 671 of 10000, with np.float32(lr) 0
set -euo pipefail
tmp="$(mktemp -d)"
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile numba==0.68.1 numpy==2.4.6
"$tmp/venv/bin/python" - <<'PY'
import numpy as np
from numba import njit, typeof


def check(what, seen, expected):
    print(f"{what}: {seen}")
    if seen != expected:
        raise SystemExit(f"Changed: {what} was '{expected}' before.")


@njit
def total(array):
    return array.sum()


@njit
def mean(array):
    return array.mean()


@njit
def product(number, factor):
    return number * factor


@njit
def update(weights, gradients, lr):
    for i in range(weights.size):
        weights[i] -= lr * gradients[i]


ones = np.ones(20_000_000, np.float32)
check(
    "sum of 20,000,000 ones",
    f"numba {total(ones):.0f}, numpy {ones.sum():.0f}",
    "numba 16777216, numpy 20000000",
)
check(
    "mean of 20,000,000 ones",
    f"numba {mean(ones):.3f}, numpy {ones.mean():.3f}",
    "numba 0.839, numpy 1.000",
)

number = np.float32(0.3)
product(number, 0.1)
check(
    "type of np.float32(0.3) * 0.1",
    f"numba {product.nopython_signatures[0].return_type},"
    f" numpy {typeof(number * 0.1)}",
    "numba float64, numpy float32",
)

random = np.random.default_rng(0)
weights, gradients = random.standard_normal((2, 10_000)).astype(np.float32)
differ = []
for lr in (0.1, np.float32(0.1)):
    compiled = weights.copy()
    update(compiled, gradients, lr)
    differ.append((compiled != weights - lr * gradients).sum())
print(
    f"weights that differ from NumPy's update: {differ[0]} of 10000,"
    f" with np.float32(lr) {differ[1]}"
)
if differ[0] == 0:
    raise SystemExit("Changed: a Python number keeps float32 in Numba too.")
if differ[1] != 0:
    raise SystemExit("Changed: with np.float32(lr) the two updates differ as well.")
PY
