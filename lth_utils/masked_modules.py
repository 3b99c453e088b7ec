"""Modules that obey masks: a pruned weight is 0, whoever wrote it.

A masked module is the plain module with a mask beside each of its weights (the
buffer `weight_mask` for `weight`). The mask holds

- in the forward pass, which reads the weight through its mask;
- in the backward pass: the gradient of whatever loss is 0 where the mask is;
- in every optimizer of torch, after whose step what it wrote is put back to 0;
- in a checkpoint: `state_dict` has the masks, and `load_state_dict` takes
  states with them or, the masks then staying as they are, without.
"""

import weakref
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.optimizer import register_optimizer_step_post_hook

from lth_utils.errors import LotteryError
from lth_utils.masks import State


class Keeper:
    """The hook on a masked weight that masks its gradient.

    The forward pass alone could not: a loss may use the weight past its module.
    It also leads from the weight to its mask, for the optimizers' sake.

    Args:
        module: Holds the weight and its mask.
        name: The weight's name in it.
    """

    __torch_unserializable__ = True  # a copied or loaded module makes its own

    def __init__(self, module: "MaskedModule", name: str) -> None:
        self.module, self.name = weakref.ref(module), name

    def __call__(self, gradient: Tensor) -> Tensor | None:
        """Return the gradient with 0 for every pruned weight."""
        module = self.module()
        if module is None or module.bare:
            return None
        mask = module.mask_of(self.name)
        if gradient.is_sparse:
            return gradient * mask
        return torch.where(mask, gradient, 0)


def _keeper(weight: Tensor) -> Keeper | None:
    """Return a weight's keeper, if it has one whose module still is there."""
    for hook in (weight._backward_hooks or {}).values():
        if isinstance(hook, Keeper) and hook.module() is not None:
            return hook
    return None


