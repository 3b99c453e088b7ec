"""Convolutional networks on the CPU, of which few weights are left.

Images lie side by side, so that each surviving weight meets sixteen or more at
once, and nothing else is touched. What the layers do is `layers.py`.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lth_utils.data.datasets import Dataset
from lth_utils.data.splits import Split
from lth_utils.errors import LotteryError
from lth_utils.training.convs import plane_kernels
from lth_utils.training.convs.graph import Graph, Unknown
from lth_utils.training.convs.layers import Batch, Sparse, live_lanes
from lth_utils.training.convs.planes import LANES, TILES
from lth_utils.training.dropping import Drops
from lth_utils.training.engines import Descent
from lth_utils.training.loops.compiled import aligned
from lth_utils.training.measuring import measured
from lth_utils.training.recipes import Recipe

Array = NDArray[Any]


# Below this part of a dense network's products the sparse step is the faster
# one, whatever the shapes (`make bench`).
CROSSOVER = 0.65


def lanes_for(
    net: nn.Module, recipe: Recipe, data: Dataset, key: tuple[int, int]
) -> "Lanes | None":
    """Return the engine for a network, or None where Autograd is the faster one.

    Args:
        net: A network that `plain.convolutional` knows, on the CPU.
        recipe: As for `Lanes`.
        data: Likewise.
        key: Likewise.
    """
    lanes = TILES * LANES
    tiles = TILES * -(-recipe.batch_size // lanes)
    try:
        graph = Graph(net, data.shape, tiles)
    except Unknown:
        return None
    counts = [la.products for la in graph.layers if isinstance(la, Sparse)]
    alive, dense = (sum(column) for column in zip(*counts, strict=True))
    if alive * tiles * LANES >= CROSSOVER * dense * recipe.batch_size:
        return None
    return Lanes(graph, recipe, data, key)


class Lanes:
    """A convolutional network that touches surviving weights only.

    Args:
        graph: The network's layers; their parameters are changed by `write`
            alone, running statistics by every step.
        recipe: The optimizer.
        data: What it is trained on.
        key: (seed, round), which names what is dropped.
    """

    def __init__(
        self,
        graph: Graph,
        recipe: Recipe,
        data: Dataset,
        key: tuple[int, int] = (0, 0),
    ) -> None:
        self.data, self.graph, self.layers = data, graph, graph.layers
        self.drops = Drops(graph.net, recipe, key)
        self.dtype = next(graph.net.parameters()).dtype
        for layer in self.layers:
            layer.prepare()
        stored = [array for layer in self.layers for array in layer.stored()]
        sizes = [array.size for array in stored]
        self.theta, gradient = (aligned(sum(sizes), stored[0].dtype) for _ in range(2))
        parameter = nn.Parameter(torch.from_numpy(self.theta))
        parameter.grad = torch.from_numpy(gradient)
        self.descent = Descent([parameter], recipe)
        ends = np.cumsum(sizes)[:-1]
        values, gradients = (
            iter(np.split(flat, ends)) for flat in (self.theta, gradient)
        )
        for layer in self.layers:
            count = len(layer.stored())
            layer.values = [next(values) for _ in range(count)]
            layer.gradients = [next(gradients) for _ in range(count)]
        self.read()

    def steps(self, order: Tensor) -> None:
        """Take an optimizer step for each row of images' numbers."""
        with self.drops:
            for index in order:
                self.descent.begin()
                self.drops.draw(self.descent.taken)
                self._step(*self.data.batch(index, self.dtype))

    @torch.no_grad()
    def _step(self, x: Tensor, y: Tensor) -> None:
        batch = self._forward(x, trains=True)
        signal = self.graph.scores
        scores, delta = (
            torch.from_numpy(flat).view(signal.channels, -1)
            for flat in (signal.values, signal.delta)
        )
        delta.zero_()
        chances = scores[:, : len(y)].softmax(0)
        chances[y, torch.arange(len(y))] -= 1
        delta[:, : len(y)] = chances / len(y)
        for layer in reversed(self.layers):
            layer.backward(batch)
            if layer.source is not self.graph.images:
                layer.trace(batch)
        self.descent.step()

    def _forward(self, x: Tensor, *, trains: bool) -> Batch:
        images = self.graph.images
        plane_kernels.tile(x.numpy(), images.values, images.form)
        live = live_lanes(len(x), images.tiles, images.dtype)
        batch = Batch(len(x), live, trains)
        for layer in self.layers:
            layer.forward(batch)
        return batch

    def measure(self, sample: Split) -> tuple[float, float]:
        """Return loss and accuracy; BatchNorm uses its running statistics.

        Raises:
            LotteryError: If the images are not of the network's size.
        """
        if (shape := tuple(sample.images.shape[1:])) != self.data.shape:
            raise LotteryError(  # the loops do not ask
                f"The images are {shape}, but the network was made for"
                f" {self.data.shape}: expected images of that size. Make the data set"
                " anew."
            )
        (found,) = measured(self._scores, self.data, self.dtype, sample)
        return found

    def _scores(self, x: Tensor) -> Tensor:
        """Return the class scores (N, classes)."""
        signal, found = self.graph.scores, []
        for some in x.split(signal.tiles * LANES):
            self._forward(some, trains=False)
            scores = torch.from_numpy(signal.values).view(signal.channels, -1)
            found.append(scores[:, : len(some)].t().clone())
        return torch.cat(found)

    def write(self) -> None:
        """Copy the values into the network; pruned weights are 0."""
        for layer in self.layers:
            layer.store()

    def read(self) -> None:
        """Copy the network's values."""
        for layer in self.layers:
            for value, stored in zip(layer.values, layer.stored(), strict=True):
                value[:] = stored
