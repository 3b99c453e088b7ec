"""Modules that obey masks: a pruned weight is 0, whoever wrote it.

A masked module is the plain module with a mask beside each of its weights: the
buffer `weight_mask` for `weight`, of its shape and dtype, 1 for alive. It holds

- in the forward pass, which reads the weight through its mask;
- in the backward pass: the gradient of whatever loss is 0 where the mask is;
- in every optimizer of torch, after whose step what it wrote is put back to 0;
- in a checkpoint: `state_dict` has the masks, and `load_state_dict` takes
  states with them or, the masks then staying as they are, without.

What is read past the module (`net.fc1.weight`) was put back to 0 by these, and by
`train` and `evaluate`; only later writes by `weight.data` or `nn.init` may show.
"""

import weakref
from collections.abc import Callable, Iterator
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
    """

    __torch_unserializable__ = True  # a copied or loaded module makes its own

    def __init__(self, module: "MaskedModule", name: str) -> None:
        self.module, self.name = weakref.ref(module), name

    def __call__(self, gradient: Tensor) -> Tensor | None:
        """Return the gradient with 0 for every pruned weight."""
        module = self.module()
        if module is None or module.masked_bare:
            return None
        return gradient * module.masked_by(self.name)


def _keepers(weight: Tensor) -> Iterator[tuple["MaskedModule", str]]:
    """Yield who holds a weight with a mask: modules that still are there."""
    for hook in (weight._backward_hooks or {}).values():
        if isinstance(hook, Keeper) and (module := hook.module()) is not None:
            yield module, hook.name


@torch.no_grad()
def _after_step(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Put back to 0 what an optimizer wrote into pruned weights.

    As Muon does, or momentum from before the pruning.
    """
    for group in optimizer.param_groups:
        for weight in group["params"]:
            for module, name in _keepers(weight):
                weight.mul_(module.masked_by(name))


register_optimizer_step_post_hook(_after_step)


