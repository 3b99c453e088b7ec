"""Numbers in words: the sentences that every chapter says of its seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lth_utils.errors import LotteryError
from lth_utils.evidence.pairs import interval

if TYPE_CHECKING:
    import pandas as pd

FEW = 5  # seeds that an interval, or a verdict, needs


def told(values: pd.Series[float], unit: str = "points", digits: int = 2) -> str:
    """Say one number a seed: the mean, how sure it is, and how many agree.

    Five seeds or more have a 95 % t interval; fewer have their range.

    Args:
        values: One number a seed, such as `100 * lth.paired(...)`.
        unit: What they count; "" for a bare number.
        digits: Behind the point.

    Raises:
        LotteryError: If there is no value.

    >>> import pandas as pd
    >>> told(pd.Series([0.5, 0.7, 0.9]))
    '+0.70 points (+0.50 to +0.90; above 0 in 3 of n = 3 seeds)'
    """
    n, above = len(values), int((values > 0).sum())
    if not n:
        raise LotteryError(
            "There is no value to tell: expected one for each seed. Was the table"
            " filtered by a round that it does not hold?"
        )
    span = (values.min(), values.max()) if n < FEW else interval(values)
    low, high = (f"{end:+.{digits}f}" for end in span)
    what = "" if n < FEW else "95 % interval "
    mean = f"{values.mean():+.{digits}f} {unit}".rstrip()
    return f"{mean} ({what}{low} to {high}; above 0 in {above} of n = {n} seeds)"
