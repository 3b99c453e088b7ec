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
CHUNK = 16
SPAN = 192
ONE, NONE = np.uint64(1), np.uint64(0)

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
    begins, pixels, greys = listed
    starts, columns, values = batch
    k = NONE
    for n in range(index.size):
        starts[n] = k
        image = np.uint64(index[n])
        factor = factors[image]
        for e in range(begins[image], begins[image + ONE]):
            pixel = pixels[e]
            columns[k] = pixel
            values[k] = gain.dtype.type(greys[e]) * gain[pixel] * factor
            k += ONE
    starts[index.size] = k


@compiled
def find(signal: Array, units: int, images: int, found: Some) -> None:
    """List a signal's numbers that are not 0, image by image."""
    starts, columns, values = found
    k, zero = NONE, signal.dtype.type(0)
    for n in range(images):
        starts[n] = k
        for first in range(0, units, LANES):
            row = first * images + n * LANES
            for lane in range(min(LANES, units - first)):
                number = signal[np.uint64(row + lane)]
                columns[k], values[k] = first + lane, number
                k += ONE if number != zero else NONE  # no branch to guess
    starts[images] = k


@compiled
def turn(some: Some, rows: int, turned: Some) -> None:
    """List the same numbers column by column: a sort by counting."""
    starts, columns, values = some
    at, by_rows, by_values = turned
    at[:] = 0
    for k in range(starts[rows]):
        at[columns[k] + ONE] += ONE
    for column in range(1, at.size):
        at[column] += at[column - 1]
    for row in range(rows):
        for k in range(starts[row], starts[row + 1]):
            to = at[columns[k]]
            at[columns[k]] = to + ONE
            by_rows[to], by_values[to] = row, values[k]
    for column in range(at.size - 1, 0, -1):  # each has moved to the next one's start
        at[column] = at[column - 1]
    at[0] = 0


# --- products -------------------------------------------------------------------------


@compiled
def gathered(
    columns: Array, values: Array, k: int, end: int, matrix: Array, at: int, sums: Any
) -> Any:
    """Return sums + the numbers k, ..., end - 1 times the rows that they name."""
    for e in range(k, end):
        sums = axpy(values[e], matrix, at + columns[e] * LANES, sums)
    return sums


@compiled
def multiply(
    some: Some, images: int, weights: Array, base: Array, floor: Any, out: Array
) -> None:
    """Compute out = max(floor, some @ weights + base).

    SPAN inputs at a time, whose weights stay in the processor's nearest cache
    while the images go by.
    """
    starts, columns, values = some
    low, inputs = splat(floor, LANES), weights.size // base.size
    done = np.empty(images, starts.dtype)
    for first in range(0, base.size, LANES):
        for n in range(images):
            done[n] = starts[n]
            store(out, first * images + n * LANES, load(base, first, LANES))
        for reach in range(SPAN, inputs + SPAN, SPAN):
            for n in range(images):
                at, k, end = first * images + n * LANES, done[n], starts[n + 1]
                sums = load(out, at, LANES)
                while k < end and columns[k] < reach:
                    w = first * inputs + columns[k] * LANES
                    sums = axpy(values[k], weights, w, sums)
                    k += ONE
                done[n] = k
                if reach >= inputs:
                    sums = maximum(sums, low)
                store(out, at, sums)


