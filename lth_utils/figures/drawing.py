"""How the book draws: one look for each arm, and the strokes of `plots.py`.

A line is the mean over trainings, its band reaches from their least to their
greatest value (as in the paper's figures).
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter


class Look(NamedTuple):
    """How a line is drawn."""

    label: str  #: What the legend calls it.
    colour: str  #: Any colour that matplotlib knows.
    marker: str  #: matplotlib's sign for it; "" is none.
    dash: tuple[float, ...] | None  #: On, off, … in line widths; () is solid.


# The main arms have Okabe and Ito's colours, which colour-blind readers can
# tell apart, without their yellow, which a white page swallows. The other
# controls are drawn beside few of them; noise darkens with its size.
STYLE = {
    "dense": Look("dense", "#000000", "", (5, 2)),
    "ticket": Look("ticket (iterative)", "#0072B2", "o", ()),
    "continuing": Look("never reset", "#999999", "<", (2, 1)),
    "continued": Look("continued", "#56B4E9", "^", (4, 1.5)),
    "oneshot": Look("one-shot", "#009E73", "s", (6, 1.5, 1.5, 1.5)),
    "oneshot-reinit": Look("one-shot, reinit", "#E69F00", "D", (1.5, 1)),
    "reinit": Look("reinit", "#D55E00", "X", (3, 1.5)),
    "resample": Look("resampled", "#BF9000", "P", (2, 1.5)),
    "noise-0.5": Look("noise 0.5 σ", "#C7A0E8", "h", (8, 1)),
    "noise-1": Look("noise 1 σ", "#9E6FD0", "p", (6, 1)),
    "noise-2": Look("noise 2 σ", "#7442A8", "H", (4, 1)),
    "noise-3": Look("noise 3 σ", "#4B1A78", "8", (3, 1)),
    "random": Look("random mask", "#CC79A7", "v", (1, 1.5)),
    "same-fan-in": Look("same fan-in", "#117733", ">", (5, 1, 1, 1)),
    "same-fan-out": Look("same fan-out", "#44AA99", "d", (3, 1, 1, 1)),
    "initial": Look("largest at the start", "#882255", "*", (7, 2)),
}
BAND = "line: mean of n trainings; band: min to max"

# Rounds 0, 3, 7, 11, 15 and 19 of LeNet's ladder, in percent.
TICKS = (100, 51.3, 21.1, 8.7, 3.6, 1.5)
ABOVE, BELOW = "#e08214", "#8073ac"  # a weight's colour: above zero, or below
WIDTH = 5.4  # inches: a column of text, and on a phone still legible
_DASHES = ((), (5, 1.5), (2, 1), (6, 1.5, 1.5, 1.5), (1, 1), (9, 2))
_RC: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#444444",
    "axes.facecolor": "white",
    "axes.grid": True,
    "axes.labelsize": 11,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "figure.facecolor": "white",
    "font.size": 11,
    "grid.color": "#e4e4e4",
    "legend.fontsize": 10,
    "legend.frameon": False,
    "legend.title_fontsize": 10,
    "lines.linewidth": 1.8,
    "lines.markersize": 7,
}
_PICTURE: Any = {"axes.grid": False, "axes.spines.right": True, "axes.spines.top": True}


@contextmanager
def canvas(
    panels: int, sharey: bool = False, heights: Sequence[float] = ()
) -> Iterator[tuple[Figure, list[Axes]]]:
    """Yield a white figure with axes one below the other; close it after.

    Side by side they would be too small on a phone. Heights are in inches.
    """
    heights = heights or ((4,) if panels == 1 else (3,) * panels)
    _wake_pyplot()
    with plt.rc_context(_RC):
        figure, axes = plt.subplots(
            panels,
            figsize=(WIDTH, sum(heights)),
            height_ratios=heights,
            squeeze=False,
            sharey=sharey,
            layout="constrained",
        )
        try:
            yield figure, list(axes.flat)
        finally:
            plt.close(figure)


def panel(ax: Axes | None, size: tuple[float, float]) -> tuple[Figure, Axes]:
    """Return a picture's figure, closed, and axes: `ax`, or new ones."""
    if ax is None:
        _wake_pyplot()
        with plt.rc_context({**_RC, **_PICTURE}):
            ax = plt.subplots(figsize=size, layout="constrained")[1]
    figure = ax.get_figure()
    assert isinstance(figure, Figure)
    plt.close(figure)
    return figure, ax


