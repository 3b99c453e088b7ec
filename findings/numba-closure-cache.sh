#!/usr/bin/env bash
# numba 0.68.1: a cached function that closes over another compiled function, or over
# an intrinsic, is never found in the cache; each process adds one more file to it.
#
# Versions: numba 0.68.1, numpy 2.4.6; any CPU.
# Behaviour: `njit(cache=True)` hashes what a closure holds. A dispatcher or an
#   intrinsic pickles with an identifier drawn anew in each process, so the hash
#   differs: `cache_misses` is 1 in every process, nothing warns, and the folder
#   grows by one `.nbc` file a process. A closure over a number is found; so is a
#   function that reaches the same helper as a global of its module.
# Guess: what `cache=True` compiled once is loaded the next time, also where a
#   factory makes the kernel for a type or a size and passes its helpers in.
# Seen:
#   hits of the four kernels in processes 1, 2, 3 (a helper as a global; a closure
#   over a number; over an njit function; over an intrinsic):
#   0 1 1
#   0 1 1
#   0 0 0
#   0 0 0
#   files after 3 processes: 8
set -euo pipefail
tmp="$(mktemp -d)"
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile numba==0.68.1 numpy==2.4.6
cat > "$tmp/kernels.py" <<'PY'
from numba import njit
from numba.extending import intrinsic


@intrinsic
def doubled(typing, x):
    def code(context, builder, signature, values):
        return builder.fadd(values[0], values[0])

    return x(x), code


@njit
def tripled(x):
    return 3 * x


@njit(cache=True)
def with_global(x):
    return tripled(x) + doubled(x)


def closing_over(helper):
    @njit(cache=True)
    def kernel(x):
        return helper(x)

    return kernel


def scaling_by(number):
    @njit(cache=True)
    def kernel(x):
        return number * x

    return kernel


KERNELS = {
    "helper as a global": with_global,
    "closure over a number": scaling_by(5),
    "closure over an njit function": closing_over(tripled),
    "closure over an intrinsic": closing_over(doubled),
}
PY
cat > "$tmp/run.py" <<'PY'
from kernels import KERNELS

for kernel in KERNELS.values():
    kernel(1.0)
    print(sum(kernel.stats.cache_hits.values()))
PY
export NUMBA_CACHE_DIR="$tmp/cache"
for process in 1 2 3; do
  "$tmp/venv/bin/python" "$tmp/run.py" > "$tmp/hits-$process"
done
hits="$(paste -d ' ' "$tmp"/hits-1 "$tmp"/hits-2 "$tmp"/hits-3)"
files="$(find "$NUMBA_CACHE_DIR" -name '*.nbc' | wc -l | tr -d ' ')"
echo "hits of the four kernels in processes 1, 2, 3:"
echo "$hits"
echo "files after 3 processes: $files"
expected="$(printf '0 1 1\n0 1 1\n0 0 0\n0 0 0')"
if [ "$hits" != "$expected" ] || [ "$files" != 8 ]; then
  echo "Changed: the hits were 0 1 1, 0 1 1, 0 0 0, 0 0 0 before, and the files 8."
  exit 1
fi
