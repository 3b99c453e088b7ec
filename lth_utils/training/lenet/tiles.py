"""Images turned so that they lie side by side, as a tile of bytes."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.np import arrayobj
from numpy.typing import NDArray

from lth_utils.training.loops.compiled import compiled
from lth_utils.training.loops.rows import Code, intrinsic

_BYTES, _LONG = ir.VectorType(ir.IntType(8), 16), ir.IntType(64)
# The lower and the upper halves of two vectors, interleaved.
_WOVEN = [
    ir.Constant(
        ir.VectorType(ir.IntType(32), 16),
        [k // 2 + 16 * (k % 2) + half for k in range(16)],
    )
    for half in (0, 8)
]

Array = NDArray[Any]


def _place(code: Code, number: int, index: Any, kind: Any) -> Any:
    """Return where a value of `kind` lies at an index of an array, an argument."""
    context, builder, signature, values = code
    array = arrayobj.make_array(signature.args[number])
    first = array(context, builder, values[number]).data
    place = builder.gep(first, [index], inbounds=True)
    return builder.bitcast(place, kind.as_pointer())


@intrinsic
def turn(typing: Any, a: Any, starts: Any, i: Any, b: Any, j: Any, n: Any) -> Any:
    """Set b[j + n * p + k] to a[starts[k] + i + p], for 16 k and 16 p, of bytes.

    Four times the first half of the vectors is interleaved with the second:
    each time the uppermost bit of a byte's k and of its p change places.
    """

    def write(*code: Any) -> Any:
        context, builder, _, (_, _, i, _, j, n) = code
        numbers, rows = [ir.Constant(_LONG, k) for k in range(16)], []
        for number in numbers:
            start = builder.load(_place(code, 1, number, _LONG))
            place = _place(code, 0, builder.add(start, i), _BYTES)
            rows.append(builder.load(place, align=1))
        for _ in range(4):
            rows = [
                builder.shuffle_vector(one, other, lanes)
                for one, other in zip(rows[:8], rows[8:], strict=True)
                for lanes in _WOVEN
            ]
        for number, row in zip(numbers, rows, strict=True):
            place = builder.add(j, builder.mul(n, number))
            builder.store(row, _place(code, 3, place, _BYTES), align=1)
        return context.get_dummy_value()

    return types.void(a, starts, types.intp, b, types.intp, types.intp), write


@compiled
def gather(images: Array, index: Array, inputs: int, lanes: int, tile: Array) -> None:
    """Set tile[p * lanes + n] to byte p of the image index[n].

    Lanes beyond the index hold any images.
    """
    starts, whole = np.empty(16, np.int64), inputs - inputs % 16
    for first in range(0, index.size, 16):
        for k in range(16):
            starts[k] = inputs * index[min(first + k, index.size - 1)]
        for p in range(0, whole, 16):
            turn(images, starts, p, tile, lanes * p + first, lanes)
        for p in range(whole, inputs):
            for k in range(16):
                tile[lanes * p + first + k] = images[starts[k] + p]
