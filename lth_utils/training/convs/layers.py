"""The layers of a network whose images lie side by side; `movers.py` has more.

Each reads one signal and writes another; backward, it turns the gradient of
what it wrote into that of what it read, and those of its parameters.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import nn

from lth_utils.training.convs import plane_kernels as kernels
from lth_utils.training.convs.planes import LANES, Planes
from lth_utils.training.convs.taps import Taps
from lth_utils.training.plain import mask_of

Array = NDArray[Any]


class Batch(NamedTuple):
    """What a layer must know of a batch.

    Args:
        images: How many there are.
        live: 1 for each lane (tiles * 16,) that has an image, else 0.
        trains: Whether this is training, not evaluation.
    """

    images: int
    live: Array
    trains: bool


class Layer:
    """A step from one signal to the next.

    Args:
        source: The signal that it reads.
        target: The one that it writes.

    Attributes:
        values: Its parameters, flat arrays; set by the engine.
        gradients: Theirs.
        more: Whether the source's gradient has been begun by another layer.
    """

    other: Planes | None = None  # a second source, which is added

    def __init__(self, source: Planes, target: Planes) -> None:
        self.source, self.target = source, target
        self.values: list[Array] = []
        self.gradients: list[Array] = []
        self.more = False

    def prepare(self) -> None:
        """Make tables, which takes a while."""

    def forward(self, batch: Batch) -> None:
        """Compute the target."""
        raise NotImplementedError

    def backward(self, batch: Batch) -> None:
        """Compute the parameters' gradients."""

    def trace(self, batch: Batch) -> None:
        """Compute the source's gradient."""
        raise NotImplementedError

    def stored(self) -> list[Array]:
        """Return the parameters as the network has them."""
        return []

    def store(self) -> None:
        """Write the parameters into the network."""


class Sparse(Layer):
    """A convolution or a linear layer that touches surviving weights only.

    Args:
        module: The network's layer.
        source: As `Taps`.
        target: As `Taps`; where it is rectified, a ReLU is part of the layer.
    """

    def __init__(
        self, module: nn.Conv2d | nn.Linear, source: Planes, target: Planes
    ) -> None:
        super().__init__(source, target)
        self.module, self.floor = module, 0.0 if target.rectified else -math.inf
        self.no_bias = np.zeros(target.channels, target.dtype)

    @property
    def products(self) -> tuple[int, int]:
        """How many products an image takes: now, and if no weight were pruned."""
        mask = mask_of(self.module)
        pixels = self.target.height * self.target.width
        return int(mask.sum()) * pixels, mask.numel() * pixels

    def prepare(self) -> None:
        """Sort the surviving weights."""
        module = self.module
        stride = module.stride[0] if isinstance(module, nn.Conv2d) else 1
        self.taps = Taps(mask_of(module).numpy(), self.source, self.target, stride)

    def forward(self, batch: Batch) -> None:
        """Compute max(floor, weights @ source + bias)."""
        bias = self.values[1] if len(self.values) > 1 else self.no_bias
        self.taps.forward(self.values[0], bias, self.floor)

    def backward(self, batch: Batch) -> None:
        """Compute the gradients of weights and bias."""
        self.taps.correlate(self.gradients[0])
        if len(self.gradients) > 1:
            kernels.add_up(self.target.delta, self.target.form, self.gradients[1])

    def trace(self, batch: Batch) -> None:
        """Compute the source's gradient, or add to it."""
        self.taps.backward(self.values[0], self.more)

    def stored(self) -> list[Array]:
        """Return surviving weights, and the bias if there is one."""
        weights = self.module.weight.detach().numpy()[self.taps.where]
        bias = self.module.bias
        return [weights] if bias is None else [weights, bias.detach().numpy()]

    def store(self) -> None:
        """Write them into the network."""
        self.module.weight.detach().numpy()[self.taps.where] = self.values[0]
        if self.module.bias is not None:
            self.module.bias.detach().numpy()[:] = self.values[1]


class Norm(Layer):
    """BatchNorm, then perhaps the sum with another signal, then perhaps a ReLU.

    Running statistics are the network's own, and follow every step.

    Args:
        module: The network's layer.
        source: The signal that it reads.
        target: The one that it writes.
        other: What is added.
    """

    def __init__(
        self,
        module: nn.BatchNorm2d,
        source: Planes,
        target: Planes,
        other: Planes | None,
    ) -> None:
        super().__init__(source, target)
        self.module, self.other = module, other
        self.scalar = source.dtype.type
        self.floor = self.scalar(0 if target.rectified else -math.inf)
        self.epsilon = self.scalar(module.eps)
        self.mean, self.variance = np.zeros((2, source.channels), source.dtype)

    def forward(self, batch: Batch) -> None:
        """Compute max(floor, the normalized source + other)."""
        running = (self.module.running_mean, self.module.running_var)
        mean, variance = (r.numpy() for r in running if r is not None)
        count = batch.images * self.source.height * self.source.width
        moments = (self.mean, self.variance) if batch.trains else (mean, variance)
        kernels.norm(
            self.source.values,
            None if self.other is None else self.other.values,
            self.target.values,
            self.source.form,
            *self.values,
            *moments,
            self.epsilon,
            batch.live,
            self.scalar(1 / count if batch.trains else 0),
            self.floor,
        )
        if batch.trains:
            step = self.module.momentum or 0.0
            mean += (self.mean - mean) * step
            variance += (self.variance * (count / (count - 1)) - variance) * step
            if self.module.num_batches_tracked is not None:
                self.module.num_batches_tracked.add_(1)

    def trace(self, batch: Batch) -> None:
        """Compute the gradients of the source and of the parameters.

        That of what was added is the target's.
        """
        count = batch.images * self.source.height * self.source.width
        kernels.norm_back(
            self.target.delta,
            self.source.values,
            self.source.delta,
            self.source.form,
            self.values[0],
            self.mean,
            self.variance,
            self.epsilon,
            batch.live,
            self.scalar(1 / count),
            *self.gradients,
        )

    def stored(self) -> list[Array]:
        """Return factor and shift of each channel."""
        parameters = (self.module.weight, self.module.bias)
        return [parameter.detach().numpy() for parameter in parameters]

    def store(self) -> None:
        """Write them into the network."""
        for parameter, value in zip(self.stored(), self.values, strict=True):
            parameter[:] = value


def live_lanes(images: int, tiles: int, dtype: Any) -> Array:
    """Return 1 for each lane that has an image, else 0."""
    return (np.arange(tiles * LANES) < images).astype(dtype)
