"""Masks: which weights are alive.

`masking.py` makes networks obey them.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from lth_utils.errors import LotteryError

State = dict[str, Tensor]


class Masks(Mapping[str, Tensor]):
    """Which weights are alive: a parameter's name to a boolean tensor.

    Immutable: pruning makes new masks. The tensors lie on the CPU and have
    their weights' shapes; names are those of `net.named_parameters()`, such
    as "fc1.weight".

    Args:
        tensors: Name to a tensor of 0/1 or booleans.

    Raises:
        LotteryError: If a value is neither 0 nor 1.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = {name: _as_bool(name, t) for name, t in tensors.items()}

    @classmethod
    def ones(cls, shaped: "nn.Module | Masks") -> "Masks":
        """Return masks in which every weight is alive.

        Args:
            shaped: A masked network, or masks, to take names and shapes from.
        """
        masks = shaped if isinstance(shaped, Masks) else masks_of(shaped)
        return cls({name: torch.ones_like(mask) for name, mask in masks.items()})

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __eq__(self, other: object) -> bool:
        """Two masks are equal when names, shapes and every entry are."""
        if not isinstance(other, Masks):
            return NotImplemented
        return self.keys() == other.keys() and all(
            torch.equal(mask, other[name]) for name, mask in self.items()
        )

    __hash__ = None  # type: ignore[assignment]  # equal by content, like a dict

    def __repr__(self) -> str:
        return (
            f"Masks({self.remaining:,} of {self.total:,} weights,"
            f" density {self.density:.2%})"
        )

    @property
    def total(self) -> int:
        """The number of weights, alive or not."""
        return sum(mask.numel() for mask in self.values())

    @property
    def remaining(self) -> int:
        """The number of weights alive."""
        return sum(self.counts().values())

    @property
    def density(self) -> float:
        """The fraction of weights alive (the paper's P_m), in [0, 1]."""
        return self.remaining / self.total

    @property
    def sparsity(self) -> float:
        """The fraction of weights pruned, which is 1 - density."""
        return 1 - self.density

    def counts(self) -> dict[str, int]:
        """The number of weights alive in each layer."""
        return {name: int(mask.sum()) for name, mask in self.items()}

    def layer_density(self) -> dict[str, float]:
        """The fraction of weights alive in each layer, in [0, 1]."""
        return {name: n / self[name].numel() for name, n in self.counts().items()}


def _as_bool(name: str, tensor: Tensor) -> Tensor:
    """Return an own CPU copy of `tensor` as booleans; raises if not 0/1."""
    values = torch.as_tensor(tensor).detach().cpu()
    alive = values != 0
    if values.dtype != torch.bool and not torch.equal(alive.to(values.dtype), values):
        raise LotteryError(
            f"The mask of {name!r} holds values other than 0 and 1:"
            " expected 1 for each weight that is alive and 0 for each that is"
            " pruned; build it by a comparison, such as weight.abs() > 0.1."
        )
    return alive.clone()


def holders(net: nn.Module) -> dict[str, list[tuple[nn.Module, str]]]:
    """Return who holds each masked weight: a Parameter's name to its places.

    A place is a module and the weight's name in it. A weight that several
    modules share has one name, the first of `net.named_parameters()`, and
    several places.

    Raises:
        LotteryError: If a masked weight is no Parameter any more.
    """
    names = {id(weight): name for name, weight in net.named_parameters()}
    found: dict[str, list[tuple[nn.Module, str]]] = {}
    for place, module in net.named_modules():
        for local in getattr(module, "masked_names", ()):
            weight = module._parameters.get(local)
            if weight is None:
                raise LotteryError(
                    f"The masked weight {local!r} of {place or type(net).__name__} is"
                    " no Parameter any more: expected one. Parametrize, normalize or"
                    " exchange weights in the plain network, then mask it."
                )
            found.setdefault(names[id(weight)], []).append((module, local))
    return found


def weights_and_masks(net: nn.Module) -> dict[str, tuple[nn.Parameter, Tensor]]:
    """Return each masked weight with the mask that it obeys, by name.

    Empty for a network without masks.
    """
    return {
        name: (module.get_parameter(local), module.get_buffer(f"{local}_mask"))
        for name, ((module, local), *_) in holders(net).items()
    }


def masked_weights(net: nn.Module) -> dict[str, nn.Parameter]:
    """Return the weights that have a mask, by name, in module order.

    Raises:
        LotteryError: If there are none.
    """
    return {name: weight for name, (weight, _) in _some(net).items()}


def masks_of(net: nn.Module) -> Masks:
    """Return the masks that `net` obeys, as copies on the CPU.

    Raises:
        LotteryError: If it has none.
    """
    return Masks({name: mask for name, (_, mask) in _some(net).items()})


def _some(net: nn.Module) -> dict[str, tuple[nn.Parameter, Tensor]]:
    found = weights_and_masks(net)
    if not found:
        raise LotteryError(
            f"{type(net).__name__} has no masked weights: expected a network made"
            " by lth.masked(net)."
        )
    return found


def check_fit(masks: Masks, weights: Mapping[str, Tensor]) -> None:
    """Check that `masks` has the names and shapes of `weights`.

    Raises:
        LotteryError: If it has not; names the first difference.
    """
    if masks.keys() != weights.keys():
        raise LotteryError(
            f"The masks are for {', '.join(masks)}, but the network's masked"
            f" layers are {', '.join(weights)}: expected one mask for each; take"
            " masks that were made for this network."
        )
    for name, weight in weights.items():
        if masks[name].shape != weight.shape:
            raise LotteryError(
                f"The mask of {name!r} has the shape {tuple(masks[name].shape)}:"
                f" expected its weight's, {tuple(weight.shape)}; take masks that"
                " were made for this network."
            )
