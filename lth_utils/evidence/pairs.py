"""Comparisons in pairs: seed by seed, so that what seeds share drops out.

The spread between seeds is as large as the effects. Two arms with the same
seed share their first values and the order of their batches, so a difference
is formed within each seed, and only then averaged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lth_utils.arguments import real, whole
from lth_utils.errors import LotteryError, choose
from lth_utils.experiments.tables import one_experiment
from lth_utils.words import ARMS

if TYPE_CHECKING:
    import pandas as pd


def by_seed(
    stops: pd.DataFrame, arm: str, round: int, value: str = "test"
) -> pd.Series[float]:
    """Return one number a seed; repeats of a control are averaged.

    Args:
        stops: What `early_stop` returned, of one experiment.
        arm: The arm; "dense" is taken at round 0, whatever `round` is.
        round: The pruning round.
        value: The column: "test", "iteration", "final_test" and so on.

    Raises:
        LotteryError: If the table has no such column or trainings, or holds
            several experiments, or a training twice.
    """
    for column in ("arm", "round", "seed", value):
        choose("column of what lth.early_stop returns", column, map(str, stops))
    one_experiment(stops, "A number a seed")
    at = 0 if arm == ARMS[0] else round
    mine = stops[stops["arm"] == arm]
    rows = mine[mine["round"] == at].dropna(subset=value)
    if rows.empty:
        rounds = ", ".join(str(found) for found in sorted(mine["round"].unique()))
        trained = f" (of {arm!r}: {rounds})" if rounds else ""
        raise LotteryError(
            f"The table has no training of arm {arm!r} at round {at} with a number in"
            f" {value!r}: expected one of its arms,"
            f" {', '.join(stops['arm'].unique())}, at a round that it was trained"
            f" for{trained}."
        )
    if "control" in rows and rows.duplicated(["seed", "control"]).any():
        raise LotteryError(
            f"The table holds trainings of arm {arm!r} at round {at} twice: expected"
            " one for each seed and control. Are two runs put together in it?"
        )
    return rows.groupby("seed")[value].mean()


def paired(
    stops: pd.DataFrame, one: str, other: str, round: int, value: str = "test"
) -> pd.Series[float]:
    """Return one arm minus another, seed by seed.

    Args:
        stops: What `early_stop` returned, of one experiment.
        one: An arm.
        other: The arm it is held against.
        round: The pruning round of both ("dense": round 0).
        value: The column; accuracies are fractions.

    Returns:
        A difference for each seed that both arms have.

    Raises:
        LotteryError: As `by_seed`, or if no seed is in both arms.
    """
    first, second = _both(stops, one, other, round, value)
    return first - second


def points(
    stops: pd.DataFrame, one: str, other: str, round: int, value: str = "test"
) -> pd.Series[float]:
    """Return one arm's accuracy minus another's, seed by seed, in points.

    Raises:
        LotteryError: As `paired`.
    """
    return 100 * paired(stops, one, other, round, value)


def _both(
    stops: pd.DataFrame, one: str, other: str, round: int, value: str
) -> tuple[pd.Series[float], pd.Series[float]]:
    """Return two arms' numbers, for the seeds that both have."""
    first, second = (by_seed(stops, arm, round, value) for arm in (one, other))
    shared = first.index.intersection(second.index)
    if shared.empty:
        raise LotteryError(
            f"The arms {one!r} and {other!r} share no seed at round {round}: expected"
            " trainings of both with the same seed. Train what is missing."
        )
    return first[shared], second[shared]


def interval(
    values: pd.Series[float], level: float = 0.95, sides: int = 2
) -> tuple[float, float]:
    """Return the t interval of the mean of a few seeds' values.

    mean -+ t(n - 1) * s / sqrt(n): it holds the true mean in a share `level` of
    experiments if the values are normal, however few they are, and in a little
    less if they are skewed.

    Args:
        values: One number a seed.
        level: How often it holds the true mean, in (0, 1).
        sides: 1 if only the lower end is asked for; the upper one is then infinite.

    Raises:
        LotteryError: If there are fewer than two values, or one that is no
            finite number, or the level or the sides are out of range.
    """
    found = np.asarray(values, dtype=float)
    if found.ndim != 1 or len(found) < 2 or not np.isfinite(found).all():
        raise LotteryError(
            f"The values {found.tolist()} have no interval: expected a finite number"
            " for each of two seeds or more. Choose one column, and drop the seeds"
            " without a number."
        )
    if not 0 < real(level) < 1:
        raise LotteryError(
            f"The level is {level!r}: expected a share above 0 and below 1, such as"
            " 0.95."
        )
    from scipy.special import stdtrit  # the quantiles of t

    tail = (1 - level) / whole("The number of sides", sides, 1, 2)
    quantile = float(stdtrit(len(found) - 1, 1 - tail))
    mean = float(found.mean())
    reach = quantile * float(found.std(ddof=1)) / len(found) ** 0.5
    return mean - reach, mean + reach if sides == 2 else float("inf")


def speedup(
    stops: pd.DataFrame, one: str, other: str, round: int
) -> tuple[float, float]:
    """Say how many times sooner one arm's early stop comes than another's.

    Only seeds that both arms have are compared.

    Returns:
        The ratio of the mean iterations, and the mean of the seeds' ratios.
        The second is the larger the noisier the iterations are: one seed that
        stops very early weighs as much as all others.

    Raises:
        LotteryError: As `paired`.
    """
    fast, slow = _both(stops, one, other, round, "iteration")
    return float(slow.mean() / fast.mean()), float((slow / fast).mean())
