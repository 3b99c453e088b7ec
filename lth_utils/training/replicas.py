"""Many networks of one shape, trained together: for a GPU.

A small network's step leaves a GPU idle nearly all the time. LeNets become one
stack (`stack.py`). The convolutional networks have three ways, and which is the
fastest depends on the card (`make gpu` measures):

grouped   R networks as one whose convolutions have R groups
mapped    one network's forward pass, mapped over a leading axis of replicas by
          `torch.func.vmap`
streams   each network's own step, recorded once, replayed on a stream of its own

Replicas never mix: each has its own batches, masks, moments and statistics.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional as F

from lth_utils.data.datasets import Dataset
from lth_utils.errors import LotteryError, choose
from lth_utils.masked_modules import MaskedConv2d, MaskedLinear, MaskedModule
from lth_utils.masks import weights_and_masks
from lth_utils.models import VGG19, Conv2, Conv4, Conv6, ResNet20
from lth_utils.training.engines import Autograd, Descent
from lth_utils.training.graphs import record, side_stream
from lth_utils.training.mlp import linear_layers, ordinary_parameters, plain
from lth_utils.training.probe import check_match
from lth_utils.training.recipes import Recipe
from lth_utils.training.stack import Stack
from lth_utils.training.wide import WIDE

# The default is the one whose kernels are those of a network alone: it cannot
# take longer than one after the other, and its replicas do not depend on how
# many there are.
WAYS = ("streams", "grouped", "mapped")

_LANES = 8  # streams; each keeps work space, and more were never measured
_NETWORKS = (Conv2, Conv4, Conv6, ResNet20, VGG19)
_LAYERS = (*WIDE, MaskedConv2d, MaskedLinear, nn.Sequential)
_HOMES = {kind.__module__ for kind in (*_NETWORKS, *_LAYERS)}  # of their forwards


class Replicas(Protocol):
    """What `train_together` asks of networks that train together."""

    def step(self, index: Tensor) -> None:
        """Take one optimizer step of every replica, on its images (R, batch_size)."""

    def scores(self, x: Tensor) -> Tensor:
        """Return all class scores (R, N, classes) of a scaled batch (N, C, H, W)."""

    def write(self) -> None:
        """Bring the networks' parameters and buffers up to date."""


def together(
    nets: Sequence[nn.Module], data: Dataset, recipe: Recipe, way: str = WAYS[0]
) -> Replicas:
    """Return what trains networks of one shape together.

    Args:
        nets: LeNets, or convolutional networks of this library; masked or not,
            on one device.
        data: On the same device.
        recipe: Their optimizer.
        way: One of WAYS, for convolutional networks.

    Raises:
        LotteryError: If there is no such way, or the networks are none of these,
            of several shapes or types, or do not match the data set.
    """
    choose("way to train together", way, WAYS)
    if linear_layers(nets[0]) is not None:
        return Stack(nets, data, recipe)
    if any(_form(net) != _form(nets[0]) for net in nets):
        raise LotteryError(
            "These networks have different widths or types: expected networks of one"
            " shape to train together; train the others apart."
        )
    for net in nets:
        _check_plain(net)
    check_match(nets[0], data)
    return _KINDS[way](nets, data, recipe)


def _check_plain(net: nn.Module) -> None:
    """Check that a network does what its class says, unheard and unchanged.

    Raises:
        LotteryError: If it does not.
    """
    kinds = {type(part) for part in net.modules()} - {type(net)}
    norms = [part for part in net.modules() if isinstance(part, nn.BatchNorm2d)]
    as_made = (
        type(net) in _NETWORKS
        and all(k in _LAYERS or k.__module__ == type(net).__module__ for k in kinds)
        and all(plain(part, _HOMES) for part in net.modules())
        and all(n.affine and n.track_running_stats and n.momentum for n in norms)
        and len({part.training for part in net.modules()}) == 1
    )
    if not as_made or not ordinary_parameters(list(net.parameters())):
        raise LotteryError(
            f"{type(net).__name__} cannot be stacked: expected a plain LeNet or a"
            " convolutional network of this library, of float32 or float64, with no"
            " layer exchanged, frozen or hooked; train it alone."
        )


