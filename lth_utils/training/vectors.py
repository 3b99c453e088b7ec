"""Rows of numbers that stay in the processor's registers, for compiled loops.

Numba keeps a sum that runs over lanes in memory. A row here is a value of its
own, some vectors of 16 lanes side by side, which LLVM keeps in registers and
fits to the processor's width: AVX-512, AVX2 or NEON. Everything else in the
loops is plain Numba. `tests/training/test_vectors.py` says in NumPy what each
function computes.

Arrays are one-dimensional and contiguous; `lanes` is a constant, a multiple of
16; nothing is checked.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models, register_default
from numba.extending import intrinsic
from numba.np import arrayobj

_VECTOR = 16  # lanes
_INDEX, _LONG = ir.IntType(32), ir.IntType(64)
_ZERO = ir.Constant(_LONG, 0)
# The lower and the upper halves of two vectors, interleaved.
_WOVEN = [[k // 2 + 16 * (k % 2) + half for k in range(16)] for half in (0, 8)]
# Sums may be reassociated, a product and a sum be one operation, -0 be 0.
_FLAGS = ("reassoc", "contract", "nsz")

Values = list[Any]  # LLVM's, a vector each


class Row(types.Type):
    """So many lanes of float32 or float64."""

    def __init__(self, element: types.Float, lanes: int) -> None:
        self.element, self.lanes = element, lanes
        super().__init__(name=f"Row({element}, {lanes})")


@register_default(Row)
class _Model(models.PrimitiveModel):
    """A row as LLVM sees it: a structure of vectors."""

    def __init__(self, manager: Any, row: Row) -> None:
        count = row.lanes // _VECTOR
        super().__init__(manager, row, ir.LiteralStructType([_vector(row)] * count))


def _vector(row: Row) -> ir.VectorType:
    single = row.element == types.float32
    return ir.VectorType(ir.FloatType() if single else ir.DoubleType(), _VECTOR)


def _pack(builder: Any, vectors: Values) -> Any:
    kind = ir.LiteralStructType([vector.type for vector in vectors])
    row = ir.Constant(kind, ir.Undefined)
    for number, vector in enumerate(vectors):
        row = builder.insert_value(row, vector, number)
    return row


def _unpack(builder: Any, row: Any) -> Values:
    return [builder.extract_value(row, k) for k in range(len(row.type.elements))]


def _shuffle(builder: Any, one: Any, other: Any, lanes: Sequence[int]) -> Any:
    mask = ir.Constant(ir.VectorType(_INDEX, len(lanes)), list(lanes))
    return builder.shuffle_vector(one, other, mask)


def _spread(builder: Any, number: Any) -> Any:
    """Return a vector of one number."""
    empty = ir.Constant(ir.VectorType(number.type, _VECTOR), ir.Undefined)
    first = builder.insert_element(empty, number, ir.Constant(_INDEX, 0))
    return _shuffle(builder, first, empty, [0] * _VECTOR)


def _read(context: Any, builder: Any, array: Any, place: Any, kind: Any) -> list[Any]:
    """Return pointers to the vectors of `kind` = (vector type, count) at a place."""
    vector, count = kind
    pointer = arrayobj.make_array(array[0])(context, builder, array[1]).data
    start = builder.gep(pointer, [place], inbounds=True)
    start = builder.bitcast(start, vector.as_pointer())
    return [builder.gep(start, [ir.Constant(_INDEX, k)]) for k in range(count)]


def _fused(builder: Any, one: Any, other: Any, added: Any) -> Any:
    """Return one * other + added, as one operation."""
    kind = one.type
    name = f"llvm.fma.v{_VECTOR}{'f32' if kind.element == ir.FloatType() else 'f64'}"
    signature = ir.FunctionType(kind, [kind] * 3)
    function = cgutils.get_or_insert_function(builder.module, signature, name)
    return builder.call(function, [one, other, added])


def _sum(builder: Any, vectors: Values) -> Any:
    """Return the sum of some vectors, pair by pair."""
    while len(vectors) > 1:
        pairs = zip(vectors[::2], vectors[1::2], strict=False)
        odd = vectors[-1:] if len(vectors) % 2 else []
        vectors = [builder.fadd(a, b, flags=_FLAGS) for a, b in pairs] + odd
    return vectors[0]


# --- between memory and registers ---------------------------------------------------


@intrinsic(prefer_literal=True)
def load(typing: Any, a: Any, i: Any, lanes: Any) -> Any:
    """Return a[i : i + lanes]."""
    row = Row(a.dtype, lanes.literal_value)

    def code(context: Any, builder: Any, signature: Any, values: Values) -> Any:
        kind, size = (_vector(row), row.lanes // _VECTOR), row.element.bitwidth // 8
        array = (signature.args[0], values[0])
        places = _read(context, builder, array, values[1], kind)
        return _pack(builder, [builder.load(place, align=size) for place in places])

    return row(a, types.intp, lanes), code


@intrinsic(prefer_literal=True)
def load_bytes(typing: Any, a: Any, i: Any, like: Any, lanes: Any) -> Any:
    """Return a[i : i + lanes] of bytes, as numbers of the type of array `like`."""
    row = Row(like.dtype, lanes.literal_value)

    def code(context: Any, builder: Any, signature: Any, values: Values) -> Any:
        kind = (ir.VectorType(ir.IntType(8), _VECTOR), row.lanes // _VECTOR)
        array = (signature.args[0], values[0])
        places = _read(context, builder, array, values[1], kind)
        loaded = [builder.load(place, align=1) for place in places]
        return _pack(builder, [builder.uitofp(each, _vector(row)) for each in loaded])

    return row(a, types.intp, like, lanes), code


@intrinsic
def store(typing: Any, a: Any, i: Any, r: Any) -> Any:
    """Set a[i : i + lanes] to r."""

    def code(context: Any, builder: Any, signature: Any, values: Values) -> Any:
        kind, size = (_vector(r), r.lanes // _VECTOR), r.element.bitwidth // 8
        array = (signature.args[0], values[0])
        places = _read(context, builder, array, values[1], kind)
        for place, vector in zip(places, _unpack(builder, values[2]), strict=True):
            builder.store(vector, place, align=size)
        return context.get_dummy_value()

    return types.void(a, types.intp, r), code


@intrinsic(prefer_literal=True)
def splat(typing: Any, x: Any, lanes: Any) -> Any:
    """Return a row whose lanes all hold the floating number x."""
    row = Row(types.unliteral(x), lanes.literal_value)

    def code(context: Any, builder: Any, signature: Any, values: Values) -> Any:
        return _pack(builder, [_spread(builder, values[0])] * (row.lanes // _VECTOR))

    return row(types.unliteral(x), lanes), code


# --- lane by lane -------------------------------------------------------------------


def _lanewise(lane: Callable[..., Any]) -> Callable[..., Any]:
    """Return what types and writes a function of rows, from that of vectors."""

    def typed(typing: Any, *rows: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, values: Values) -> Any:
            columns = zip(*(_unpack(builder, value) for value in values), strict=True)
            return _pack(builder, [lane(builder, *column) for column in columns])

        return rows[0](*rows), code

    return typed


_ADD = _lanewise(lambda builder, r, s: builder.fadd(r, s, flags=_FLAGS))
_SUB = _lanewise(lambda builder, r, s: builder.fsub(r, s, flags=_FLAGS))
_MUL = _lanewise(lambda builder, r, s: builder.fmul(r, s, flags=_FLAGS))
_DIV = _lanewise(lambda builder, r, s: builder.fdiv(r, s, flags=_FLAGS))
_FMA = _lanewise(_fused)


@_lanewise
def _SQRT(builder: Any, r: Any) -> Any:  # noqa: N802  # beside its like
    name = f"llvm.sqrt.v{_VECTOR}{'f32' if r.type.element == ir.FloatType() else 'f64'}"
    signature = ir.FunctionType(r.type, [r.type])
    return builder.call(
        cgutils.get_or_insert_function(builder.module, signature, name), [r]
    )


@_lanewise
def _MAXIMUM(builder: Any, r: Any, s: Any) -> Any:  # noqa: N802
    return builder.select(builder.fcmp_ordered("<", r, s), s, r)


@_lanewise
def _GATE(builder: Any, d: Any, s: Any) -> Any:  # noqa: N802
    zero = ir.Constant(d.type, [0.0] * _VECTOR)
    return builder.select(builder.fcmp_ordered("<=", s, zero), zero, d)


@_lanewise
def _PICK(builder: Any, a: Any, b: Any, x: Any, y: Any) -> Any:  # noqa: N802
    return builder.select(builder.fcmp_ordered("==", a, b), x, y)


@intrinsic
def add(typing: Any, r: Any, s: Any) -> Any:
    """Return r + s."""
    return _ADD(typing, r, s)


@intrinsic
def sub(typing: Any, r: Any, s: Any) -> Any:
    """Return r - s."""
    return _SUB(typing, r, s)


@intrinsic
def mul(typing: Any, r: Any, s: Any) -> Any:
    """Return r * s."""
    return _MUL(typing, r, s)


@intrinsic
def div(typing: Any, r: Any, s: Any) -> Any:
    """Return r / s."""
    return _DIV(typing, r, s)


@intrinsic
def fma(typing: Any, r: Any, s: Any, t: Any) -> Any:
    """Return r * s + t."""
    return _FMA(typing, r, s, t)


@intrinsic
def sqrt(typing: Any, r: Any) -> Any:
    """Return r's square roots."""
    return _SQRT(typing, r)


