"""Tickets: what they are, and how they are found.

A ticket is a structure and the values it starts from: masks and initial
weights. What it is held against is in `controls.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from lth_utils import pruning
from lth_utils.arguments import whole
from lth_utils.data.datasets import Dataset
from lth_utils.errors import LotteryError
from lth_utils.files.bundles import labelled, part, read_bundle, write_bundle
from lth_utils.masking import kinds, masked, rewind, snapshot
from lth_utils.masks import Masks, State, check_fit
from lth_utils.models.makers import Maker, check_draws, draw, name_of
from lth_utils.pruning import Rates
from lth_utils.seeds import check_seed
from lth_utils.training.loop import train
from lth_utils.training.recipes import Recipe
from lth_utils.words import check_network


@dataclass(frozen=True, eq=False)
class Ticket:
    """A sparse network at its start: f(x; m * theta_0).

    Args:
        network: The network's word, such as "lenet"; for a network of your
            own "own:" and its maker's name, which is no word of the library.
        seed: The seed that its initial weights were drawn from. With no
            rewinding, (network, seed, masks) alone rebuild the ticket.
        masks: The structure, m.
        init: The initial weights, theta_0 (not yet masked), and buffers.
        made: How it was made: arm, round, control and so on.
        maker: What draws the plain network from a seed, if it is your own;
            not saved.

    Raises:
        LotteryError: If the masks are not for weights of `init`, or the seed
            is no integer of at least 0.
    """

    network: str
    seed: int
    masks: Masks
    init: State
    made: Mapping[str, Any]
    maker: Maker | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        vars(self)["seed"] = check_seed(self.seed)
        weights = {name: self.init[name] for name in self.masks if name in self.init}
        check_fit(self.masks, weights)

    def build(self, maker: Maker | None = None) -> nn.Module:
        """Return the masked network at the ticket's start.

        Args:
            maker: Draws the plain network from a seed; needed for a network of
                your own when the ticket was loaded without it.

        Raises:
            LotteryError: If it is needed and not given, or draws a network
                that the ticket is not of.
        """
        net = masked(draw(maker or self.drawn_by(), self.seed))
        rewind(net, self.init, self.masks)
        return net

    def drawn_by(self) -> str | Maker:
        """Return what draws the plain network from a seed: a maker, or a word.

        Raises:
            LotteryError: If the network is not the library's, and the maker is
                not known.
        """
        if self.maker is not None:
            return self.maker
        try:
            check_network(self.network)
        except LotteryError as error:
            raise LotteryError(
                f"The ticket's network {self.network!r} is none of the library's:"
                " expected the function that drew it from a seed. Give it as"
                " ticket.build(maker), or as Ticket.load(folder, maker)."
            ) from error
        return self.network

    def save(self, folder: str | Path) -> None:
        """Write the ticket as `ticket.json` and `tensors.safetensors`.

        Raises:
            LotteryError: If the folder holds anything but an older ticket, or
                cannot be written; what is there is then unharmed.
        """
        about = {"network": self.network, "seed": self.seed, "made": dict(self.made)}
        tensors = labelled("mask", self.masks) | labelled("init", self.init)
        write_bundle(folder, "ticket", about, tensors)

    @classmethod
    def load(cls, folder: str | Path, maker: Maker | None = None) -> "Ticket":
        """Read a ticket back, to the same bits.

        Args:
            folder: Where `save` wrote it.
            maker: Draws the plain network from a seed, if it is your own.

        Raises:
            LotteryError: If the folder holds no whole ticket.
        """
        page, tensors = read_bundle(folder, "ticket")
        masks, init = Masks(part("mask", tensors)), part("init", tensors)
        try:
            return cls(page["network"], page["seed"], masks, init, page["made"], maker)
        except KeyError as error:
            raise LotteryError(
                f"{folder} is no whole ticket: {error} is missing. Expected what"
                " Ticket.save wrote; take an undamaged copy."
            ) from error


def from_seed(
    maker: str | Maker, seed: int, masks: Masks | None = None, **made: object
) -> Ticket:
    """Return the ticket that (seed, masks) alone describe.

    Args:
        maker: The network's word, or a function from a seed to a plain network.
        seed: Draws the initial weights.
        masks: The structure; None keeps every weight (the dense network).
        made: How it was made.

    Raises:
        LotteryError: If there is no such network, or the masks are another's.
    """
    plain = draw(maker, check_seed(seed))
    every = Masks.ones(masked(plain))
    if masks is None:
        masks = every
    check_fit(masks, every)
    return _ticket(maker, seed, masks, snapshot(plain), made)


def _ticket(
    maker: str | Maker, seed: int, masks: Masks, init: State, made: Mapping[str, Any]
) -> Ticket:
    """Return a ticket of a network of the library, or of your own."""
    if isinstance(maker, str):
        return Ticket(maker, seed, masks, init, made)
    return Ticket(f"own:{name_of(maker)}", seed, masks, init, made, maker)


def oneshot_masks(trained: nn.Module, rates: Rates, scope: str, rounds: int) -> Masks:
    """Prune the trained dense network once, as deep as `rounds` rounds do.

    The counts are those of the iterative ladder, so that only the way there
    differs ("one-shot" in the paper's figure 4).
    """
    shared = pruning.groups(kinds(trained), rates, scope)
    every = Masks.ones(trained)
    sizes = {name: mask.numel() for name, mask in every.items()}
    counts = pruning.ladder(sizes, shared, rounds)[rounds]
    return pruning.keep(pruning.magnitudes(trained), every, counts)


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
            (its dtype is the arithmetic's). torch's global generator is seeded
            for it, so that `lambda seed: Net()` is one.
        data: The data set.
        recipe: How each round's network is trained.
        rates: The fraction pruned in each round, for all kinds of layer or by
            kind, such as {"fc": 0.2, "output": 0.1}.
        rounds: How often to prune, at least once.
        seed: Draws the initial weights and, with the round, the batches.
        scope: "layer-wise" or "global".
        rewind_to: The iteration of the dense training whose weights the
            survivors are set back to; 0 is theta_0. Later rounds train for
            what is then left of the recipe, so it is none within a warm-up.

    Returns:
        One ticket for each round 1, …, `rounds`, untrained.

    Raises:
        LotteryError: If an argument is out of range, a round would prune
            nothing, or the maker's weights are not the seed's, before any
            training; or if a training diverges. Whatever ends the search, also
            Ctrl-C, carries the tickets that were found as its `.tickets`.
    """
    seed, rounds = check_seed(seed), whole("The number of rounds", rounds, 1)
    last = recipe.iterations - 1
    rewind_to = whole("The iteration to rewind to", rewind_to, 0, last)
    check_draws(maker, seed)
    net = masked(draw(maker, seed))
    pruning.check_ladder(net, rates, scope, rounds)
    rest = recipe.left(rewind_to)
    tickets: list[Ticket] = []
    try:
        init = train(
            net, data, recipe, seed, round=0, keep_at=rewind_to, curves=False
        ).kept
        for round in range(1, rounds + 1):
            masks = pruning.prune(net, rates, scope=scope)
            made = {"arm": "ticket", "round": round, "rewind": rewind_to}
            tickets.append(_ticket(maker, seed, masks, init, made))
            if round < rounds:
                rewind(net, init, masks)
                train(net, data, rest, seed, round, curves=False)
    except BaseException as error:
        if tickets:
            _carry(error, tickets)
        raise
    return tickets


def _carry(error: BaseException, tickets: list[Ticket]) -> None:
    """Hang the tickets that were found on what ended the search, and say so.

    In the message, since older notebooks show no notes.
    """
    vars(error)["tickets"] = tickets
    told = (
        f"The tickets of rounds 1 to {len(tickets)} are found: they are this error's"
        " .tickets (in a notebook: `import sys; sys.last_value.tickets`)."
    )
    error.args = (f"{error} {told}".lstrip(),)
