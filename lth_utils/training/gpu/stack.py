"""Many LeNets as one: the way to fill a GPU.

A LeNet step leaves a GPU idle nearly all the time. So replicas (seeds,
controls, independent rounds) are laid on top of each other: every parameter
gets a leading axis of replicas, each product becomes a batched one, and a
single optimizer moves them all. On CUDA the whole step is recorded once as a
graph and then replayed, which spares the launches. Replicas never mix: each
has its own batches, masks and moments.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lth_utils.data.datasets import Dataset
from lth_utils.data.splits import Split
from lth_utils.errors import LotteryError
from lth_utils.training.engines import Descent
from lth_utils.training.gpu.graphs import OneStep, room
from lth_utils.training.lenet.mlp import linear_layers
from lth_utils.training.measuring import measured
from lth_utils.training.plain import mask_of
from lth_utils.training.probe import check_match
from lth_utils.training.recipes import Recipe

_ALIGNED = 64  # numbers: a GPU's fast products want weights that start evenly


class Stack(OneStep):
    """R replicas of one LeNet, trained together.

    Args:
        nets: LeNets of the same widths, on one device, masked or not.
        data: On the same device.
        recipe: Their optimizer.

    Raises:
        LotteryError: If the networks are no plain LeNets, are of several widths
            or types, or do not match the data set.
    """

    def __init__(self, nets: Sequence[nn.Module], data: Dataset, recipe: Recipe):
        self.layers = [_layers(net) for net in nets]
        self.data = data
        forms = {tuple((p.shape, p.dtype) for p in net.parameters()) for net in nets}
        if len(forms) != 1:
            raise LotteryError(
                "These networks have different widths or types: expected LeNets of one"
                " shape in a stack; train the others apart."
            )
        check_match(nets[0], data)
        rows = [
            _row(t for la in row for t in (la.weight, la.bias)) for row in self.layers
        ]
        self.parameter = nn.Parameter(torch.stack(rows))
        self.parameter.grad = torch.zeros_like(self.parameter)
        alive = [
            _row(t for la in row for t in (mask_of(la), torch.ones_like(la.bias)))
            for row in self.layers
        ]
        self.mask = torch.stack(alive)
        self.descent = Descent([self.parameter], recipe)
        self.values = self._views(self.parameter.detach())
        self.gradients = self._views(self.parameter.grad)
        self._prepare(room(len(nets), data, recipe), self.descent.tensors())

    def _views(self, whole: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return each layer's weights (R, out, in) and biases (R, 1, out)."""
        found, at = [], 0
        for layer in self.layers[0]:
            units, inputs = layer.weight.shape
            weight = whole[:, at : at + units * inputs].view(-1, units, inputs)
            at += _padded(units * inputs)
            found.append((weight, whole[:, None, at : at + units]))
            at += _padded(units)
        return found

    @torch.no_grad()
    def _step(self) -> None:
        x, y = self.data.batch(self.index.flatten(), self.parameter.dtype)
        signals = self._forward(x.view(*self.index.shape, -1))
        delta = signals.pop().softmax(2)
        labels = y.view(*self.index.shape, 1)
        delta.scatter_add_(2, labels, -torch.ones_like(delta[..., :1]))
        delta /= self.index.shape[1]
        for (weight, _), (by_weight, by_bias) in zip(
            reversed(self.values), reversed(self.gradients), strict=True
        ):
            signal = signals.pop()
            torch.bmm(delta.transpose(1, 2), signal, out=by_weight)
            torch.sum(delta, 1, keepdim=True, out=by_bias)
            if signals:
                delta = torch.bmm(delta, weight).mul_(signal > 0)
        assert self.parameter.grad is not None
        self.parameter.grad.mul_(self.mask)
        self.descent.step()

    def _forward(self, x: Tensor) -> list[Tensor]:
        """Return the input (R, N, inputs), hidden outputs, scores (R, N, classes)."""
        signals = [x]
        for weight, bias in self.values:
            if len(signals) > 1:
                signals[-1].relu_()
            signals.append(torch.baddbmm(bias, signals[-1], weight.transpose(1, 2)))
        return signals

    def measure(self, sample: Split) -> list[tuple[float, float]]:
        """Return every replica's mean loss and accuracy."""
        return measured(self._scores, self.data, self.parameter.dtype, sample)

    def _scores(self, x: Tensor) -> Tensor:
        """Return every replica's class scores (R, N, classes) of one batch."""
        flat = x.flatten(1)
        return self._forward(flat.expand(len(self.layers), *flat.shape))[-1]

    def rows(self) -> list[list[Tensor]]:
        """Return each replica's values, which may be written to."""
        return [[row] for row in self.parameter.detach()]

    @torch.no_grad()
    def write(self) -> None:
        """Copy the values into the networks' layers."""
        for number, row in enumerate(self.layers):
            for layer, (weight, bias) in zip(row, self.values, strict=True):
                layer.weight.copy_(weight[number])
                layer.bias.copy_(bias[number, 0])


def _layers(net: nn.Module) -> list[nn.Linear]:
    """Return a LeNet's layers; raises if it is another network."""
    layers = linear_layers(net)
    if layers is None:
        raise LotteryError(
            f"{type(net).__name__} cannot be stacked: expected a plain LeNet of float32"
            " or float64, with no layer exchanged, frozen or hooked; train it alone."
        )
    return layers


def _row(tensors: Iterable[Tensor]) -> Tensor:
    """Lay tensors end to end, each followed by zeros up to an even place."""
    flat = [tensor.detach().flatten() for tensor in tensors]
    return torch.cat([F.pad(t, (0, _padded(len(t)) - len(t))) for t in flat])


def _padded(numbers: int) -> int:
    """Return the next multiple of `_ALIGNED`."""
    return -(-numbers // _ALIGNED) * _ALIGNED
