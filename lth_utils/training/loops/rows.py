"""What a row of lanes is to Numba, and how LLVM's code for it is written.

For `vectors.py`, which has what one can do with rows, and for `lenet/tiles.py`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic as numbas
from numba.extending import models, register_model
from numba.np import arrayobj

VECTOR = 16  # lanes
INDEX = ir.IntType(32)
WORDS, SINGLES = ir.VectorType(INDEX, VECTOR), ir.VectorType(ir.FloatType(), VECTOR)

Values = list[Any]  # LLVM's, a vector each
Code = tuple[Any, ...]  # what writes code has: context, builder, signature, values


class Row(types.Type):
    """So many lanes of float32 or float64."""

    def __init__(self, element: types.Float, lanes: int) -> None:
        self.element, self.lanes = element, lanes
        super().__init__(name=f"Row({element}, {lanes})")


@register_model(Row)
class _Model(models.PrimitiveModel):
    """A row as LLVM sees it: a structure of vectors."""

    def __init__(self, manager: Any, row: Row) -> None:
        count = row.lanes // VECTOR
        super().__init__(manager, row, ir.LiteralStructType([vector_of(row)] * count))


def vector_of(row: Row) -> ir.VectorType:
    """Return the type of each of a row's vectors."""
    single = row.element == types.float32
    return ir.VectorType(ir.FloatType() if single else ir.DoubleType(), VECTOR)


def pack(builder: Any, vectors: Values) -> Any:
    """Return a row of its vectors."""
    kind = ir.LiteralStructType([vector.type for vector in vectors])
    row = ir.Constant(kind, ir.Undefined)
    for number, vector in enumerate(vectors):
        row = builder.insert_value(row, vector, number)
    return row


def unpack(builder: Any, row: Any) -> Values:
    """Return the vectors of a row."""
    return [builder.extract_value(row, k) for k in range(len(row.type.elements))]


def shuffle(builder: Any, one: Any, other: Any, lanes: Sequence[int]) -> Any:
    """Return some lanes of two vectors, counted through both."""
    mask = ir.Constant(ir.VectorType(INDEX, len(lanes)), list(lanes))
    return builder.shuffle_vector(one, other, mask)


def spread(builder: Any, number: Any) -> Any:
    """Return a vector of one number."""
    empty = ir.Constant(ir.VectorType(number.type, VECTOR), ir.Undefined)
    first = builder.insert_element(empty, number, ir.Constant(INDEX, 0))
    return shuffle(builder, first, empty, [0] * VECTOR)


def place_of(code: Code, number: int, index: Any, kind: Any) -> Any:
    """Return where a value of `kind` lies at an index of an array, an argument."""
    context, builder, signature, values = code
    array = arrayobj.make_array(signature.args[number])
    first = array(context, builder, values[number]).data
    place = builder.gep(first, [index], inbounds=True)
    return builder.bitcast(place, kind.as_pointer())


def places_of(code: Code, number: int, kind: Any, count: int) -> Values:
    """Return where vectors lie in an array, from the index in the next argument."""
    builder, values = code[1], code[3]
    first = place_of(code, number, values[number + 1], kind)
    return [builder.gep(first, [ir.Constant(INDEX, k)]) for k in range(count)]


def loaded_from(code: Code, number: int, row: Row) -> Values:
    """Return the vectors of a row that lies in memory, as `places_of` finds it."""
    builder, count, vector = code[1], row.lanes // VECTOR, vector_of(row)
    if code[2].args[number].dtype == types.uint8:
        octets = ir.VectorType(ir.IntType(8), VECTOR)
        places = places_of(code, number, octets, count)
        return [builder.uitofp(builder.load(p, align=1), vector) for p in places]
    if code[2].args[number].dtype == types.uint32:
        places = places_of(code, number, WORDS, count // 2)
        words = [builder.load(place, align=4) for place in places]
        return [half for word in words for half in halves(builder, word, vector)]
    size = row.element.bitwidth // 8
    places = places_of(code, number, vector, count)
    return [builder.load(place, align=size) for place in places]


def halves(builder: Any, word: Any, vector: Any) -> Values:
    """Return two vectors: the numbers whose upper 16 bits are in each half of words."""
    lower = builder.shl(word, ir.Constant(WORDS, [16] * VECTOR))
    upper = builder.and_(word, ir.Constant(WORDS, [0xFFFF0000] * VECTOR))
    both = [builder.bitcast(half, SINGLES) for half in (lower, upper)]
    if vector == SINGLES:
        return both
    return [builder.fpext(half, vector) for half in both]


def called(builder: Any, name: str, *vectors: Any) -> Any:
    """Return what LLVM's function of some vectors gives."""
    kind = vectors[0].type
    size = "f32" if kind.element == ir.FloatType() else "f64"
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(kind, [kind] * len(vectors)),
        f"llvm.{name}.v{VECTOR}{size}",
    )
    return builder.call(function, vectors)


def sum_of(builder: Any, vectors: Values) -> Any:
    """Return the sum of some vectors, pair by pair."""
    while len(vectors) > 1:
        pairs = zip(vectors[::2], vectors[1::2], strict=False)
        odd = vectors[-1:] if len(vectors) % 2 else []
        vectors = [builder.fadd(a, b) for a, b in pairs] + odd
    return vectors[0]


def intrinsic(write: Callable[..., Any]) -> Any:
    """Return a function for compiled loops, of what types it and writes its code."""
    return numbas(prefer_literal=True)(write)
