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

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from lth_utils.data.datasets import Dataset
from lth_utils.data.splits import Split
from lth_utils.errors import LotteryError, choose
from lth_utils.training.gpu.as_one import Grouped, Mapped
from lth_utils.training.gpu.stack import Stack
from lth_utils.training.gpu.streams import Streams
from lth_utils.training.lenet.mlp import linear_layers
from lth_utils.training.plain import convolutional
from lth_utils.training.probe import check_match
from lth_utils.training.recipes import Recipe

# The default is the one whose kernels are those of a network alone: it cannot
# take longer than one after the other, and its replicas do not depend on how
# many there are.
WAYS = ("streams", "grouped", "mapped")


class Replicas(Protocol):
    """What `train_together` asks of networks that train together."""

    def step(self, index: Tensor) -> None:
        """Take one optimizer step of every replica, on its images (R, batch_size)."""

    def measure(self, sample: Split) -> list[tuple[float, float]]:
        """Return every replica's mean loss in nats and accuracy, a fraction."""

    def rows(self) -> list[list[Tensor]]:
        """Return each replica's values, which may be written to."""

    def write(self) -> None:
        """Bring the networks' parameters and buffers up to date."""


_AS_ONE: dict[str, Callable[[Sequence[nn.Module], Dataset, Recipe], Replicas]] = {
    "grouped": Grouped,
    "mapped": Mapped,
}


def together(
    nets: Sequence[nn.Module],
    data: Dataset,
    recipe: Recipe,
    keys: Sequence[tuple[int, int]],
    way: str = WAYS[0],
) -> Replicas:
    """Return what trains networks of one shape together.

    Args:
        nets: LeNets, or convolutional networks of this library; masked or not,
            on one device.
        data: On the same device.
        recipe: Their optimizer.
        keys: Each network's (seed, round).
        way: One of WAYS, for convolutional networks; with dropout it is the first.

    Raises:
        LotteryError: If there is no such way, or the networks are none of these,
            of several shapes or types, have no place for the recipe's dropout, or
            do not match the data set.
    """
    choose("way to train together", way, WAYS)
    if linear_layers(nets[0]) is not None:
        recipe.check_places(type(nets[0]).__name__, there=False)
        return Stack(nets, data, recipe)
    if any(_form(net) != _form(nets[0]) for net in nets):
        raise LotteryError(
            "These networks have different widths or types: expected networks of one"
            " shape to train together; train the others apart."
        )
    for net in nets:
        _check_plain(net)
    check_match(nets[0], data)
    if way in _AS_ONE and not recipe.dropout:
        return _AS_ONE[way](nets, data, recipe)
    return Streams(nets, data, recipe, keys)


def _check_plain(net: nn.Module) -> None:
    """Check that a network does what its class says, unheard and unchanged.

    Raises:
        LotteryError: If it does not.
    """
    norms = [part for part in net.modules() if isinstance(part, nn.BatchNorm2d)]
    convs = [part for part in net.modules() if isinstance(part, nn.Conv2d)]
    as_made = (
        convolutional(net)
        and all(conv.padding_mode == "zeros" for conv in convs)
        and all(n.affine and n.track_running_stats and n.momentum for n in norms)
    )
    if not as_made:
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
