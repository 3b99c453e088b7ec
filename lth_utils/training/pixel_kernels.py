"""The loops of a dense network that skip what is zero, compiled by Numba.

Four of five pixels of a written digit are 0, and so is every second unit
behind a ReLU. A product needs only the others: `Some` lists them, image by
image, and a weight that meets a 0 is neither read nor multiplied. A pixel's
constant part costs nothing either: W (x + shift) + b = W x + base, where
base = W shift + b changes only with the weights.

A layer's numbers are held in blocks of LANES units: weights as (blocks,
inputs, LANES), signals as (blocks, images, LANES), each flat. A block's sums
stay in registers while the numbers that are not zero go by. Lanes beyond the
last unit hold 0.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lth_utils.training.compiled import compiled
from lth_utils.training.vectors import (
    add,
    axpy,
    div,
    fma,
    gate,
    load,
    load_bytes,
    maximum,
    mul,
    splat,
    sqrt,
    store,
    sub,
)

LANES = 64  # units in a block: four AVX-512 registers of float32

Array = NDArray[Any]


class Some(NamedTuple):
    """The numbers of a matrix that are not zero, row by row (CSR)."""

    starts: Array  #: where each row begins, and the last one ends
    columns: Array
    values: Array


class Layer(NamedTuple):
    """A linear layer, its optimizer's moments, and a batch on its way."""

    units: int
    weights: Array
    mean: Array
    square: Array
    alive: Array  #: bytes, as `weights`; 1 where a weight is alive
    bias: Array
    bias_mean: Array
    bias_square: Array
    shift: Array  #: each input's constant part
    base: Array  #: what every image gives: bias + shift @ weights
    signal: Array  #: what the batch gives; on the way back, its gradient
    given: Some  #: the batch's inputs that are not zero, by image
    turned: Some  #: the same numbers by input


class Moves(NamedTuple):
    """How an optimizer moves the parameters."""

    adam: bool  #: else SGD
    masked: bool  #: whether any weight is pruned
    lr: float
    momentum: float
    decay: float


# --- lists of what is not zero --------------------------------------------------------


@compiled
def squeeze(images: Array, starts: Array, pixels: Array, greys: Array) -> int:
    """List the bytes of images (N, pixels) that are not 0; return their number.

    Where `pixels` has no room, they are only counted.
    """
    k, room = 0, pixels.size
    for n in range(images.shape[0]):
        starts[n] = k
        for p in range(images.shape[1]):
            if images[n, p]:
                if room:
                    pixels[k], greys[k] = p, images[n, p]
                k += 1
    starts[images.shape[0]] = k
    return k


@compiled
def take(listed: Some, index: Array, gain: Array, factors: Array, batch: Some) -> None:
    """List a batch's inputs: grey level * gain of its pixel * factor of its image."""
    k = 0
    for n in range(index.size):
        batch.starts[n] = k
        factor = factors[index[n]]
        for e in range(listed.starts[index[n]], listed.starts[index[n] + 1]):
            pixel = listed.columns[e]
            batch.columns[k] = pixel
            batch.values[k] = gain.dtype.type(listed.values[e]) * gain[pixel] * factor
            k += 1
    batch.starts[index.size] = k


@compiled
def find(signal: Array, units: int, images: int, found: Some) -> None:
    """List a signal's numbers that are not 0, image by image."""
    k = 0
    for n in range(images):
        found.starts[n] = k
        for first in range(0, units, LANES):
            row = first * images + n * LANES
            for lane in range(min(LANES, units - first)):
                number = signal[row + lane]
                found.columns[k], found.values[k] = first + lane, number
                k += number != 0  # so that the processor need not guess
    found.starts[images] = k


@compiled
def turn(some: Some, rows: int, turned: Some) -> None:
    """List the same numbers column by column: a sort by counting."""
    at, end = turned.starts, some.starts[rows]
    at[:] = 0
    for k in range(end):
        at[some.columns[k] + 1] += 1
    for column in range(1, at.size):
        at[column] += at[column - 1]
    for row in range(rows):
        for k in range(some.starts[row], some.starts[row + 1]):
            column = some.columns[k]
            turned.columns[at[column]], turned.values[at[column]] = row, some.values[k]
            at[column] += 1
    for column in range(at.size - 1, 0, -1):  # each has moved to the next one's start
        at[column] = at[column - 1]
    at[0] = 0