def _after_step(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Put back to 0 what an optimizer wrote into pruned weights.

    Most write nothing where the gradient is 0; Muon, or momentum from before
    the pruning, does.
    """
    for group in optimizer.param_groups:
        for weight in group["params"]:
            keeper = _keeper(weight)
            if keeper is not None and (module := keeper.module()) is not None:
                module.clear()


register_optimizer_step_post_hook(_after_step)


class MaskedModule(nn.Module):
    """What makes a module obey masks; mixed into its class before it.

    Attributes:
        plain: The module's class without masks.
        masked_names: The weights' names.
        bare: Whether the weights are known to be 0 where they are pruned, and
            their gradients are masked by someone else (`unmasked`).
    """

    plain: type[nn.Module]
    masked_names: tuple[str, ...] = ()
    bare: bool = False

    def mask_of(self, name: str) -> Tensor:
        """Return the mask of the weight `name`, booleans of its shape."""
        mask = self._buffers[f"{name}_mask"]
        assert mask is not None
        return mask

    @property
    def mask(self) -> Tensor:
        """The mask of `weight`: booleans of its shape."""
        return self.mask_of("weight")

    def alive(self, name: str) -> Tensor:
        """Return the weight `name` with 0 for what is pruned."""
        weight: Tensor = getattr(self, name)
        embeds = isinstance(self, nn.Embedding | nn.EmbeddingBag)
        if self.bare or (embeds and self.sparse):
            return weight  # whose sparse gradient must reach it, and its keeper
        return torch.where(self.mask_of(name), weight, 0)

    def begin(self, names: tuple[str, ...]) -> None:
        """Mask the weights `names`, every one of them alive."""
        self.masked_names = names
        for name in names:
            ones = torch.ones_like(self.get_parameter(name), dtype=torch.bool)
            self.register_buffer(f"{name}_mask", ones)
        self._keep()

    def _keep(self) -> None:
        """Give each weight its keeper, unless it has one."""
        for name in self.masked_names:
            weight = self._parameters.get(name)
            if weight is not None and _keeper(weight) is None:
                trained = weight.requires_grad
                weight.requires_grad_()  # a frozen weight may be thawed later
                weight.register_hook(Keeper(self, name))
                weight.requires_grad_(trained)

    @torch.no_grad()
    def clear(self) -> None:
        """Set to 0 whatever was written into pruned weights."""
        for name in self.masked_names:
            weight = self._parameters.get(name)
            if weight is not None:
                # Not weight * mask: that leaves -0.0, and NaN from infinity.
                weight.masked_fill_(~self.mask_of(name), 0)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute what the plain module does with its living weights."""
        # A compiler cannot follow the twin, and reads what is stored.
        if self.bare or torch.compiler.is_compiling():
            return self.plain.forward(self, *args, **kwargs)
        twin, own = self._twin()
        out = self.plain.forward(twin, *args, **kwargs)
        # What the module noted for itself on the way stays with it.
        noted = {k: v for k, v in twin.__dict__.items() if k not in own}
        self.__dict__.update(noted)
        return out

    def _twin(self) -> tuple[nn.Module, dict[str, Any]]:
        """Return the plain module with living weights, and what it has of its own.

        The rest it shares with this one. Nothing is exchanged in the module
        itself, which another thread may be using.
        """
        twin = object.__new__(self.plain)
        living = {name: self.alive(name) for name in self.masked_names}
        own: dict[str, Any] = {"_parameters": self._parameters | living}
        if isinstance(self, nn.RNNBase):
            weights = own["_parameters"]
            own["_flat_weights"] = [weights[n] for n in self._flat_weights_names]
        if isinstance(self, nn.MultiheadAttention):
            inner: nn.Module = self.out_proj
            if isinstance(inner, MaskedModule):  # whose weight it reads past it
                own["_modules"] = self._modules | {"out_proj": inner._twin()[0]}
        twin.__dict__ = self.__dict__ | own
        for name in living:  # where a replica of DataParallel has them
            twin.__dict__.pop(name, None)
        return twin, own

    def register_parameter(self, name: str, param: nn.Parameter | None) -> None:
        """Take a new Parameter; one in a masked weight's place obeys its mask.

        Raises:
            LotteryError: If it has another shape than the mask.
        """
        masked = name in self.masked_names
        if masked and param is not None and param.shape != self.mask_of(name).shape:
            raise LotteryError(
                f"The new {name} has the shape {tuple(param.shape)}, and its mask"
                f" {tuple(self.mask_of(name).shape)}: expected the same. Exchange"
                " the weight in the plain network, then mask it with lth.masked(net)."
            )
        super().register_parameter(name, param)
        if masked and param is not None:
            keeper = _keeper(param)
            if keeper is not None and (other := keeper.module()) is not None:
                # A weight that is shared from now on brings its mask along.
                self.mask_of(name).copy_(other.mask_of(keeper.name))
            self._keep()
            self.clear()

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> "MaskedModule":
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._keep()
        return self

    def _load_from_state_dict(
        self, state_dict: State, prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        for name in self.masked_names:  # a plain network's state has no masks
            state_dict.setdefault(f"{prefix}{name}_mask", self.mask_of(name))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self._keep()
        self.clear()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._keep()  # hooks are not copied with a Parameter


def _reset_parameters(self: Any) -> None:
    """Draw the living weights anew, as the plain module does."""
    self.plain.reset_parameters(self)
    self.clear()


class MaskedLinear(MaskedModule, nn.Linear):
    """A linear layer whose pruned weights are exactly 0.

    Made directly, as `nn.Linear` is, or by `masked`. `mask` has the weight's
    shape (out, in), True for alive.
    """

    plain = nn.Linear
    reset_parameters = _reset_parameters

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.begin(("weight",))

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., in) to (..., out), as the plain layer does."""
        return F.linear(input, self.alive("weight"), self.bias)


class MaskedConv2d(MaskedModule, nn.Conv2d):
    """A convolution whose pruned weights are exactly 0.

    Made directly, as `nn.Conv2d` is, or by `masked`. `mask` has the weight's
    shape (out, in / groups, height, width), True for alive.
    """

    plain = nn.Conv2d
    reset_parameters = _reset_parameters

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.begin(("weight",))

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, in, H, W) to (N, out, H', W'), as the plain layer does."""
        return self._conv_forward(input, self.alive("weight"), self.bias)


@cache
def _masked_class(plain: Any) -> type[MaskedModule]:
    """Return the class of a masked `plain`."""
    for known in (MaskedLinear, MaskedConv2d):
        if plain is known.plain:
            return known
    members: dict[str, Any] = {
        "plain": plain,
        "__doc__": f"A {plain.__name__} whose pruned weights are exactly 0.",
        # Copying and pickling find the class by way of the plain one.
        "__reduce_ex__": lambda self, _: (_blank, (plain,), self.__getstate__()),
    }
    if hasattr(plain, "reset_parameters"):
        members["reset_parameters"] = _reset_parameters
    made: type[MaskedModule] = type(
        f"Masked{plain.__name__}", (MaskedModule, plain), members
    )
    return made


def _blank(plain: Any) -> MaskedModule:
    """Return an empty masked `plain`, for its state to be put in."""
    return object.__new__(_masked_class(plain))


def mask_module(module: Any, names: tuple[str, ...]) -> None:
    """Turn a module into a masked one; every weight of `names` is alive.

    It keeps its parameters, buffers and hooks; only its class becomes another.
    """
    plain: Any = type(module)
    module.__class__ = _masked_class(plain)
    module.begin(names)
