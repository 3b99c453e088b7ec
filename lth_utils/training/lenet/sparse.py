"""The step of a sparse fully connected network: only surviving weights work.

Forward, backward, optimizer and evaluation touch nothing but what the mask
leaves, so that the cost of a step is a constant plus a line in the density.
The loops are `kernels.py` and `steps.py`; they need Numba, which is optional.
"""

import warnings
from functools import cache, partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from lth_utils.data.datasets import Dataset
from lth_utils.data.splits import Split
from lth_utils.training.lenet.checks import check_order, checked_labels
from lth_utils.training.plain import mask_of
from lth_utils.training.recipes import Recipe

Array = NDArray[Any]

# Below these densities a whole training is the faster for being sparse: where most
# pixels are 0 (than `pixels.py`), and where they are not (than `mlp.py`).
CROSSOVER, CROSSOVER_FULL = 0.37, 0.85


@cache
def numba_version() -> str | None:
    """Return Numba's version, or None, said once, if it cannot be used."""
    try:
        version: str = import_module("numba").__version__
        import_module("lth_utils.training.lenet.steps")
    except Exception as error:  # no ImportError where NumPy does not match it
        warnings.warn(
            "Sparse networks train as slowly as dense ones here, because Numba"
            f" cannot be used ({error}). To speed them up: pip install numba",
            stacklevel=2,
        )
        return None
    return version


class Sparse:
    """A ReLU network of masked linear layers on the CPU.

    Args:
        layers: What `mlp.linear_layers` returned; changed by `write` alone.
        recipe: The optimizer: Adam, or SGD with momentum and weight decay.
        data: What it is trained on.

    Raises:
        LotteryError: If a training image or label does not fit the network.
    """

    def __init__(self, layers: list[nn.Linear], recipe: Recipe, data: Dataset) -> None:
        self.loops: Any = import_module("lth_utils.training.lenet.steps")
        self.targets, self.data, self.taken = layers, data, 0
        self.masks = [mask_of(layer).numpy() for layer in layers]
        self.dtype: Any = layers[0].weight.detach().numpy().dtype
        self.train = self._images(data.train)
        ends = _ends([*(m.sum() for m in self.masks), *(len(m) for m in self.masks)])
        self.firsts, self.biases = ends[: len(layers)], ends[len(layers) : -1]
        self.net = self._network(ends[-1])
        optimizers = import_module("lth_utils.training.loops.optimizers")
        self.descents = partial(optimizers.descents, recipe, self.dtype)
        self.read()

    def _network(self, size: int) -> Any:
        """Return the arrays that the loops work on."""
        lanes, aligned, dtype = self.loops.LANES, self.loops.aligned, self.dtype
        lines = [line[self.masks[0].nonzero()[1]] for line in self.data.line()]
        units = [len(mask) for mask in self.masks]
        rows = np.zeros(self.biases[0], np.uint32)
        strides = [lanes // 2, lanes, lanes]  # the input is words
        for mask, first, stride in zip(self.masks, self.firsts, strides, strict=True):
            columns = mask.nonzero()[1]
            rows[first : first + columns.size] = columns * stride
        gains, shifts, scaled = aligned((3, self.firsts[1]), dtype)
        gains[: lines[0].size], shifts[: lines[1].size] = lines
        signals = [aligned(count * lanes, dtype) for count in units]
        deltas = [aligned(count * lanes, dtype) for count in units[:-1]]
        return self.loops.Network(
            layers=tuple(
                _layer(self.loops, *each)
                for each in zip(self.masks, self.firsts, self.biases, strict=True)
            ),
            rows=rows,
            theta=aligned(size, dtype),
            gains=gains,
            shifts=shifts,
            scaled=scaled,
            rest=aligned(units[0], dtype),
            tile=aligned(self.masks[0].shape[1] * lanes // 2, np.uint32),
            factor=aligned(lanes, dtype),
            signals=tuple(signals),
            deltas=(*deltas, signals[-1]),
            gradient=aligned(size, dtype),
            mean=aligned(size, dtype),
            square=aligned(size, dtype),
            parts=aligned(256, dtype),
            sums=aligned(lanes, dtype),
            floors=np.array([*(0 for _ in deltas), -np.inf], dtype),
        )

    def _images(self, sample: Split) -> Any:
        """Return some images as the loops know them."""
        classes, inputs = len(self.masks[-1]), self.masks[0].shape[1]
        labels = checked_labels(sample, inputs, classes)
        return self.loops.Images(
            sample.images.contiguous().view(-1).numpy(),
            labels,
            self.data.factors(sample.images).astype(self.dtype),
        )

    def steps(self, order: Tensor) -> None:
        """Take an optimizer step for each row of images' numbers.

        Raises:
            LotteryError: If a number is no image's.
        """
        check_order(order, len(self.train.labels))
        batches = order.contiguous().numpy()
        for descent, rows, taken in self.descents(self.taken, batches):
            self.loops.learn(self.net, descent, self.train, rows, taken)
        self.taken += len(order)

    def measure(self, sample: Split) -> tuple[float, float]:
        """Return the mean loss (nats) and the accuracy (a fraction)."""
        images = self._images(sample)
        loss, right = self.loops.judge(self.net, images)
        return loss / len(images.labels), right / len(images.labels)

    def _parameters(self) -> list[tuple[Array, Array, Array, Array, Array]]:
        """Return each layer's weights, mask and biases, and where theta has them."""
        theta, found = self.net.theta, []
        for target, mask, first, bias in zip(
            self.targets, self.masks, self.firsts, self.biases, strict=True
        ):
            weights = theta[first : first + int(mask.sum())]
            biases = theta[bias : bias + len(mask)]
            own = (target.weight.detach().numpy(), target.bias.detach().numpy())
            found.append((own[0], mask, own[1], weights, biases))
        return found

    def write(self) -> None:
        """Copy the values into the layers; pruned weights are 0."""
        for weight, mask, bias, values, biases in self._parameters():
            weight[mask], bias[:] = values, biases

    def read(self) -> None:
        """Take the layers' values over."""
        for weight, mask, bias, values, biases in self._parameters():
            values[:], biases[:] = weight[mask], bias


def _ends(sizes: list[int]) -> list[int]:
    """Return where parts begin, each at a multiple of 16, and where all end."""
    return [0, *np.cumsum([-(-int(size) // 16) * 16 for size in sizes]).tolist()]


def _starts(numbers: Array, count: int) -> Array:
    """Return where each of 0, …, count - 1 begins among sorted numbers."""
    sizes = np.bincount(numbers, minlength=count)
    return np.concatenate([[0], sizes.cumsum()]).astype(np.int64)


def _layer(loops: Any, mask: Array, first: int, bias: int) -> Any:
    """Return where a layer's weights are, by their units and by their inputs."""
    units, inputs = mask.shape
    rows, columns = mask.nonzero()
    turned = np.lexsort((rows, columns))
    return loops.Layer(
        starts=(first + _starts(rows, units)).astype(np.uint32),
        bias=bias,
        back_starts=_starts(columns, inputs).astype(np.uint32),
        back=(first + turned).astype(np.uint32),
        back_rows=(rows[turned] * loops.LANES).astype(np.int32),
    )
