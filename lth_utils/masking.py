"""Networks that obey masks.

`masked_modules.py` is how they do. Biases and the parameters of norms are never
masked (paper, section 2).
"""

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from warnings import warn

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.parameter import is_lazy

from lth_utils.errors import LotteryError
from lth_utils.masked_modules import Keeper, MaskedModule, mask_module
from lth_utils.masks import Masks, State, check_fit, holders, masked_weights, masks_of

_NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


def masked(net: nn.Module) -> nn.Module:
    """Return a copy of `net` whose weights are masked.

    A weight is a Parameter of two or more dimensions whose name says so, in
    any module but a norm: of linear, convolutional, recurrent, attention and
    embedding layers, and of your own. Every weight of the copy is alive, unless
    it has a mask already; its parameters, their names and what it computes are
    those of `net`, which stays as it is. What has two or more dimensions and
    stays dense is named in a warning.

    Raises:
        LotteryError: If `net` cannot be copied, has weights that torch has not
            made yet (lazy modules), or has no weight to mask.
    """
    net = _copied(net)
    for module in net.modules():
        names = _weights(module)
        if names and not isinstance(module, MaskedModule):
            mask_module(module, names)
    obey(net)  # a weight that came with a mask shares it with all its places
    covered = holders(net)
    norms = {
        id(p) for m in net.modules() if isinstance(m, _NORMS) for p in m.parameters()
    }
    dense = {
        name: parameter.numel()
        for name, parameter in net.named_parameters()
        if parameter.dim() > 1 and name not in covered
        if id(parameter) not in norms and "bias" not in name
    }
    rest = ", ".join(f"{name} ({count:,} weights)" for name, count in dense.items())
    if not covered:
        raise LotteryError(
            f"{type(net).__name__} has nothing to mask: expected at least one module"
            " with a Parameter of two or more dimensions that is called a weight,"
            " such as nn.Linear or nn.Conv2d."
            + (f" It has only {rest}." if rest else "")
        )
    if rest:
        warn(f"lth.masked leaves dense: {rest}.", stacklevel=2)
    return net


def _weights(module: nn.Module) -> tuple[str, ...]:
    """Return the names of the Parameters of a module that can be masked."""
    if isinstance(module, (*_NORMS, torch.jit.ScriptModule)):
        return ()
    return tuple(
        name
        for name, weight in module._parameters.items()
        if weight is not None and weight.dim() > 1 and "weight" in name
        if weight.is_floating_point() or weight.is_complex()
    )


def _copied(net: nn.Module) -> nn.Module:
    """Return a deep copy; raises where a copy could not be masked."""
    lazy = [name for name, parameter in net.named_parameters() if is_lazy(parameter)]
    if lazy:
        raise LotteryError(
            f"{type(net).__name__} has weights without a shape yet:"
            f" {', '.join(lazy)}. Expected a network that has seen a batch: run one"
            " through it, then mask it."
        )
    try:
        twin = copy.deepcopy(net)
    except (RuntimeError, TypeError) as error:
        raise LotteryError(
            f"{type(net).__name__} cannot be copied, and so not masked: expected plain"
            " Parameters and nothing that has no copy. Some module computes its weight"
            " anew each time, as torch.nn.utils.prune and the old weight_norm do, or"
            " keeps a computed tensor, such as an activation, or a lock. Undo that"
            f" first (prune.remove, remove_weight_norm, or delete it). ({error})"
        ) from error
    for mine, its in zip(net.parameters(), twin.parameters(), strict=True):
        _share_hooks(mine, its)
    return twin


def _share_hooks(one: nn.Parameter, other: nn.Parameter) -> None:
    """Hang a Parameter's hooks on its copy, which comes without them."""
    for hook in (one._backward_hooks or {}).values():
        if not isinstance(hook, Keeper):
            other.register_hook(hook)
    for hook in (one._post_accumulate_grad_hooks or {}).values():
        other.register_post_accumulate_grad_hook(hook)


def apply_masks(net: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Make `net` obey `masks`: pruned weights become, and stay, exactly 0.

    Args:
        net: A masked network, changed in place.
        masks: Each weight's name to 0/1 or booleans of its shape.

    Raises:
        LotteryError: If names or shapes differ from the network's, or a value
            is neither 0 nor 1; `net` is then unchanged.
    """
    checked = masks if isinstance(masks, Masks) else Masks(masks)
    check_fit(checked, masked_weights(net))
    for name, places in holders(net).items():
        for module, local in places:
            module.get_buffer(f"{local}_mask").copy_(checked[name])
    obey(net)


def obey(net: nn.Module) -> None:
    """Set to 0 what was written into pruned weights behind their masks.

    `train` and `evaluate` begin with it, and need not know whether `net` is
    masked. What writes past all hooks is `nn.init` and `weight.data`.
    """
    for places in holders(net).values():
        if len(places) > 1:  # one weight, one mask: what one pruned, all did
            masks = [module.get_buffer(f"{local}_mask") for module, local in places]
            alive = torch.stack(masks).prod(0)
            for mask in masks:
                mask.copy_(alive)
    for module in _masked_modules(net):
        module.masked_clear()


def _masked_modules(net: nn.Module) -> list[MaskedModule]:
    return [module for module in net.modules() if isinstance(module, MaskedModule)]


@contextmanager
def unmasked(modules: Iterable[MaskedModule]) -> Iterator[None]:
    """Let masked modules read their weights bare: for an engine's own loop.

    The engine promises that pruned weights are 0, and masks the gradients
    itself, all in one call; that spares a pass over the weights each way.
    """
    before = [(module, module.masked_bare) for module in modules]
    for module, _ in before:
        module.__dict__["masked_bare"] = True
    try:
        yield
    finally:
        for module, bare in before:
            module.__dict__["masked_bare"] = bare


def snapshot(net: nn.Module) -> State:
    """Return copies of all parameters and buffers (BatchNorm's too).

    The copies share no memory with `net`: training it does not change them.
    Masks are not part of it, so it is the state of the plain network.
    """
    masks = {
        id(module.masked_by(local))
        for module in _masked_modules(net)
        for local in module.masked_names
    }
    state = net.state_dict(keep_vars=True)
    return {n: t.detach().clone() for n, t in state.items() if id(t) not in masks}


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
        unpruned), "output" (the last linear layer) or "fc" (any other).

    Raises:
        LotteryError: If `net` has no masked weights.
    """
    found = dict.fromkeys(masked_weights(net), "fc")
    last = ""
    for name, places in holders(net).items():
        for module, _ in places:
            if isinstance(module, nn.Linear):
                last = name
            elif isinstance(module, _ConvNd):
                single = all(side == 1 for side in module.kernel_size)
                found[name] = "shortcut" if single else "conv"
    return found | ({last: "output"} if last else {})
