"""Tickets: what they are, how they are found, and what they are held against.

A ticket is a structure and the values it starts from: masks and initial
weights. Each control below changes one of the two and keeps the other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lth_utils import pruning
from lth_utils.data.datasets import Dataset
from lth_utils.errors import LotteryError, choose
from lth_utils.files.bundles import read_bundle, write_bundle
from lth_utils.masking import kinds, masked, rewind, snapshot
from lth_utils.masks import Masks, State, check_fit
from lth_utils.models import network
from lth_utils.pruning import Rates
from lth_utils.seeds import check_seed, seed_of
from lth_utils.training.loop import train
from lth_utils.training.recipes import Recipe
from lth_utils.words import CONTROLS, NOISES

Maker = Callable[[int], nn.Module]


@dataclass(frozen=True)
class Ticket:
    """A sparse network at its start: f(x; m * theta_0).

    Args:
        network: The network's word, such as "lenet".
        seed: The seed that its initial weights were drawn from. With no
            rewinding, (network, seed, masks) alone rebuild the ticket.
        masks: The structure, m.
        init: The initial weights, theta_0 (not yet masked), and buffers.
        made: How it was made: arm, round, control and so on.
    """

    network: str
    seed: int
    masks: Masks
    init: State
    made: Mapping[str, Any]

    def build(self, maker: Maker | None = None) -> nn.Module:
        """Return the masked network at the ticket's start.

        Args:
            maker: Builds the plain network from a seed; needed when it is not
                one of the library's own.
        """
        net = masked(maker(self.seed) if maker else network(self.network, self.seed))
        rewind(net, self.init, self.masks)
        return net

    def save(self, folder: str | Path) -> None:
        """Write the ticket as `ticket.json` and `tensors.safetensors`.

        Raises:
            LotteryError: If the folder cannot be written; an older ticket
                there is then unharmed.
        """
        about = {"network": self.network, "seed": self.seed, "made": dict(self.made)}
        tensors = labelled("mask", self.masks) | labelled("init", self.init)
        write_bundle(folder, "ticket", about, tensors)

    @classmethod
    def load(cls, folder: str | Path) -> "Ticket":
        """Read a ticket back, to the same bits.

        Raises:
            LotteryError: If the folder holds no whole ticket.
        """
        page, tensors = read_bundle(folder, "ticket")
        try:
            masks, init = Masks(part("mask", tensors)), part("init", tensors)
            check_fit(masks, {name: init[name] for name in masks})
            return cls(page["network"], page["seed"], masks, init, page["made"])
        except KeyError as error:
            raise LotteryError(
                f"{folder} is no whole ticket: {error} is missing. Expected what"
                " Ticket.save wrote; take an undamaged copy."
            ) from error


def labelled(label: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Prefix each name with "label:", to keep two states in one file."""
    return {f"{label}:{name}": tensor for name, tensor in tensors.items()}


def part(label: str, tensors: Mapping[str, Tensor]) -> State:
    """Return the tensors that `labelled` prefixed with "label:"."""
    return {
        name.removeprefix(f"{label}:"): tensor
        for name, tensor in tensors.items()
        if name.startswith(f"{label}:")
    }


def from_seed(
    word: str, seed: int, masks: Masks | None = None, **made: object
) -> Ticket:
    """Return the ticket that (seed, masks) alone describe.

    Args:
        word: The network's word.
        seed: Draws the initial weights.
        masks: The structure; None keeps every weight (the dense network).
        made: How it was made.
    """
    plain = network(word, check_seed(seed))
    init = snapshot(plain)
    return Ticket(word, seed, masks or Masks.ones(masked(plain)), init, made)


# --- the controls, a line of reasoning each ---------------------------------


def reinit_seed(seed: int, round: int, control: int) -> int:
    """The seed of weights drawn anew from the same Gaussians (section 2).

    The structure is the ticket's; the values are not. A control that learns
    as well would say that structure is all that matters.
    """
    return seed_of("reinit", seed, round, control)


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
    scores = pruning.random_scores(masks, seed_of("random", seed, round, control))
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
        round: The pruning round.
        number: The repeat within the ticket's seed.
    """
    choose("control", arm, CONTROLS)
    seed, masks, init = ticket.seed, ticket.masks, ticket.init
    made = {"arm": arm, "round": round, "control": number}
    if arm == "reinit":
        fresh = reinit_seed(seed, round, number)
        return from_seed(ticket.network, fresh, masks, **made)
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


def oneshot_masks(trained: nn.Module, rates: Rates, scope: str, rounds: int) -> Masks:
    """Prune the trained dense network once, as deep as `rounds` rounds do.

    The counts are those of the iterative ladder, so that only the way there
    differs ("one-shot" in the paper's figure 4).
    """
    shared = pruning.groups(kinds(trained), rates, scope)
    whole = Masks.ones(trained)
    sizes = {name: mask.numel() for name, mask in whole.items()}
    counts = pruning.ladder(sizes, shared, rounds)[rounds]
    return pruning.keep(pruning.magnitudes(trained), whole, counts)


# --- the algorithm -----------------------------------------------------------


def find_ticket(
    maker: str | Maker,
    data: Dataset,
    recipe: Recipe,
    rates: float | Rates,
    rounds: int,
    seed: int = 0,
    scope: str = "layer-wise",
    rewind_to: int = 0,
) -> list[Ticket]:
    """Iterative magnitude pruning with resetting (section 1, strategy 1).

    Train, prune the smallest weights, set the survivors back, repeat.

    Args:
        maker: A network's word, or a function from a seed to a plain network
            (its dtype is the arithmetic's).
        data: The data set.
        recipe: How each round's network is trained.
        rates: The fraction pruned in each round, for all kinds of layer or by
            kind, such as {"fc": 0.2, "output": 0.1}.
        rounds: How often to prune.
        seed: Draws the initial weights and, with the round, the batches.
        scope: "layer-wise" or "global".
        rewind_to: The iteration of the dense training whose weights the
            survivors are set back to; 0 is theta_0. Later rounds train for
            what is then left of the recipe.

    Returns:
        One ticket for each round 1, …, `rounds`, untrained.

    Raises:
        LotteryError: If an argument is out of range, before any training.
    """
    build: Maker = (lambda s: network(maker, s)) if isinstance(maker, str) else maker
    word = maker if isinstance(maker, str) else getattr(maker, "__name__", "custom")
    if not 0 <= rewind_to < recipe.iterations:
        raise LotteryError(
            f"Cannot rewind to iteration {rewind_to}: expected one of the recipe's"
            f" iterations, from 0 up to {recipe.iterations - 1}."
        )
    net = masked(build(check_seed(seed)))
    pruning.groups(kinds(net), rates, scope)  # wrong rates stop here, untrained
    init = train(net, data, recipe, seed, round=0, keep_at=rewind_to).kept
    rest = replace(recipe, iterations=recipe.iterations - rewind_to)
    tickets: list[Ticket] = []
    for round in range(1, rounds + 1):
        masks = pruning.prune(net, rates, scope=scope)
        made = {"arm": "ticket", "round": round, "rewind": rewind_to}
        tickets.append(Ticket(word, seed, masks, init, made))
        if round < rounds:
            rewind(net, init, masks)
            train(net, data, rest, seed, round)
    return tickets