def _form(net: nn.Module) -> list[Any]:
    """Return all that decides what a network computes, but for its values."""
    parts = [
        (name, getattr(part, "masked_plain", type(part)), part.extra_repr())
        for name, part in net.named_modules()
    ]
    return [*parts, *((p.shape, p.dtype) for p in net.parameters())]


class _AsOne:
    """R networks whose step is one: parameters have a leading axis of replicas.

    Args:
        nets: Networks of one form; changed by `write` alone.
        data: The data set.
        recipe: Their optimizer.
    """

    layers: ClassVar[Mapping[type[nn.Module], type[nn.Module]]] = {}

    def __init__(
        self, nets: Sequence[nn.Module], data: Dataset, recipe: Recipe
    ) -> None:
        self.nets, self.data = nets, data
        self.net = _template(nets[0], self.layers)
        self.parameters = {
            name: nn.Parameter(_stacked(nets, name))
            for name, _ in self.net.named_parameters()
        }
        self.buffers = {
            name: _stacked(nets, name) for name, _ in self.net.named_buffers()
        }
        self.masks = list(_masks(nets, self.parameters))
        self.descent = Descent(self.parameters.values(), recipe)
        self.index = torch.zeros(
            (len(nets), recipe.batch_size), dtype=torch.int64, device=data.device
        )
        self.graph: torch.cuda.CUDAGraph | None = None
        if data.device.type == "cuda":
            self.graph = record(self._step, self._state(), side_stream(data.device))

    def _state(self) -> Iterator[Tensor]:
        """Yield what a step changes: parameters and moments, statistics."""
        for row in self.descent.state:
            yield from row
        yield from self.buffers.values()

    def forward(self, x: Tensor) -> Tensor:
        """Map each replica's batch (R, N, C, H, W) to its scores (R, N, classes)."""
        raise NotImplementedError

    def step(self, index: Tensor) -> None:
        """Take one optimizer step of every replica.

        Args:
            index: Each replica's batch, (R, batch_size), on any device.
        """
        self.index.copy_(index)
        if self.graph is None:
            self._step()
        else:
            self.graph.replay()

    def _step(self) -> None:
        flat, values = self.index.flatten(), list(self.parameters.values())
        images = self.data.train.images.index_select(0, flat)
        x = self.data.scale(images, values[0].dtype).unflatten(0, self.index.shape)
        y = self.data.train.labels.index_select(0, flat)
        scores = self.forward(x).flatten(0, 1)
        # The sum of the replicas' mean losses: each has its own gradient.
        loss = F.cross_entropy(scores, y, reduction="sum") / self.index.shape[1]
        gradients = torch.autograd.grad(loss, values)
        for value, gradient in zip(values, gradients, strict=True):
            value.grad = gradient.contiguous()  # as the fused optimizer takes it
        for value, mask in self.masks:
            assert value.grad is not None
            value.grad.mul_(mask)
        self.descent.step()

    @torch.no_grad()
    def scores(self, x: Tensor) -> Tensor:
        """Return every replica's class scores (R, N, classes) of one batch."""
        self.net.eval()
        scores = self.forward(x.expand(len(self.nets), *x.shape))
        self.net.train()
        return scores

    @torch.no_grad()
    def write(self) -> None:
        """Copy the values into the networks."""
        states = [net.state_dict(keep_vars=True) for net in self.nets]
        for name, values in (self.parameters | self.buffers).items():
            for state, value in zip(states, values, strict=True):
                state[name].copy_(value)