@intrinsic
def maximum(typing: Any, r: Any, s: Any) -> Any:
    """Return s where r < s, else r: a NaN in r stays one, and is found."""
    return _MAXIMUM(typing, r, s)


@intrinsic
def gate(typing: Any, d: Any, s: Any) -> Any:
    """Return 0 where s <= 0, else d: the gradient through a ReLU that gave s."""
    return _GATE(typing, d, s)


@intrinsic
def pick(typing: Any, a: Any, b: Any, x: Any, y: Any) -> Any:
    """Return x where a == b, else y."""
    return _PICK(typing, a, b, x, y)


# --- weights times rows of memory ---------------------------------------------------


@intrinsic
def axpy(typing: Any, x: Any, a: Any, i: Any, r: Any) -> Any:
    """Return r + x * a[i : i + lanes]."""
    size = r.element.bitwidth // 8

    def code(context: Any, builder: Any, signature: Any, values: Values) -> Any:
        factor = _spread(builder, values[0])
        sums = _unpack(builder, values[3])
        array, kind = (signature.args[1], values[1]), (_vector(r), len(sums))
        places = _read(context, builder, array, values[2], kind)
        loaded = [builder.load(place, align=size) for place in places]
        pairs = zip(loaded, sums, strict=True)
        return _pack(builder, [_fused(builder, factor, v, s) for v, s in pairs])

    return r(r.element, a, types.intp, r), code


