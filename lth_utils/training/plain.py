"""Which networks a fast engine may take: those that do what their classes say.

Plain is a network of float32 or float64 on ordinary parameters, all of them
free to move, to which nobody listens and which nobody has changed. A class is
known by the file that holds its forward pass.
"""

from collections.abc import Container, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.modules import module as registry

from lth_utils.masked_modules import Keeper, MaskedConv2d, MaskedLinear
from lth_utils.models import VGG19, Conv2, Conv4, Conv6, ResNet20
from lth_utils.models.layers import Dropout
from lth_utils.models.resnet import Block

NETWORKS = (Conv2, Conv4, Conv6, ResNet20, VGG19)
LAYERS = (nn.Conv2d, MaskedConv2d, nn.Linear, MaskedLinear, nn.BatchNorm2d)
_KINDS = (*NETWORKS, *LAYERS, Dropout, Block, nn.Sequential)
_HOMES = {kind.__module__ for kind in _KINDS}


def convolutional(net: nn.Module) -> bool:
    """Whether `net` is one of the library's convolutional networks, and plain.

    Parameters are its layers' alone, and all of its modules train, or none.
    """
    if type(net) not in NETWORKS:
        return False
    parts, parameters = list(net.modules()), list(net.parameters())
    return (
        all(type(part) in _KINDS and plain(part, _HOMES) for part in parts)
        and all(isinstance(part, LAYERS) or not part._parameters for part in parts)
        and len({part.training for part in parts}) == 1
        and ordinary_parameters(parameters)
        and not torch.is_autocast_enabled(parameters[0].device.type)
    )


def plain(part: nn.Module, homes: Container[str]) -> bool:
    """Whether a module does what its class says, unheard and unchanged.

    Args:
        part: The module.
        homes: Where its class's forward pass may have been written.
    """
    heard = any(
        getattr(part, f"_{way}_{kind}") or getattr(registry, f"_global_{way}_{kind}")
        for way in ("forward", "backward")
        for kind in ("hooks", "pre_hooks")
    )
    home = getattr(type(part).forward, "__globals__", {}).get("__name__")
    changed = home not in homes or "forward" in vars(part)
    return not heard and not changed and part._compiled_call_impl is None


def ordinary_parameters(parameters: Sequence[nn.Parameter]) -> bool:
    """Whether parameters are alike, free, unheard, and each in a place of its own."""
    first = parameters[0]
    alike = first.dtype in (torch.float32, torch.float64) and all(
        type(p) is nn.Parameter
        and (p.dtype, p.device) == (first.dtype, first.device)
        and p.requires_grad
        and p.layout == torch.strided
        and p.is_contiguous()
        and not _heard(p)
        for p in parameters
    )
    if not alike:
        return False
    spans = sorted((p.data_ptr(), p.data_ptr() + p.nbytes) for p in parameters)
    return all(end <= start for (_, end), (start, _) in pairwise(spans))


def _heard(parameter: nn.Parameter) -> bool:
    """Whether a hook other than a mask's keeper is on a parameter."""
    hooks = (parameter._backward_hooks, parameter._post_accumulate_grad_hooks)
    each = (hook for some in hooks for hook in (some or {}).values())
    return any(not isinstance(hook, Keeper) for hook in each)


def mask_of(layer: nn.Linear | nn.Conv2d) -> Tensor:
    """Return a layer's mask as booleans of its weight's shape; all True if none."""
    if isinstance(layer, (MaskedLinear, MaskedConv2d)):
        mask: Tensor = layer.mask
        return mask != 0
    return torch.ones_like(layer.weight, dtype=torch.bool)
