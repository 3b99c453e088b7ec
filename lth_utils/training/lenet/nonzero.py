"""Lists of the numbers that are not 0, and products with them, compiled by Numba.

Signals are held in blocks of LANES units, as (blocks, images, LANES), flat; a
product's weights as (blocks, inputs, LANES). A block's sums stay in registers
while the numbers that are not 0 go by.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lth_utils.training.loops.compiled import compiled
from lth_utils.training.loops.vectors import axpy, load, maximum, splat, store

LANES = 64  # units in a block: four AVX-512 registers of float32
SPAN = 192  # inputs whose weights stay in the nearest cache while images go by
# Places are unsigned: of others Numba asks each time whether they are negative.
ONE, NONE = np.uint64(1), np.uint64(0)

Array = NDArray[Any]


class Some(NamedTuple):
    """The numbers of a matrix that are not 0, row by row (CSR)."""

    starts: Array  #: uint64: where each row begins, and the last one ends
    columns: Array  #: unsigned
    values: Array


# --- lists of what is not 0 -----------------------------------------------------------


@compiled
def squeeze(images: Array, some: Some) -> np.uint64:
    """List the bytes of images (N, pixels) that are not 0; return their number.

    If there is no room at all, they are only counted.
    """
    starts, pixels, greys = some
    k, room = NONE, pixels.size > 0
    for n in range(images.shape[0]):
        starts[n] = k
        for p in range(images.shape[1]):
            grey = images[n, p]
            if grey and room:
                pixels[k], greys[k] = p, grey
            k += ONE if grey else NONE
    starts[images.shape[0]] = k
    return k


@compiled
def take(listed: Some, index: Array, gain: Array, factors: Array, batch: Some) -> None:
    """List a batch's inputs: grey level * gain of the pixel * factor of the image."""
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
                k += ONE if number != zero else NONE  # written over, if it is 0
    starts[images] = k


@compiled
def turn(some: Some, rows: int, count: int, turned: Some) -> None:
    """List the same numbers by column, of which there are so many: a counting sort."""
    starts, columns, values = some
    at, its_rows, its_values = turned
    at = at[: count + 1]
    at[:] = 0
    for k in range(starts[rows]):
        at[columns[k] + ONE] += ONE
    for column in range(1, count + 1):
        at[column] += at[column - 1]
    for row in range(rows):
        for k in range(starts[row], starts[row + 1]):
            to = at[columns[k]]
            at[columns[k]] = to + ONE
            its_rows[to], its_values[to] = row, values[k]
    for column in range(count, 0, -1):  # each has moved to the next one's start
        at[column] = at[column - 1]
    at[0] = 0


# --- products -------------------------------------------------------------------------


@compiled
def multiply(
    some: Some, images: int, weights: Array, base: Array, floor: Any, out: Array
) -> None:
    """Compute out = max(floor, some @ weights + base)."""
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
                    row = first * inputs + columns[k] * LANES
                    sums = axpy(values[k], weights, row, sums)
                    k += ONE
                done[n] = k
                if reach >= inputs:
                    sums = maximum(sums, low)
                store(out, at, sums)
