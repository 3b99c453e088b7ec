"""The book's figures.

Every function draws a tidy table (the columns of `lth_utils.experiments.tables`) or a
mask, and returns the matplotlib Figure, already closed, so that a notebook
shows it once. An arm looks the same in all of them (`STYLE`; an arm of your
own needs a `Look` there), and n, the number of trainings behind a point,
stands in each panel's title.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from lth_utils import words
from lth_utils.errors import LotteryError, choose
from lth_utils.experiments.tables import early_stop
from lth_utils.figures import drawing
from lth_utils.figures.drawing import STYLE, Look
from lth_utils.figures.images import input_image, mask_image, unit_images

__all__ = [
    "STYLE",
    "Look",
    "accuracy_by_density",
    "curves",
    "early_stop_by_density",
    "input_image",
    "mask_image",
    "over_density",
    "unit_images",
]


def accuracy_by_density(
    run: pd.DataFrame,
    recorded: pd.DataFrame | None = None,
    arms: Iterable[str] | None = None,
    at: str = "early-stop",
    split: str = "test",
) -> Figure:
    """Draw accuracy against the weights that remain (paper's figures 1, 4, 9).

    Args:
        run: A tidy table.
        recorded: A second one, drawn in a panel of its own beside the first.
        arms: Which arms beside the dense one; else all that the tables hold.
        at: "early-stop" (the iteration of least validation loss) or "final".
        split: "train", "validation" or "test" ("train" or "test" if final).

    Raises:
        LotteryError: For an unknown word, or an arm that no table holds.
    """
    choose("moment", at, ("early-stop", "final"))
    splits = words.SPLITS if at == "early-stop" else ("train", "test")
    choose(f"split at {at}", split, splits)
    column = split if at == "early-stop" else f"final_{split}"
    where = "early stop" if at == "early-stop" else "the last iteration"
    tables = [run] if recorded is None else [run, recorded]
    return _by_density(tables, column, f"{split} accuracy at {where} (%)", arms)


def early_stop_by_density(
    table: pd.DataFrame, arms: Iterable[str] | None = None
) -> Figure:
    """Draw the early-stop iteration against the weights that remain.

    That is the iteration of least validation loss (paper's figures 1, 4 and
    9); a handful of trainings gives a noisy line.

    Args:
        table: A tidy table.
        arms: Which arms beside the dense one; else all that the table holds.

    Raises:
        LotteryError: For an unknown arm, or one that the table does not hold.
    """
    return _by_density([table], "iteration", "early-stop iteration", arms)


def curves(
    table: pd.DataFrame,
    value: str = "accuracy",
    split: str = "test",
    rounds: Sequence[int] | None = None,
    arms: Iterable[str] = ("ticket",),
) -> Figure:
    """Draw whole training curves, a panel an arm (paper's figures 3 and 11).

    Round 0 is the dense network, black in every panel. On curves of the
    validation loss a dot marks the least mean.

    Args:
        table: A tidy table that holds whole trainings at the rounds asked for.
        value: "accuracy" or "loss".
        split: "train", "validation" or "test".
        rounds: Which rounds; else all whose curves the table holds whole.
        arms: Which arms beside the dense one.

    Raises:
        LotteryError: For an unknown word, or a round without a whole curve.
    """
    choose("value", value, ("accuracy", "loss"))
    choose("split", split, words.SPLITS)
    chosen = _arms([table], arms)
    rows = _whole(table[table["split"] == split], chosen, rounds)
    looks = drawing.density_looks(rows["density"])
    unit = " (%)" if value == "accuracy" else ""
    with drawing.canvas(len(chosen), sharey=True) as (figure, axes):
        for axis, arm in zip(axes, chosen, strict=True):
            mine = rows[rows["arm"].isin(["dense", arm])]
            drawing.lines(axis, mine, "iteration", value, looks, "remaining")
            if (value, split) == ("loss", "validation"):
                _mark_least(axis, mine, looks)
            axis.set_title(f"{STYLE[arm].label}, {drawing.trainings(mine)}")
            axis.set_ylabel(f"{split} {value}{unit}")
            axis.xaxis.set_major_locator(MaxNLocator(5))
        _zoom(axes[0], rows, value)
        figure.suptitle(_name(table), fontsize="medium")
        used = [look for label, look in looks.items() if label in set(rows.remaining)]
        drawing.legend(figure, used, f"weights remaining ({drawing.BAND})")
    return figure


def over_density(
    table: pd.DataFrame,
    value: str,
    label: str,
    looks: Mapping[str, Look],
    title: str = "",
    log: bool = False,
) -> Figure:
    """Draw what a chapter measured itself over the weights that remain.

    Args:
        table: A row a measurement, with the columns density (a fraction),
            how (which line it belongs to), and `value`.
        value: The column to draw.
        label: What the vertical axis says.
        looks: How the line of each word in `how` is drawn; the word names it.
        title: What stands above; n is added if there are repeats.
        log: Whether the vertical axis is logarithmic.

    Raises:
        LotteryError: For a word in `how` without a look.
    """
    for how in table["how"].unique():
        choose("line", how, looks)
    rows = table.assign(percent=100 * table["density"])
    named = {how: look._replace(label=how) for how, look in looks.items()}
    n = rows.groupby(["how", "density"]).size().max()
    with drawing.canvas(1) as (figure, (axis,)):
        drawing.lines(axis, rows, "percent", value, named, "how")
        # Where there is room, every density that was measured has its tick.
        measured = sorted(rows["percent"].unique())
        ticks = measured if len(measured) < 9 else drawing.TICKS
        drawing.density_axis(axis, ticks)
        axis.set_ylabel(label)
        if log:
            axis.set_yscale("log")
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_minor_locator(NullLocator())
            axis.yaxis.set_major_formatter("{x:g}")
        axis.set_title(f"{title}, n = {n}" if n > 1 else title)
        drawing.legend(figure, named.values(), drawing.BAND if n > 1 else "")
    return figure


def _by_density(
    tables: list[pd.DataFrame], column: str, label: str, arms: Iterable[str] | None
) -> Figure:
    """One panel a table, all in the same style, and under them one legend."""
    chosen = _arms(tables, arms)
    looks = {arm: STYLE[arm] for arm in ("dense", *chosen)}
    with drawing.canvas(len(tables)) as (figure, axes):
        for axis, table in zip(axes, tables, strict=True):
            stops = early_stop(table[table["arm"].isin(looks)])
            if column != "iteration":
                stops = stops.assign(**{column: 100 * stops[column]})
            _draw_arms(axis, stops, column, looks)
            axis.set_title(f"{_name(table)}, {drawing.trainings(stops)}")
            axis.set_ylabel("")
        axes[0].set_ylabel(label)
        drawing.legend(figure, looks.values(), drawing.BAND)
    return figure


def _draw_arms(
    axis: Axes, stops: pd.DataFrame, column: str, looks: dict[str, Look]
) -> None:
    """Draw lines over density; the dense network is a level to compare with."""
    dense = stops[stops["arm"] == "dense"]
    if len(dense):
        look = looks["dense"]
        dash = (0, look.dash)
        axis.axhline(dense[column].mean(), color=look.colour, ls=dash, lw=1.2)
    # A line starts at the dense network only where the arm has a first round:
    # no segment over densities at which nobody trained.
    first = stops.loc[stops["round"] == 1, "arm"].unique()
    starts = [dense.assign(arm=arm) for arm in first]
    rows = pd.concat([stops[stops["arm"] != "dense"], *starts], ignore_index=True)
    rows = rows.assign(percent=100 * rows["density"])
    drawing.lines(axis, rows, "percent", column, looks, "arm")
    drawing.density_axis(axis)


def _arms(tables: list[pd.DataFrame], arms: Iterable[str] | None) -> list[str]:
    """Check the arms to draw beside the dense one, or find all there are."""
    held = {arm for table in tables for arm in table["arm"].unique()}
    there = [arm for arm in STYLE if arm in held and arm != "dense"]
    if arms is None:
        return there
    named = [arms] if isinstance(arms, str) else arms
    chosen = [choose("arm", arm, STYLE) for arm in named if arm != "dense"]
    for arm in chosen:
        choose("arm of this table", arm, there)
    return chosen


def _whole(
    rows: pd.DataFrame, arms: list[str], rounds: Sequence[int] | None
) -> pd.DataFrame:
    """Keep whole curves; a record thins others to early stop and the end."""
    rows = rows[rows["arm"].isin(["dense", *arms])]
    training = ["arm", "round", "seed", "control"]
    points = rows.groupby(training)["iteration"].transform("size")
    rows = rows[points > 2]
    kept = sorted(int(number) for number in rows["round"].unique())
    for arm, number in product(arms, rounds or ()):
        mine = rows["arm"].isin(["dense", arm]) & (rows["round"] == number)
        if not mine.any():
            raise LotteryError(
                f"No whole curve of arm {arm!r} at round {number}: this table"
                f" keeps whole curves at rounds {', '.join(map(str, kept))}."
            )
    rows = rows[rows["round"].isin(rounds or kept)]
    remaining = rows["density"].map(drawing.percent)
    return rows.assign(remaining=remaining, accuracy=100 * rows["accuracy"])


def _mark_least(axis: Axes, rows: pd.DataFrame, looks: dict[str, Look]) -> None:
    """Put a dot on the least mean loss of each density."""
    means = rows.groupby(["remaining", "iteration"], as_index=False)["loss"].mean()
    for label, mean in means.groupby("remaining"):
        least = mean.loc[mean["loss"].idxmin()]
        colour = looks[str(label)].colour
        axis.plot(least["iteration"], least["loss"], "o", color=colour, mec="white")


def _zoom(axis: Axes, rows: pd.DataFrame, value: str) -> None:
    """Let the first tenth of training, where every curve is steep, run out."""
    later = rows.loc[rows["iteration"] >= rows["iteration"].max() / 10, value]
    least, most = later.min(), later.max()
    room = 0.03 * (most - least)
    axis.set_ylim(least - room, most + room)


def _name(table: pd.DataFrame) -> str:
    """Say which run a panel shows: "recorded laptop run (mnist)"."""
    made = "recorded" if "provenance" in table.attrs else "live"
    if "profile" not in table.attrs:
        return f"{made} run"
    return f"{made} {table.attrs['profile']} run ({table.attrs['data']})"
