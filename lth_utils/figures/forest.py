"""The forest plot: every claim's number with its interval, beside the paper's."""

from math import isinf

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from lth_utils.errors import LotteryError, choose
from lth_utils.figures.drawing import Look, canvas, legend

# What a record's last word says of its length, and how it looks.
LOOKS = {
    "laptop": Look("recorded", "#0072B2", "o", ()),
    "laptop-again": Look("recorded again", "#56B4E9", "s", ()),
    "paper": Look("long", "#D55E00", "D", ()),
    "paper-again": Look("long again", "#E69F00", "v", ()),
}
PAPER = Look("the paper's number", "#000000", "*", None)
AXES = {
    "points": "points of accuracy",
    "times": "times as fast",
    "rounds": "pruning rounds later",
    "share": "share",
    "weights": "weights",
}
_ROW, _AXIS = 0.22, 0.9  # inches: a record, and what stands around a panel


def forest(table: pd.DataFrame) -> Figure:
    """Draw claims as dots with intervals, and the paper's numbers as stars.

    Units have panels of their own, one below the other. A line ends where the 95 %
    t interval does; where one direction is claimed, its upper end is open.

    Args:
        table: What `claims` returned; what was not run yet is left out.

    Raises:
        LotteryError: If nothing in it was run, or it is another table.
    """
    for column in ("claim", "record", "unit", "paper", "mean", "low", "high", "n"):
        choose("column of what lth.claims returns", column, map(str, table))
    for unit in table["unit"].unique():
        choose("unit", unit, AXES)
    shown = table[table["n"] > 1]
    if shown.empty:
        raise LotteryError(
            "None of these claims has a record with two seeds: expected at least one"
            " to draw. Leave the chapter out, or record a run."
        )
    units = [unit for unit in AXES if unit in set(shown["unit"])]
    heights = [_ROW * (shown["unit"] == unit).sum() + _AXIS for unit in units]
    with canvas(len(units), heights=heights) as (figure, axes):
        for axis, unit in zip(axes, units, strict=True):
            _panel(axis, shown[shown["unit"] == unit], unit)
        kinds = shown["record"].str.rpartition("/")[2]
        used = [look for kind, look in LOOKS.items() if kind in set(kinds)]
        legend(figure, [*used, PAPER] if shown["paper"].notna().any() else used, "")
    return figure


def _panel(axis: Axes, rows: pd.DataFrame, unit: str) -> None:
    """Draw the claims of one unit, a line a record, claims from the top."""
    names: dict[float, str] = {}
    place = 0.0
    for claim, records in rows.groupby("claim", sort=False):
        middle = place + (len(records) - 1) / 2
        names[middle] = str(claim)
        paper = records["paper"].iloc[0]
        axis.plot(paper, middle, "*", color=PAPER.colour, ms=9, zorder=3)
        for _, row in records.iterrows():
            look = LOOKS[row["record"].rpartition("/")[2]]
            end = row["mean"] if isinf(row["high"]) else row["high"]
            axis.plot([row["low"], end], [place, place], color=look.colour)
            axis.plot(row["mean"], place, look.marker, color=look.colour, ms=5)
            place += 1
        axis.axhline(place - 0.2, color="#e4e4e4", lw=0.8)
        place += 0.6
    nothing = 1 if unit == "times" else 0
    axis.axvline(nothing, color="black", lw=1)
    if unit == "times":
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_formatter(ScalarFormatter())
        axis.xaxis.set_minor_formatter(NullFormatter())
    if unit == "weights":  # five digits and a sign: room for few
        axis.locator_params(axis="x", nbins=5)
    axis.set_yticks(list(names), list(names.values()))
    axis.set(ylim=(place - 0.4, -0.8), xlabel=AXES[unit])
    axis.grid(axis="y", visible=False)
