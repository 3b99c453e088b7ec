"""One rule for all claims: from a record to a verdict."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from math import exp, log, nan
from typing import TYPE_CHECKING, NamedTuple

from lth_utils.errors import LotteryError, choose
from lth_utils.evidence.measures import MEASURES
from lth_utils.evidence.pairs import interval
from lth_utils.evidence.sides import Measured, trained
from lth_utils.experiments.catalogue import EXPERIMENTS, experiment
from lth_utils.experiments.ledger import SEEDS, UNITS, Claim, ledger
from lth_utils.experiments.records import AGAIN, is_recorded, recorded
from lth_utils.experiments.tables import early_stop

if TYPE_CHECKING:
    import pandas as pd

WORDS = (
    "replicated",
    "partly",
    "not replicated",
    "cannot tell at this length",
    "too few seeds",
    "not run yet",
)
ABOUT = ("chapter", "says", "source", "registered")


class Verdict(NamedTuple):
    """What a record says of a claim.

    Attributes:
        claim: Its name.
        record: Such as "lenet-mnist/paper"; "" if none is there yet. One that is a
            part of its plan may wait for the claim's trainings.
        word: One of `WORDS`.
        unit: A value of `UNITS`, such as "points", of all numbers below.
        paper: The paper's number; NaN if it gives none.
        mean: Ours; of times, the geometric mean.
        low: The t interval's lower end.
        high: Its upper end; infinite where one direction is claimed.
        agree: In how many seeds one sees it, the tolerance granted.
        n: How many seeds there are.
        changed: Whether the rule is no longer the one that the record keeps.
    """

    claim: str
    record: str
    word: str
    unit: str
    paper: float
    mean: float = nan
    low: float = nan
    high: float = nan
    agree: int = 0
    n: int = 0
    changed: bool = False


def verdict(
    values: pd.Series[float],
    paper: float = 0.0,
    tolerance: float = 0.0,
    short: bool = False,
    sides: int = 1,
    seeds: int = SEEDS,
) -> str:
    """Apply the book's one rule to one number a seed; return one of `WORDS`.

    - too few seeds: fewer than `seeds`;
    - cannot tell at this length: the trainings are too short for it;
    - replicated: the 95 % t interval of the mean, with the tolerance granted, lies
      above 0, and the mean is at least half of the paper's number;
    - partly: the mean is above 0;
    - not replicated: it is not.

    Args:
        values: One a seed, above 0 where the seed agrees; of times, logarithms.
        paper: The paper's number, in the same unit.
        tolerance: What each seed is granted.
        short: Whether the trainings are too short.
        sides: 1 if only one direction is claimed, else 2.
        seeds: How many a verdict needs.
    """
    if len(values) < seeds:
        return "too few seeds"
    if short:
        return "cannot tell at this length"
    granted = values + tolerance
    low, _ = interval(granted, sides=sides)
    if low > 0 and granted.mean() >= paper / 2:
        return "replicated"
    return "partly" if granted.mean() > 0 else "not replicated"


def on_scale(claim: Claim) -> tuple[float, float]:
    """Return the paper's number and the tolerance on the scale that is averaged."""
    if UNITS[claim.measure] != "times":
        return claim.paper, claim.tolerance
    return log(claim.paper or 1), log(claim.tolerance or 1)


@cache
def measured(claim: Claim, record: str) -> Measured:
    """Return a claim's numbers by a record, one a seed.

    Raises:
        LotteryError: As `recorded`, or if the record has none of its trainings.
    """
    stops, take = _stops(record), MEASURES[claim.measure]
    each = []
    for mine in _by_part(claim):
        if not trained(stops, mine):
            raise LotteryError(
                f"The record {record} has no pair of {claim.one} and {claim.other}"
                f" at a round of claim {claim.id}: expected one of"
                f" {', '.join(map(str, claim.rounds))}. Correct the claim's records."
            )
        each.append(take(stops, mine))
    import pandas as pd

    least = pd.concat([found.values for found in each], axis=1).min(axis=1)
    return Measured(least, any(found.short for found in each))


