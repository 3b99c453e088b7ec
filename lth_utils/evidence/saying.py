"""Numbers in words: the sentences that every chapter says of its seeds."""

from __future__ import annotations

from collections.abc import Iterable
from math import isinf, isnan
from typing import TYPE_CHECKING, Any

from lth_utils.errors import LotteryError
from lth_utils.evidence.pairs import interval
from lth_utils.experiments.ledger import SEEDS

if TYPE_CHECKING:
    import pandas as pd


def told(values: pd.Series[float], unit: str = "points") -> str:
    """Say one number a seed: the mean, how sure it is, and how many agree.

    Five seeds or more have a 95 % t interval; fewer have their range.

    Args:
        values: One number a seed, such as `lth.points(...)`.
        unit: What they count; "" for a bare number.

    Raises:
        LotteryError: If there is no value.

    >>> import pandas as pd
    >>> told(pd.Series([0.5, 0.7, 0.9]))
    '+0.70 points (+0.50 to +0.90; above 0 in 3 of n = 3 seeds)'
    """
    mean, ends = brief(values)[:-1].split(" (")
    n, above = len(values), int((values > 0).sum())
    what = "" if n < SEEDS else "95 % interval "
    mean = f"{mean} {unit}".rstrip()
    return f"{mean} ({what}{ends}; above 0 in {above} of n = {n} seeds)"


def brief(values: Iterable[float], form: str = "+.2f") -> str:
    """Say the same in a table's cell: the mean, and between which ends it lies.

    The ends are those of the 95 % t interval; of fewer than five seeds, the least
    and the greatest.

    Args:
        values: One number a seed.
        form: How a number is written, as Python formats it.

    Raises:
        LotteryError: If there is no value.

    >>> brief([0.5, 0.7, 0.9])
    '+0.70 (+0.50 to +0.90)'
    """
    import pandas as pd

    found = pd.Series(list(values), dtype=float)
    if found.empty:
        raise LotteryError(
            "There is no value to tell: expected one for each seed. Was the table"
            " filtered by a round that it does not hold?"
        )
    few = len(found) < SEEDS
    ends = (found.min(), found.max()) if few else interval(found)
    mean, low, high = (f"{value:{form}}" for value in (found.mean(), *ends))
    return f"{mean} ({low} to {high})"


def numbers(row: pd.Series[Any]) -> tuple[str, str, str]:
    """Say a verdict's numbers: ours with its interval, how many agree, the paper's.

    Args:
        row: Of what `claims` returned; what was not run has no numbers of ours.

    >>> numbers({"n": 5, "agree": 4, "unit": "times", "mean": 2.284, "low": 1.579,
    ...          "high": float("inf"), "paper": 1.61})
    ('2.28 times (95 %: at least 1.58)', '4 of 5', '1.61')
    """
    paper = "" if isnan(row["paper"]) else f"{row['paper']:g}"
    if not row["n"]:
        return "", "", paper
    form = {"times": ".2f", "weights": "+,.0f"}.get(row["unit"], "+.2f")
    mean, low, high = (f"{row[key]:{form}}" for key in ("mean", "low", "high"))
    span = f"at least {low}" if isinf(row["high"]) else f"{low} to {high}"
    ours = f"{mean} {row['unit']} (95 %: {span})"
    return ours, f"{row['agree']} of {row['n']}", paper
