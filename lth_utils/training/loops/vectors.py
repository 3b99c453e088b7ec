"""Rows of numbers that stay in the processor's registers, for compiled loops.

Numba keeps a sum that runs over lanes in memory. A row here is a value of its
own, some vectors of 16 lanes side by side, which LLVM keeps in registers and
fits to the processor's width: AVX-512, AVX2 or NEON. But for the turning of bytes
(`lenet/tiles.py`), everything else in the loops is plain Numba.
`tests/training/test_vectors.py` says in NumPy what each function computes.

Arrays are one-dimensional and contiguous; `lanes` is a constant, a multiple of
16; nothing is checked.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types

from lth_utils.training.loops.rows import (
    INDEX,
    VECTOR,
    Row,
    Values,
    called,
    intrinsic,
    loaded_from,
    pack,
    places_of,
    shuffle,
    spread,
    sum_of,
    unpack,
    vector_of,
)

# --- between memory and registers ---------------------------------------------------


@intrinsic
def load(typing: Any, a: Any, i: Any, lanes: Any) -> Any:
    """Return a[i : i + lanes]."""
    row = Row(a.dtype, lanes.literal_value)
    return row(a, types.intp, lanes), lambda *code: pack(
        code[1], loaded_from(code, 0, row)
    )


@intrinsic
def load_bytes(typing: Any, a: Any, i: Any, like: Any, lanes: Any) -> Any:
    """Return a[i : i + lanes] of bytes, as numbers of the type of array `like`."""
    row = Row(like.dtype, lanes.literal_value)
    return row(a, types.intp, like, lanes), lambda *code: pack(
        code[1], loaded_from(code, 0, row)
    )


@intrinsic
def store(typing: Any, a: Any, i: Any, r: Any) -> Any:
    """Set a[i : i + lanes] to r."""

    def write(*code: Any) -> Any:
        context, builder, _, values = code
        vectors, size = unpack(builder, values[2]), r.element.bitwidth // 8
        places = places_of(code, 0, vector_of(r), len(vectors))
        for place, vector in zip(places, vectors, strict=True):
            builder.store(vector, place, align=size)
        return context.get_dummy_value()

    return types.void(a, types.intp, r), write


@intrinsic
def splat(typing: Any, x: Any, lanes: Any) -> Any:
    """Return a row whose lanes all hold the floating number x."""
    number = types.unliteral(x)
    row = Row(number, lanes.literal_value)

    def write(context: Any, builder: Any, signature: Any, values: Values) -> Any:
        return pack(builder, [spread(builder, values[0])] * (row.lanes // VECTOR))

    return row(number, lanes), write


# --- lane by lane -------------------------------------------------------------------


def _each(lane: Callable[..., Any], *rows: Any) -> Any:
    """Return the type and the code of a function of rows, from that of vectors."""

    def code(context: Any, builder: Any, signature: Any, values: Values) -> Any:
        columns = zip(*(unpack(builder, value) for value in values), strict=True)
        return pack(builder, [lane(builder, *column) for column in columns])

    return rows[0](*rows), code


@intrinsic
def add(typing: Any, r: Any, s: Any) -> Any:
    """Return r + s."""
    return _each(lambda builder, r, s: builder.fadd(r, s), r, s)


@intrinsic
def sub(typing: Any, r: Any, s: Any) -> Any:
    """Return r - s."""
    return _each(lambda builder, r, s: builder.fsub(r, s), r, s)


@intrinsic
def mul(typing: Any, r: Any, s: Any) -> Any:
    """Return r * s."""
    return _each(lambda builder, r, s: builder.fmul(r, s), r, s)


@intrinsic
def div(typing: Any, r: Any, s: Any) -> Any:
    """Return r / s."""
    return _each(lambda builder, r, s: builder.fdiv(r, s), r, s)


@intrinsic
def sqrt(typing: Any, r: Any) -> Any:
    """Return r's square roots."""
    return _each(lambda builder, r: called(builder, "sqrt", r), r)


@intrinsic
def fma(typing: Any, r: Any, s: Any, t: Any) -> Any:
    """Return r * s + t."""
    return _each(lambda builder, *rst: called(builder, "fma", *rst), r, s, t)


