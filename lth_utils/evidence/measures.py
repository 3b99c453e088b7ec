"""What a claim measures: one number a seed, above 0 where the seed agrees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from math import log
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple, cast

from lth_utils.evidence.pairs import by_seed
from lth_utils.evidence.shapes import height, positive, survivors
from lth_utils.experiments.records import recorded_tickets

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from lth_utils.experiments.ledger import Claim
    from lth_utils.tickets import Ticket

KNOWN = 0.999  # of the training images: a network that has come to its end


class Measured(NamedTuple):
    """A claim's numbers.

    Attributes:
        values: One a seed, in the measure's unit; of times, their logarithm.
        short: Whether the trainings are too short for the claim.
    """

    values: pd.Series[float]
    short: bool = False


def side(
    stops: pd.DataFrame, arm: str, round: int, column: str = "test"
) -> pd.Series[float]:
    """Return one number a seed of an arm, which may be of a study's part."""
    part, colon, arm = arm.rpartition(":")
    if colon:
        stops = stops[stops["experiment"] == part]
    return by_seed(stops, arm, round, column)


def gap(
    stops: pd.DataFrame, one: str, other: str, round: int, column: str = "test"
) -> pd.Series[float]:
    """Return one arm's accuracy minus another's, by seed, in points."""
    first, second = (side(stops, arm, round, column) for arm in (one, other))
    return 100 * (first - second).dropna()


def trained(stops: pd.DataFrame, claim: Claim) -> list[int]:
    """Return the claim's rounds at which a record has both arms."""
    rounds = set(claim.rounds)
    for part, colon, arm in (x.rpartition(":") for x in (claim.one, claim.other)):
        rows = stops[stops["experiment"] == part] if colon else stops
        if arm != "dense":
            rounds &= set(rows.loc[rows["arm"] == arm, "round"])
    return sorted(rounds)


def _mean(each: list[pd.Series[float]]) -> pd.Series[float]:
    """Return each seed's mean over rounds."""
    return sum(each[1:], start=each[0]) / len(each)


def better(stops: pd.DataFrame, claim: Claim, column: str = "test") -> Measured:
    """By how many points one arm is more accurate, at early stop."""
    gaps = [
        gap(stops, claim.one, claim.other, round, column)
        for round in trained(stops, claim)
    ]
    return Measured(_mean(gaps))


def better_at_end(stops: pd.DataFrame, claim: Claim) -> Measured:
    """The same after the last iteration: if the other knows its training images."""
    known = [
        side(stops, claim.other, round, "final_train").mean()
        for round in trained(stops, claim)
    ]
    short = bool(min(known) < KNOWN)
    return Measured(better(stops, claim, "final_test").values, short)


def best_at_end(stops: pd.DataFrame, claim: Claim) -> Measured:
    """The same at the one round whose validation loss is least.

    "Up to" so many points means the best density. To choose it by test accuracy
    would be to choose one's luck.
    """
    rows = stops[(stops["arm"] == claim.one) & stops["round"].isin(claim.rounds)]
    best = cast(int, rows.groupby("round")["loss"].mean().idxmin())
    return better_at_end(stops, replace(claim, rounds=(best,)))


def sooner(stops: pd.DataFrame, claim: Claim) -> Measured:
    """How many times as fast one arm comes to its early stop, as a logarithm.

    It is too short if more than half of the trainings were best at their end.
    """
    ratios, late = [], []
    for round in trained(stops, claim):
        both = claim.one, claim.other
        fast, slow = (side(stops, arm, round, "iteration") for arm in both)
        ratios.append((slow / fast).dropna().map(log))
        late += [side(stops, arm, round, "late").mean() for arm in both]
    return Measured(_mean(ratios), fmean(late) > 0.5)


def falls_later(stops: pd.DataFrame, claim: Claim) -> Measured:
    """How many rounds later one arm falls below the dense network for good."""
    return Measured(_fall(stops, claim.one) - _fall(stops, claim.other))


def _fall(stops: pd.DataFrame, arm: str) -> pd.Series[float]:
    """Return by seed the round from which on an arm stays below dense.

    Of the rounds at which it was trained; one more than the last for never.
    """
    import pandas as pd

    rounds = sorted(set(stops.loc[stops["arm"] == arm, "round"]) - {0})
    gaps = {r: gap(stops, arm, "dense", r) for r in reversed(rounds)}
    below = (pd.DataFrame(gaps) < 0).cummin(axis=1).sum(axis=1)
    return (len(rounds) - below).map(dict(enumerate([*rounds, rounds[-1] + 1])))


def under_a_third(stops: pd.DataFrame, claim: Claim) -> Measured:
    """A third of the ticket's lead over an arm, less one arm's lead over it."""
    third = better(stops, replace(claim, one="ticket")).values / 3
    return Measured(third - better(stops, claim).values)


def _shape(
    stops: pd.DataFrame, claim: Claim, number: Callable[[Tensor], float]
) -> Measured:
    """A number of the survivors' first values: that of the layer that agrees least."""
    import pandas as pd

    seeds = {
        ticket.seed: min(number(survivors(ticket, layer)) for layer in claim.layers)
        for ticket in _tickets(stops.attrs["record"], claim.rounds[0])
    }
    return Measured(pd.Series(seeds))


@cache
def _tickets(record: str, round: int) -> list[Ticket]:
    name, profile = record.split("/")
    return recorded_tickets(name, profile, round)


def two_peaks(stops: pd.DataFrame, claim: Claim) -> Measured:
    """By how much the middle is lower than the sides, as a share of these."""
    return _shape(stops, claim, lambda values: 1 - height(values))


def one_peak(stops: pd.DataFrame, claim: Claim) -> Measured:
    """By how much the middle is higher than the sides, as a share of these."""
    return _shape(stops, claim, lambda values: height(values) - 1)


def more_above(stops: pd.DataFrame, claim: Claim) -> Measured:
    """By how much the share of survivors that start above zero exceeds a half."""
    return _shape(stops, claim, lambda values: positive(values) - 0.5)


def more_below(stops: pd.DataFrame, claim: Claim) -> Measured:
    """By how much the share of survivors that start below zero exceeds a half."""
    return _shape(stops, claim, lambda values: 0.5 - positive(values))


# How each of the ledger's measures is taken: from `early_stop`'s rows, and a claim.
MEASURES: dict[str, Callable[[pd.DataFrame, Claim], Measured]] = {
    "better": better,
    "better at the end": better_at_end,
    "best at the end": best_at_end,
    "closes less than a third": under_a_third,
    "sooner": sooner,
    "falls later": falls_later,
    "two peaks": two_peaks,
    "one peak": one_peak,
    "more start above zero": more_above,
    "more start below zero": more_below,
}
