"""The loops between layers with weights: pixel by pixel, compiled by Numba.

Signals are those of `planes.py`. A `form` says how one lies in its array:
(channels, tiles, height, width), and the steps from one channel, tile and row
to the next, then to the first pixel.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lth_utils.training.loops.compiled import compiled
from lth_utils.training.loops.vectors import (
    add,
    fma,
    gate,
    load,
    maximum,
    mul,
    pick,
    splat,
    store,
    sub,
    total,
)

Array = NDArray[Any]
Form = tuple[int, int, int, int, int, int, int, int]


@compiled
def _first(form: Form, channel: int, tile: int, y: int) -> int:
    """Return where a row of pixels begins."""
    return channel * form[4] + tile * form[5] + y * form[6] + form[7]


@compiled
def tile(images: Array, out: Array, form: Form) -> None:
    """Lay images (N, channels, height, width) side by side; other lanes are 0."""
    for c in range(form[0]):
        for t in range(form[1]):
            for y in range(form[2]):
                at = _first(form, c, t, y)
                for lane in range(16):
                    n = 16 * t + lane
                    for x in range(form[3]):
                        value = images[n, c, y, x] if n < images.shape[0] else 0
                        out[at + 16 * x + lane] = value


@compiled
def _moments(x: Array, c: int, form: Form, live: Array, share: Any) -> Any:
    """Return a channel's mean and variance: share (1 / count) times the sums."""
    zero = splat(x.dtype.type(0), 16)
    sums = zero
    for t in range(form[1]):
        part = zero
        for y in range(form[2]):
            at = _first(form, c, t, y)
            for i in range(at, at + 16 * form[3], 16):
                part = add(part, load(x, i, 16))
        sums = fma(part, load(live, 16 * t, 16), sums)
    mean = total(sums) * share
    middle, sums = splat(mean, 16), zero
    for t in range(form[1]):
        part = zero
        for y in range(form[2]):
            at = _first(form, c, t, y)
            for i in range(at, at + 16 * form[3], 16):
                d = sub(load(x, i, 16), middle)
                part = fma(d, d, part)
        sums = fma(part, load(live, 16 * t, 16), sums)
    return mean, total(sums) * share


@compiled
def norm(
    x: Array,
    other: Array | None,
    out: Array,
    form: Form,
    gamma: Array,
    beta: Array,
    mean: Array,
    variance: Array,
    epsilon: Any,
    live: Array,
    share: Any,
    floor: Any,
) -> None:
    """Compute out = max(floor, gamma (x - mean) / sqrt(variance + eps) + beta + other).

    Where `share` is not 0, mean and variance (channels,) are computed first,
    over the lanes that are live (tiles * 16,: 1 or 0).
    """
    low = splat(floor, 16)
    for c in range(form[0]):
        if share > 0:
            mean[c], variance[c] = _moments(x, c, form, live, share)
        factor = gamma[c] / np.sqrt(variance[c] + epsilon)
        slope, shift = splat(factor, 16), splat(beta[c] - mean[c] * factor, 16)
        for t in range(form[1]):
            for y in range(form[2]):
                at = _first(form, c, t, y)
                for i in range(at, at + 16 * form[3], 16):
                    r = fma(slope, load(x, i, 16), shift)
                    if other is not None:
                        r = add(r, load(other, i, 16))
                    store(out, i, maximum(r, low))


@compiled
def norm_back(
    delta: Array,
    x: Array,
    below: Array,
    form: Form,
    gamma: Array,
    mean: Array,
    variance: Array,
    epsilon: Any,
    live: Array,
    share: Any,
    by_gamma: Array,
    by_beta: Array,
) -> None:
    """Compute the gradients of gamma, beta and x (below), from that of `norm`'s out.

    With s = 1 / sqrt(variance + eps) and z = (x - mean) s:
    by_beta = sum delta, by_gamma = sum delta z,
    below = gamma s (delta - share * by_beta - share * by_gamma * z).
    """
    zero = splat(x.dtype.type(0), 16)
    for c in range(form[0]):
        middle = splat(mean[c], 16)
        scale = x.dtype.type(1) / np.sqrt(variance[c] + epsilon)
        ones, twos = zero, zero
        for t in range(form[1]):
            for y in range(form[2]):
                at = _first(form, c, t, y)
                for i in range(at, at + 16 * form[3], 16):
                    d = load(delta, i, 16)
                    ones = add(ones, d)
                    twos = fma(d, sub(load(x, i, 16), middle), twos)
        by_beta[c], by_gamma[c] = total(ones), total(twos) * scale
        slope = gamma[c] * scale
        one, two = splat(slope, 16), -slope * scale * by_gamma[c] * share
        shift = splat(-slope * by_beta[c] * share - two * mean[c], 16)
        second = splat(two, 16)
        for t in range(form[1]):
            alive = load(live, 16 * t, 16)
            for y in range(form[2]):
                at = _first(form, c, t, y)
                for i in range(at, at + 16 * form[3], 16):
                    r = fma(second, load(x, i, 16), shift)
                    r = fma(one, load(delta, i, 16), r)
                    store(below, i, mul(r, alive))


