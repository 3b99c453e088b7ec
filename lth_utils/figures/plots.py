"""The book's figures.

Every function draws a tidy table (the columns of
`lth_utils.experiments.tables`) or a mask, and returns the matplotlib Figure,
already closed, so that a notebook shows it once. An arm looks the same in all
of them (`STYLE`; an arm of your own needs a `Look` there), and n, the number of
trainings behind a point, stands in each panel's title. Several experiments in
one table, such as the parts of a study, are never averaged: each has a line of
its own, or a `LotteryError` asks to choose one.
"""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from lth_utils import words
from lth_utils.errors import LotteryError, choose
from lth_utils.experiments.tables import checked, early_stop, one_experiment
from lth_utils.figures import drawing
from lth_utils.figures.drawing import STYLE, Look
from lth_utils.figures.forest import forest
from lth_utils.figures.images import input_image, mask_image, unit_images
from lth_utils.figures.rows import arms_of, measured, name_of, whole_curves

__all__ = [
    "STYLE",
    "Look",
    "accuracy_by_density",
    "curves",
    "early_stop_by_density",
    "forest",
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

    Of a table of several experiments, one arm can be drawn: a line for each.

    Args:
        run: A tidy table.
        recorded: A second one, drawn in a panel of its own below the first.
        arms: Which arms beside the dense one; else all that the tables hold.
        at: "early-stop" (the iteration of least validation loss) or "final".
        split: "train", "validation" or "test" ("train" or "test" if final).

    Raises:
        LotteryError: For an unknown word, an arm that no table holds, several
            arms of several experiments, or a table that is not tidy.
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
    9); a handful of trainings gives a noisy line. Of a table of several
    experiments, one arm can be drawn: a line for each.

    Args:
        table: A tidy table.
        arms: Which arms beside the dense one; else all that the table holds.

    Raises:
        LotteryError: As `accuracy_by_density`.
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
        table: A tidy table of one experiment that holds whole trainings at the
            rounds asked for.
        value: "accuracy" or "loss".
        split: "train", "validation" or "test".
        rounds: Which rounds; else all whose curves the table holds whole.
        arms: Which arms beside the dense one.

    Raises:
        LotteryError: For an unknown word, a round without a whole curve, or a
            table of several experiments or that is not tidy.
    """
    choose("value", value, ("accuracy", "loss"))
    choose("split", split, words.SPLITS)
    one_experiment(checked(table), "A figure of curves")
    chosen = arms_of([table], arms) or ["dense"]
    rows = whole_curves(measured(table[table["split"] == split], value), chosen, rounds)
    looks = drawing.density_looks(rows["density"])
    unit = " (%)" if value == "accuracy" else ""
    with drawing.canvas(len(chosen), sharey=True) as (figure, axes):
        for axis, arm in zip(axes, chosen, strict=True):
            mine = rows[rows["arm"].isin(["dense", arm])]
            drawing.lines(axis, mine, "iteration", value, looks, "remaining")
            if (value, split) == ("loss", "validation"):
                _mark_least(axis, mine, looks)
            n = drawing.trainings(mine, "iteration", value, "remaining")
            axis.set_title(f"{STYLE[arm].label}, {n}")
            axis.set_ylabel(f"{split} {value}{unit}")
            axis.xaxis.set_major_locator(MaxNLocator(5))
        _zoom(axes[0], rows, value)
        figure.suptitle(name_of(table), fontsize="medium")
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
        LotteryError: For a word in `how` without a look, a column that is
            missing or empty, or a line of several experiments.
    """
    for column in ("how", "density", value):
        choose("column of this table", column, map(str, table))
    for how in table["how"].unique():
        choose("line", how, looks)
        one_experiment(table[table["how"] == how], f"The line {how!r}")
    rows = measured(table.assign(percent=100 * table["density"]), value)
    named = {how: look._replace(label=how) for how, look in looks.items()}
    n = drawing.trainings(rows, "density", value, "how")
    with drawing.canvas(1) as (figure, (axis,)):
        drawing.lines(axis, rows, "percent", value, named, "how")
        # Where there is room, every density that was measured has its tick.
        there = sorted(rows["percent"].unique())
        drawing.density_axis(axis, there if len(there) < 9 else drawing.TICKS)
        axis.set_ylabel(label)
        if log:
            axis.set_yscale("log")
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_minor_locator(NullLocator())
            axis.yaxis.set_major_formatter("{x:g}")
        repeated = n != "n = 1"
        axis.set_title(f"{title}, {n}" if repeated else title)
        drawing.legend(figure, named.values(), drawing.BAND if repeated else "")
    return figure


