"""The loops of a sparse network's step, compiled by Numba on first use.

A layer's surviving weights are three arrays, row by row (CSR): `starts`
(units + 1,), where each unit's weights begin; `inputs` (weights,), which input
each weight reads; `values` (weights,). Signals are held as (tiles, units,
LANES): the images of a tile lie side by side, so that a weight meets LANES of
them in one run over memory, and the processor's vector unit does the rest.
Four weights share each pass over a unit's sum, which saves three of four
trips to memory.

Sums may be reassociated (that is what makes them fast); the order is fixed
once compiled, so a training repeats itself to the bit on the same machine.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lth_utils.training.compiled import compiled

LANES = 64  # images in a tile: four AVX-512 registers of float32

Array = NDArray[Any]


@compiled
def tile(images: Array, tiles: Array) -> None:
    """Lay images (N, units) out as tiles; lanes beyond N keep what they hold."""
    for t in range(tiles.shape[0]):
        first = t * LANES
        count = min(LANES, images.shape[0] - first)
        for unit in range(images.shape[1]):
            to = tiles[t, unit]
            for lane in range(count):
                to[lane] = images[first + lane, unit]


@compiled
def multiply(
    starts: Array,
    inputs: Array,
    values: Array,
    bias: Array,
    signal: Array,
    out: Array,
    floor: Any,
) -> None:
    """Compute max(floor, values @ signal + bias) for every tile."""
    for t in range(signal.shape[0]):
        x = signal[t]
        for unit in range(bias.size):
            total, first = out[t, unit], bias[unit]
            for lane in range(LANES):
                total[lane] = first
            k, end = starts[unit], starts[unit + 1]
            while k + 4 <= end:
                v0, v1, v2, v3 = values[k], values[k + 1], values[k + 2], values[k + 3]
                x0, x1 = x[inputs[k]], x[inputs[k + 1]]
                x2, x3 = x[inputs[k + 2]], x[inputs[k + 3]]
                for lane in range(LANES):
                    total[lane] += (
                        v0 * x0[lane] + v1 * x1[lane] + v2 * x2[lane] + v3 * x3[lane]
                    )
                k += 4
            while k < end:
                v0, x0 = values[k], x[inputs[k]]
                for lane in range(LANES):
                    total[lane] += v0 * x0[lane]
                k += 1
            for lane in range(LANES):
                if total[lane] < floor:  # a NaN stays one, and is found
                    total[lane] = floor


@compiled
def correlate(
    starts: Array, inputs: Array, delta: Array, signal: Array, gradient: Array
) -> None:
    """Compute each weight's gradient: delta of its unit times its input."""
    gradient[:] = 0
    for t in range(signal.shape[0]):
        x = signal[t]
        for unit in range(starts.size - 1):
            d = delta[t, unit]
            k, end = starts[unit], starts[unit + 1]
            while k + 4 <= end:
                x0, x1 = x[inputs[k]], x[inputs[k + 1]]
                x2, x3 = x[inputs[k + 2]], x[inputs[k + 3]]
                s0, s1 = gradient[k], gradient[k + 1]
                s2, s3 = gradient[k + 2], gradient[k + 3]
                for lane in range(LANES):
                    s0 += d[lane] * x0[lane]
                    s1 += d[lane] * x1[lane]
                    s2 += d[lane] * x2[lane]
                    s3 += d[lane] * x3[lane]
                gradient[k], gradient[k + 1] = s0, s1
                gradient[k + 2], gradient[k + 3] = s2, s3
                k += 4
            while k < end:
                x0, s0 = x[inputs[k]], gradient[k]
                for lane in range(LANES):
                    s0 += d[lane] * x0[lane]
                gradient[k] = s0
                k += 1


@compiled
def add_up(delta: Array, gradient: Array) -> None:
    """Compute each unit's bias gradient (units,)."""
    gradient[:] = 0
    for t in range(delta.shape[0]):
        for unit in range(delta.shape[1]):
            total, d = gradient[unit], delta[t, unit]
            for lane in range(LANES):
                total += d[lane]
            gradient[unit] = total


@compiled
def shut(delta: Array, signal: Array) -> None:
    """Set delta to 0 where a ReLU was shut."""
    for t in range(delta.shape[0]):
        for unit in range(delta.shape[1]):
            d, s = delta[t, unit], signal[t, unit]
            for lane in range(LANES):
                if s[lane] <= 0:
                    d[lane] = 0


@compiled
def blame(scores: Array, labels: Array, share: Any) -> bool:
    """Turn scores into the gradient of the mean cross-entropy, in place.

    Softmax minus one-hot, times `share` (1 / N); 0 in the lanes beyond N.

    Returns:
        Whether every label is the number of a class; others are left out, for
        they would write outside of the scores.
    """
    classes, known = scores.shape[1], True
    for n in range(scores.shape[0] * LANES):
        t, lane = n // LANES, n % LANES
        if n >= labels.size:
            for c in range(classes):
                scores[t, c, lane] = 0
            continue
        top = scores[t, 0, lane]
        for c in range(1, classes):
            top = max(top, scores[t, c, lane])
        total = share * 0
        for c in range(classes):
            scores[t, c, lane] = np.exp(scores[t, c, lane] - top)
            total += scores[t, c, lane]
        factor = share / total
        for c in range(classes):
            scores[t, c, lane] *= factor
        if 0 <= labels[n] < classes:
            scores[t, labels[n], lane] -= share
        else:
            known = False
    return known


@compiled
def adam(
    theta: Array,
    gradient: Array,
    mean: Array,
    square: Array,
    step: Any,
    root: Any,
    constants: Array,
) -> None:
    """Take one Adam step in place.

    Args:
        theta: The parameters.
        gradient: Theirs.
        mean: The running mean of gradients.
        square: That of their squares.
        step: Learning rate / (1 - beta1^t).
        root: 1 / sqrt(1 - beta2^t).
        constants: 1 - beta1, beta2, 1 - beta2, epsilon.
    """
    fade, keep, renew, epsilon = constants[0], constants[1], constants[2], constants[3]
    for i in range(theta.size):
        g = gradient[i]
        m = mean[i] + (g - mean[i]) * fade
        s = square[i] * keep + g * g * renew
        mean[i], square[i] = m, s
        theta[i] -= step * m / (np.sqrt(s) * root + epsilon)


@compiled
def sgd(
    theta: Array, gradient: Array, velocity: Array, lr: Any, momentum: Any, decay: Any
) -> None:
    """Take one step of SGD with momentum and weight decay, in place."""
    for i in range(theta.size):
        v = velocity[i] * momentum + gradient[i] + decay * theta[i]
        velocity[i] = v
        theta[i] -= lr * v
