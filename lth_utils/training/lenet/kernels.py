"""The loops of a sparse network's step, compiled by Numba on first use.

The images of a tile lie side by side, LANES of them, so that a weight meets all
of them in one run over memory: a signal is (units * LANES,), a unit's lanes one
after the other, and stays in registers while it is summed (`vectors.py`). The
input, which is bytes, is held as half numbers in words (`tiles.py`).

The network's parameters are one array, `theta`. A `Layer` says where in it the
weights that survive begin, unit by unit; `rows` says for each of them where its
input's lanes begin in the signal below. Every layer begins at a multiple of 16,
and so do the biases; what is between is 0 and stays 0.

Sums are made in the order that is written, so a training repeats itself to the
bit.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lth_utils.training.loops.compiled import compiled
from lth_utils.training.loops.vectors import (
    add,
    axpy,
    div,
    dot,
    fma,
    gate,
    load,
    maximum,
    mul,
    splat,
    store,
    sub,
    total,
    totals,
)

LANES = 64  # images in a tile: four AVX-512 registers of float32

Array = NDArray[Any]


class Layer(NamedTuple):
    """Where a layer's weights are, by the unit that they feed and that they read.

    Attributes:
        starts: (units + 1,), where in theta each unit's weights begin.
        bias: Where in theta the units' biases begin.
        back_starts: (inputs + 1,), where each input's weights begin in the next.
        back: (weights,), where in theta they are.
        back_rows: (weights,), where in the layer's delta their unit's lanes begin.
    """

    starts: Array
    bias: int
    back_starts: Array
    back: Array
    back_rows: Array


# --- forward ------------------------------------------------------------------
# Both products write their sum out: called, it would cost a twelfth of a step.


@compiled
def multiply_words(
    starts: Array,
    rows: Array,
    values: Array,
    constants: Array,
    tile: Array,
    factor: Array,
    out: Array,
) -> None:
    """Compute relu(factor * (values @ tile) + constants)."""
    zero = splat(values.dtype.type(0), LANES)
    times = load(factor, 0, LANES)
    for unit in range(starts.size - 1):
        a, b = zero, zero
        k, end = starts[unit], starts[unit + 1]
        while k + 2 <= end:
            a = axpy(values[k], tile, rows[k], a)
            b = axpy(values[k + 1], tile, rows[k + 1], b)
            k += 2
        if k < end:
            a = axpy(values[k], tile, rows[k], a)
        a = fma(add(a, b), times, splat(constants[unit], LANES))
        store(out, unit * LANES, maximum(a, zero))


@compiled
def multiply(
    starts: Array,
    rows: Array,
    theta: Array,
    bias: int,
    signal: Array,
    out: Array,
    floor: Any,
) -> None:
    """Compute max(floor, weights @ signal + bias)."""
    zero, least = splat(theta.dtype.type(0), LANES), splat(floor, LANES)
    for unit in range(starts.size - 1):
        a, b = splat(theta[bias + unit], LANES), zero
        k, end = starts[unit], starts[unit + 1]
        while k + 2 <= end:
            a = axpy(theta[k], signal, rows[k], a)
            b = axpy(theta[k + 1], signal, rows[k + 1], b)
            k += 2
        if k < end:
            a = axpy(theta[k], signal, rows[k], a)
        store(out, unit * LANES, maximum(add(a, b), least))


# --- scores -------------------------------------------------------------------


@compiled
def lower(scores: Array) -> None:
    """Subtract each image's greatest score from all of its scores."""
    top = load(scores, 0, LANES)
    for i in range(LANES, scores.size, LANES):
        top = maximum(top, load(scores, i, LANES))
    for i in range(0, scores.size, LANES):
        store(scores, i, sub(load(scores, i, LANES), top))


@compiled
def exponentiate(scores: Array, sums: Array) -> None:
    """Set scores to exp(scores), and sums to each image's sum of them."""
    for i in range(scores.size):
        scores[i] = np.exp(scores[i])
    whole = load(scores, 0, LANES)
    for i in range(LANES, scores.size, LANES):
        whole = add(whole, load(scores, i, LANES))
    store(sums, 0, whole)


@compiled
def blame(scores: Array, labels: Array, share: Any, sums: Array) -> None:
    """Turn scores into the gradient of the mean cross-entropy, in place.

    (softmax - one-hot) * share, with share = 1 / N; 0 in the lanes beyond the labels.
    """
    lower(scores)
    exponentiate(scores, sums)
    factor = div(splat(share, LANES), load(sums, 0, LANES))
    for i in range(0, scores.size, LANES):
        store(scores, i, mul(load(scores, i, LANES), factor))
        for lane in range(labels.size, LANES):
            scores[i + lane] = 0
    for lane in range(labels.size):
        scores[labels[lane] * LANES + lane] -= share


