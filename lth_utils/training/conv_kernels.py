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

import numpy as np
from numpy.typing import NDArray

from lth_utils.training.compiled import compiled
from lth_utils.training.vectors import (
    add,
    axpy,
    dot,
    fma,
    gate,
    load,
    maximum,
    splat,
    store,
    totals,
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


def _loops(lanes: int) -> SimpleNamespace:
    """Return the loops over windows of four rows of so many lanes."""

    @compiled
    def rows(a: Array, at: int, steps: Steps) -> Any:
        """Return a window of an array."""
        return (
            load(a, at, lanes),
            load(a, at + steps[0], lanes),
            load(a, at + steps[1], lanes),
            load(a, at + steps[2], lanes),
        )

    @compiled
    def put(a: Array, at: int, steps: Steps, window: Any) -> None:
        """Set a window of an array."""
        store(a, at, window[0])
        store(a, at + steps[0], window[1])
        store(a, at + steps[1], window[2])
        store(a, at + steps[2], window[3])

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
        low, final = splat(floor, lanes), starts.shape[0] - 1
        for w in range(reads.size):
            for block in range(final + 1):
                for target in range(places.size):
                    weights = starts[block, target], starts[block, target + 1]
                    if weights[0] == weights[1] and 0 < block < final:
                        continue
                    at = places[target] + writes[w]
                    if block == 0:
                        first = splat(bias[target], lanes)
                        sums = (first, first, first, first)
                    else:
                        sums = rows(out, at, beyond)
                    a, b, c, d = _sum(
                        values, offsets, weights, x, reads[w], ahead, sums
                    )
                    if block == final:
                        a, b = maximum(a, low), maximum(b, low)
                        c, d = maximum(c, low), maximum(d, low)
                    put(out, at, beyond, (a, b, c, d))

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
        zero = splat(values.dtype.type(0), lanes)
        for w in range(reads.size):
            for block in range(final + 1):
                for target in range(places.size):
                    weights = starts[block, target], starts[block, target + 1]
                    if weights[0] == weights[1] and 0 < block < final:
                        continue
                    at = places[target] + writes[w]
                    sums = (zero, zero, zero, zero)
                    if more or block > 0:
                        sums = rows(out, at, beyond)
                    a, b, c, d = _sum(
                        values, offsets, weights, delta, reads[w], ahead, sums
                    )
                    if block == final:
                        e, f, g, h = rows(signal, at, beyond)
                        a, b, c, d = gate(a, e), gate(b, f), gate(c, g), gate(d, h)
                    put(out, at, beyond, (a, b, c, d))

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
        parts: Array,
    ) -> None:
        """Compute each weight's gradient, the sum of delta * x over all windows.

        In 16 parts: parts (weights * 16,). For planes of many windows.
        """
        parts[:] = 0
        for w in range(reads.size):
            for block in range(starts.shape[0]):
                for target in range(places.size):
                    begin, end = starts[block, target], starts[block, target + 1]
                    if begin == end:
                        continue
                    a, b, c, d = rows(delta, places[target] + writes[w], beyond)
                    for k in range(begin, end):
                        i = reads[w] + offsets[k]
                        one = add(dot(a, x, i), dot(b, x, i + ahead[0]))
                        two = dot(c, x, i + ahead[1])
                        two = add(two, dot(d, x, i + ahead[2]))
                        one = add(one, load(parts, 16 * k, 16))
                        store(parts, 16 * k, add(one, two))

    return SimpleNamespace(multiply=multiply, trace=trace, correlate=correlate)


LOOPS = {lanes: _loops(lanes) for lanes in (16, 64)}


@compiled
def add_parts(parts: Array, gradient: Array) -> None:
    """Compute gradient[k] = the sum of parts[16 * k : 16 * k + 16]."""
    for k in range(gradient.size):
        total = gradient[k] * 0
        for lane in range(16):
            total += parts[16 * k + lane]
        gradient[k] = total


@compiled
def _four(d: Any, x: Array, at: int, offsets: Array, k: int, sums: Any) -> Any:
    """Return sums of four weights' gradients, each with d * its source added."""
    return (
        fma(d, load(x, at + offsets[k], 16), sums[0]),
        fma(d, load(x, at + offsets[k + 1], 16), sums[1]),
        fma(d, load(x, at + offsets[k + 2], 16), sums[2]),
        fma(d, load(x, at + offsets[k + 3], 16), sums[3]),
    )


@compiled
def correlate_whole(
    starts: Array,
    places: Array,
    offsets: Array,
    x: Array,
    delta: Array,
    reads: Array,
    writes: Array,
    gradient: Array,
) -> None:
    """Compute each weight's gradient, the sum of delta * x over all pixels.

    Sixteen weights of a target at once, from the first pixel to the last; for
    small planes. Here `reads` and `writes` are single vectors' places. What
    is computed beyond a target's last weight is overwritten by the next one's:
    offsets and gradient are 16 longer than there are weights.
    """
    zero = splat(x.dtype.type(0), 16)
    none = (zero, zero, zero, zero)
    for block in range(starts.shape[0]):
        for target in range(places.size):
            for k in range(starts[block, target], starts[block, target + 1], 16):
                a, b, c, e = none, none, none, none
                for p in range(reads.size):
                    d = load(delta, places[target] + writes[p], 16)
                    a = _four(d, x, reads[p], offsets, k, a)
                    b = _four(d, x, reads[p], offsets, k + 4, b)
                    c = _four(d, x, reads[p], offsets, k + 8, c)
                    e = _four(d, x, reads[p], offsets, k + 12, e)
                store(gradient, k, totals(a + b + c + e))


@compiled
def take(values: Array, order: Array, out: Array) -> None:
    """Compute out = values[order]."""
    for k in range(order.size):
        out[k] = values[order[k]]
