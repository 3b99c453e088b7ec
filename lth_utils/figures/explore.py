"""Sliders over figures: in a live notebook, and in a page without a kernel."""

import os
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from math import prod
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from lth_utils.errors import LotteryError
from lth_utils.figures.drawing import percent
from lth_utils.figures.frames import pictures
from lth_utils.figures.glue import joined, plain
from lth_utils.figures.live_slider import LiveSlider, widgets
from lth_utils.figures.slider import Axis, Frame, Slider

MOST = 100  # positions, of both lists together
_EXAMPLE = "lth.explore(show, density=[1.0, 0.5, 0.2])"


def explore(fn: Callable[..., Any], alt: str = "", **values: Iterable[Any]) -> Any:
    """Show `fn`'s figure for each of a few values, one at a time, on a slider.

    In a live notebook the slider calls `fn` when it moves. While the book is
    built (`LTH_BOOK=1`), or without ipywidgets, `fn` is called once for each
    value, and the slider shows these pictures: without a kernel, offline too.
    A play button goes through the first list and stops at its end; nothing
    moves by itself. On paper the middle position is shown.

    Args:
        fn: Takes a value, or with two lists a value of each, in their order,
            and returns a matplotlib Figure, or (Figure, text), text being a
            sentence that says what this figure shows: its caption, under the
            picture.
        alt: What is drawn, for who cannot see it: axes, lines, colours. The
            position's label is added; without it, the text stands in.
        values: One name, or two, with their positions in order, such as
            density=[1.0, 0.512, 0.211], arm=["ticket", "reinit"]: a slider
            each. Densities and sparsities are shown in percent.

    Returns:
        The slider, for the cell's last line.

    Raises:
        LotteryError: If there is not one list or two, each of at least one
            value and each value once, if they make more than 100 positions,
            if `fn` returns something else, or if all pictures together take
            more than a page should hold.
    """
    lists = _lists(fn, values)
    axes = [
        Axis(_title(name), [_label(name, value) for value in stops])
        for name, stops in lists.items()
    ]
    kit = None if os.environ.get("LTH_BOOK") == "1" else widgets()
    if kit is None:
        return Slider(axes, _draw(fn, alt, lists, list(product(*lists.values()))))

    def draw(places: Sequence[int]) -> Frame:
        """Draw one position."""
        each = zip(lists.values(), places, strict=True)
        (frame,) = _draw(fn, alt, lists, [tuple(stops[at] for stops, at in each)])
        return frame

    return LiveSlider(kit, axes, draw)


def _draw(
    fn: Callable[..., Any],
    alt: str,
    names: Iterable[str],
    positions: Sequence[tuple[Any, ...]],
) -> list[Frame]:
    """Call `fn` for each position, then turn all figures into pictures at once."""
    shown = [_call(fn, names, position) for position in positions]
    figures = [figure for figure, _ in shown]
    if len(set(map(id, figures))) < len(figures):
        raise LotteryError(
            "Your function returned the same Figure twice: expected a new one for"
            " each value. Make it inside the function, with plt.subplots()."
        )
    frames = []
    drawn = pictures(figures)
    for position, (_, text), each in zip(positions, shown, drawn, strict=True):
        there = ", ".join(
            f"{_title(name)}: {_label(name, value)}"
            for name, value in zip(names, position, strict=True)
        )
        seen = f"{alt} {there}" if alt else text or there
        frames.append(Frame(each.src, seen, joined(text), each.width, each.height))
    return frames


def _call(
    fn: Callable[..., Any], names: Iterable[str], position: tuple[Any, ...]
) -> tuple[Figure, str]:
    """Return the figure and the sentence ("" if none) for a position."""
    shown = fn(*position)
    pair = shown if isinstance(shown, tuple) and len(shown) == 2 else (shown, "")
    figure, text = pair
    if not isinstance(figure, Figure) or not isinstance(text, str):
        each = zip(names, position, strict=True)
        where = ", ".join(f"{name} = {_label(name, value)}" for name, value in each)
        raise LotteryError(
            f"Your function returned {_kind(shown)} for {where}: expected a"
            " matplotlib Figure, or (Figure, sentence). End it with `return fig`."
        )
    plt.close(figure)
    return figure, text


def _kind(thing: Any) -> str:
    return "nothing" if thing is None else f"a value of type {type(thing).__name__}"


def _lists(
    fn: Callable[..., Any], values: dict[str, Iterable[Any]]
) -> dict[str, list[Any]]:
    """Check the arguments; return the positions by name."""
    if not callable(fn):
        raise LotteryError(
            f"lth.explore cannot call {_kind(fn)}: expected a function of one value"
            f" that returns a Figure, as in {_EXAMPLE}."
        )
    if len(values) not in (1, 2):
        got = ", ".join(values) or "none"
        raise LotteryError(
            f"lth.explore needs one named list of values, or two, and got {got}:"
            f" write {_EXAMPLE}."
        )
    lists = {name: _stops(name, given) for name, given in values.items()}
    if (many := prod(map(len, lists.values()))) > MOST:
        raise LotteryError(
            f"{' and '.join(lists)} make {many} pictures: a slider holds at most"
            f" {MOST}. Give fewer values."
        )
    return lists


def _stops(name: str, given: Any) -> list[Any]:
    """Check a list; return its positions."""
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise LotteryError(
            f"{name} is of type {type(given).__name__}: expected a list of values,"
            f" as in {_EXAMPLE}."
        )
    stops = [plain(value) for value in given]
    if not stops:
        raise LotteryError(
            f"{name} is an empty list: expected at least one value, as in {_EXAMPLE}."
        )
    written = [repr(value) for value in stops]
    for value in stops:
        if written.count(repr(value)) > 1:  # as in most columns of a table
            raise LotteryError(
                f"{name} holds {_label(name, value)} more than once: expected each"
                f" position once, as in {name}=sorted(set(values))."
            )
    return stops


def _title(name: str) -> str:
    titles = {"density": "Weights remaining", "sparsity": "Weights pruned"}
    return titles.get(name, name.replace("_", " ").capitalize())


def _label(name: str, value: Any) -> str:
    """Write a position for readers: 0.211 is "21.1 %" if it is a density."""
    if name in ("density", "sparsity") and isinstance(value, int | float):
        return percent(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
