"""What a claim measures of recorded tickets: their first values and connections."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from lth_utils.evidence.shapes import (
    apart,
    height,
    incoming,
    needed,
    outgoing,
    positive,
    spread,
    survivors,
)
from lth_utils.evidence.sides import Measured
from lth_utils.experiments.records import recorded_tickets

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from lth_utils.experiments.ledger import Claim
    from lth_utils.tickets import Ticket

FAINT = 0.01  # of the images: a pixel that has ink in no more of them


def _shape(
    stops: pd.DataFrame, claim: Claim, number: Callable[[Ticket, str], float]
) -> Measured:
    """A number of the seeds' tickets: that of the layer that agrees least."""
    import pandas as pd

    seeds = {
        ticket.seed: min(number(ticket, layer) for layer in claim.layers)
        for ticket in _tickets(stops.attrs["record"], claim.rounds[0])
    }
    return Measured(pd.Series(seeds))


@cache
def _tickets(record: str, round: int) -> list[Ticket]:
    name, profile = record.split("/")
    return recorded_tickets(name, profile, round)


def two_peaks(stops: pd.DataFrame, claim: Claim) -> Measured:
    """By how much the middle is lower than the sides, as a share of these."""
    return _shape(stops, claim, lambda *of: 1 - height(survivors(*of)))


def one_peak(stops: pd.DataFrame, claim: Claim) -> Measured:
    """By how much the middle is higher than the sides, as a share of these."""
    return _shape(stops, claim, lambda *of: height(survivors(*of)) - 1)


def more_above(stops: pd.DataFrame, claim: Claim) -> Measured:
    """By how much the share of survivors that start above zero exceeds a half."""
    return _shape(stops, claim, lambda *of: positive(survivors(*of)) - 0.5)


def more_below(stops: pd.DataFrame, claim: Claim) -> Measured:
    """By how much the share of survivors that start below zero exceeds a half."""
    return _shape(stops, claim, lambda *of: 0.5 - positive(survivors(*of)))


def more_even(stops: pd.DataFrame, claim: Claim) -> Measured:
    """By how much outgoing connections spread more than incoming ones."""

    def number(ticket: Ticket, layer: str) -> float:
        mask = ticket.masks[layer]
        return spread(outgoing(mask)) - spread(incoming(mask))

    return _shape(stops, claim, number)


def more_even_than_chance(stops: pd.DataFrame, claim: Claim) -> Measured:
    """The same, both spreads as multiples of those in a random mask of that size."""
    from lth_utils.controls import control

    def number(ticket: Ticket, layer: str) -> float:
        mask = ticket.masks[layer]
        other = control(ticket, "random", claim.rounds[0], 0).masks[layer]
        out, into = (
            spread(shares(mask)) / spread(shares(other))
            for shares in (outgoing, incoming)
        )
        return out - into

    return _shape(stops, claim, number)


@cache
def rare(most: float) -> Tensor:
    """Return which pixels have ink in no more than such a share of the images.

    Of the 12,000 packaged training images, whatever a record was trained on: a
    verdict needs no download.
    """
    from lth_utils.data import load

    images = load("mnist-small").train.images
    return (images.flatten(1) > 0).double().mean(0) <= most


def _pixel_peaks(stops: pd.DataFrame, claim: Claim, most: float) -> Measured:
    few = rare(most)
    enough = needed(few.double().mean().item())

    def number(ticket: Ticket, layer: str) -> float:
        return apart(outgoing(ticket.masks[layer]), few) / enough - 1

    return _shape(stops, claim, number)


def black_apart(stops: pd.DataFrame, claim: Claim) -> Measured:
    """By how much always black pixels are further off than two peaks need."""
    return _pixel_peaks(stops, claim, 0.0)


def faint_apart(stops: pd.DataFrame, claim: Claim) -> Measured:
    """By how much faint pixels, black ones among them, are further off than that."""
    return _pixel_peaks(stops, claim, FAINT)


def black_read_less(stops: pd.DataFrame, claim: Claim) -> Measured:
    """By what share an always black pixel keeps fewer connections than another."""

    def number(ticket: Ticket, layer: str) -> float:
        left, few = outgoing(ticket.masks[layer]), rare(0.0)
        return 1 - (left[few].mean() / left[~few].mean()).item()

    return _shape(stops, claim, number)
