"""What a claim measures: one number a seed, above 0 where the seed agrees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import combinations
from math import log
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple, cast

from lth_utils.evidence.pairs import by_seed
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
from lth_utils.experiments.records import recorded_tickets

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from lth_utils.experiments.ledger import Claim
    from lth_utils.tickets import Ticket

KNOWN = 0.999  # of the training images: a network that has come to its end
HELD = 0.3  # points below a level that still hold it
RANGE = (9_000, 15_000)  # the weights that figure 31 speaks of
LEAVES = 0.8  # what a pruning round leaves of the weights: the grain of all sizes
FAINT = 0.01  # of the images: a pixel that has ink in no more of them


class Measured(NamedTuple):
    """A claim's numbers.

    Attributes:
        values: One a seed, in the measure's unit; of times, their logarithm.
        short: Whether the trainings are too short for the claim.
    """

    values: pd.Series[float]
    short: bool = False


def of_part(stops: pd.DataFrame, arm: str) -> tuple[pd.DataFrame, str]:
    """Return the rows of the study's part that an arm names, if any, and the arm."""
    part, colon, arm = arm.rpartition(":")
    return (stops[stops["experiment"] == part] if colon else stops), arm


def side(
    stops: pd.DataFrame, arm: str, round: int, column: str = "test"
) -> pd.Series[float]:
    """Return one number a seed of an arm, which may be of a study's part."""
    rows, arm = of_part(stops, arm)
    return by_seed(rows, arm, round, column)


def gap(
    stops: pd.DataFrame, one: str, other: str, round: int, column: str = "test"
) -> pd.Series[float]:
    """Return one arm's accuracy minus another's, by seed, in points."""
    first, second = (side(stops, arm, round, column) for arm in (one, other))
    return 100 * (first - second).dropna()


def trained(stops: pd.DataFrame, claim: Claim) -> list[int]:
    """Return the claim's rounds at which a record has both arms."""
    rounds = set(claim.rounds)
    for rows, arm in (of_part(stops, word) for word in (claim.one, claim.other)):
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
    below = (pd.DataFrame(gaps) < 0).cummin(axis=1).sum(axis=1)
    return (len(rounds) - below).map(dict(enumerate([*rounds, rounds[-1] + 1])))


def under_a_third(stops: pd.DataFrame, claim: Claim) -> Measured:
    """A third of the ticket's lead over an arm, less one arm's lead over it."""
    part, colon, _ = claim.one.rpartition(":")
    third = better(stops, replace(claim, one=f"{part}{colon}ticket")).values / 3
    return Measured(third - better(stops, claim).values)


# --- what tickets look like ----------------------------------------------------------


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


# --- studies: pruning rates and widths -----------------------------------------------


def better_at_equal_size(stops: pd.DataFrame, claim: Claim) -> Measured:
    """By how many points one part is more accurate at a density of the other.

    At the last one that the first part reaches too, give or take a twentieth, and
    there read straight between two of its rounds.
    """
    import numpy as np
    import pandas as pd

    mine, theirs = (
        rows[(rows["arm"] == arm) & rows["round"].isin(claim.rounds)]
        for rows, arm in (of_part(stops, word) for word in (claim.one, claim.other))
    )
    there = theirs["density"]
    at = there[there >= 0.95 * mine["density"].min()].min()
    read = {
        seed: np.interp(log(at), np.log(rows["density"]), rows["test"])
        for seed, rows in mine.sort_values("density").groupby("seed")
    }
    other = theirs[there == at].set_index("seed")["test"]
    return Measured(100 * (pd.Series(read) - other).dropna())


def size(width: str) -> int:
    """Return the weights of a LeNet by its hidden layers, such as "300-100"."""
    first, second = map(int, width.split("-"))
    return 784 * first + first * second + 10 * second


