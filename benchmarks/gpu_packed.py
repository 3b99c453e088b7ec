"""A finished training in few bytes, and what the next round starts from.

All that the next round wants of a trained network is which of its weights go. So of
dense networks and tickets one bit is kept for each living weight: whether it stays.
A control keeps nothing but its evaluations. The masks of both follow from that.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from lth_utils.experiments.jobs import Job, Result
from lth_utils.experiments.perform import start
from lth_utils.experiments.store import Store
from lth_utils.masking import masked, snapshot
from lth_utils.masks import Masks, State
from lth_utils.models import network
from lth_utils.words import CONTROLS, NOISES

_FOLLOW = ("dense", "ticket", *CONTROLS)  # arms whose masks follow from what is kept
_SHARE = ("reinit", "resample", *NOISES)  # of these, whose masks are the ticket's


def packed(job: Job, result: Result, after: Masks | None) -> Result:
    """Return a finished training with no more tensors than another machine needs.

    Args:
        job: The training.
        result: Its outcome.
        after: The masks of the next round's ticket, if it has one.
    """
    stays: State = {}
    if after is not None:
        stays = {name: _bits(after[name][mask]) for name, mask in result.masks.items()}
    masks = Masks({}) if job.arm in _FOLLOW else result.masks
    return replace(result, masks=masks, weights=stays)


def _bits(stays: Tensor) -> Tensor:
    return torch.from_numpy(np.packbits(stays.numpy()))


def next_masks(masks: Masks, stays: Mapping[str, Tensor]) -> Masks:
    """Return the next round's masks, from this round's and what `packed` kept."""
    after = {}
    for name, mask in masks.items():
        bits = np.unpackbits(stays[name].numpy(), count=int(mask.sum()))
        after[name] = mask.clone()
        after[name][mask] = torch.from_numpy(bits).bool()
    return Masks(after)


def ranks(word: str, masks: Masks, after: Masks) -> State:
    """Return a state of a network that `prune` takes for the trained one.

    A weight is 0 where it is pruned, 1 where it goes next, and 2 where it stays.

    From each group of layers `prune` takes k weights: those of the least magnitude,
    the earlier first among equals. It counts k from the masks, which are the same
    here, so as many weights of a group are 1 as it will take. They are below all
    others, so it takes these and no other one; which of them first does not
    matter, since all of them go. A tie between one that goes and one that stays,
    which the true weights' order decided, is none here.

    Args:
        word: The network's.
        masks: The round's masks.
        after: The next round's.
    """
    state = snapshot(masked(network(word)))
    nothing = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    return nothing | {n: mask.float() + after[n].float() for n, mask in masks.items()}


def complete(job: Job, small: Store, store: Store) -> bool:
    """Whether there is all that a training's masks follow from."""
    parent = job.parent()
    if parent is None or job.arm not in _FOLLOW:
        return True
    return store.has(parent) and small.has(parent)


def unpacked(job: Job, small: Store, store: Store, waits: bool) -> Result:
    """Return a training that `packed` made small.

    Args:
        job: The training.
        small: Has it, and what it started from, as they were packed.
        store: Has what it started from.
        waits: Whether a ticket waits to start from it.
    """
    found, parent = small.read(job), job.parent()
    masks = found.masks
    if parent is None:
        masks = Masks.ones(masked(network(job.network)))
    elif job.arm == "ticket":
        masks = next_masks(store.read(parent).masks, small.read(parent).weights)
    elif job.arm in _SHARE:
        masks = store.read(parent).masks
    elif job.arm in CONTROLS:
        masks = start(job, store.read(parent)).masks
    weights: State = {}
    if waits:
        weights = ranks(job.network, masks, next_masks(masks, found.weights))
    return replace(found, masks=masks, weights=weights)
