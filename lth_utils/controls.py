"""Controls: a ticket with one thing changed, a line of reasoning each.

A ticket is masks and initial weights. Each control changes one of the two and
keeps the other.
"""

from dataclasses import replace

import torch

from lth_utils import pruning
from lth_utils.arguments import whole
from lth_utils.errors import choose
from lth_utils.masks import Masks, State
from lth_utils.models.makers import check_redraws
from lth_utils.seeds import check_seed, seed_of
from lth_utils.tickets import Ticket, from_seed
from lth_utils.words import CONTROLS, NOISES


def reinit_seed(seed: int, round: int, control: int) -> int:
    """The seed of weights drawn anew from the same Gaussians (section 2).

    The structure is the ticket's; the values are not. A control that learns
    as well would say that structure is all that matters.

    Args:
        seed: The ticket's.
        round: The pruning round, at least 0.
        control: The repeat within the ticket's seed, at least 0.

    Raises:
        LotteryError: If one of them is no integer of at least 0.
    """
    return seed_of("reinit", *_numbers(seed, round, control))


def _numbers(seed: int, round: int, control: int) -> tuple[int, int, int]:
    """Return what names a control's stream, checked: 3.0 would name another."""
    return (
        check_seed(seed),
        whole("The round", round, 0),
        whole("The number of the control", control, 0),
    )


def resampled(init: State, masks: Masks, seed: int) -> State:
    """Initial weights drawn from the ticket's own survivors (figure F17).

    Layer by layer, with replacement. The connections are the ticket's, and so
    is the distribution of the values; which connection got which is not.
    """
    drawn = dict(init)
    for name, mask in masks.items():
        survivors = init[name][mask]
        generator = torch.Generator().manual_seed(seed_of("resample", seed, name))
        size = survivors.shape
        which = torch.randint(max(1, len(survivors)), size, generator=generator)
        drawn[name] = init[name].clone()
        drawn[name][mask] = survivors[which]
    return drawn


def noisy(init: State, masks: Masks, scale: float, seed: int) -> State:
    """Initial weights plus Gaussian noise (figure F25).

    Args:
        init: The weights.
        masks: Names the layers that get it.
        scale: The noise's standard deviation over the layer's own.
        seed: Of the noise: at any scale the same draw.
    """
    moved = dict(init)
    for name in masks:
        generator = torch.Generator().manual_seed(seed_of("noise", seed, name))
        noise = torch.randn(init[name].shape, generator=generator)
        moved[name] = init[name] + scale * init[name].std() * noise.to(init[name])
    return moved


def random_masks(masks: Masks, seed: int, round: int, control: int) -> Masks:
    """Random masks with the layer counts of `masks` (paper's figures 1 and 14).

    The values and the counts are the ticket's; which weights survive is not.
    """
    stream = seed_of("random", *_numbers(seed, round, control))
    scores = pruning.random_scores(masks, stream)
    return pruning.keep(scores, Masks.ones(masks), pruning.layer_counts(masks))


def shuffled_masks(masks: Masks, axis: int, seed: int) -> Masks:
    """Random masks that keep one more thing of the ticket's than the counts.

    Args:
        masks: The ticket's.
        axis: 0 keeps how many connections enter each unit (its fan-in), 1
            how many leave each input (fan-out).
        seed: Of the choice among them.
    """
    scores = pruning.random_scores(masks, seed)
    shuffled: State = {}
    for name, mask in masks.items():
        lines = mask.transpose(0, axis).flatten(1)  # one line a unit, or an input
        rank = scores[name].transpose(0, axis).flatten(1).argsort(1).argsort(1)
        kept = (rank < lines.sum(1, keepdim=True)).view_as(mask.transpose(0, axis))
        shuffled[name] = kept.transpose(0, axis)
    return Masks(shuffled)


def initial_masks(init: State, masks: Masks) -> Masks:
    """Keep the largest initial values, without any training (figure F18)."""
    scores = {name: init[name].abs() for name in masks}
    return pruning.keep(scores, Masks.ones(masks), pruning.layer_counts(masks))


def control(ticket: Ticket, arm: str, round: int, number: int) -> Ticket:
    """Return a ticket's control: the ticket with one thing changed.

    Args:
        ticket: The ticket, with its masks and theta_0.
        arm: One of words.CONTROLS.
        round: The pruning round, at least 0.
        number: The repeat within the ticket's seed, at least 0.

    Raises:
        LotteryError: If there is no such control, a number is out of range, or
            "reinit" has nothing that draws the ticket's weights anew.
    """
    choose("control", arm, CONTROLS)
    masks, init = ticket.masks, ticket.init
    seed, round, number = _numbers(ticket.seed, round, number)
    made = {"arm": arm, "round": round, "control": number}
    if arm == "reinit":
        maker, fresh = ticket.drawn_by(), reinit_seed(seed, round, number)
        check_redraws(maker, fresh)
        return from_seed(maker, fresh, masks, **made)
    stream = seed_of(arm.partition("-")[0], seed, round, number)
    if arm == "resample":
        init = resampled(init, masks, stream)
    elif arm in NOISES:
        init = noisy(init, masks, float(arm.removeprefix("noise-")), stream)
    elif arm == "random":
        masks = random_masks(masks, seed, round, number)
    elif arm == "initial":
        masks = initial_masks(init, masks)
    else:
        masks = shuffled_masks(masks, 0 if arm == "same-fan-in" else 1, stream)
    return replace(ticket, masks=masks, init=init, made=made)
