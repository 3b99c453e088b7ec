"""The step of a sparse fully connected network: only surviving weights work.

Forward, backward, optimizer and evaluation touch nothing but what the mask
leaves, so that the cost of a step is a constant plus a line in the density.
The loops are `kernels.py`; they need Numba, which is optional.
"""

import math
import warnings
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lth_utils.data.datasets import Dataset
from lth_utils.data.splits import Split
from lth_utils.errors import LotteryError
from lth_utils.training.measuring import measured
from lth_utils.training.mlp import mask_of
from lth_utils.training.recipes import Recipe

Array = NDArray[Any]

# Below this density the sparse step is the faster one (`make bench`).
CROSSOVER = 0.58


@cache
def numba_version() -> str | None:
    """Return Numba's version, or None, said once, if it cannot be used."""
    try:
        version: str = import_module("numba").__version__
        import_module("lth_utils.training.kernels")
    except Exception as error:  # no ImportError where NumPy does not match it
        warnings.warn(
            "Sparse networks train as slowly as dense ones here, because Numba"
            f" cannot be used ({error}). To speed them up: pip install numba",
            stacklevel=2,
        )
        return None
    return version


class _Layer:
    """A linear layer's surviving weights, row by row, and by column.

    Args:
        mask: Which weights are alive, (out, in).
    """

    def __init__(self, mask: Array) -> None:
        self.units, self.inputs = mask.shape
        self.where = mask.nonzero()
        rows, columns = self.where
        self.starts, self.columns = _starts(rows, self.units), columns.astype(np.uint32)
        # The same weights column by column, for the way back.
        self.turned = np.lexsort((rows, columns))
        self.turned_starts = _starts(columns, self.inputs)
        self.turned_rows = rows[self.turned].astype(np.uint32)


def _starts(numbers: Array, count: int) -> Array:
    """Return where each of 0, …, count - 1 begins among sorted numbers."""
    sizes = np.bincount(numbers, minlength=count)
    return np.concatenate([[0], sizes.cumsum()]).astype(np.int64)