def fewest(stops: pd.DataFrame, arm: str, held: float = HELD) -> pd.DataFrame:
    """Return each seed's last round that holds its dense network's accuracy.

    The *validation* accuracy says which it is. What dips below and comes back has
    not fallen.

    Args:
        stops: What `early_stop` returned of a study of widths.
        arm: A width's, such as "25-8:ticket".
        held: How many points below the dense network still hold its level.

    Returns:
        A row a seed: the columns of `early_stop`; `weights`, their number there; and
        `fallen`, whether it has a later round, which then does not hold it.
    """
    rows, arm = of_part(stops, arm)
    line = rows[rows["arm"].isin([arm, "dense"])]
    dense = line[line["arm"] == "dense"].set_index("seed")["validation"]
    lead = 100 * (line["validation"] - line["seed"].map(dense))
    holds = line[lead.round(6) >= -held].sort_values("round")  # 15 images: 0.3 points
    last = holds.groupby("seed").tail(1).set_index("seed").sort_index()
    weights = (last["density"] * last["experiment"].map(size)).round()
    return last.assign(weights=weights, fallen=last["round"] < line["round"].max())


def _fewest(stops: pd.DataFrame, claim: Claim, arm: str = "") -> pd.DataFrame:
    """The same, of a claim's arm, among its rounds."""
    return fewest(stops[stops["round"].isin([0, *claim.rounds])], arm or claim.one)


def in_range(stops: pd.DataFrame, claim: Claim) -> Measured:
    """By how many weights the fewest that hold are inside the paper's range.

    A round takes a fifth, so the true number lies between this one and four fifths
    of it; the range must touch these. It is too short if a seed's line ends above
    the range's lower end before it falls.
    """
    import pandas as pd

    found = _fewest(stops, claim)
    low, high = RANGE
    ends = [found["weights"] - low, high - LEAVES * found["weights"]]
    short = not found["fallen"].all() and found["weights"].mean() > low
    return Measured(pd.concat(ends, axis=1).min(axis=1), bool(short))


def same_size(stops: pd.DataFrame, claim: Claim) -> Measured:
    """How many weights are to spare until two widths' fewest differ too much.

    The largest may be 15/9 of the smallest, as the ends of the paper's range are. Only
    widths of which all seeds' lines fall can be asked; if these do not differ too
    much and others have not fallen, it is too short.
    """
    found = {
        part: _fewest(stops, claim, f"{part}:{claim.one}")
        for part in stops["experiment"].unique()
    }
    fallen = [each["weights"] for each in found.values() if each["fallen"].all()]
    asked = sorted(
        fallen or [each["weights"] for each in found.values()],
        key=lambda weights: weights.mean(),
    )
    room = RANGE[1] / RANGE[0] * asked[0] - asked[-1]
    short = len(fallen) < len(found) and (len(fallen) < 2 or room.mean() > 0)
    return Measured(room, bool(short))


def better_at_fewest(stops: pd.DataFrame, claim: Claim) -> Measured:
    """By how many points of test accuracy the fewest that hold are ahead of dense."""
    test = _fewest(stops, claim)["test"]
    return Measured(100 * (test - side(stops, claim.other, 0)))


def wide_beats_narrow(stops: pd.DataFrame, claim: Claim) -> Measured:
    """By how many points tickets of wider networks beat narrower dense networks.

    A ticket is that of the first round with no more weights than the dense network
    has. Of all pairs of widths, the one that agrees least counts.
    """
    import pandas as pd

    gaps = []
    widths = sorted(stops["experiment"].unique(), key=size)
    for narrow, wide in combinations(widths, 2):
        weights = (stops["density"] * size(wide)).round()
        small = stops["experiment"].eq(wide) & weights.le(size(narrow))
        round = stops.loc[small & stops["arm"].eq(claim.one), "round"].min()
        both = f"{wide}:{claim.one}", f"{narrow}:{claim.other}"
        gaps.append(gap(stops, *both, round))
    return Measured(pd.concat(gaps, axis=1).min(axis=1))


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
    "incoming more even": more_even,
    "incoming more even than by chance": more_even_than_chance,
    "two peaks, black pixels": black_apart,
    "two peaks, faint pixels": faint_apart,
    "black pixels read less": black_read_less,
    "better at equal size": better_at_equal_size,
    "size in the paper's range": in_range,
    "same size": same_size,
    "better at the fewest weights": better_at_fewest,
    "wide beats narrow": wide_beats_narrow,
}