# --- backward -----------------------------------------------------------------


@compiled
def back(layer: Layer, theta: Array, delta: Array, signal: Array, out: Array) -> None:
    """Compute the delta of the layer below: weights.T @ delta where signal > 0."""
    zero = splat(theta.dtype.type(0), LANES)
    for unit in range(layer.back_starts.size - 1):
        a, b = zero, zero
        k, end = layer.back_starts[unit], layer.back_starts[unit + 1]
        while k + 2 <= end:
            a = axpy(theta[layer.back[k]], delta, layer.back_rows[k], a)
            b = axpy(theta[layer.back[k + 1]], delta, layer.back_rows[k + 1], b)
            k += 2
        if k < end:
            a = axpy(theta[layer.back[k]], delta, layer.back_rows[k], a)
        below = gate(add(a, b), load(signal, unit * LANES, LANES))
        store(out, unit * LANES, below)


@compiled
def sixteen(parts: Array) -> Any:
    """Return a row of the sums of 16 rows of 16 lanes."""
    return totals(
        (
            load(parts, 0, 16),
            load(parts, 16, 16),
            load(parts, 32, 16),
            load(parts, 48, 16),
            load(parts, 64, 16),
            load(parts, 80, 16),
            load(parts, 96, 16),
            load(parts, 112, 16),
            load(parts, 128, 16),
            load(parts, 144, 16),
            load(parts, 160, 16),
            load(parts, 176, 16),
            load(parts, 192, 16),
            load(parts, 208, 16),
            load(parts, 224, 16),
            load(parts, 240, 16),
        )
    )


@compiled
def correlate(
    layer: Layer,
    rows: Array,
    delta: Array,
    signal: Array,
    gradient: Array,
    parts: Array,
) -> None:
    """Add a tile's part of a layer's gradient.

    A weight's is the sum over lanes of its unit's delta times its input, a
    bias's that of delta. Sixteen weights' sums over lanes are formed at once.
    """
    end = layer.starts[-1]
    for unit in range(layer.starts.size - 1):
        d = load(delta, unit * LANES, LANES)
        gradient[layer.bias + unit] += total(d)
        for k in range(layer.starts[unit], layer.starts[unit + 1]):
            store(parts, k % 16 * 16, dot(d, signal, rows[k]))
            if k % 16 == 15:
                store(gradient, k - 15, add(load(gradient, k - 15, 16), sixteen(parts)))
    if end % 16:
        for i in range(end % 16 * 16, 256):
            parts[i] = 0
        first = end - end % 16
        store(gradient, first, add(load(gradient, first, 16), sixteen(parts)))


@compiled
def correlate_words(
    layer: Layer,
    rows: Array,
    delta: Array,
    tile: Array,
    factor: Array,
    gains: Array,
    shifts: Array,
    gradient: Array,
    parts: Array,
    sums: Array,
) -> None:
    """Add a tile's part of the first layer's gradient; its input is scaled.

    Sum of d (gain * factor * x + shift) = gain * sum of d factor x + shift * sum of d.
    """
    end = layer.starts[-1]
    times = load(factor, 0, LANES)
    for unit in range(layer.starts.size - 1):
        d = load(delta, unit * LANES, LANES)
        whole = total(d)
        gradient[layer.bias + unit] += whole
        d = mul(d, times)
        for k in range(layer.starts[unit], layer.starts[unit + 1]):
            store(parts, k % 16 * 16, dot(d, tile, rows[k]))
            sums[k % 16] = whole
            if k % 16 == 15:
                add_scaled(k - 15, parts, sums, gains, shifts, gradient)
    if end % 16:
        for i in range(end % 16 * 16, 256):
            parts[i] = 0
        add_scaled(end - end % 16, parts, sums, gains, shifts, gradient)


@compiled
def add_scaled(
    first: int, parts: Array, sums: Array, gains: Array, shifts: Array, gradient: Array
) -> None:
    """Add gains * (sums over parts' rows) + shifts * sums to 16 gradients."""
    moved = fma(load(shifts, first, 16), load(sums, 0, 16), load(gradient, first, 16))
    store(gradient, first, fma(load(gains, first, 16), sixteen(parts), moved))
