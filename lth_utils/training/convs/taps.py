"""A layer's surviving weights, as the compiled loops take them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lth_utils.training.convs import kernels
from lth_utils.training.convs.planes import LANES, WIDE, Planes, windows
from lth_utils.training.loops.compiled import aligned

Array = NDArray[Any]


class _Sorted:
    """Weights sorted by block of sources, then by target.

    Args:
        target: Each weight's target, a number.
        source: Its source.
        offset: How far its source lies from a window.
        places: Where each target lies.
        block: Sources in a block.
    """

    def __init__(
        self, target: Array, source: Array, offset: Array, places: Array, block: int
    ) -> None:
        part, targets = source // block, len(places)
        blocks = int(part.max(initial=0)) + 1
        self.order = np.lexsort((offset, target, part))
        pairs = np.bincount(part * targets + target, minlength=blocks * targets)
        ends = np.concatenate([[0], pairs.cumsum()])
        first = np.arange(blocks)[:, None] * targets
        self.starts = ends[first + np.arange(targets + 1)].astype(np.int64)
        self.places = places.astype(np.int64)
        self.offsets = offset[self.order].astype(np.int32)

    @property
    def arrays(self) -> tuple[Array, Array, Array]:
        """What every loop begins with."""
        return self.starts, self.places, self.offsets


class Taps:
    """A linear map from one signal to another, of which some weights are left.

    Args:
        mask: Which weights are alive: (targets, sources, side, side) of a
            convolution, (targets, sources) of a linear layer, whose sources
            are all numbers of an image.
        source: The signal that it reads.
        target: The one that it writes; for a convolution as high and wide.
        stride: Of a convolution, 1 or 2; for 2 the source is a quartered one.

    Attributes:
        where: The weights' places in the mask, in the order of their values.
    """

    def __init__(
        self, mask: Array, source: Planes, target: Planes, stride: int = 1
    ) -> None:
        where = mask.nonzero()
        rows, columns = where[:2]
        origins = target.place(np.arange(target.channels))
        if mask.ndim == 4:
            sources = source.place(np.arange(source.channels))
            y, x = (each - mask.shape[2] // 2 for each in where[2:])
            if stride == 2:  # pixel 2 y + dy is the (y + dy // 2)th of its quarter
                columns = (2 * (y % 2) + x % 2) * mask.shape[1] + columns
                y, x = y // 2, x // 2
            step = y * source.row + x * LANES
            size = target.height, target.width
        else:
            channel, y, x = np.indices(source.shape).reshape(3, -1)
            sources = source.place(channel, 0, y, x)
            step, size = 0, (1, 1)
        block, back = (_block(mask, count) for count in mask.shape[1::-1])
        self.ahead = _Sorted(rows, columns, sources[columns] + step, origins, block)
        self.back = _Sorted(columns, rows, origins[rows] - step, sources, back)
        self.where = tuple(axis[self.ahead.order] for axis in where)
        self.turned = np.empty(len(rows), np.int32)  # from the one order to the other
        self.turned[self.ahead.order] = np.arange(len(rows))
        self.turned = self.turned[self.back.order]
        self.values_back = aligned(len(rows), source.dtype)
        self.source, self.target = source, target
        self._lay_windows(*size)

    def _lay_windows(self, height: int, width: int) -> None:
        """Set where the loops' windows lie."""
        source, target = self.source, self.target
        lanes, places, others = windows(height, width, target.tiles, WIDE)
        self.loops = kernels.LOOPS[lanes]
        self.reads, self.writes = (_at(planes, places) for planes in (source, target))
        self.steps = tuple(_at(source, others).tolist())
        self.steps_out = tuple(_at(target, others).tolist())

    def forward(self, values: Array, bias: Array, floor: float) -> None:
        """Compute the target: max(floor, weights @ source + bias)."""
        self.loops.multiply(
            *self.ahead.arrays,
            values,
            bias,
            self.source.values,
            self.target.values,
            self.reads,
            self.writes,
            self.steps,
            self.steps_out,
            values.dtype.type(floor),
        )

    def backward(self, values: Array, more: bool) -> None:
        """Compute the source's gradient from the target's, or add to it."""
        kernels.take(values, self.turned, self.values_back)
        self.loops.trace(
            *self.back.arrays,
            self.values_back,
            self.target.delta,
            self.source.delta,
            self.source.values,
            self.writes,
            self.reads,
            self.steps_out,
            self.steps,
            more,
        )

    def correlate(self, out: Array) -> None:
        """Compute the weights' gradients."""
        self.loops.correlate(
            *self.ahead.arrays,
            self.source.values,
            self.target.delta,
            self.reads,
            self.writes,
            self.steps,
            self.steps_out,
            out,
        )


def _at(planes: Planes, places: Sequence[tuple[int, int, int]]) -> Array:
    """Return how far pixels (tile, y, x) lie from a channel's first one."""
    tile, y, x = np.array(places, np.int64).reshape(-1, 3).T
    return tile * planes.plane + y * planes.row + x * LANES


def _block(mask: Array, sources: int) -> int:
    """Return how many sources a block has.

    As many as leave the first-level cache some room; more where so few weights
    are left that going through the targets would cost more than the cache saves.
    """
    density = float(mask.mean())
    if mask.ndim == 2:
        return 64 if density >= 0.2 else 256
    if density < 0.05:
        return 64
    return 8 if density >= 0.3 and sources > 16 else 16
