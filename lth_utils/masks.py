"""Masks, and networks that obey them.

A mask says which weights are alive. A masked layer computes exactly what the
plain layer computes; only its gradient is multiplied by the mask. So a weight
that starts at 0 stays at 0, with momentum and weight decay too, as long as
the optimizer is fresh: its moments never see anything but 0. Biases and
BatchNorm parameters are never masked (paper, section 2).
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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
        if isinstance(shaped, Masks):
            return cls({name: torch.ones_like(m) for name, m in shaped.items()})
        layers = masked_layers(shaped)
        return cls({name: torch.ones_like(la.mask) for name, la in layers.items()})

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
    values = tensor.detach().cpu()
    alive = values != 0
    if values.dtype != torch.bool and not torch.equal(alive.to(values.dtype), values):
        raise LotteryError(
            f"The mask of {name!r} holds values other than 0 and 1:"
            " expected 1 for each weight that is alive and 0 for each that is"
            " pruned; build it by a comparison, such as weight.abs() > 0.1."
        )
    return alive.clone()


class _MaskedGradient(torch.autograd.Function):
    """The identity, whose gradient is multiplied by the mask.

    A function rather than a hook on the parameter: a copied or moved layer
    keeps obeying its mask, while a hook is lost by `copy.deepcopy`.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, mask: Tensor) -> Tensor:
        ctx.save_for_backward(mask)
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (mask,) = ctx.saved_tensors
        return gradients[0] * mask, None


class MaskedLinear(nn.Linear):
    """A linear layer whose pruned weights stay exactly 0.

    `mask` has the weight's shape (out, in) and dtype, 1 for alive. It is no
    part of `state_dict`, which is the plain layer's.
    """

    mask: Tensor

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., in) to (..., out), as the plain layer does."""
        weight: Tensor = _MaskedGradient.apply(self.weight, self.mask)
        return F.linear(input, weight, self.bias)


class MaskedConv2d(nn.Conv2d):
    """A convolution whose pruned weights stay exactly 0.

    `mask` has the weight's shape (out, in / groups, height, width) and dtype.
    """

    mask: Tensor

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, in, H, W) to (N, out, H', W'), as the plain layer does."""
        weight: Tensor = _MaskedGradient.apply(self.weight, self.mask)
        return self._conv_forward(input, weight, self.bias)


MASKED: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: MaskedLinear,
    nn.Conv2d: MaskedConv2d,
}


def masked(net: nn.Module) -> nn.Module:
    """Return a copy of `net` whose linear and convolution layers are masked.

    Every weight of the copy is alive; its parameters, their names and what it
    computes are those of `net`, which stays as it is.

    Raises:
        LotteryError: If `net` has no plain linear or convolution layer.
    """
    net = copy.deepcopy(net)
    plain = [layer for layer in net.modules() if type(layer) in MASKED]
    for layer in plain:
        # The layer keeps its parameters, buffers and hooks; only its class,
        # and so its backward pass, becomes another.
        layer.__class__ = MASKED[type(layer)]
        weight = layer.get_parameter("weight")
        layer.register_buffer("mask", torch.ones_like(weight), persistent=False)
    if not plain and not _masked_layers(net):
        raise LotteryError(
            f"{type(net).__name__} has nothing to mask: expected at least one"
            " nn.Linear or nn.Conv2d among its modules."
        )
    return net


def _masked_layers(net: nn.Module) -> dict[str, MaskedLinear | MaskedConv2d]:
    """Return the masked layers by their weights' names, in module order."""
    return {
        f"{name}.weight" if name else "weight": layer
        for name, layer in net.named_modules()
        if isinstance(layer, MaskedLinear | MaskedConv2d)
    }


def masked_layers(net: nn.Module) -> dict[str, MaskedLinear | MaskedConv2d]:
    """Return the masked layers by their weights' names, in module order.

    Raises:
        LotteryError: If there are none.
    """
    layers = _masked_layers(net)
    if not layers:
        raise LotteryError(
            f"{type(net).__name__} has no masked layers: expected a network made"
            " by lth.masked(net)."
        )
    return layers


def masks_of(net: nn.Module) -> Masks:
    """Return the masks that `net` obeys, as copies on the CPU."""
    return Masks({name: layer.mask for name, layer in masked_layers(net).items()})


def apply_masks(net: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Make `net` obey `masks`: pruned weights become, and stay, exactly 0.

    Raises:
        LotteryError: If names or shapes differ from the network's, or a value
            is neither 0 nor 1; `net` is then unchanged.
    """
    checked = masks if isinstance(masks, Masks) else Masks(masks)
    layers = masked_layers(net)
    check_fit(checked, {name: layer.weight for name, layer in layers.items()})
    with torch.no_grad():
        for name, layer in layers.items():
            layer.mask.copy_(checked[name])
            # Not weight * mask: that would leave -0.0, and NaN from infinity.
            layer.weight.masked_fill_(layer.mask == 0, 0)


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


def snapshot(net: nn.Module) -> State:
    """Return copies of all parameters and buffers (BatchNorm's too).

    The copies share no memory with `net`: training it does not change them.
    Masks are not part of it.
    """
    return {name: t.detach().clone() for name, t in net.state_dict().items()}


def rewind(
    net: nn.Module, init: State, masks: Mapping[str, Tensor] | None = None
) -> None:
    """Set `net` back to `init`, biases and BatchNorm statistics included.

    Args:
        net: A masked network, changed in place.
        init: What `snapshot` returned; copied, never shared.
        masks: The masks to obey from now on; None keeps those it has.

    Raises:
        LotteryError: If `init` or `masks` belongs to another network.
    """
    masks = masks_of(net) if masks is None else masks
    try:
        net.load_state_dict(init)
    except RuntimeError as error:
        raise LotteryError(
            f"These weights are of another network than {type(net).__name__}:"
            f" expected what lth.snapshot(net) returned. ({error})"
        ) from error
    apply_masks(net, masks)


def kinds(net: nn.Module) -> dict[str, str]:
    """Return each weight's kind of layer: the paper gives each its own rate.

    Returns:
        Name to "conv", "shortcut" (1x1 convolutions, which the paper leaves
        unpruned), "fc", or "output" (the last linear layer).
    """
    found = {name: _kind(layer) for name, layer in masked_layers(net).items()}
    linear = [name for name, kind in found.items() if kind == "fc"]
    return found | {name: "output" for name in linear[-1:]}  # noqa: C420


def _kind(layer: MaskedLinear | MaskedConv2d) -> str:
    if isinstance(layer, MaskedLinear):
        return "fc"
    return "shortcut" if layer.kernel_size == (1, 1) else "conv"
