"""The loops of layers of which only some weights are left, compiled by Numba.

A signal is a flat array in which 16 images lie side by side (`planes.py`), so
that a weight meets 16 numbers or more in one run over memory. A layer's
surviving weights (`taps.py`) are

    values (weights,)            sorted by block of sources, then by target,
    offsets (weights,)           how far a weight's source lies from a window's
                                 place in the array of sources,
    starts (blocks, targets + 1) where each pair's weights begin,
    places (targets,)            where each target's plane begins.

A *window* is what the registers hold at once: four rows of `lanes` numbers. The
first lies at `reads[w]` in the array that is read and at `writes[w]` in the one
that is written; the others lie `ahead` and `beyond` from it, three steps each.
Windows come first and blocks second: a block's part of a window stays in the
first-level cache while all targets read it.
"""

from types import SimpleNamespace
from typing import Any

from numpy.typing import NDArray

from lth_utils.training.loops.compiled import compiled
from lth_utils.training.loops.vectors import (
    axpy,
    fma,
    gate,
    load,
    maximum,
    mul,
    splat,
    store,
    total,
)

Array = NDArray[Any]
Steps = tuple[int, int, int]


@compiled
def _sum(
    values: Array,
    offsets: Array,
    weights: tuple[int, int],
    x: Array,
    at: int,
    ahead: Steps,
    sums: Any,
) -> Any:
    """Return sums + the sum over weights k of values[k] * x[at + offsets[k]]."""
    a, b, c, d = sums
    for k in range(weights[0], weights[1]):
        v, i = values[k], at + offsets[k]
        a = axpy(v, x, i, a)
        b = axpy(v, x, i + ahead[0], b)
        c = axpy(v, x, i + ahead[1], c)
        d = axpy(v, x, i + ahead[2], d)
    return a, b, c, d


@compiled
def _plus(window: Any, a: Array, at: int, steps: Steps) -> Any:
    """Return a window plus the one that lies in an array."""
    one = a.dtype.type(1)
    return (
        axpy(one, a, at, window[0]),
        axpy(one, a, at + steps[0], window[1]),
        axpy(one, a, at + steps[1], window[2]),
        axpy(one, a, at + steps[2], window[3]),
    )


@compiled
def _put(window: Any, a: Array, at: int, steps: Steps) -> None:
    """Let a window lie in an array."""
    store(a, at, window[0])
    store(a, at + steps[0], window[1])
    store(a, at + steps[1], window[2])
    store(a, at + steps[2], window[3])


def _loops(lanes: int) -> SimpleNamespace:
    """Return the loops over windows of four rows of so many lanes."""

    @compiled
    def multiply(
        starts: Array,
        places: Array,
        offsets: Array,
        values: Array,
        bias: Array,
        x: Array,
        out: Array,
        reads: Array,
        writes: Array,
        ahead: Steps,
        beyond: Steps,
        floor: Any,
    ) -> None:
        """Compute out = max(floor, weights @ x + bias)."""
        low, none = splat(floor, lanes), values.dtype.type(0)
        final = starts.shape[0] - 1
        for w in range(reads.size):
            for block in range(final + 1):
                for target in range(places.size):
                    weights = starts[block, target], starts[block, target + 1]
                    if weights[0] == weights[1] and 0 < block < final:
                        continue
                    at = places[target] + writes[w]
                    first = splat(bias[target] if block == 0 else none, lanes)
                    sums = (first, first, first, first)
                    if block > 0:
                        sums = _plus(sums, out, at, beyond)
                    sums = _sum(values, offsets, weights, x, reads[w], ahead, sums)
                    if block == final:
                        a, b, c, d = sums
                        a, b = maximum(a, low), maximum(b, low)
                        sums = a, b, maximum(c, low), maximum(d, low)
                    _put(sums, out, at, beyond)

    @compiled
    def trace(
        starts: Array,
        places: Array,
        offsets: Array,
        values: Array,
        delta: Array,
        out: Array,
        signal: Array,
        reads: Array,
        writes: Array,
        ahead: Steps,
        beyond: Steps,
        more: bool,
    ) -> None:
        """Compute out = weights.T @ delta, and 0 where a ReLU's signal was 0.

        With `more`, it is added to what out holds.
        """
        final = starts.shape[0] - 1
        none = splat(values.dtype.type(0), lanes)
        zero = (none, none, none, none)
        for w in range(reads.size):
            for block in range(final + 1):
                for target in range(places.size):
                    weights = starts[block, target], starts[block, target + 1]
                    if weights[0] == weights[1] and 0 < block < final:
                        continue
                    at = places[target] + writes[w]
                    sums = zero
                    if more or block > 0:
                        sums = _plus(zero, out, at, beyond)
                    sums = _sum(values, offsets, weights, delta, reads[w], ahead, sums)
                    if block == final:
                        a, b, c, d = sums
                        e, f, g, h = _plus(zero, signal, at, beyond)
                        sums = gate(a, e), gate(b, f), gate(c, g), gate(d, h)
                    _put(sums, out, at, beyond)

    @compiled
    def correlate(
        starts: Array,
        places: Array,
        offsets: Array,
        x: Array,
        delta: Array,
        reads: Array,
        writes: Array,
        ahead: Steps,
        beyond: Steps,
        gradient: Array,
    ) -> None:
        """Compute each weight's gradient, the sum of delta * x over all windows."""
        none = splat(x.dtype.type(0), lanes)
        zero = (none, none, none, none)
        gradient[:] = 0
        for w in range(reads.size):
            for block in range(starts.shape[0]):
                for target in range(places.size):
                    begin, end = starts[block, target], starts[block, target + 1]
                    if begin == end:
                        continue
                    at = places[target] + writes[w]
                    a, b, c, d = _plus(zero, delta, at, beyond)
                    for k in range(begin, end):
                        i = reads[w] + offsets[k]
                        sums = mul(a, load(x, i, lanes))
                        sums = fma(b, load(x, i + ahead[0], lanes), sums)
                        sums = fma(c, load(x, i + ahead[1], lanes), sums)
                        sums = fma(d, load(x, i + ahead[2], lanes), sums)
                        gradient[k] += total(sums)

    return SimpleNamespace(multiply=multiply, trace=trace, correlate=correlate)


LOOPS = {lanes: _loops(lanes) for lanes in (16, 64)}


@compiled
def take(values: Array, order: Array, out: Array) -> None:
    """Compute out = values[order]."""
    for k in range(order.size):
        out[k] = values[order[k]]