class Sparse:
    """A ReLU network of masked linear layers on the CPU.

    Args:
        layers: What `mlp.linear_layers` returned; changed by `write` alone.
        recipe: The optimizer: Adam, or SGD with momentum and weight decay.
        data: What it is trained on.
    """

    def __init__(self, layers: list[nn.Linear], recipe: Recipe, data: Dataset) -> None:
        self.data = data
        self.kernels = import_module("lth_utils.training.kernels")
        self.targets, self.recipe, self.taken = layers, recipe, 0
        self.layers = [_Layer(mask_of(layer).numpy()) for layer in layers]
        weights = [
            target.weight.detach().numpy()[layer.where]
            for target, layer in zip(layers, self.layers, strict=True)
        ]
        biases = [target.bias.detach().numpy() for target in layers]
        self.theta = np.concatenate(weights + biases)
        self.scalar = self.theta.dtype.type
        self.gradient, self.mean, self.square = np.zeros((3, *self.theta.shape)).astype(
            self.theta.dtype
        )
        ends = np.cumsum([part.size for part in weights + biases])[:-1]
        self.values, self.biases = _halves(np.split(self.theta, ends))
        self.by_value, self.by_bias = _halves(np.split(self.gradient, ends))
        self.constants = np.array([1 - 0.9, 0.999, 1 - 0.999, 1e-8], self.theta.dtype)
        self.signals: dict[int, list[Array]] = {}

    def steps(self, order: Tensor) -> None:
        """Take an optimizer step for each row of images' numbers."""
        for index in order:
            self._step(*self.data.batch(index, self.targets[0].weight.dtype))

    def _step(self, x: Tensor, y: Tensor) -> None:
        signals = self._forward(x)
        delta = signals[-1]
        if not self.kernels.blame(delta, y.numpy(), self.scalar(1 / len(y))):
            raise LotteryError(
                f"A batch's labels go from {int(y.min())} to {int(y.max())}: expected"
                f" them from 0 to {self.layers[-1].units - 1}, as the network has"
                " outputs. Leave a data set as it is while it is trained on."
            )
        for number in reversed(range(len(self.layers))):
            layer, signal = self.layers[number], signals[number]
            self.kernels.correlate(
                layer.starts, layer.columns, delta, signal, self.by_value[number]
            )
            self.kernels.add_up(delta, self.by_bias[number])
            if number:
                delta = self._back(number, delta, signal)
        self._descend()

    def _back(self, number: int, delta: Array, signal: Array) -> Array:
        """Return the delta of the layer below."""
        layer = self.layers[number]
        below = np.empty_like(signal)
        self.kernels.multiply(
            layer.turned_starts,
            layer.turned_rows,
            self.values[number][layer.turned],
            np.zeros(layer.inputs, self.theta.dtype),
            delta,
            below,
            self.scalar(-math.inf),
        )
        self.kernels.shut(below, signal)
        return below

    def _forward(self, x: Tensor) -> list[Array]:
        """Return the tiled signals: input, hidden layers, scores."""
        signals, images = self._buffers(len(x)), x.flatten(1)
        if images.shape[1] != self.layers[0].inputs:  # the loops would not ask
            raise LotteryError(
                f"An image has {images.shape[1]} values, but the network takes"
                f" {self.layers[0].inputs}: expected images of its own shape. Make the"
                " data set anew."
            )
        self.kernels.tile(images.numpy(), signals[0])
        for number, layer in enumerate(self.layers):
            last = number == len(self.layers) - 1
            self.kernels.multiply(
                layer.starts,
                layer.columns,
                self.values[number],
                self.biases[number],
                signals[number],
                signals[number + 1],
                self.scalar(-math.inf if last else 0),
            )
        return signals

    def _buffers(self, images: int) -> list[Array]:
        """Return room for the signals of so many images; used again each time."""
        lanes = self.kernels.LANES
        tiles = -(-images // lanes)
        if tiles not in self.signals:
            units = [self.layers[0].inputs, *(layer.units for layer in self.layers)]
            self.signals[tiles] = [
                np.zeros((tiles, count, lanes), self.theta.dtype) for count in units
            ]
        return self.signals[tiles]

    def _descend(self) -> None:
        """Move the parameters, as torch's fused optimizers do."""
        self.taken += 1
        recipe, scalar = self.recipe, self.scalar
        if recipe.optimizer == "adam":
            step = recipe.lr / (1 - 0.9**self.taken)
            root = 1 / math.sqrt(1 - 0.999**self.taken)
            moments = (self.mean, self.square, scalar(step), scalar(root))
            self.kernels.adam(self.theta, self.gradient, *moments, self.constants)
        else:
            rates = (recipe.lr, recipe.momentum, recipe.weight_decay)
            self.kernels.sgd(self.theta, self.gradient, self.mean, *map(scalar, rates))

    def measure(self, sample: Split) -> tuple[float, float]:
        """Return the mean loss and the accuracy."""
        dtype = self.targets[0].weight.dtype
        (found,) = measured(self._scores, self.data, dtype, sample)
        return found

    def _scores(self, x: Tensor) -> Tensor:
        tiles = torch.from_numpy(self._forward(x)[-1])
        return tiles.transpose(1, 2).reshape(-1, tiles.shape[1])[: len(x)].clone()

    @torch.no_grad()
    def write(self) -> None:
        """Copy the values into the layers; pruned weights are 0."""
        for target, layer, values, bias in zip(
            self.targets, self.layers, self.values, self.biases, strict=True
        ):
            target.weight.detach().numpy()[layer.where] = values
            target.bias.copy_(torch.from_numpy(bias))

    def read(self) -> None:
        """Copy the layers' values."""
        for target, layer, values, bias in zip(
            self.targets, self.layers, self.values, self.biases, strict=True
        ):
            values[:] = target.weight.detach().numpy()[layer.where]
            bias[:] = target.bias.detach().numpy()


def _halves(parts: list[Array]) -> tuple[list[Array], list[Array]]:
    """Return the weights' arrays and the biases'."""
    return parts[: len(parts) // 2], parts[len(parts) // 2 :]
