"""Rows of lanes compute what these lines of NumPy say."""

import numpy as np
import pytest

pytest.importorskip("numba")

from lth_utils.training.lenet.tiles import gather
from lth_utils.training.loops import vectors as v
from lth_utils.training.loops.compiled import aligned, compiled

LANES = 48


@compiled
def lanewise(a, b, c, out):
    """Write a row of each function, one after the other."""
    r, s, t = v.load(a, 1, LANES), v.load(b, 1, LANES), v.load(c, 1, LANES)
    v.store(out, 0 * LANES, v.add(r, s))
    v.store(out, 1 * LANES, v.sub(r, s))
    v.store(out, 2 * LANES, v.mul(r, s))
    v.store(out, 3 * LANES, v.div(r, s))
    v.store(out, 4 * LANES, v.sqrt(v.mul(r, r)))
    v.store(out, 5 * LANES, v.fma(r, s, t))
    v.store(out, 6 * LANES, v.maximum(r, s))
    v.store(out, 7 * LANES, v.gate(r, s))
    v.store(out, 8 * LANES, v.pick(r, s, t, v.splat(a[0], LANES)))
    v.store(out, 9 * LANES, v.axpy(a[0], b, 2, t))


@compiled
def of_bytes(octets, a, out):
    v.store(out, 0, v.load_bytes(octets, 3, a, LANES))


@compiled
def of_words(words, a, out):
    r = v.load(a, 1, 64)
    v.store(out, 0, v.axpy(a[0], words, 5, r))
    v.store(out, 64, v.dot(r, words, 5))


@compiled
def sums(a, b, out):
    r = v.load(a, 1, LANES)
    out[16] = v.total(r)
    v.store(out, 0, v.dot(r, b, 2))


@compiled
def sixteen(a, out):
    rows = (
        v.load(a, 0, 16),
        v.load(a, 16, 16),
        v.load(a, 32, 16),
        v.load(a, 48, 16),
        v.load(a, 64, 16),
        v.load(a, 80, 16),
        v.load(a, 96, 16),
        v.load(a, 112, 16),
        v.load(a, 128, 16),
        v.load(a, 144, 16),
        v.load(a, 160, 16),
        v.load(a, 176, 16),
        v.load(a, 192, 16),
        v.load(a, 208, 16),
        v.load(a, 224, 16),
        v.load(a, 240, 16),
    )
    v.store(out, 0, v.totals(rows))


def numbers(seed, dtype, size=LANES + 2):
    """Return some numbers, with zeros of both signs, equal ones and signs mixed."""
    drawn = np.random.default_rng(seed).normal(size=size).astype(dtype)
    drawn[3:9] = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5]
    return drawn


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_functions_of_rows_are_numpys(dtype):
    a, b, c = (numbers(seed, dtype) for seed in range(3))
    b[b == 0] = 1
    b[40:44] = a[40:44]
    out = np.zeros(10 * LANES, dtype)
    lanewise(a, b, c, out)
    r, s, t = a[1 : 1 + LANES], b[1 : 1 + LANES], c[1 : 1 + LANES]
    expected = [
        r + s,
        r - s,
        r * s,
        r / s,
        np.abs(r),
        r * s + t,
        np.where(r < s, s, r),
        np.where(s <= 0, 0, r),
        np.where(r == s, t, a[0]),
        t + a[0] * b[2 : 2 + LANES],
    ]
    assert np.allclose(out.reshape(10, -1), expected, rtol=1e-6, atol=1e-6)


def test_a_row_that_is_no_number_stays_one():
    a, b, c = (np.full(LANES + 2, x) for x in (np.nan, 1.0, 1.0))
    out = np.zeros(10 * LANES)
    lanewise(a, b, c, out)
    assert np.isnan(out[6 * LANES : 8 * LANES]).all()  # maximum and gate


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bytes_become_numbers(dtype):
    octets = np.arange(100, 256, dtype=np.uint8)
    out = np.zeros(LANES, dtype)
    of_bytes(octets, numbers(0, dtype), out)
    assert (out == octets[3 : 3 + LANES]).all()


def halved(octets):
    """Return words of bytes: of each 32, the second 16 in the upper halves."""
    bits = octets.astype(np.float32).view(np.uint32).reshape(-1, 2, 16)
    assert not (bits & 0xFFFF).any()  # a float32's upper half holds a byte exactly
    return (bits[:, 0] >> 16 | bits[:, 1]).ravel()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_words_become_two_numbers_each(dtype):
    octets = np.random.default_rng(0).permutation(256).astype(np.uint8)
    a, out = numbers(0, dtype, 66), np.zeros(80, dtype)
    for x in octets.reshape(4, 64):
        of_words(np.append(np.zeros(5, np.uint32), halved(x)), a, out)
        r, x = a[1:65], x.astype(dtype)
        assert np.allclose(out[:64], r + a[0] * x, rtol=1e-6, atol=1e-4)
        assert np.isclose(out[64:].sum(), r @ x, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_over_lanes_are_numpys(dtype):
    a, b = numbers(0, dtype), numbers(1, dtype)
    out = np.zeros(17, dtype)
    sums(a, b, out)
    r, s = a[1 : 1 + LANES], b[2 : 2 + LANES]
    assert np.allclose(out[16], r.sum(), rtol=1e-5)
    products = (r * s).reshape(-1, 16).sum(0)
    assert np.allclose(out[:16], products, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sixteen_rows_are_summed_in_their_order(dtype):
    a, out = numbers(0, dtype, 256), np.zeros(16, dtype)
    sixteen(a, out)
    assert np.allclose(out, a.reshape(16, 16).sum(1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("inputs", [1, 15, 16, 40, 784])
@pytest.mark.parametrize("count", [1, 16, 23, 32, 33, 64])
def test_gathered_images_lie_side_by_side(inputs, count):
    random = np.random.default_rng(inputs + count)
    images = random.integers(0, 256, (70, inputs), np.uint8)
    index = random.integers(0, 70, count)
    tile = np.zeros((inputs, 32), np.uint32)
    gather(images.ravel(), index, inputs, 64, tile.ravel())
    held = -(-count // 32) * 32
    lanes = np.pad(index, (0, held - count), "edge")  # the last one, again
    expected = [halved(column) for column in images[lanes].T]
    assert (tile[:, : held // 2] == expected).all()
    assert not tile[:, held // 2 :].any()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_aligned_arrays_are_zeros_that_begin_with_a_line(dtype):
    for shape in (1, 7, (3, 5)):
        array = aligned(shape, dtype)
        assert array.ctypes.data % 64 == 0
        assert array.dtype == dtype
        assert array.shape == (shape if isinstance(shape, tuple) else (shape,))
        assert not array.any()
