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
from numba.extending import intrinsic, models, register_model
from numba.np import arrayobj

_VECTOR = 16  # lanes
_INDEX = ir.IntType(32)
# Sums may be reassociated, a product and a sum be one operation, -0 be 0.
_FLAGS = ("reassoc", "contract", "nsz")

Values = list[Any]  # LLVM's, a vector each
_Code = tuple[
    Any, ...
]  # what writes code is given: context, builder, signature, values


class Row(types.Type):
    """So many lanes of float32 or float64."""

    def __init__(self, element: types.Float, lanes: int) -> None:
        self.element, self.lanes = element, lanes
        super().__init__(name=f"Row({element}, {lanes})")


@register_model(Row)
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


def _places(code: _Code, number: int, kind: Any, count: int) -> Values:
    """Return where vectors lie in an array, argument `number`, from an index on."""
    context, builder, signature, values = code
    array = arrayobj.make_array(signature.args[number])
    first = array(context, builder, values[number]).data
    first = builder.gep(first, [values[number + 1]], inbounds=True)
    first = builder.bitcast(first, kind.as_pointer())
    return [builder.gep(first, [ir.Constant(_INDEX, k)]) for k in range(count)]


def _loaded(code: _Code, number: int, row: Row) -> Values:
    """Return the vectors of a row that lies in memory, as `_places` finds it."""
    builder, count, vector = code[1], row.lanes // _VECTOR, _vector(row)
    if code[2].args[number].dtype == types.uint8:
        octets = ir.VectorType(ir.IntType(8), _VECTOR)
        places = _places(code, number, octets, count)
        return [builder.uitofp(builder.load(p, align=1), vector) for p in places]
    size = row.element.bitwidth // 8
    places = _places(code, number, vector, count)
    return [builder.load(place, align=size) for place in places]


def _call(builder: Any, name: str, *vectors: Any) -> Any:
    """Return what LLVM's function of some vectors gives."""
    kind = vectors[0].type
    size = "f32" if kind.element == ir.FloatType() else "f64"
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(kind, [kind] * len(vectors)),
        f"llvm.{name}.v{_VECTOR}{size}",
    )
    return builder.call(function, vectors)


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
    return row(a, types.intp, lanes), lambda *code: _pack(
        code[1], _loaded(code, 0, row)
    )


@intrinsic(prefer_literal=True)
def load_bytes(typing: Any, a: Any, i: Any, like: Any, lanes: Any) -> Any:
    """Return a[i : i + lanes] of bytes, as numbers of the type of array `like`."""
    row = Row(like.dtype, lanes.literal_value)
    return row(a, types.intp, like, lanes), lambda *code: _pack(
        code[1], _loaded(code, 0, row)
    )


@intrinsic
def store(typing: Any, a: Any, i: Any, r: Any) -> Any:
    """Set a[i : i + lanes] to r."""

    def write(*code: Any) -> Any:
        context, builder, _, values = code
        vectors, size = _unpack(builder, values[2]), r.element.bitwidth // 8
        places = _places(code, 0, _vector(r), len(vectors))
        for place, vector in zip(places, vectors, strict=True):
            builder.store(vector, place, align=size)
        return context.get_dummy_value()

    return types.void(a, types.intp, r), write


@intrinsic(prefer_literal=True)
def splat(typing: Any, x: Any, lanes: Any) -> Any:
    """Return a row whose lanes all hold the floating number x."""
    number = types.unliteral(x)
    row = Row(number, lanes.literal_value)

    def spread(context: Any, builder: Any, signature: Any, values: Values) -> Any:
        return _pack(builder, [_spread(builder, values[0])] * (row.lanes // _VECTOR))

    return row(number, lanes), spread


# --- lane by lane -------------------------------------------------------------------


def _each(lane: Callable[..., Any], *rows: Any) -> Any:
    """Return the type and the code of a function of rows, from that of vectors."""

    def code(context: Any, builder: Any, signature: Any, values: Values) -> Any:
        columns = zip(*(_unpack(builder, value) for value in values), strict=True)
        return _pack(builder, [lane(builder, *column) for column in columns])

    return rows[0](*rows), code


@intrinsic
def add(typing: Any, r: Any, s: Any) -> Any:
    """Return r + s."""
    return _each(lambda builder, r, s: builder.fadd(r, s, flags=_FLAGS), r, s)


@intrinsic
def sub(typing: Any, r: Any, s: Any) -> Any:
    """Return r - s."""
    return _each(lambda builder, r, s: builder.fsub(r, s, flags=_FLAGS), r, s)


@intrinsic
def mul(typing: Any, r: Any, s: Any) -> Any:
    """Return r * s."""
    return _each(lambda builder, r, s: builder.fmul(r, s, flags=_FLAGS), r, s)


@intrinsic
def div(typing: Any, r: Any, s: Any) -> Any:
    """Return r / s."""
    return _each(lambda builder, r, s: builder.fdiv(r, s, flags=_FLAGS), r, s)


@intrinsic
def sqrt(typing: Any, r: Any) -> Any:
    """Return r's square roots."""
    return _each(lambda builder, r: _call(builder, "sqrt", r), r)


@intrinsic
def fma(typing: Any, r: Any, s: Any, t: Any) -> Any:
    """Return r * s + t."""
    return _each(lambda builder, *rst: _call(builder, "fma", *rst), r, s, t)


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
        zero = ir.Constant(d.type, [0.0] * _VECTOR)
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
    """Return r + x * a[i : i + lanes], where a holds numbers or bytes."""

    def code(*code: Any) -> Any:
        _, builder, _, values = code
        factor = _spread(builder, values[0])
        pairs = zip(_loaded(code, 1, r), _unpack(builder, values[3]), strict=True)
        sums = [_call(builder, "fma", factor, vector, sum) for vector, sum in pairs]
        return _pack(builder, sums)

    return r(r.element, a, types.intp, r), code


@intrinsic
def dot(typing: Any, r: Any, a: Any, i: Any) -> Any:
    """Return 16 lanes whose sum is that of r * a[i : i + lanes]; or of bytes."""

    def code(*code: Any) -> Any:
        _, builder, _, values = code
        pairs = zip(_unpack(builder, values[0]), _loaded(code, 1, r), strict=True)
        chains: Values = []  # at most four, so that none waits for another
        for number, (one, other) in enumerate(pairs):
            if number < 4:
                chains.append(builder.fmul(one, other, flags=_FLAGS))
            else:
                chain = chains[number % 4]
                chains[number % 4] = _call(builder, "fma", one, other, chain)
        return _pack(builder, [_sum(builder, chains)])

    return Row(r.element, _VECTOR)(r, a, types.intp), code


# --- sums over lanes ----------------------------------------------------------------


@intrinsic
def fold(typing: Any, r: Any) -> Any:
    """Return 16 lanes whose sum is r's."""

    def code(context: Any, builder: Any, signature: Any, values: Values) -> Any:
        return _pack(builder, [_sum(builder, _unpack(builder, values[0]))])

    return Row(r.element, _VECTOR)(r), code


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