class Grouped(_AsOne):
    """The replicas' channels side by side: convolutions with a group for each."""

    layers = WIDE

    def forward(self, x: Tensor) -> Tensor:
        """Map each replica's batch (R, N, C, H, W) to its scores (R, N, classes)."""
        wide = x.transpose(0, 1).flatten(1, 2)
        scores = functional_call(self.net, (self.parameters, self.buffers), (wide,))
        return scores.unflatten(1, (len(x), -1)).transpose(0, 1)


class Mapped(_AsOne):
    """One forward pass, mapped over the replicas."""

    def forward(self, x: Tensor) -> Tensor:
        """Map each replica's batch (R, N, C, H, W) to its scores (R, N, classes)."""
        return vmap(self._one)(self.parameters, self.buffers, x)

    def _one(
        self, parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor
    ) -> Tensor:
        scores: Tensor = functional_call(self.net, (parameters, buffers), (x,))
        return scores


class Streams:
    """Each network's own step, recorded as a graph; several run at a time.

    Without CUDA they run one after the other.

    Args:
        nets: Networks of one form, trained in place.
        data: The data set.
        recipe: Their optimizer.
    """

    def __init__(
        self, nets: Sequence[nn.Module], data: Dataset, recipe: Recipe
    ) -> None:
        self.engines = [Autograd(net, recipe) for net in nets]
        self.data = data
        self.index = torch.zeros(
            (len(nets), recipe.batch_size), dtype=torch.int64, device=data.device
        )
        self.graphs: list[tuple[torch.cuda.Stream, torch.cuda.CUDAGraph]] = []
        if data.device.type == "cuda":
            for number, engine in enumerate(self.engines):
                self.graphs.append(self._recorded(number, engine))

    def _recorded(
        self, number: int, engine: Autograd
    ) -> tuple[torch.cuda.Stream, torch.cuda.CUDAGraph]:
        stream = side_stream(self.data.device, number % _LANES)
        moments = [tensor for row in engine.descent.state for tensor in row]
        state = [*moments, *engine.net.buffers()]
        return stream, record(lambda: self._step(number), state, stream)

    def _step(self, number: int) -> None:
        """Take one step of one network."""
        engine, index = self.engines[number], self.index[number]
        images = self.data.train.images.index_select(0, index)
        labels = self.data.train.labels.index_select(0, index)
        dtype = engine.descent.state[0][0].dtype
        engine.step(self.data.scale(images, dtype), labels)

    def step(self, index: Tensor) -> None:
        """Take one optimizer step of every replica.

        Args:
            index: Each replica's batch, (R, batch_size), on any device.
        """
        self.index.copy_(index)
        if not self.graphs:
            for number in range(len(self.engines)):
                self._step(number)
            return
        now = torch.cuda.current_stream(self.data.device)
        lanes = dict.fromkeys(stream for stream, _ in self.graphs)
        for stream in lanes:
            stream.wait_stream(now)
        for stream, graph in self.graphs:
            with torch.cuda.stream(stream):
                graph.replay()
        for stream in lanes:
            now.wait_stream(stream)

    @torch.no_grad()
    def scores(self, x: Tensor) -> Tensor:
        """Return every replica's class scores (R, N, classes) of one batch."""
        return torch.stack([engine.scores(x) for engine in self.engines])

    def write(self) -> None:
        """Lay the parameters out row by row, as they were found."""
        for engine in self.engines:
            engine.write()


_KINDS = {"streams": Streams, "grouped": Grouped, "mapped": Mapped}


def _template(
    net: nn.Module, layers: Mapping[type[nn.Module], type[nn.Module]]
) -> nn.Module:
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
    nets: Sequence[nn.Module], parameters: Mapping[str, nn.Parameter]
) -> Iterator[tuple[nn.Parameter, Tensor]]:
    """Yield each weight of which something is pruned, and its masks: both (R, ...)."""
    found = [weights_and_masks(net) for net in nets]
    for name, value in parameters.items():
        mask = torch.ones_like(value)
        for row, each in zip(mask, found, strict=True):
            if name in each:
                row.copy_(each[name][1])
        if not bool(mask.all()):
            yield value, mask