@intrinsic
def maximum(typing: Any, r: Any, s: Any) -> Any:
    """Return s where r < s, else r: a NaN in r stays one, and is found."""

    def lane(builder: Any, r: Any, s: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", r, s), s, r)

    return _each(lane, r, s)


@intrinsic
def gate(typing: Any, d: Any, s: Any) -> Any:
    """Return 0 where s <= 0, else d: the gradient through a ReLU that gave s."""

    def lane(builder: Any, d: Any, s: Any) -> Any:
        zero = ir.Constant(d.type, [0.0] * VECTOR)
        return builder.select(builder.fcmp_ordered("<=", s, zero), zero, d)

    return _each(lane, d, s)


@intrinsic
def pick(typing: Any, a: Any, b: Any, x: Any, y: Any) -> Any:
    """Return x where a == b, else y."""

    def lane(builder: Any, a: Any, b: Any, x: Any, y: Any) -> Any:
        return builder.select(builder.fcmp_ordered("==", a, b), x, y)

    return _each(lane, a, b, x, y)


# --- rows in memory times a number or a row -----------------------------------------


@intrinsic
def axpy(typing: Any, x: Any, a: Any, i: Any, r: Any) -> Any:
    """Return r + x * a[i : i + lanes]; each word of `tiles.py` has two lanes."""

    def code(*code: Any) -> Any:
        _, builder, _, values = code
        factor = spread(builder, values[0])
        pairs = zip(loaded_from(code, 1, r), unpack(builder, values[3]), strict=True)
        sums = [called(builder, "fma", factor, vector, sum) for vector, sum in pairs]
        return pack(builder, sums)

    return r(r.element, a, types.intp, r), code


@intrinsic
def dot(typing: Any, r: Any, a: Any, i: Any) -> Any:
    """Return 16 lanes whose sum is r * a[i : i + lanes]'s; or of words, as `axpy`."""

    def code(*code: Any) -> Any:
        _, builder, _, values = code
        pairs = zip(unpack(builder, values[0]), loaded_from(code, 1, r), strict=True)
        sums: Values = []  # two, so that one need not wait for the other
        for number, (one, other) in enumerate(pairs):
            if number < 2:
                sums.append(builder.fmul(one, other))
            else:
                sum = sums[number % 2]
                sums[number % 2] = called(builder, "fma", one, other, sum)
        return pack(builder, [sum_of(builder, sums)])

    return Row(r.element, VECTOR)(r, a, types.intp), code


# --- sums over lanes ----------------------------------------------------------------


@intrinsic
def total(typing: Any, r: Any) -> Any:
    """Return the sum of r's lanes, a number."""

    def code(context: Any, builder: Any, signature: Any, values: Values) -> Any:
        vector = sum_of(builder, unpack(builder, values[0]))
        lanes = VECTOR
        while lanes > 1:
            lanes //= 2
            halves = [list(range(lanes)), list(range(lanes, 2 * lanes))]
            low, high = (shuffle(builder, vector, vector, half) for half in halves)
            vector = builder.fadd(low, high)
        return builder.extract_element(vector, ir.Constant(INDEX, 0))

    return r.element(r), code


@intrinsic
def totals(typing: Any, rows: Any) -> Any:
    """Return a row of the sums of a tuple of 16 rows of 16 lanes, in their order."""

    def code(context: Any, builder: Any, signature: Any, values: Values) -> Any:
        rows = [builder.extract_value(values[0], k) for k in range(VECTOR)]
        sums = [vector for row in rows for vector in unpack(builder, row)]
        step = 1  # lanes whose number has this bit are of the second of a pair
        while len(sums) > 1:
            lanes = range(VECTOR)
            stay = [k if not k & step else VECTOR + k for k in lanes]
            come = [k | step if not k & step else VECTOR + (k & ~step) for k in lanes]
            sums = [
                builder.fadd(
                    shuffle(builder, a, b, stay),
                    shuffle(builder, a, b, come),
                )
                for a, b in zip(sums[::2], sums[1::2], strict=True)
            ]
            step *= 2
        return pack(builder, sums)

    return rows.dtype(rows), code