@intrinsic
def axpy_bytes(typing: Any, x: Any, a: Any, i: Any, r: Any) -> Any:
    """Return r + x * a[i : i + lanes] of bytes."""

    def code(context: Any, builder: Any, signature: Any, values: Values) -> Any:
        factor, vector = _spread(builder, values[0]), _vector(r)
        sums = _unpack(builder, values[3])
        kind = (ir.VectorType(ir.IntType(8), _VECTOR), len(sums))
        array = (signature.args[1], values[1])
        places = _read(context, builder, array, values[2], kind)
        loaded = [builder.uitofp(builder.load(p, align=1), vector) for p in places]
        pairs = zip(loaded, sums, strict=True)
        return _pack(builder, [_fused(builder, factor, v, s) for v, s in pairs])

    return r(r.element, a, types.intp, r), code


# --- sums over lanes ----------------------------------------------------------------


@intrinsic
def fold(typing: Any, r: Any) -> Any:
    """Return 16 lanes whose sum is r's."""

    def code(context: Any, builder: Any, signature: Any, values: Values) -> Any:
        return _pack(builder, [_sum(builder, _unpack(builder, values[0]))])

    return Row(r.element, _VECTOR)(r), code


@intrinsic
def dot(typing: Any, r: Any, a: Any, i: Any) -> Any:
    """Return 16 lanes whose sum is that of r * a[i : i + lanes]."""
    size = r.element.bitwidth // 8

    def code(context: Any, builder: Any, signature: Any, values: Values) -> Any:
        own = _unpack(builder, values[0])
        array, kind = (signature.args[1], values[1]), (_vector(r), len(own))
        places = _read(context, builder, array, values[2], kind)
        chains: Values = []  # at most four, so that none waits for another
        for number, (vector, place) in enumerate(zip(own, places, strict=True)):
            loaded = builder.load(place, align=size)
            if number < 4:
                chains.append(builder.fmul(vector, loaded, flags=_FLAGS))
            else:
                chain = chains[number % 4]
                chains[number % 4] = _fused(builder, vector, loaded, chain)
        return _pack(builder, [_sum(builder, chains)])

    return Row(r.element, _VECTOR)(r, a, types.intp), code


