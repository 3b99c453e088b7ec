"""Makers: whatever draws a plain network from a seed.

A word of the library is one; so is a class that takes a seed, a function, a
lambda, a bound method. A maker is asked for a ticket's network, and again for
a network with other weights, by the controls that draw them anew.
"""

import inspect
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.random import fork_rng

from lth_utils.errors import LotteryError
from lth_utils.models import network

Maker = Callable[[int], nn.Module]
_State = dict[str, Tensor]


def draw(maker: str | Maker, seed: int) -> nn.Module:
    """Return the plain network that `maker` draws from a seed.

    For the time of the call torch's global generators are seeded with `seed`,
    and afterwards they are as they were. torch's own layers draw their first
    values from them: so `lambda seed: Net()` is a maker, for any ordinary
    module, and gives what `torch.manual_seed(seed); Net()` gives.

    Args:
        maker: A network's word, or a function from a seed to a network.
        seed: An integer of at least 0.

    Raises:
        LotteryError: If it is no such word or function, or returns no network
            whose weights have values.
    """
    if isinstance(maker, str):
        return network(maker, seed)
    _check_callable(maker)
    with fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed % 2**63)  # as much as it takes
        try:
            net = maker(seed)
        except Exception as error:
            error.add_note(f"{name_of(maker)} was called with the seed {seed}.")
            raise
    if not isinstance(net, nn.Module):
        raise LotteryError(
            f"{name_of(maker)} returns {type(net).__name__} from a seed: expected a"
            " network, an nn.Module."
        )
    for name, tensor in net.state_dict(keep_vars=True).items():
        if is_lazy(tensor) or tensor.is_meta:
            raise LotteryError(
                f"{name_of(maker)} returns a network whose {name!r} has no values yet:"
                " expected weights drawn from the seed. Run one batch through lazy"
                " layers first; build on the CPU, not on the device 'meta'."
            )
    return net


def check_draws(maker: str | Maker, seed: int) -> None:
    """Find out whether a maker gives the same network for the same seed.

    Raises:
        LotteryError: If one seed gives two networks, or another one a network
            of another shape.
    """
    if isinstance(maker, str):
        return  # the library's own
    name = name_of(maker)
    once, again = (_state(draw(maker, seed)) for _ in range(2))
    if not _same(once, again):
        raise LotteryError(
            f"{name} draws other weights each time from the seed {seed}: expected"
            " the same ones. Draw them from the seed, or from torch's global"
            " generator, which is seeded for you; not from NumPy's, nor from a"
            " generator that is kept."
        )
    fresh = _of_another_seed(maker, seed)
    if fresh is not None and _shapes(once) != _shapes(fresh):
        raise LotteryError(
            f"{name} makes networks of two shapes from the seeds {seed} and"
            f" {seed + 1}: expected its argument to be a seed. {_REMEDY}"
        )


def check_redraws(maker: str | Maker, seed: int) -> None:
    """Find out whether a maker's weights are the seed's, as a reinit needs.

    Raises:
        LotteryError: As `check_draws`, or if two seeds give the same weights,
            as those of a network that was trained before are.
    """
    check_draws(maker, seed)
    if isinstance(maker, str):
        return
    fresh = _of_another_seed(maker, seed)
    if fresh is not None and _same(_state(draw(maker, seed)), fresh):
        raise LotteryError(
            f"{name_of(maker)} makes the same weights from the seeds {seed} and"
            f" {seed + 1}: expected weights drawn from the seed, since this control"
            f" draws them anew. {_REMEDY}"
        )


def _of_another_seed(maker: Maker, seed: int) -> _State | None:
    """Return what another seed gives; None if the maker has nothing for it."""
    try:
        return _state(draw(maker, seed + 1))
    except Exception:  # its own: a table of seeds, a seed out of its range
        return None


_REMEDY = (
    "Pass a function from a seed to a new network, such as `lambda seed: Net()`:"
    " torch's global generator is seeded for it."
)


def _check_callable(maker: Maker) -> None:
    """Refuse what cannot be called with a seed."""
    if isinstance(maker, nn.Module) or not callable(maker):
        said = "is a network" if isinstance(maker, nn.Module) else "is no function"
        raise LotteryError(
            f"{type(maker).__name__} {said}: expected what makes one, since the"
            f" controls draw its weights anew. {_REMEDY}"
        )
    try:
        inspect.signature(maker).bind(0)
    except TypeError as error:
        raise LotteryError(
            f"{name_of(maker)} cannot be called with a seed alone ({error}): expected"
            f" one argument, the seed. {_REMEDY}"
        ) from error
    except ValueError:
        pass  # no signature to read: the call will tell


def name_of(maker: Maker) -> str:
    """Return what a maker is called where it was written."""
    return getattr(maker, "__name__", type(maker).__name__)


def _state(net: nn.Module) -> _State:
    return {name: t.detach().clone() for name, t in net.state_dict().items()}


def _shapes(state: _State) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in state.items()}


def _same(one: _State, other: _State) -> bool:
    return _shapes(one) == _shapes(other) and all(
        torch.equal(tensor, other[name]) for name, tensor in one.items()
    )