@compiled
def transpose(layer: Layer, out: Array) -> None:
    """Lay a layer's weights out as those of the way back: inputs in blocks."""
    weights, inputs, units = layer.weights, layer.shift.size, layer.units
    for first in range(0, inputs, LANES):
        for unit in range(units):
            column = (unit // LANES * inputs + first) * LANES + unit % LANES
            row = first * units + unit * LANES
            for lane in range(min(LANES, inputs - first)):
                out[np.uint64(row + lane)] = weights[np.uint64(column + lane * LANES)]


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
        total = scores.dtype.type(0)
        for c in range(classes):
            at = place(c, n, images)
            scores[at] = np.exp(scores[at] - top)
            total += scores[at]
        for c in range(classes):
            scores[place(c, n, images)] /= total * images
        scores[place(labels[index[n]], n, images)] -= scores.dtype.type(1 / images)


@compiled
def adam(
    theta: Array, mean: Array, square: Array, first: int, by: Array, rates: Array
) -> None:
    """Take Adam's step with the gradients `by`, of parameters from `first` on.

    m += (g - m) (1 - beta1); s = beta2 s + (1 - beta2) g g;
    theta -= step m / (root sqrt(s) + epsilon).
    """
    step, root = splat(rates[0], 16), splat(rates[1], 16)
    fade, keep = splat(rates[2], 16), splat(rates[3], 16)
    renew, epsilon = splat(rates[4], 16), splat(rates[5], 16)
    for i in range(0, by.size, 16):
        g, m = load(by, i, 16), load(mean, first + i, 16)
        m = fma(sub(g, m), fade, m)
        s = fma(mul(g, g), renew, mul(load(square, first + i, 16), keep))
        store(mean, first + i, m)
        store(square, first + i, s)
        change = div(mul(m, step), fma(sqrt(s), root, epsilon))
        store(theta, first + i, sub(load(theta, first + i, 16), change))


@compiled
def sgd(theta: Array, mean: Array, first: int, by: Array, rates: Array) -> None:
    """Take SGD's step: v = momentum v + g + decay theta; theta -= lr v."""
    lr, momentum, decay = splat(rates[0], 16), splat(rates[1], 16), splat(rates[2], 16)
    for i in range(0, by.size, 16):
        now = load(theta, first + i, 16)
        g = fma(now, decay, load(by, i, 16))
        v = fma(load(mean, first + i, 16), momentum, g)
        store(mean, first + i, v)
        store(theta, first + i, sub(now, mul(v, lr)))


@compiled
def gradient(
    turned: Some,
    delta: Array,
    at: int,
    whole: Any,
    shift: Array,
    inputs: Any,
    by: Array,
) -> None:
    """Compute by = (turned + shift) @ delta, for some inputs and a block's units."""
    starts, columns, values = turned
    for p in range(inputs[0], inputs[1]):
        row = mul(splat(shift[p], LANES), whole)
        row = gathered(columns, values, starts[p], starts[p + 1], delta, at, row)
        store(by, (p - inputs[0]) * LANES, row)


@compiled
def descend(layer: Layer, images: int, rates: Array, moves: Moves) -> None:
    """Move a layer's parameters: each row's gradient, used where it arises.

    The gradient of input p's weights is the sum over images of (input + shift)
    times the signal's gradient.
    """
    inputs, delta, shift, base = layer.shift.size, layer.signal, layer.shift, layer.base
    theta, mean, square = layer.weights, layer.mean, layer.square
    by, masked, turned = np.empty(CHUNK * LANES, rates.dtype), moves.masked, layer.turned
    alive = layer.alive
    for first in range(0, base.size, LANES):
        at = first * images
        whole = splat(rates.dtype.type(0), LANES)
        for n in range(images):
            whole = add(whole, load(delta, at + n * LANES, LANES))
        store(by, 0, whole)
        if moves.adam:
            adam(layer.bias, layer.bias_mean, layer.bias_square, first, by[:LANES], rates)
        else:
            sgd(layer.bias, layer.bias_mean, first, by[:LANES], rates)
        row = load(layer.bias, first, LANES)
        for p in range(0, inputs, CHUNK):
            end = min(p + CHUNK, inputs)
            i = first * inputs + p * LANES
            some = by[: (end - p) * LANES]
            gradient(turned, delta, at, whole, shift, (p, end), some)
            if masked:
                for k in range(0, some.size, LANES):
                    g = mul(load(some, k, LANES), load_bytes(alive, i + k, theta, LANES))
                    store(some, k, g)
            if moves.adam:
                adam(theta, mean, square, i, some, rates)
            else:
                sgd(theta, mean, i, some, rates)
            for q in range(p, end):
                now = load(theta, first * inputs + q * LANES, LANES)
                row = fma(now, splat(shift[q], LANES), row)
        store(base, first, row)


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
            total = top.signal.dtype.type(0)
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
