"""What of a table a figure draws: which arms, which rows, and its name."""

from collections.abc import Iterable, Sequence

import pandas as pd

from lth_utils.errors import LotteryError, choose
from lth_utils.figures.drawing import STYLE, percent


def arms_of(tables: list[pd.DataFrame], arms: Iterable[str] | None) -> list[str]:
    """Check the arms to draw beside the dense one, or find all there are."""
    held = list(pd.concat([table["arm"] for table in tables]).unique())
    there = [arm for arm in STYLE if arm in held and arm != "dense"]
    if arms is None:
        strange = [arm for arm in held if arm not in STYLE]
        if strange:
            raise LotteryError(
                f"The table holds the arm {strange[0]!r}, which has no look: expected"
                f" a Look in lth.plots.STYLE[{strange[0]!r}]. Put one there, or name"
                " the arms to draw, as in arms=['ticket']."
            )
        return there
    named = [arms] if isinstance(arms, str) else arms
    chosen = [choose("arm", arm, STYLE) for arm in named if arm != "dense"]
    for arm in chosen:
        choose("arm of this table", arm, ["dense", *there])
    return chosen


def measured(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Keep the rows that hold a number to draw."""
    found = rows.dropna(subset=column)
    if found.empty:
        raise LotteryError(
            f"The table holds no number to draw in {column!r}: expected at least one"
            " measurement."
        )
    return found


def whole_curves(
    rows: pd.DataFrame, arms: list[str], rounds: Sequence[int] | None
) -> pd.DataFrame:
    """Keep whole curves; others were measured at early stop and the end only."""
    rows = rows[rows["arm"].isin(["dense", *arms])]
    training = ["arm", "round", "seed", "control"]
    points = rows.groupby(training)["iteration"].transform("size")
    rows = rows[points > 2]
    kept = sorted(int(number) for number in rows["round"].unique())
    for arm in arms:
        shown = ["dense", arm] if rounds else [arm]
        mine = set(rows.loc[rows["arm"].isin(shown), "round"])
        missing = [number for number in rounds or () if number not in mine]
        if missing or not mine:
            at = f" at round {missing[0]}" if missing else ""
            raise LotteryError(
                f"The table has no whole curve of arm {arm!r}{at}: expected one of the"
                f" rounds that it keeps whole, {', '.join(map(str, kept)) or 'none'}."
                " A run measures them where it is asked to: lth.run(..., curves=True),"
                " or lth run --curves. A record keeps few."
            )
    rows = rows[rows["round"].isin(rounds or kept)]
    remaining = rows["density"].map(percent)
    return rows.assign(remaining=remaining, accuracy=100 * rows["accuracy"])


def name_of(table: pd.DataFrame) -> str:
    """Say which run a panel shows: "recorded run (mnist)".

    A record at the paper's length is the long run. Tables that were put together
    do not know what they are: they are named by what they hold.
    """
    if "profile" not in table.attrs:
        parts = table["experiment"].unique()
        return str(parts[0]) if len(parts) == 1 else f"{len(parts)} experiments"
    profile, again, _ = table.attrs["profile"].partition("-again")
    made = "long" if profile == "paper" else "recorded"
    made = made if "provenance" in table.attrs else "live"
    return f"{made} run{' again' * bool(again)} ({table.attrs['data']})"