def _wake_pyplot() -> None:
    """Let pyplot start its backend, which in a notebook sets it interactive.

    Started inside an rc_context, it would be interactive only in there, and a
    notebook's own figures would not be shown.
    """
    plt.draw_if_interactive()  # type: ignore[no-untyped-call]


def lines(
    axis: Axes, rows: pd.DataFrame, x: str, y: str, looks: dict[str, Look], key: str
) -> None:
    """Let seaborn draw the mean and the band of each value of column `key`."""
    used = {word: look for word, look in looks.items() if word in set(rows[key])}
    markers = {word: look.marker for word, look in used.items() if look.marker}
    sns.lineplot(
        data=rows,
        x=x,
        y=y,
        hue=key,
        style=key,
        hue_order=list(used),
        style_order=list(used),
        palette={word: look.colour for word, look in used.items()},
        markers=markers or False,
        dashes={word: look.dash or "" for word, look in used.items()},
        errorbar=("pi", 100),
        legend=False,
        ax=axis,
    )


def density_looks(densities: Iterable[float]) -> dict[str, Look]:
    """Give each density, as its label, a look: black when dense, then paler."""
    thinner = sorted({d for d in densities if d < 1}, reverse=True)
    shades = colormaps["viridis"](np.linspace(0.15, 0.75, len(thinner)))
    looks = {"100 %": Look("100 % (dense)", "#000000", "", ())}
    for i, (density, shade) in enumerate(zip(thinner, shades, strict=True), start=1):
        label = percent(density)
        looks[label] = Look(label, to_hex(shade), "", _DASHES[i % len(_DASHES)])
    return looks


def part_looks(parts: Sequence[str]) -> dict[str, Look]:
    """Give each experiment of a table a look; its name is the label."""
    shades = colormaps["viridis"](np.linspace(0, 0.85, len(parts)))
    styles = zip(parts, shades, cycle("osD^vP"), cycle(_DASHES), strict=False)
    return {
        part: Look(part, to_hex(shade), marker, dash)
        for part, shade, marker, dash in styles
    }


def density_axis(axis: Axes, ticks: Sequence[float] = TICKS) -> None:
    """Weights remaining in percent, logarithmic, falling to the right."""
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(FixedLocator(ticks))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.invert_xaxis()
    axis.set_xlabel("weights remaining (%)")


def legend(figure: Figure, looks: Iterable[Look], title: str) -> None:
    """Put one legend under all panels, in as many columns as the figure holds."""
    handles = [
        Line2D(
            [],
            [],
            color=look.colour,
            marker=look.marker,
            markeredgecolor=look.colour if look.dash is None else "white",
            linestyle=_line(look),
            label=look.label,
        )
        for look in looks
    ]
    for columns in range(2 + len(figure.axes), 0, -1):
        shown = figure.legend(
            handles=handles,
            title=title,
            loc="outside lower center",
            ncols=columns,
            handlelength=3.2,
        )
        if columns == 1 or shown.get_window_extent().width <= figure.bbox.width:
            break
        shown.remove()


def _line(look: Look) -> Any:
    """Return what matplotlib calls a look's dash; none for a sign alone."""
    if look.dash is None:
        return "none"
    return (0, look.dash) if look.dash else "-"


def percent(fraction: float) -> str:
    """Write a fraction as a reader's percent: 0.2107 is "21.1 %"."""
    return f"{100 * fraction:.3g} %"


def trainings(rows: pd.DataFrame, x: str, y: str, *keys: str) -> str:
    """Say how many trainings stand behind each point of the lines: "n = 5"."""
    counts = rows.dropna(subset=[y]).groupby([*keys, x]).size()
    least, most = counts.min(), counts.max()
    return f"n = {least}" if least == most else f"n = {least} to {most}"