class MaskedModule(nn.Module):
    """What makes a module obey masks; mixed into its class before it.

    Its names begin with `masked_`, so that they hide none of the module's own.

    Attributes:
        masked_plain: The module's class without masks.
        masked_names: The weights' names.
        masked_bare: Whether someone else sees to it all (`masking.unmasked`).
    """

    masked_plain: type[nn.Module]
    masked_names: tuple[str, ...] = ()
    masked_bare: bool = False

    def masked_by(self, name: str) -> Tensor:
        """Return the mask of the weight `name`: its shape and dtype, 1 for alive."""
        mask = self._buffers[f"{name}_mask"]
        assert mask is not None
        return mask

    def masked_weight(self, name: str) -> Tensor:
        """Return the weight `name` with 0 for what is pruned."""
        weight: Tensor = getattr(self, name)
        return weight if self.masked_bare else weight * self.masked_by(name)

    def masked_begin(self, names: tuple[str, ...]) -> None:
        """Mask the weights `names`, every one of them alive.

        Raises:
            LotteryError: If the place of a mask is taken.
        """
        for name in names:
            if hasattr(self, f"{name}_mask"):
                raise LotteryError(
                    f"{self.masked_plain.__name__} has something called {name}_mask,"
                    " which is where the mask would lie: expected that name to be"
                    " free. Call it something else."
                )
        self.masked_names = names
        for name in names:
            weight = self.get_parameter(name)
            self.register_buffer(f"{name}_mask", torch.ones_like(weight.detach()))
        self.masked_keep()

    def masked_keep(self) -> None:
        """Hang a keeper on each weight, unless one of this module's is there."""
        for name in self.masked_names:
            weight = self._parameters.get(name)
            if weight is not None and (self, name) not in _keepers(weight):
                trained = weight.requires_grad
                weight.requires_grad_()  # a frozen weight may be thawed later
                weight.register_hook(Keeper(self, name))
                weight.requires_grad_(trained)

    @torch.no_grad()
    def masked_clear(self) -> None:
        """Set to 0 whatever was written into pruned weights."""
        for name in self.masked_names:
            weight = self._parameters.get(name)
            # Written to only if it must be: it may be part of a graph.
            if weight is not None and not weight.is_inference():
                dead = self.masked_by(name) == 0
                if bool(torch.where(dead, weight, 0).any()):
                    weight.masked_fill_(dead, 0)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute what the plain module does with its living weights."""
        # A compiler cannot follow what comes below, and reads what is stored.
        if not self.masked_bare and not torch.compiler.is_compiling():
            weights = [self._parameters.get(name) for name in self.masked_names]
            if not all(w is not None and any(_keepers(w)) for w in weights):
                return self.masked_plain.forward(self._masked_twin(), *args, **kwargs)
            self.masked_clear()
            if isinstance(self, nn.MultiheadAttention):  # reads past its layer
                getattr(self.out_proj, "masked_clear", lambda: None)()
        return self.masked_plain.forward(self, *args, **kwargs)

    def _masked_twin(self) -> nn.Module:
        """Return the plain module with living weights, which shares all else.

        For `torch.func` and replicas, whose weights have no keeper to mask them.
        """
        twin = object.__new__(self.masked_plain)
        living = {name: self.masked_weight(name) for name in self.masked_names}
        own: dict[str, Any] = {"_parameters": self._parameters | living}
        if isinstance(self, nn.RNNBase):
            weights = own["_parameters"]
            own["_flat_weights"] = [weights[n] for n in self._flat_weights_names]
        if isinstance(self, nn.MultiheadAttention):
            inner: nn.Module = self.out_proj
            if isinstance(inner, MaskedModule):  # whose weight it reads past it
                own["_modules"] = self._modules | {"out_proj": inner._masked_twin()}
        twin.__dict__ = self.__dict__ | own
        for name in living:  # where a replica of DataParallel has them
            twin.__dict__.pop(name, None)
        return twin

    def register_parameter(self, name: str, param: nn.Parameter | None) -> None:
        """Take a new Parameter; one in a masked weight's place obeys its mask.

        Raises:
            LotteryError: If it has another shape than the mask.
        """
        masked = name in self.masked_names
        if masked and param is not None and param.shape != self.masked_by(name).shape:
            raise LotteryError(
                f"The new {name} has the shape {tuple(param.shape)}, and its mask"
                f" {tuple(self.masked_by(name).shape)}: expected the same. Exchange"
                " the weight in the plain network, then mask it with lth.masked(net)."
            )
        super().register_parameter(name, param)
        if masked and param is not None:
            for other, theirs in _keepers(param):
                # A weight that is shared from now on brings its mask along.
                self.masked_by(name).copy_(other.masked_by(theirs))
            self.masked_keep()
            # Not in the values that were given, which others may use.
            param.data = param.data * self.masked_by(name)
            self.masked_clear()

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> "MaskedModule":
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.masked_keep()
        return self

    def _load_from_state_dict(
        self, state_dict: State, prefix: str, local_metadata: Any, *args: Any
    ) -> None:
        for name in self.masked_names:  # a plain network's state has no masks
            state_dict.setdefault(f"{prefix}{name}_mask", self.masked_by(name))
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)
        if local_metadata.get("assign_to_params_buffers"):
            for name in self.masked_names:  # the state's own masks stay its own
                mask = self.masked_by(name).to(self.get_parameter(name), copy=True)
                self._buffers[f"{name}_mask"] = mask
        self.masked_keep()
        self.masked_clear()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self.masked_keep()  # hooks are not copied with a Parameter


def _reset_parameters(self: Any) -> None:
    """Draw the living weights anew, as the plain module does."""
    self.masked_plain.reset_parameters(self)
    self.masked_clear()


class _MaskedLayer(MaskedModule):
    """A masked module that can be made directly, with one weight."""

    reset_parameters = _reset_parameters
    mask = property(lambda self: self.masked_by("weight"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.masked_begin(("weight",))


class MaskedLinear(_MaskedLayer, nn.Linear):
    """A linear layer whose pruned weights are exactly 0.

    Made directly, as `nn.Linear` is, or by `masked`. `mask` has the weight's
    shape (out, in) and dtype, 1 for alive.
    """

    masked_plain = nn.Linear

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., in) to (..., out), as the plain layer does."""
        return F.linear(input, self.masked_weight("weight"), self.bias)


class MaskedConv2d(_MaskedLayer, nn.Conv2d):
    """A convolution whose pruned weights are exactly 0.

    Made directly, as `nn.Conv2d` is, or by `masked`. `mask` has the weight's
    shape (out, in / groups, height, width) and dtype, 1 for alive.
    """

    masked_plain = nn.Conv2d

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, in, H, W) to (N, out, H', W'), as the plain layer does."""
        return self._conv_forward(input, self.masked_weight("weight"), self.bias)


@cache
def _masked_class(plain: Any) -> type[MaskedModule]:
    """Return the class of a masked `plain`."""
    for known in (MaskedLinear, MaskedConv2d):
        if plain is known.masked_plain:
            return known
    members: dict[str, Any] = {
        "masked_plain": plain,
        "__doc__": f"A {plain.__name__} whose pruned weights are exactly 0.",
        # Copying and pickling find the class by way of the plain one.
        "__reduce_ex__": lambda self, _: (_blank, (plain,), self.__getstate__()),
    }
    if hasattr(plain, "reset_parameters"):
        members["reset_parameters"] = _reset_parameters
    try:
        made: type[MaskedModule] = type(
            f"Masked{plain.__name__}", (MaskedModule, plain), members
        )
    except TypeError as error:
        raise LotteryError(
            f"{plain.__name__} cannot be masked, since no class can be derived from it"
            f" ({error}): expected an ordinary module. Make it one."
        ) from error
    return made


def _blank(plain: Any) -> MaskedModule:
    """Return an empty one, for its state to be put in."""
    return object.__new__(_masked_class(plain))


def mask_module(module: Any, names: tuple[str, ...]) -> None:
    """Turn a module into a masked one; every weight of `names` is alive.

    It keeps its parameters, buffers and hooks; only its class is another.
    """
    plain: Any = type(module)
    module.__class__ = _masked_class(plain)
    module.masked_begin(names)