@compiled
def add_up(delta: Array, form: Form, out: Array) -> None:
    """Compute each channel's sum, the gradient of its bias."""
    for c in range(form[0]):
        sums = splat(delta.dtype.type(0), 16)
        for t in range(form[1]):
            for y in range(form[2]):
                at = _first(form, c, t, y)
                for i in range(at, at + 16 * form[3], 16):
                    sums = add(sums, load(delta, i, 16))
        out[c] = total(sums)


@compiled
def pool(x: Array, out: Array, wide: Form, form: Form, floor: Any) -> None:
    """Compute out = max(floor, the maximum of x over 2 x 2 pixels)."""
    low, row = splat(floor, 16), wide[6]
    for c in range(form[0]):
        for t in range(form[1]):
            for y in range(form[2]):
                i, to = _first(wide, c, t, 2 * y), _first(form, c, t, y)
                for _ in range(form[3]):
                    r = maximum(load(x, i, 16), load(x, i + 16, 16))
                    r = maximum(r, load(x, i + row, 16))
                    r = maximum(r, load(x, i + row + 16, 16))
                    store(out, to, maximum(r, low))
                    i, to = i + 32, to + 16


@compiled
def pool_back(delta: Array, x: Array, below: Array, wide: Form, form: Form) -> None:
    """Give each pooled pixel's gradient to the first of the four that was greatest."""
    zero, row = splat(delta.dtype.type(0), 16), wide[6]
    for c in range(form[0]):
        for t in range(form[1]):
            for y in range(form[2]):
                i, at = _first(wide, c, t, 2 * y), _first(form, c, t, y)
                for _ in range(form[3]):
                    d = load(delta, at, 16)
                    one, two = load(x, i, 16), load(x, i + 16, 16)
                    three, four = load(x, i + row, 16), load(x, i + row + 16, 16)
                    top = maximum(maximum(maximum(one, two), three), four)
                    store(below, i, pick(one, top, d, zero))
                    d = pick(one, top, zero, d)
                    store(below, i + 16, pick(two, top, d, zero))
                    d = pick(two, top, zero, d)
                    store(below, i + row, pick(three, top, d, zero))
                    d = pick(three, top, zero, d)
                    store(below, i + row + 16, pick(four, top, d, zero))
                    i, at = i + 32, at + 16


@compiled
def average(x: Array, out: Array, wide: Form, form: Form) -> None:
    """Compute each channel's mean over all pixels."""
    share = splat(x.dtype.type(1 / (wide[2] * wide[3])), 16)
    for c in range(form[0]):
        for t in range(form[1]):
            sums = splat(x.dtype.type(0), 16)
            for y in range(wide[2]):
                at = _first(wide, c, t, y)
                for i in range(at, at + 16 * wide[3], 16):
                    sums = add(sums, load(x, i, 16))
            store(out, _first(form, c, t, 0), mul(sums, share))


@compiled
def average_back(delta: Array, x: Array, below: Array, wide: Form, form: Form) -> None:
    """Spread each mean's gradient over its pixels; 0 where a ReLU's x was 0."""
    share = splat(x.dtype.type(1 / (wide[2] * wide[3])), 16)
    for c in range(form[0]):
        for t in range(form[1]):
            d = mul(load(delta, _first(form, c, t, 0), 16), share)
            for y in range(wide[2]):
                at = _first(wide, c, t, y)
                for i in range(at, at + 16 * wide[3], 16):
                    store(below, i, gate(d, load(x, i, 16)))


@compiled
def quarter(a: Array, out: Array, wide: Form, form: Form, back: bool) -> None:
    """Sort pixels by whether y and x are odd: channels (2 (y % 2) + x % 2) C + c.

    With `back`, what lies so in `out` goes to its pixels in `a`.
    """
    for c in range(wide[0]):
        for t in range(wide[1]):
            for y in range(wide[2]):
                i = _first(wide, c, t, y)
                for x in range(wide[3]):
                    phase = 2 * (y % 2) + x % 2
                    j = _first(form, phase * wide[0] + c, t, y // 2) + 16 * (x // 2)
                    if back:
                        store(a, i + 16 * x, load(out, j, 16))
                    else:
                        store(out, j, load(a, i + 16 * x, 16))
