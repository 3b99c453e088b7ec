"""Single 3x3 convolutions, forward and both backwards, by their words.

A layer's name is "64x32-10": 64 channels to 64, of 32x32 pixels, with 10 % of
the weights, drawn uniformly. The batch has 64 images.
"""

import math
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks import peer
from benchmarks.processes import Contender, Loops, Steps
from lth_utils.training.convs.planes import LANES, Planes
from lth_utils.training.convs.taps import Taps

IMAGES = 64


class Layer:
    """A layer's weights, a batch, and the gradient that comes from above.

    Args:
        name: Such as "64x32-10".
    """

    def __init__(self, name: str) -> None:
        shape, percent = name.split("-")
        channels, side = map(int, shape.split("x"))
        draws = torch.Generator().manual_seed(0)
        weight = torch.randn(channels, channels, 3, 3, generator=draws)
        self.alive = torch.rand(weight.shape, generator=draws) < float(percent) / 100
        self.weight = weight * self.alive / (9 * channels) ** 0.5
        batch = (IMAGES, channels, side, side)
        self.x = torch.rand(batch, generator=draws)  # as a ReLU leaves it: not below 0
        self.above = torch.randn(batch, generator=draws)


class Torch:
    """torch's dense convolution, channels side by side: its faster layout."""

    def __init__(self, layer: Layer) -> None:
        def laid_out(tensor: Tensor) -> Tensor:
            return tensor.to(memory_format=torch.channels_last, copy=True)

        self.x = laid_out(layer.x).requires_grad_()
        self.weight = laid_out(layer.weight).requires_grad_()
        self.above, self.alive = laid_out(layer.above), layer.alive

    def once(self) -> None:
        """Forward and both backwards."""
        self.x.grad = self.weight.grad = None
        self.out = F.conv2d(self.x, self.weight, padding=1)
        self.out.backward(self.above)

    def results(self) -> tuple[Tensor, ...]:
        """Return the output, and the gradients by input and by what is alive."""
        return self.out, self.x.grad, self.weight.grad[self.alive]


class SparseProp:
    """SparseProp's convolution; see `peer.convolution`."""

    def __init__(self, layer: Layer, over_width: bool) -> None:
        self.module = peer.convolution(layer.weight, over_width)
        self.x, self.above = layer.x.clone().requires_grad_(), layer.above

    def once(self) -> None:
        """Forward and both backwards."""
        self.x.grad = self.module.W_val.grad = None
        self.out = self.module(self.x)
        self.out.backward(self.above)

    def results(self) -> tuple[Tensor, ...]:
        """Return the output, and the gradients by input and by what is alive."""
        return self.out, self.x.grad, self.module.W_val.grad


class Ours:
    """The library's, between signals that lie image beside image."""

    def __init__(self, layer: Layer) -> None:
        shape, tiles = tuple(layer.x.shape[1:]), IMAGES // LANES
        self.source = Planes(shape, tiles, np.float32)
        self.target = Planes(shape, tiles, np.float32)
        for planes in (self.source, self.target):
            planes.find_delta([])
        self._fill(self.source, self.source.values, layer.x)
        self._fill(self.target, self.target.delta, layer.above)
        self.alive = layer.alive.numpy()
        self.taps = Taps(self.alive, self.source, self.target)
        self.values = layer.weight.numpy()[self.taps.where]
        self.gradient = np.zeros_like(self.values)
        self.bias = np.zeros(shape[0], np.float32)

    @staticmethod
    def _fill(planes: Planes, flat: np.ndarray, batch: Tensor) -> None:
        tiles = batch.numpy().reshape(planes.tiles, LANES, *planes.shape)
        planes.view(flat)[:] = tiles.transpose(2, 0, 3, 4, 1)

    def once(self) -> None:
        """Forward and both backwards."""
        self.taps.forward(self.values, self.bias, -math.inf)
        self.taps.correlate(self.gradient)
        self.taps.backward(self.values, more=False)

    def results(self) -> tuple[Tensor, ...]:
        """Return the output, and the gradients by input and by what is alive."""
        by_weight = np.zeros(self.alive.shape, np.float32)
        by_weight[self.taps.where] = self.gradient
        out = self.target.images(self.target.values)
        by_x = self.source.images(self.source.delta)
        return tuple(map(torch.from_numpy, (out, by_x, by_weight[self.alive])))


KINDS = {
    "layer torch": Torch,
    "layer ours": Ours,
    "layer sparseprop over batch": partial(SparseProp, over_width=False),
    "layer sparseprop over width": partial(SparseProp, over_width=True),
}


def _layer(contender: Contender) -> Steps:
    """A convolution, held against torch's before it is timed."""
    layer = Layer(contender.what)
    right, found = Torch(layer), KINDS[contender.loop](layer)
    for each in (right, found):
        each.once()
    for one, other in zip(found.results(), right.results(), strict=True):
        peer.check(f"{contender.loop}, {contender.what}", one, other)

    def steps(count: int) -> None:
        for _ in range(count):
            found.once()

    return steps


LOOPS: Loops = dict.fromkeys(KINDS, _layer)