def _by_density(
    tables: list[pd.DataFrame], column: str, label: str, arms: Iterable[str] | None
) -> Figure:
    """One panel a table, all in the same style, and under them one legend."""
    # Names that a CSV gave back as numbers are drawn as names.
    tables = [checked(t).assign(experiment=t["experiment"].map(str)) for t in tables]
    chosen = arms_of(tables, arms)
    key, looks, title = _looks(tables, chosen)
    drawn: set[str] = set()
    with drawing.canvas(len(tables)) as (figure, axes):
        for axis, table in zip(axes, tables, strict=True):
            mine = table[table["arm"].isin(["dense", *chosen])]
            stops = measured(early_stop(mine), column)
            if column != "iteration":
                stops = stops.assign(**{column: 100 * stops[column]})
            _draw_lines(axis, stops, column, looks, key)
            n = drawing.trainings(stops, "density", column, "experiment", "arm")
            axis.set_title(f"{name_of(table)}, {n}")
            axis.set_ylabel(label)
            drawn |= set(stops[key])
        used = [look for word, look in looks.items() if word in drawn]
        drawing.legend(figure, used, title)
    return figure


def _looks(
    tables: list[pd.DataFrame], chosen: list[str]
) -> tuple[str, dict[str, Look], str]:
    """Return what has a line (arms, or experiments), its looks, the legend's title."""
    parts = list(pd.concat([table["experiment"] for table in tables]).unique())
    if all(table["experiment"].nunique() == 1 for table in tables):
        return "arm", {arm: STYLE[arm] for arm in ("dense", *chosen)}, drawing.BAND
    if len(chosen) > 1:
        raise LotteryError(
            f"The table holds {len(parts)} experiments ({', '.join(parts)}) and"
            f" {len(chosen)} arms beside the dense one ({', '.join(chosen)}): expected"
            f" one of the two. Choose an arm, as in arms=[{chosen[0]!r}], or an"
            f' experiment, as in table[table["experiment"] == {parts[0]!r}].'
        )
    about = f"{STYLE[chosen[0]].label}; dashed: dense" if chosen else "dense"
    looks = drawing.part_looks(parts)
    return "experiment", looks, f"by experiment: {about}\n{drawing.BAND}"


def _draw_lines(
    axis: Axes, stops: pd.DataFrame, column: str, looks: dict[str, Look], key: str
) -> None:
    """Draw lines over density; a dense network is a level to compare with."""
    dense = stops[stops["arm"] == "dense"]
    for part, level in dense.groupby("experiment")[column].mean().items():
        look = looks[str(part) if key == "experiment" else "dense"]
        axis.axhline(level, color=look.colour, ls=(0, STYLE["dense"].dash), lw=1.2)
    # A line starts at the dense network only where the arm has a first round:
    # no segment over densities at which nobody trained.
    first = stops.loc[stops["round"] == 1, ["experiment", "arm"]].drop_duplicates()
    starts = dense.drop(columns="arm").merge(first, on="experiment")
    rows = pd.concat([stops[stops["arm"] != "dense"], starts], ignore_index=True)
    rows = rows.assign(percent=100 * rows["density"])
    if len(rows):
        drawing.lines(axis, rows, "percent", column, looks, key)
    else:
        axis.set_xlim(1, 110)  # a level alone has no densities of its own
    drawing.density_axis(axis)


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