@intrinsic
def total(typing: Any, r: Any) -> Any:
    """Return the sum of r's lanes, a number."""

    def code(context: Any, builder: Any, signature: Any, values: Values) -> Any:
        vector = _sum(builder, _unpack(builder, values[0]))
        lanes = _VECTOR
        while lanes > 1:
            lanes //= 2
            halves = [list(range(lanes)), list(range(lanes, 2 * lanes))]
            low, high = (_shuffle(builder, vector, vector, half) for half in halves)
            vector = builder.fadd(low, high, flags=_FLAGS)
        return builder.extract_element(vector, ir.Constant(_INDEX, 0))

    return r.element(r), code


@intrinsic
def totals(typing: Any, rows: Any) -> Any:
    """Return a row of the sums of a tuple of 16 rows of 16 lanes, in their order."""

    def code(context: Any, builder: Any, signature: Any, values: Values) -> Any:
        rows = [builder.extract_value(values[0], k) for k in range(_VECTOR)]
        sums = [vector for row in rows for vector in _unpack(builder, row)]
        step = 1  # lanes whose number has this bit are of the second of a pair
        while len(sums) > 1:
            lanes = range(_VECTOR)
            even = [k if not k & step else _VECTOR + (k & ~step) for k in lanes]
            odd = [k | step if not k & step else _VECTOR + k for k in lanes]
            sums = [
                builder.fadd(
                    _shuffle(builder, a, b, even),
                    _shuffle(builder, a, b, odd),
                    flags=_FLAGS,
                )
                for a, b in zip(sums[::2], sums[1::2], strict=True)
            ]
            step *= 2
        return _pack(builder, sums)

    return rows.dtype(rows), code


# --- bytes --------------------------------------------------------------------------


@intrinsic
def turn_bytes(typing: Any, a: Any, starts: Any, i: Any, b: Any, j: Any, n: Any) -> Any:
    """Set b[j + n * p + k] to a[starts[k] + i + p], for 16 k and 16 p.

    Four times the first half of the vectors is interleaved with the second:
    each time the uppermost bit of a byte's k and of its p change places.
    """

    def code(context: Any, builder: Any, signature: Any, values: Values) -> Any:
        vector, kinds = ir.VectorType(ir.IntType(8), _VECTOR), signature.args
        firsts = _read(context, builder, (kinds[1], values[1]), _ZERO, (_LONG, _VECTOR))
        rows = []
        for first in firsts:
            place = builder.add(builder.load(first), values[2])
            (row,) = _read(context, builder, (kinds[0], values[0]), place, (vector, 1))
            rows.append(builder.load(row, align=1))
        for _ in range(4):
            rows = [
                _shuffle(builder, one, other, lanes)
                for one, other in zip(rows[:8], rows[8:], strict=True)
                for lanes in _WOVEN
            ]
        for number, row in enumerate(rows):
            ahead = builder.mul(values[5], ir.Constant(_LONG, number))
            place = builder.add(values[4], ahead)
            (there,) = _read(context, builder, (kinds[3], values[3]), place, (vector, 1))
            builder.store(row, there, align=1)
        return context.get_dummy_value()

    return types.void(a, starts, types.intp, b, types.intp, types.intp), code
