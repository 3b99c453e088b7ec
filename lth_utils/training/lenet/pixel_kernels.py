"""The loops of a dense network that skip what is 0, compiled by Numba.

Four of five pixels of a written digit are 0, and so is every second unit
behind a ReLU. `nonzero.py` lists the others, and a weight that would meet a 0
is neither read nor multiplied. What all images have in common costs
nothing either: W (x + shift) + b = W x + base, and base = W shift + b changes
only with the weights.

A layer works in blocks of LANES units, whose sums stay in registers while the
numbers that are not 0 go by. Parameters are held as (blocks, inputs + 1,
LANES), signals as (blocks, images, LANES), each flat; the last input's weights
are the biases. Lanes beyond the last unit hold 0.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lth_utils.training.lenet.nonzero import (
    LANES,
    Some,
    find,
    multiply,
    squeeze,
    take,
    turn,
)
from lth_utils.training.loops.compiled import compiled
from lth_utils.training.loops.optimizers import Descent, move
from lth_utils.training.loops.vectors import (
    add,
    axpy,
    fma,
    gate,
    load,
    load_bytes,
    mul,
    splat,
    store,
)

__all__ = ["Layer", "Room", "Some", "measure", "settle", "squeeze", "steps"]

CHUNK = 32  # inputs whose gradients stay near until the optimizer has used them

Array = NDArray[Any]


class Layer(NamedTuple):
    """A linear layer, its optimizer's moments, and a batch on its way."""

    units: int
    theta: Array
    mean: Array
    square: Array
    alive: Array  #: bytes as `theta`, 1 where a weight is alive; empty if all are
    shift: Array  #: the constant part of each input, and 1 for the biases
    base: Array  #: what every image gives: shift @ theta
    signal: Array  #: what the batch gives, and on the way back its gradient
    given: Some  #: the batch's inputs that are not 0, by image


class Room(NamedTuple):
    """Room for the way back, which all layers use in turn."""

    turned: Some  #: a layer's inputs by input
    blamed: Some  #: its signal's gradient, by image
    flipped: Array  #: its weights, (blocks of inputs, units, LANES)
    nothing: Array  #: zeros, the base of the way back
    below: Array  #: the gradient of the signal below


@compiled
def set_base(theta: Array, shift: Array, first: int, base: Array) -> None:
    """Compute base = shift @ theta for the block of the unit `first`."""
    sums = splat(base.dtype.type(0), LANES)
    for p in range(shift.size):
        row = load(theta, first * shift.size + p * LANES, LANES)
        sums = fma(row, splat(shift[p], LANES), sums)
    store(base, first, sums)


@compiled
def settle(theta: Array, shift: Array, base: Array) -> None:
    """Compute base = shift @ theta, after parameters have come from outside."""
    for first in range(0, base.size, LANES):
        set_base(theta, shift, first, base)


@compiled
def forward(layers: tuple[Layer, ...], images: int) -> None:
    """Compute every layer's signal from what the first one is given."""
    for number in range(len(layers)):
        layer = layers[number]
        floor = layer.base.dtype.type(0 if number < len(layers) - 1 else -np.inf)
        if number:
            below = layers[number - 1]
            find(below.signal, below.units, images, layer.given)
        multiply(layer.given, images, layer.theta, layer.base, floor, layer.signal)