def _by_part(claim: Claim) -> list[Claim]:
    """Return a claim about several parts as one about each."""
    return [
        replace(claim, one=_of(part, claim.one), other=_of(part, claim.other))
        for part in claim.parts or ("",)
    ]


def _of(part: str, arm: str) -> str:
    """Return an arm's word with the part, unless it names one or there is none."""
    return f"{part}:{arm}" if part and ":" not in arm else arm


@cache
def _stops(record: str) -> pd.DataFrame:
    table = recorded(*record.split("/"))
    stops = early_stop(table)
    stops = stops.assign(late=stops["iteration"].eq(table["iteration"].max()))
    stops.attrs = {"record": record, "provenance": table.attrs["provenance"]}
    return stops


def judge(claim: Claim, record: str) -> Verdict:
    """Judge a claim by a record.

    Raises:
        LotteryError: If the record is there and damaged, or lacks what is asked.
    """
    unit, paper = UNITS[claim.measure], claim.paper or nan
    if not record or not _there(record) or _awaits(record, claim):
        return Verdict(claim.id, record, "not run yet", unit, paper)
    found = measured(claim, record)
    values, n = found.values, len(found.values)
    mean, low, high = values.mean(), nan, nan
    if n > 1:
        low, high = interval(values, sides=claim.sides)
    if unit == "times":
        mean, low, high = exp(mean), exp(low), exp(high)
    rule = on_scale(claim)
    agree = int((values + rule[1] > 0).sum())
    word = verdict(values, *rule, found.short, claim.sides, claim.seeds)
    kept: dict[str, str] = _stops(record).attrs["provenance"].get("claims", {})
    changed = kept.get(claim.id) != claim.fingerprint
    numbers = (mean, low, high, agree, n, changed)
    return Verdict(claim.id, record, word, unit, paper, *numbers)


def _there(record: str) -> bool:
    name, _, profile = record.partition("/")
    choose("experiment", name, EXPERIMENTS)
    choose(f"profile of {name}", profile.removesuffix(AGAIN), EXPERIMENTS[name])
    return is_recorded(name, profile)


def _awaits(record: str, claim: Claim) -> bool:
    """Whether a record lacks a claim's trainings that its plan has."""
    stops = _stops(record)
    lacking = [mine for mine in _by_part(claim) if not trained(stops, mine)]
    if not lacking:
        return False
    import pandas as pd

    name, _, profile = record.partition("/")
    plan = experiment(name, profile.removesuffix(AGAIN))
    columns = ["experiment", "arm", "seed", "control", "round"]
    rows = [(part.name, *each) for part in plan.parts for each in part.trainings()]
    planned = pd.DataFrame(rows, columns=columns)
    return any(trained(planned, mine) for mine in lacking)


def claims(chapter: int | str | None = None) -> pd.DataFrame:
    """Judge the claims of the ledger by the recorded runs. Nothing is trained.

    Args:
        chapter: One chapter's, such as 4 or "9b"; None takes all.

    Returns:
        A row for each claim and record, verdict first: the columns of `Verdict`,
        and the claim's `chapter`, `says`, `source` and `registered`.

    Raises:
        LotteryError: If no claim is of the chapter, or a record is damaged.
    """
    import pandas as pd

    every = ledger().values()
    asked = [c for c in every if chapter is None or c.chapter == str(chapter)]
    if not asked:
        there = sorted(
            {c.chapter for c in every}, key=lambda c: (len(c.rstrip("b")), c)
        )
        raise LotteryError(
            f"No claim is of chapter {chapter}: expected one of"
            f" {', '.join(there) or 'those in results/claims.toml'}."
        )
    rows = []
    for claim in asked:
        about = {key: getattr(claim, key) for key in ABOUT}
        for record in claim.records or ("",):
            rows.append(judge(claim, record)._asdict() | about)
    table = pd.DataFrame(rows).rename(columns={"word": "verdict"})
    return table[["verdict", *table.columns.drop("verdict")]]
