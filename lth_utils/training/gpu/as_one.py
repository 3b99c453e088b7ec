"""Networks of one form as one: every parameter gets a leading axis of replicas.

One forward pass maps all replicas' batches to all scores, autograd goes back,
and a single optimizer moves everything. On CUDA the whole step is one graph.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as F

from lth_utils.data.datasets import Dataset
from lth_utils.data.splits import Split
from lth_utils.masked_modules import MaskedModule
from lth_utils.masks import weights_and_masks
from lth_utils.training.engines import Descent
from lth_utils.training.gpu.graphs import OneStep, room
from lth_utils.training.gpu.wide import WIDE
from lth_utils.training.measuring import measured
from lth_utils.training.probe import dtype_of
from lth_utils.training.recipes import Recipe

_Layers = Mapping[type[nn.Module], type[nn.Module]]


class AsOne(OneStep):
    """R networks whose step is one: parameters have a leading axis of replicas.

    Args:
        nets: Networks of one form; changed by `write` alone.
        data: The data set.
        recipe: Their optimizer.
    """

    layers: ClassVar[_Layers] = {}  # what becomes of the network's layers

    def __init__(
        self, nets: Sequence[nn.Module], data: Dataset, recipe: Recipe
    ) -> None:
        self.nets, self.data = nets, data
        self.net = _template(nets[0], self.layers)
        self.dtype = dtype_of(self.net)
        self.parameters: dict[str, Tensor] = {
            name: nn.Parameter(_stacked(nets, name))
            for name, _ in self.net.named_parameters()
        }
        self.buffers = {
            name: _stacked(nets, name) for name, _ in self.net.named_buffers()
        }
        self.masks = list(_masks(nets, self.parameters))
        self.descent = Descent(self.parameters.values(), recipe)
        state = [*self.descent.tensors(), *self.buffers.values()]
        self._prepare(room(len(nets), data, recipe), state)

    def forward(self, x: Tensor) -> Tensor:
        """Map each replica's batch (R, N, C, H, W) to its scores (R, N, classes)."""
        raise NotImplementedError

    def _step(self) -> None:
        values = list(self.parameters.values())
        x, y = self.data.batch(self.index.flatten(), self.dtype)
        scores = self.forward(x.unflatten(0, self.index.shape)).flatten(0, 1)
        # The sum of the replicas' mean losses: each has its own gradient.
        loss = F.cross_entropy(scores, y, reduction="sum") / self.index.shape[1]
        gradients = torch.autograd.grad(loss, values)
        for value, gradient in zip(values, gradients, strict=True):
            value.grad = gradient.contiguous()  # as the fused optimizer takes it
        for value, mask in self.masks:
            assert value.grad is not None
            value.grad.mul_(mask)
        self.descent.step()

    def measure(self, sample: Split) -> list[tuple[float, float]]:
        """Return losses and accuracies; BatchNorm uses its running statistics."""
        self.net.eval()
        found = measured(self._scores, self.data, self.dtype, sample)
        self.net.train()
        return found

    def _scores(self, x: Tensor) -> Tensor:
        """Return every replica's class scores (R, N, classes) of one batch."""
        return self.forward(x.expand(len(self.nets), *x.shape))

    def rows(self) -> list[list[Tensor]]:
        """Return each replica's values and statistics, which may be written to."""
        whole = [*self.parameters.values(), *self.buffers.values()]
        return [[t.detach()[number] for t in whole] for number in range(len(self.nets))]

    @torch.no_grad()
    def write(self) -> None:
        """Copy the values into the networks."""
        states = [net.state_dict(keep_vars=True) for net in self.nets]
        for name, values in (self.parameters | self.buffers).items():
            for state, value in zip(states, values, strict=True):
                state[name].copy_(value)


class Grouped(AsOne):
    """The replicas' channels side by side: convolutions with a group for each."""

    layers = WIDE

    def forward(self, x: Tensor) -> Tensor:
        """Map each replica's batch (R, N, C, H, W) to its scores (R, N, classes)."""
        wide = x.transpose(0, 1).flatten(1, 2)
        scores: Tensor = functional_call(
            self.net, self.parameters | self.buffers, (wide,)
        )
        return scores.unflatten(1, (len(x), -1)).transpose(0, 1)


class Mapped(AsOne):
    """One forward pass, mapped over the replicas."""

    def forward(self, x: Tensor) -> Tensor:
        """Map each replica's batch (R, N, C, H, W) to its scores (R, N, classes)."""
        scores: Tensor = vmap(self._one)(self.parameters | self.buffers, x)
        return scores

    def _one(self, state: dict[str, Tensor], x: Tensor) -> Tensor:
        scores: Tensor = functional_call(self.net, state, (x,))
        return scores


def _template(net: nn.Module, layers: _Layers) -> nn.Module:
    """Return a copy of a network without masks, with other classes for its layers."""
    copy = deepcopy(net).train()
    for part in copy.modules():
        if isinstance(part, MaskedModule):
            for name in part.masked_names:
                del part._buffers[f"{name}_mask"]
            part.__class__ = part.masked_plain  # type: ignore[assignment]
        part.__class__ = layers.get(type(part), type(part))
    return copy


def _stacked(nets: Sequence[nn.Module], name: str) -> Tensor:
    """Return all networks' values of one parameter or buffer, (R, ...)."""
    return torch.stack([net.state_dict()[name] for net in nets])


def _masks(
    nets: Sequence[nn.Module], parameters: Mapping[str, Tensor]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield each weight of which something is pruned, and its masks: both (R, ...)."""
    found = [weights_and_masks(net) for net in nets]
    for name, value in parameters.items():
        mask = torch.ones_like(value)
        for row, each in zip(mask, found, strict=True):
            if name in each:
                row.copy_(each[name][1])
        if not bool(mask.all()):
            yield value, mask
