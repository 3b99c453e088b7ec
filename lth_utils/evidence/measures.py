"""What a claim measures: one number a seed, above 0 where the seed agrees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import log
from statistics import fmean
from typing import TYPE_CHECKING, cast

from lth_utils.evidence import study_measures as of_studies
from lth_utils.evidence import ticket_measures as of_tickets
from lth_utils.evidence.sides import Measured, gap, of_part, side, trained

if TYPE_CHECKING:
    import pandas as pd

    from lth_utils.experiments.ledger import Claim

KNOWN = 0.999  # of the training images: a network that has come to its end


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
    rows, arm = of_part(stops, claim.one)
    rows = rows[(rows["arm"] == arm) & rows["round"].isin(claim.rounds)]
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

    stops, arm = of_part(stops, arm)
    rounds = sorted(set(stops.loc[stops["arm"] == arm, "round"]) - {0})
    gaps = {r: gap(stops, arm, "dense", r) for r in reversed(rounds)}
    below = (pd.DataFrame(gaps).dropna() < 0).cummin(axis=1).sum(axis=1)
    return (len(rounds) - below).map(dict(enumerate([*rounds, rounds[-1] + 1])))


def under_a_third(stops: pd.DataFrame, claim: Claim) -> Measured:
    """A third of the ticket's lead over an arm, less one arm's lead over it."""
    part, colon, _ = claim.one.rpartition(":")
    third = better(stops, replace(claim, one=f"{part}{colon}ticket")).values / 3
    if third.mean() <= 0:  # no lead: there is nothing to close
        return Measured(third)
    return Measured(third - better(stops, claim).values)


# How each of the ledger's measures is taken: from `early_stop`'s rows, and a claim.
MEASURES: dict[str, Callable[[pd.DataFrame, Claim], Measured]] = {
    "better": better,
    "better at the end": better_at_end,
    "best at the end": best_at_end,
    "closes less than a third": under_a_third,
    "sooner": sooner,
    "falls later": falls_later,
    "two peaks": of_tickets.two_peaks,
    "one peak": of_tickets.one_peak,
    "more start above zero": of_tickets.more_above,
    "more start below zero": of_tickets.more_below,
    "incoming more even": of_tickets.more_even,
    "incoming more even than by chance": of_tickets.more_even_than_chance,
    "two peaks, black pixels": of_tickets.black_apart,
    "two peaks, faint pixels": of_tickets.faint_apart,
    "black pixels read less": of_tickets.black_read_less,
    "better at equal size": of_studies.better_at_equal_size,
    "size in the paper's range": of_studies.in_range,
    "same size": of_studies.same_size,
    "better at the fewest weights": of_studies.better_at_fewest,
    "wide beats narrow": of_studies.wide_beats_narrow,
}