@compiled
def flip(theta: Array, units: int, inputs: int, flipped: Array) -> None:
    """Lay weights out with blocks of inputs instead of units."""
    for first in range(0, inputs, LANES):
        for unit in range(units):
            column = (unit // LANES * (inputs + 1) + first) * LANES + unit % LANES
            row = first * units + unit * LANES
            for lane in range(min(LANES, inputs - first)):
                flipped[np.uint64(row + lane)] = theta[np.uint64(column + lane * LANES)]


@compiled
def back(layer: Layer, below: Layer, images: int, room: Room) -> None:
    """Turn the signal below into its gradient: delta @ weights.T, or 0 as it is."""
    delta, signal, width = room.below, below.signal, below.base.size
    flip(layer.theta, layer.units, below.units, room.flipped)
    find(layer.signal, layer.units, images, room.blamed)
    weights, base = room.flipped[: width * layer.units], room.nothing[:width]
    multiply(room.blamed, images, weights, base, base.dtype.type(-np.inf), delta)
    for i in range(0, width * images, LANES):
        store(signal, i, gate(load(delta, i, LANES), load(signal, i, LANES)))


# --- scores ---------------------------------------------------------------------------


@compiled
def place(unit: int, image: int, images: int) -> int:
    """Return where a signal holds a unit's number."""
    return unit // LANES * images * LANES + image * LANES + unit % LANES


@compiled
def soften(scores: Array, n: int, images: int, chances: Array) -> tuple[Any, int]:
    """Set chances = softmax of an image's scores.

    Returns:
        log of the sum of exp(scores), and the first class of the greatest score.
    """
    best = 0
    for c in range(1, chances.size):
        if scores[place(c, n, images)] > scores[place(best, n, images)]:
            best = c
    top, total = scores[place(best, n, images)], scores.dtype.type(0)
    for c in range(chances.size):
        chances[c] = np.exp(scores[place(c, n, images)] - top)
        total += chances[c]
    for c in range(chances.size):
        chances[c] /= total
    return np.log(total) + top, best


@compiled
def blame(scores: Array, classes: int, labels: Array, index: Array) -> None:
    """Turn scores into the gradient of the mean cross-entropy, in place.

    (softmax - one-hot) / images.
    """
    chances, images = np.empty(classes, scores.dtype), index.size
    share = scores.dtype.type(1 / images)
    for n in range(images):
        soften(scores, n, images, chances)
        chances[labels[index[n]]] -= 1
        for c in range(classes):
            scores[place(c, n, images)] = chances[c] * share


@compiled
def measure(
    listed: Some,
    labels: Array,
    gain: Array,
    factors: Array,
    layers: tuple[Layer, ...],
    tile: int,
) -> tuple[float, int]:
    """Return the sum of the cross-entropies (nats), and how many are right."""
    loss, right, top = 0.0, 0, layers[len(layers) - 1]
    chances = np.empty(top.units, gain.dtype)
    for first in range(0, labels.size, tile):
        images = min(tile, labels.size - first)
        index = np.arange(first, first + images)
        take(listed, index, gain, factors, layers[0].given)
        forward(layers, images)
        for n in range(images):
            label = labels[first + n]
            score = top.signal[place(label, n, images)]
            whole, best = soften(top.signal, n, images, chances)
            loss += whole - score
            right += best == label
    return loss, right


@compiled
def gradient(
    turned: Some, shift: Array, delta: Array, at: int, whole: Any, p: int, by: Array
) -> None:
    """Compute by = (turned + shift) @ delta for the inputs from p on.

    Args:
        turned: The batch's inputs.
        shift: Their constant parts.
        delta: The signal's gradient.
        at: Where that of the block begins.
        whole: Its sum over images.
        p: An input.
        by: Room for LANES numbers for each input.
    """
    starts, images, values = turned
    for i in range(0, by.size, LANES):
        row = mul(splat(shift[p], LANES), whole)
        for k in range(starts[p], starts[p + 1]):
            row = axpy(values[k], delta, at + images[k] * LANES, row)
        store(by, i, row)
        p += 1


@compiled
def descend(
    layer: Layer, turned: Some, images: int, descent: Descent, taken: int
) -> None:
    """Move a layer's parameters, a chunk's gradient at a time; renew its base."""
    theta, mean, square, alive = layer.theta, layer.mean, layer.square, layer.alive
    shift, base, delta = layer.shift, layer.base, layer.signal
    gradients = np.empty(CHUNK * LANES, theta.dtype)
    for first in range(0, base.size, LANES):
        whole = splat(base.dtype.type(0), LANES)
        for n in range(images):
            whole = add(whole, load(delta, first * images + n * LANES, LANES))
        for p in range(0, shift.size, CHUNK):
            by = gradients[: (shift.size - p) * LANES]
            at = first * shift.size + p * LANES
            end = at + by.size
            gradient(turned, shift, delta, first * images, whole, p, by)
            if alive.size:
                for i in range(0, by.size, LANES):
                    row = load_bytes(alive, at + i, theta, LANES)
                    store(by, i, mul(load(by, i, LANES), row))
            moments = mean[at:end], square[at:end]
            move(theta[at:end], by, *moments, descent, taken)
        set_base(theta, shift, first, base)


# --- steps ----------------------------------------------------------------------------


@compiled
def steps(
    listed: Some,
    labels: Array,
    order: Array,
    gain: Array,
    factors: Array,
    layers: tuple[Layer, ...],
    room: Room,
    descent: Descent,
    taken: int,
) -> None:
    """Take a step for each row of `order`, the images of a batch."""
    images, top = order.shape[1], layers[len(layers) - 1]
    for row in range(order.shape[0]):
        take(listed, order[row], gain, factors, layers[0].given)
        forward(layers, images)
        blame(top.signal, top.units, labels, order[row])
        for number in range(len(layers) - 1, -1, -1):
            layer = layers[number]
            turn(layer.given, images, layer.shift.size, room.turned)
            if number:
                back(layer, layers[number - 1], images, room)
            descend(layer, room.turned, images, descent, taken + row + 1)
