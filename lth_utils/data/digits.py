"""Coloured digits in clutter: a task for small convolutional networks.

A digit in a random colour, shifted by up to 3 pixels, lies over a smooth
field of random colours and over a half-transparent piece of another digit.
Nothing is downloaded: the pictures are computed from the MNIST subset.

Every step is on whole numbers, and the random numbers come from NumPy's
frozen `RandomState`, so each machine and NumPy release makes the same bytes.
"""

import numpy as np
from numpy.typing import NDArray

SIDE = 32
SHIFT = 3
_KNOTS = 5  # of the colour field along each side, 8 pixels apart
_PIECE = 14  # the clutter's height and width, of the 28 that its digit has
_CHUNK = 1_000  # pictures at a time: about 25 MB of working memory

_Bytes = NDArray[np.uint8]
_Ints = NDArray[np.int32]


def colour_digits(digits: _Bytes, seed: int) -> _Bytes:
    """Paint each digit into a colour picture.

    Args:
        digits: Grey digits, uint8 (N, 28, 28).
        seed: Of the colours, the shifts and the clutter.

    Returns:
        Pictures, uint8 (N, 32, 32, 3), in the digits' order.
    """
    rng = np.random.RandomState(seed)
    pictures = np.empty((len(digits), SIDE, SIDE, 3), np.uint8)
    for start in range(0, len(digits), _CHUNK):
        chunk = digits[start : start + _CHUNK]
        others = digits[rng.randint(len(digits), size=len(chunk))]
        picture = _field(rng, len(chunk))
        picture = _paint(rng, picture, _shifted(rng, _pieces(rng, others)) // 2)
        picture = _paint(rng, picture, _shifted(rng, chunk))
        pictures[start : start + _CHUNK] = picture
    return pictures


def _field(rng: np.random.RandomState, count: int) -> _Ints:
    """Return smooth colour fields (count, 32, 32, 3): bilinear between knots."""
    knots = rng.randint(256, size=(count, 3, _KNOTS, _KNOTS)).astype(np.float32)
    step = SIDE // (_KNOTS - 1)
    # pixel centres in half pixels from the first knot; weights are sixteenths
    centres = np.arange(1, 2 * SIDE, 2)[:, None]
    away = np.abs(centres - 2 * step * np.arange(_KNOTS))
    weights = np.maximum(2 * step - away, 0).astype(np.float32)
    # whole numbers below 2**24: exact in float32, in any order
    field = weights @ knots @ weights.T
    return field.astype(np.int32).transpose(0, 2, 3, 1) // (2 * step) ** 2


def _pieces(rng: np.random.RandomState, digits: _Bytes) -> _Bytes:
    """Return the digits with all but one random square window blanked."""
    corner = rng.randint(4, 28 - _PIECE - 3, size=(2, len(digits), 1))
    inside = (corner <= np.arange(28)) & (np.arange(28) < corner + _PIECE)
    return digits * (inside[0][:, :, None] & inside[1][:, None, :])


def _shifted(rng: np.random.RandomState, digits: _Bytes) -> _Bytes:
    """Return the digits on 32 x 32 canvases, each shifted by up to 3 pixels."""
    margin = (SIDE - 28) // 2 + SHIFT
    wide = np.pad(digits, ((0, 0), (margin, margin), (margin, margin)))
    corner = rng.randint(2 * SHIFT + 1, size=(2, len(digits), 1))
    rows, columns = corner + np.arange(SIDE)
    each = np.arange(len(digits))[:, None, None]
    return wide[each, rows[:, :, None], columns[:, None, :]]


def _paint(rng: np.random.RandomState, under: _Ints, opacity: _Bytes) -> _Ints:
    """Lay one random colour over each picture where `opacity` (0-255) says."""
    colour = rng.randint(256, size=(len(under), 1, 1, 3)).astype(np.int32)
    return under + (colour - under) * opacity[..., None].astype(np.int32) // 255
