"""The step of a dense network on images most of whose pixels are 0.

A product needs only the numbers that are not 0: of the pixels, which are
listed once a training, and of the units behind a ReLU. Whole steps and
evaluations are loops (`pixel_kernels.py`); they need Numba.
"""

from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lth_utils.data.datasets import Dataset
from lth_utils.data.splits import Split
from lth_utils.errors import LotteryError
from lth_utils.training.lenet.checks import check_order, checked_labels
from lth_utils.training.plain import mask_of
from lth_utils.training.recipes import Recipe

Array = NDArray[Any]
Listed = tuple[Any, Array, Array]  # `Some`, labels, factors

# Up to this share of bytes that are not 0, this dense step is the faster one.
SHARE = 0.6
TILE = 64  # images that are measured at a time


def share_of(data: Dataset) -> float:
    """Return the share of the training images' bytes that are not 0."""
    images = data.train.images
    return np.count_nonzero(images.numpy()) / images.numel()


class Pixels:
    """A ReLU network of linear layers, dense or nearly so, on the CPU.

    Args:
        layers: What `mlp.linear_layers` returned; changed by `write` alone.
        recipe: The optimizer: Adam, or SGD with momentum and weight decay.
        data: What it is trained on; it keeps a list of its train split.

    Raises:
        LotteryError: If a training image or label does not fit the network.
    """

    def __init__(self, layers: list[nn.Linear], recipe: Recipe, data: Dataset) -> None:
        self.kernels = import_module("lth_utils.training.lenet.pixel_kernels")
        self.aligned = import_module("lth_utils.training.loops.compiled").aligned
        self.targets, self.data, self.taken = layers, data, 0
        self.masks = [mask_of(layer).numpy() for layer in layers]
        self.dtype = layers[0].weight.detach().numpy().dtype
        self.gain, shift = (each.astype(self.dtype) for each in data.line())
        self.train = self._listed(data.train)
        self.lists: dict[int, Listed] = {}
        optimizers = import_module("lth_utils.training.loops.optimizers")
        self.descents = partial(optimizers.descents, recipe, self.dtype)
        self.batch_size = recipe.batch_size
        images = max(self.batch_size, TILE)
        self.layers = tuple(
            self._layer(number, images) for number in range(len(layers))
        )
        self.layers[0].shift[:-1] = shift
        self.room = self._room(images)
        self.read()

    def _listed(self, split: Split) -> Listed:
        """Return a split's pixels that are not 0, its labels, its images' factors."""
        inputs, classes = len(self.gain), len(self.masks[-1])
        labels = checked_labels(split, inputs, classes)
        images = split.images.flatten(1).numpy()
        place = np.uint16 if inputs <= 1 << 16 else np.uint32
        some = self._some(len(images), 0, place, np.uint8)
        count = self.kernels.squeeze(images, some)
        some = self._some(len(images), count, place, np.uint8)
        self.kernels.squeeze(images, some)
        return some, labels, self.data.factors(split.images).astype(self.dtype)

    def _some(self, rows: int, room: int, place: Any, dtype: Any) -> Any:
        """Return an empty list of numbers that are not 0."""
        starts = np.zeros(rows + 1, np.uint64)
        return self.kernels.Some(starts, np.zeros(room, place), np.zeros(room, dtype))

    def _layer(self, number: int, images: int) -> Any:
        """Return a layer with room for a batch or a tile of so many images."""
        units, inputs = self.masks[number].shape
        width, dtype = self._width(units), self.dtype
        count = width * (inputs + 1)
        pruned = not all(mask.all() for mask in self.masks)
        layer = self.kernels.Layer(
            units=units,
            theta=self.aligned(count, dtype),
            mean=self.aligned(count, dtype),
            square=self.aligned(count, dtype),
            alive=self.aligned(count if pruned else 0, np.uint8),
            shift=self.aligned(inputs + 1, dtype),
            base=self.aligned(width, dtype),
            signal=self.aligned(width * images, dtype),
            given=self._some(images, self._most(number, images), np.uint32, dtype),
        )
        layer.shift[-1] = 1
        if pruned:
            self._lay(layer.alive, self.masks[number], np.ones(units, bool))
        return layer

    def _room(self, images: int) -> Any:
        """Return room for the way back of so many images."""
        units = [len(mask) for mask in self.masks]
        inputs = max(len(layer.shift) for layer in self.layers)
        most = max(layer.given.values.size for layer in self.layers)
        width, dtype = self._width(max(units)), self.dtype
        return self.kernels.Room(
            turned=self._some(inputs, most, np.uint32, dtype),
            blamed=self._some(images, images * max(units) + 1, np.uint32, dtype),
            flipped=self.aligned(width * max(units), dtype),
            nothing=self.aligned(width, dtype),
            below=self.aligned(width * images, dtype),
        )

    def _most(self, number: int, images: int) -> int:
        """Return how many of a layer's inputs are not 0, at most."""
        inputs = self.masks[number].shape[1]
        if number:
            return images * inputs + 1
        starts = self.train[0].starts.astype(np.int64)
        return max(images * int(np.diff(starts).max()), TILE * inputs)

    def _width(self, units: int) -> int:
        """Return the lanes of the blocks that so many units take."""
        return -(-units // self.kernels.LANES) * self.kernels.LANES

    def _lay(self, theta: Array, weights: Array, biases: Array) -> None:
        """Lay a layer's weights (units, inputs) and biases out in blocks."""
        units, inputs = weights.shape
        rows = np.zeros((self._width(units), inputs + 1), theta.dtype)
        rows[:units, :-1], rows[:units, -1] = weights, biases
        blocks = rows.reshape(-1, self.kernels.LANES, inputs + 1).transpose(0, 2, 1)
        theta[:] = blocks.reshape(-1)

    def steps(self, order: Tensor) -> None:
        """Take an optimizer step for each row of images' numbers.

        Raises:
            LotteryError: If a number is no image's, or a batch is too large.
        """
        listed, labels, factors = self.train
        check_order(order, len(labels))
        if order.shape[1] > self.batch_size:
            raise LotteryError(
                f"A batch has {order.shape[1]} images: expected at most"
                f" {self.batch_size}, as the recipe says."
            )
        batches = order.contiguous().numpy()
        for descent, rows, taken in self.descents(self.taken, batches):
            self.kernels.steps(
                listed,
                labels,
                rows,
                self.gain,
                factors,
                self.layers,
                self.room,
                descent,
                taken,
            )
        self.taken += len(order)

    def measure(self, sample: Split) -> tuple[float, float]:
        """Return the mean loss and the accuracy.

        Raises:
            LotteryError: If an image or a label does not fit the network.
        """
        listed, labels, factors = self._kept(sample)
        loss, right = self.kernels.measure(
            listed, labels, self.gain, factors, self.layers, TILE
        )
        return loss / len(labels), right / len(labels)

    def _kept(self, sample: Split) -> Listed:
        """Return what is listed of a split, once for those that come again."""
        if sample is not self.data.validation and sample is not self.data.test:
            return self._listed(sample)
        if id(sample) not in self.lists:
            self.lists[id(sample)] = self._listed(sample)
        return self.lists[id(sample)]

    @torch.no_grad()
    def write(self) -> None:
        """Copy the values into the layers; pruned weights are 0."""
        for target, layer in zip(self.targets, self.layers, strict=True):
            units, inputs = target.weight.shape
            blocks = layer.theta.reshape(-1, inputs + 1, self.kernels.LANES)
            rows = blocks.transpose(0, 2, 1).reshape(-1, inputs + 1)[:units]
            target.weight.copy_(torch.from_numpy(rows[:, :-1]))
            target.bias.copy_(torch.from_numpy(rows[:, -1]))

    def read(self) -> None:
        """Copy the layers' values."""
        for target, mask, layer in zip(
            self.targets, self.masks, self.layers, strict=True
        ):
            weights = np.where(mask, target.weight.detach().numpy(), 0)
            self._lay(layer.theta, weights, target.bias.detach().numpy())
            self.kernels.settle(layer.theta, layer.shift, layer.base)
