"""Comparisons in pairs: seed by seed, so that what seeds share drops out.

The spread between seeds is as large as the effects. Two arms with the same
seed share their first values and the order of their batches, so a difference
is formed within each seed, and only then averaged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lth_utils.errors import LotteryError
from lth_utils.words import ARMS

if TYPE_CHECKING:
    import pandas as pd

_DRAWS = 10_000


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
        LotteryError: If the table has no such trainings.
    """
    at = 0 if arm == ARMS[0] else round
    rows = stops[(stops["arm"] == arm) & (stops["round"] == at)]
    if rows.empty:
        raise LotteryError(
            f"The table has no training of arm {arm!r} at round {at}: expected one"
            f" of its arms, {', '.join(stops['arm'].unique())}, at a round that it"
            " was trained for."
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
    """
    first, second = (by_seed(stops, arm, round, value) for arm in (one, other))
    return first - second


def interval(
    values: pd.Series[float], level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Return a bootstrap interval of the mean of a few seeds' values.

    The seeds are drawn again, with replacement, 10,000 times; the interval
    holds the middle `level` of the means. With five seeds it is somewhat too
    narrow, and it cannot reach beyond the values that were seen.

    Args:
        values: One number a seed.
        level: The share of the means that lies inside, in (0, 1).
        seed: Of the draws.
    """
    drawn = np.random.default_rng(seed).choice(
        np.asarray(values), (_DRAWS, len(values))
    )
    tails = (50 * (1 - level), 50 * (1 + level))
    low, high = np.percentile(drawn.mean(axis=1), tails)
    return float(low), float(high)


def speedup(
    stops: pd.DataFrame, one: str, other: str, round: int
) -> tuple[float, float]:
    """Say how many times sooner one arm's early stop comes than another's.

    Returns:
        The ratio of the mean iterations, and the mean of the seeds' ratios.
        The second is the larger the noisier the iterations are: one seed that
        stops very early weighs as much as all others.
    """
    fast = by_seed(stops, one, round, "iteration")
    slow = by_seed(stops, other, round, "iteration")
    return float(slow.mean() / fast.mean()), float((slow / fast).mean())
