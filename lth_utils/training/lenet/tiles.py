"""Images turned so that they lie side by side, as a tile of words.

A word of 32 bits has a byte of two images, as numbers: the upper half of a
float32 holds 0 to 255 exactly. Two numbers then cost a load, a shift and a mask;
from bytes they would cost two loads and two conversions, a fifth of a step.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numpy.typing import NDArray

from lth_utils.training.loops.compiled import compiled
from lth_utils.training.loops.rows import SINGLES, WORDS, Code, intrinsic, place_of

_BYTES, _LONG = ir.VectorType(ir.IntType(8), 16), ir.IntType(64)
# The lower and the upper halves of two vectors, interleaved.
_WOVEN = [
    ir.Constant(
        ir.VectorType(ir.IntType(32), 16),
        [k // 2 + 16 * (k % 2) + half for k in range(16)],
    )
    for half in (0, 8)
]

_BITS = np.arange(256, dtype=np.float32).view(np.uint32)  # of a byte as a number

Array = NDArray[Any]


def _turned(code: Code, first: int) -> list[Any]:
    """Return 16 vectors, of byte i + p of the images whose starts are from `first`.

    Four times the first half of the vectors is interleaved with the second: each
    time the uppermost bit of an image's number and of p change places.
    """
    _, builder, _, values = code
    rows = []
    for k in range(first, first + 16):
        start = builder.load(place_of(code, 1, ir.Constant(_LONG, k), _LONG))
        place = place_of(code, 0, builder.add(start, values[2]), _BYTES)
        rows.append(builder.load(place, align=1))
    for _ in range(4):
        rows = [
            builder.shuffle_vector(one, other, lanes)
            for one, other in zip(rows[:8], rows[8:], strict=True)
            for lanes in _WOVEN
        ]
    return rows


@intrinsic
def turn(typing: Any, a: Any, starts: Any, i: Any, b: Any, j: Any, n: Any) -> Any:
    """Set word b[j + n * p + k] to bytes i + p of two images, for 16 k and 16 p.

    They begin at a[starts[k]], whose byte goes into the lower half, and at
    a[starts[16 + k]].
    """

    def write(*code: Any) -> Any:
        context, builder, _, (_, _, _, _, j, n) = code
        sixteen = ir.Constant(WORDS, [16] * 16)
        for p, pair in enumerate(zip(_turned(code, 0), _turned(code, 16), strict=True)):
            singles = (builder.uitofp(each, SINGLES) for each in pair)
            lower, upper = (builder.bitcast(each, WORDS) for each in singles)
            place = builder.add(j, builder.mul(n, ir.Constant(_LONG, p)))
            word = builder.or_(builder.lshr(lower, sixteen), upper)
            builder.store(word, place_of(code, 3, place, WORDS), align=4)
        return context.get_dummy_value()

    return types.void(a, starts, types.intp, b, types.intp, types.intp), write


@compiled
def gather(images: Array, index: Array, inputs: int, lanes: int, tile: Array) -> None:
    """Set word lanes / 2 * p + 16 m + k to byte p of two images.

    They are those of index 32 m + k, in its lower half, and 32 m + 16 + k. Lanes
    beyond the index hold any images.
    """
    starts, whole, words = np.empty(32, np.int64), inputs - inputs % 16, lanes // 2
    for first in range(0, index.size, 32):
        for k in range(32):
            starts[k] = inputs * index[min(first + k, index.size - 1)]
        for p in range(0, whole, 16):
            turn(images, starts, p, tile, words * p + first // 2, words)
        for p in range(whole, inputs):
            for k in range(16):
                lower, upper = images[starts[k] + p], images[starts[16 + k] + p]
                word = _BITS[lower] >> np.uint32(16) | _BITS[upper]
                tile[words * p + first // 2 + k] = word