# --- products -------------------------------------------------------------------------


@compiled
def gathered(some: Some, row: int, matrix: Array, first: int, sums: Any) -> Any:
    """Return sums + the numbers of a row times the rows of a block that they name."""
    for k in range(some.starts[row], some.starts[row + 1]):
        sums = axpy(some.values[k], matrix, first + some.columns[k] * LANES, sums)
    return sums


@compiled
def multiply(
    some: Some, images: int, weights: Array, base: Array, floor: Any, out: Array
) -> None:
    """Compute out = max(floor, some @ weights + base)."""
    low, inputs = splat(floor, LANES), weights.size // base.size
    for first in range(0, base.size, LANES):
        sums = load(base, first, LANES)
        for n in range(images):
            row = gathered(some, n, weights, first * inputs, sums)
            store(out, first * images + n * LANES, maximum(row, low))


@compiled
def transpose(layer: Layer, out: Array) -> None:
    """Lay a layer's weights out as those of the way back: inputs in blocks."""
    inputs = layer.shift.size
    for unit in range(layer.units):
        column = unit // LANES * inputs * LANES + unit % LANES
        for first in range(0, inputs, LANES):
            to = (first // LANES * layer.units + unit) * LANES
            for lane in range(min(LANES, inputs - first)):
                out[to + lane] = layer.weights[column + (first + lane) * LANES]


@compiled
def shut(delta: Array, signal: Array, images: int) -> None:
    """Put delta into signal's place, 0 where the ReLU had given 0."""
    for i in range(0, signal.size // LANES * LANES, LANES):
        store(signal, i, gate(load(delta, i, LANES), load(signal, i, LANES)))


# --- a step ---------------------------------------------------------------------------


@compiled
def forward(layers: tuple[Layer, ...], images: int) -> None:
    """Compute every layer's signal from what the first one is given."""
    for number in range(len(layers)):
        layer = layers[number]
        floor = layer.base.dtype.type(0 if number < len(layers) - 1 else -np.inf)
        if number:
            below = layers[number - 1]
            find(below.signal, below.units, images, layer.given)
        multiply(layer.given, images, layer.weights, layer.base, floor, layer.signal)


@compiled
def place(unit: int, image: int, images: int) -> int:
    """Return where a signal holds a unit's number."""
    return unit // LANES * images * LANES + image * LANES + unit % LANES


@compiled
def blame(scores: Array, classes: int, labels: Array, index: Array) -> None:
    """Turn scores into the gradient of the mean cross-entropy, in place.

    Softmax minus one-hot, divided by the number of images.
    """
    images = index.size
    for n in range(images):
        top = scores[place(0, n, images)]
        for c in range(1, classes):
            top = max(top, scores[place(c, n, images)])
        total = top * 0
        for c in range(classes):
            at = place(c, n, images)
            scores[at] = np.exp(scores[at] - top)
            total += scores[at]
        for c in range(classes):
            scores[place(c, n, images)] /= total * images
        scores[place(labels[index[n]], n, images)] -= scores.dtype.type(1 / images)


@compiled
def move(
    theta: Array, mean: Array, square: Array, i: int, g: Any, rates: Array, adam: bool
) -> Any:
    """Move LANES parameters along their gradient g; return what they are now.

    Adam: m += (g - m) (1 - beta1), s = beta2 s + (1 - beta2) g g,
    theta -= step m / (root sqrt(s) + epsilon). SGD: v = momentum v + g +
    decay theta, theta -= lr v.
    """
    now, m = load(theta, i, LANES), load(mean, i, LANES)
    if adam:
        m = fma(sub(g, m), splat(rates[2], LANES), m)
        s = mul(load(square, i, LANES), splat(rates[3], LANES))
        s = fma(mul(g, g), splat(rates[4], LANES), s)
        store(square, i, s)
        under = fma(sqrt(s), splat(rates[1], LANES), splat(rates[5], LANES))
        now = sub(now, div(mul(m, splat(rates[0], LANES)), under))
    else:
        g = fma(now, splat(rates[2], LANES), g)
        m = fma(m, splat(rates[1], LANES), g)
        now = sub(now, mul(m, splat(rates[0], LANES)))
    store(mean, i, m)
    store(theta, i, now)
    return now


@compiled
def descend(layer: Layer, images: int, rates: Array, moves: Moves) -> None:
    """Move a layer's parameters: each row's gradient, used where it arises.

    The gradient of input p's weights is the sum over images of (input + shift)
    times the signal's gradient.
    """
    inputs, delta = layer.shift.size, layer.signal
    for first in range(0, layer.base.size, LANES):
        whole = splat(rates[0] * 0, LANES)
        for n in range(images):
            whole = add(whole, load(delta, first * images + n * LANES, LANES))
        base = move(
            layer.bias,
            layer.bias_mean,
            layer.bias_square,
            first,
            whole,
            rates,
            moves.adam,
        )
        for p in range(inputs):
            shift, i = splat(layer.shift[p], LANES), first * inputs + p * LANES
            g = gathered(layer.turned, p, delta, first * images, mul(shift, whole))
            if moves.masked:
                g = mul(g, load_bytes(layer.alive, i, layer.weights, LANES))
            now = move(
                layer.weights, layer.mean, layer.square, i, g, rates, moves.adam
            )
            base = fma(now, shift, base)
        store(layer.base, first, base)


@compiled
def set_rates(moves: Moves, taken: int, rates: Array) -> None:
    """Set what `move` reads, for the step after so many."""
    if moves.adam:
        rates[0] = moves.lr / (1 - 0.9 ** (taken + 1))
        rates[1] = 1 / np.sqrt(1 - 0.999 ** (taken + 1))
        rates[2], rates[3], rates[4], rates[5] = 1 - 0.9, 0.999, 1 - 0.999, 1e-8
    else:
        rates[0], rates[1], rates[2] = moves.lr, moves.momentum, moves.decay


@compiled
def back(layers: tuple[Layer, ...], number: int, images: int, room: Any) -> None:
    """Turn the signal below a layer into its gradient: delta @ weights.T, gated."""
    layer, below = layers[number], layers[number - 1]
    listed, zeros, turned, delta = room
    find(layer.signal, layer.units, images, listed)
    transpose(layer, turned)
    size = below.base.size
    multiply(
        listed,
        images,
        turned[: size * layer.units],
        zeros[:size],
        layer.base.dtype.type(-np.inf),
        delta,
    )
    shut(delta, below.signal[: size * images], images)


@compiled
def steps(
    listed: Some,
    labels: Array,
    order: Array,
    gain: Array,
    factors: Array,
    layers: tuple[Layer, ...],
    room: Any,
    taken: int,
    moves: Moves,
) -> None:
    """Take a step for each row of `order`, a batch's images."""
    images, rates = order.shape[1], np.empty(6, gain.dtype)
    for row in range(order.shape[0]):
        set_rates(moves, taken + row, rates)
        take(listed, order[row], gain, factors, layers[0].given)
        forward(layers, images)
        top = layers[len(layers) - 1]
        blame(top.signal, top.units, labels, order[row])
        for number in range(len(layers) - 1, -1, -1):
            layer = layers[number]
            turn(layer.given, images, layer.turned)
            if number:
                back(layers, number, images, room)
            descend(layer, images, rates, moves)


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
    for first in range(0, labels.size, tile):
        images = min(tile, labels.size - first)
        take(
            listed, np.arange(first, first + images), gain, factors, layers[0].given
        )
        forward(layers, images)
        for n in range(images):
            best = 0
            for c in range(1, top.units):
                if top.signal[place(c, n, images)] > top.signal[place(best, n, images)]:
                    best = c
            most = top.signal[place(best, n, images)]
            total = most * 0
            for c in range(top.units):
                total += np.exp(top.signal[place(c, n, images)] - most)
            label = labels[first + n]
            loss += np.log(total) + most - top.signal[place(label, n, images)]
            right += best == label
    return loss, right


@compiled
def set_base(layer: Layer) -> None:
    """Compute base = bias + shift @ weights."""
    inputs = layer.shift.size
    for first in range(0, layer.base.size, LANES):
        base = load(layer.bias, first, LANES)
        for p in range(inputs):
            shift = splat(layer.shift[p], LANES)
            base = fma(
                load(layer.weights, first * inputs + p * LANES, LANES), shift, base
            )
        store(layer.base, first, base)
