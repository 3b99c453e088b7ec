"""Signals as compiled loops like them: 16 images side by side.

A signal is a flat array (channels, tiles, height + 2, width + 2, 16): a tile
is 16 images, and a border of zeros lies around each plane, so that no loop
needs to know where a picture ends. What has a single pixel has no border. The
number of tiles is a multiple of four; lanes without an image compute along,
and their gradients are 0.
"""

from typing import Any

import numpy as np
from llvmlite.binding import get_host_cpu_features
from numpy.typing import NDArray

from lth_utils.training.loops.compiled import aligned

Array = NDArray[Any]

LANES = 16  # images in a tile
TILES = 4  # tiles come by so many
# AVX-512 has 32 registers of 16 lanes; elsewhere 16 of them would not fit.
WIDE = bool(get_host_cpu_features().get("avx512f", False))
_LINES = 64  # cache lines after which a first-level cache begins anew
_SPREAD = 11  # lines from one channel to the next, but for multiples of these


class Planes:
    """A signal between two layers, and room for its gradient.

    Args:
        shape: An image's (channels, height, width).
        tiles: Of 16 images, a multiple of four.
        dtype: float32 or float64.
        flat: Whether it has a single pixel, and no border.
        rectified: Whether a ReLU made it, or what a ReLU made: where it is 0,
            no gradient passes.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        tiles: int,
        dtype: Any,
        *,
        flat: bool = False,
        rectified: bool = False,
    ) -> None:
        self.shape, self.tiles, self.dtype = shape, tiles, np.dtype(dtype)
        self.channels, self.height, self.width = shape
        self.flat, self.rectified = flat, rectified
        self.border = 0 if flat else 1
        self.row = (self.width + 2 * self.border) * LANES
        self.plane = (self.height + 2 * self.border) * self.row
        self.channel = self.tiles * self.plane
        if not flat:
            # Channels that share a place in the cache throw each other out: 1.15
            # times as slow where they are multiples of 64 lines apart.
            line = 64 // self.dtype.itemsize
            lines = -(-self.channel // line)
            self.channel = (lines + (_SPREAD - lines) % _LINES) * line
        self.values = aligned(self.channels * self.channel, dtype)
        self.delta = self.values  # until a place is found for it

    @property
    def form(self) -> tuple[int, ...]:
        """How it lies in its array, as `plane_kernels.py` is told."""
        sizes = (self.channels, self.tiles, self.height, self.width)
        return (*sizes, self.channel, self.plane, self.row, self.place(0))

    def find_delta(self, free: list[Array]) -> None:
        """Take room for the gradient: an array of this form that is free, or new."""
        self.delta = free.pop() if free else aligned(self.values.size, self.dtype)

    def place(self, channel: Any, tile: Any = 0, y: Any = 0, x: Any = 0) -> Any:
        """Return where a pixel's 16 images begin."""
        return (
            channel * self.channel
            + tile * self.plane
            + (y + self.border) * self.row
            + (x + self.border) * LANES
        )

    def view(self, flat: Array) -> Array:
        """Return an array of this form as (channels, tiles, height, width, 16)."""
        sizes = (self.tiles, self.height + 2 * self.border, -1, LANES)
        whole = flat.reshape(self.channels, self.channel)[:, : self.tiles * self.plane]
        inner = slice(self.border, -1 if self.border else None)
        return whole.reshape(self.channels, *sizes)[:, :, inner, inner]

    def images(self, flat: Array) -> Array:
        """Return an array of this form as a copy (images, channels, height, width)."""
        lanes = self.view(flat).transpose(1, 4, 0, 2, 3)
        return np.ascontiguousarray(lanes).reshape(-1, *self.shape)


Windows = tuple[int, list[tuple[int, int, int]], tuple[tuple[int, int, int], ...]]


def windows(height: int, width: int, tiles: int, wide: bool) -> Windows:
    """Return how four rows of registers cover planes of this size.

    Args:
        height: Of a plane, in pixels.
        width: Likewise.
        tiles: How many planes a channel has.
        wide: Whether a row may have 64 lanes; else it has 16.

    Returns:
        The lanes of a row; tile, y and x of each window; and those steps from
        its first row to the three others.
    """
    lanes, across, down, deep = 16, 1, 1, 4
    others: tuple[tuple[int, int, int], ...] = ((1, 0, 0), (2, 0, 0), (3, 0, 0))
    if width % 4 == 0 and not wide:
        across, deep, others = 4, 1, ((0, 0, 1), (0, 0, 2), (0, 0, 3))
    elif width % 8 == 0 and height % 2 == 0:
        lanes, across, down, deep = 64, 8, 2, 1
        others = ((0, 0, 4), (0, 1, 0), (0, 1, 4))
    elif width % 4 == 0:
        lanes, across = 64, 4
        if height % 4 == 0:
            down, deep, others = 4, 1, ((0, 1, 0), (0, 2, 0), (0, 3, 0))
    places = [
        (tile, y, x)
        for tile in range(0, tiles, deep)
        for y in range(0, height, down)
        for x in range(0, width, across)
    ]
    return lanes, places, others
