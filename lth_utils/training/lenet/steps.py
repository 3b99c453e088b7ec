"""A sparse network's steps and evaluations, many of them in one compiled loop.

What the parts compute is in `kernels.py`; here is their order.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lth_utils.training.lenet.kernels import (
    LANES,
    Layer,
    back,
    blame,
    correlate,
    correlate_words,
    exponentiate,
    lower,
    multiply,
    multiply_words,
)
from lth_utils.training.lenet.tiles import gather
from lth_utils.training.loops.compiled import aligned as aligned
from lth_utils.training.loops.compiled import compiled
from lth_utils.training.loops.optimizers import Descent, move
from lth_utils.training.loops.vectors import fma, load, mul, splat, store, total

Array = NDArray[Any]


class Network(NamedTuple):
    """A network's weights and the room that its steps need.

    Attributes:
        layers: Its layers, the first one first.
        rows: (weights,), where in the signal below a weight's input begins.
        theta: The parameters.
        gains: (weights of the first layer,), what scales the input of each.
        shifts: Likewise, what is added.
        scaled: Likewise, weight times gain.
        rest: (units of the first layer,): bias plus what the shifts make of it.
        tile: (inputs * LANES / 2,) words.
        factor: (LANES,), what else scales each image.
        signals: Each layer's output (units * LANES,); the last are the scores.
        deltas: Each layer's delta; the last one takes the place of the scores.
        gradient: As theta.
        mean: As theta; of gradients, or SGD's velocity.
        square: As theta; of the gradients' squares.
        parts: (256,), sums over some of the lanes.
        sums: (LANES,).
        floors: (layers,), what a layer's output is at least: 0 or -infinity.
    """

    layers: tuple[Layer, ...]
    rows: Array
    theta: Array
    gains: Array
    shifts: Array
    scaled: Array
    rest: Array
    tile: Array
    factor: Array
    signals: tuple[Array, ...]
    deltas: tuple[Array, ...]
    gradient: Array
    mean: Array
    square: Array
    parts: Array
    sums: Array
    floors: Array


class Images(NamedTuple):
    """What a network learns from or is measured on.

    Attributes:
        bytes: (images * inputs,), uint8.
        labels: (images,), int64.
        factors: (images,), of theta's type.
    """

    bytes: Array
    labels: Array
    factors: Array


@compiled
def fold_scaling(
    layer: Layer, theta: Array, gains: Array, shifts: Array, scaled: Array, rest: Array
) -> None:
    """Move the inputs' scaling into the first layer.

    W (gain * x + shift) + b = (W * gain) x + (W shift + b): `scaled`, `rest`.
    """
    for unit in range(layer.starts.size - 1):
        moved, sums = theta[layer.bias + unit], splat(theta.dtype.type(0), 16)
        k, end = layer.starts[unit], layer.starts[unit + 1]
        while k + 16 <= end:
            weights = load(theta, k, 16)
            store(scaled, k, mul(weights, load(gains, k, 16)))
            sums = fma(weights, load(shifts, k, 16), sums)
            k += 16
        while k < end:
            scaled[k] = theta[k] * gains[k]
            moved += theta[k] * shifts[k]
            k += 1
        rest[unit] = moved + total(sums)


@compiled
def forward(net: Network, images: Images, index: Array) -> None:
    """Compute the signals of a tile's images, at most LANES of them."""
    for lane in range(index.size):
        net.factor[lane] = images.factors[index[lane]]
    gather(images.bytes, index, net.tile.size * 2 // LANES, LANES, net.tile)
    starts, out = net.layers[0].starts, net.signals[0]
    multiply_words(starts, net.rows, net.scaled, net.rest, net.tile, net.factor, out)
    for n in range(1, len(net.layers)):
        layer, below, out = net.layers[n], net.signals[n - 1], net.signals[n]
        floor = net.floors[n]
        multiply(layer.starts, net.rows, net.theta, layer.bias, below, out, floor)


@compiled
def backward(net: Network) -> None:
    """Add a tile's part of the gradient."""
    for n in range(len(net.layers) - 1, 0, -1):
        layer, delta, signal = net.layers[n], net.deltas[n], net.signals[n - 1]
        correlate(layer, net.rows, delta, signal, net.gradient, net.parts)
        back(layer, net.theta, delta, signal, net.deltas[n - 1])
    correlate_words(
        net.layers[0],
        net.rows,
        net.deltas[0],
        net.tile,
        net.factor,
        net.gains,
        net.shifts,
        net.gradient,
        net.parts,
        net.sums,
    )


@compiled
def learn(
    net: Network, descent: Descent, images: Images, order: Array, taken: int
) -> None:
    """Take a step for each row of `order`, images' numbers, after `taken` others."""
    size = order.shape[1]
    share = net.theta.dtype.type(1 / size)
    labels = np.empty(LANES, np.int64)
    for step in range(order.shape[0]):
        for i in range(net.gradient.size):
            net.gradient[i] = 0
        fold_scaling(
            net.layers[0], net.theta, net.gains, net.shifts, net.scaled, net.rest
        )
        for first in range(0, size, LANES):
            index = order[step, first : first + LANES]
            for lane in range(index.size):
                labels[lane] = images.labels[index[lane]]
            forward(net, images, index)
            blame(net.signals[-1], labels[: index.size], share, net.sums)
            backward(net)
        moments = net.mean, net.square
        move(net.theta, net.gradient, *moments, descent, taken + step + 1)


@compiled
def judge(net: Network, images: Images) -> tuple[float, int]:
    """Return the sum of all images' losses, and how many are classified right.

    An image is right where its label is the first class of the greatest score.
    """
    loss, right, scores = 0.0, 0, net.signals[-1]
    chosen = np.empty(LANES, net.theta.dtype)
    fold_scaling(net.layers[0], net.theta, net.gains, net.shifts, net.scaled, net.rest)
    for first in range(0, images.labels.size, LANES):
        index = np.arange(first, min(first + LANES, images.labels.size))
        forward(net, images, index)
        lower(scores)
        for lane in range(index.size):
            label = images.labels[first + lane]
            chosen[lane] = scores[label * LANES + lane]
            best = 0
            while best < label and scores[best * LANES + lane] < 0:
                best += 1
            right += best == label and chosen[lane] == 0
        exponentiate(scores, net.sums)
        for lane in range(index.size):
            loss += np.log(net.sums[lane]) - chosen[lane]
    return loss, right
