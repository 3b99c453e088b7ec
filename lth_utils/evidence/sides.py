"""The sides of a claim: an arm's numbers, of a record or of a part of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lth_utils.evidence.pairs import by_seed

if TYPE_CHECKING:
    import pandas as pd

    from lth_utils.experiments.ledger import Claim


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
