"""A slider over figures: in a live notebook, and in a page without a kernel."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from lth_utils.errors import LotteryError
from lth_utils.figures.drawing import percent
from lth_utils.figures.frames import pictures
from lth_utils.figures.glue import joined, plain, shell


class Position(NamedTuple):
    """One stop of a slider, drawn; `caption` may be empty."""

    label: str
    src: str
    alt: str
    caption: str
    width: int
    height: int


def explore(fn: Callable[[Any], Any], alt: str = "", **values: Iterable[Any]) -> Any:
    """Show `fn`'s figure for each of a few values, one at a time, on a slider.

    In a live notebook the slider calls `fn` when it moves. While the book is
    built (`LTH_BOOK=1`), or without ipywidgets, `fn` is called once for each
    value, and the slider shows these pictures: without a kernel, offline too.

    Args:
        fn: Takes a value and returns a matplotlib Figure, or (Figure, text),
            text being a sentence that says what this figure shows: its
            caption, under the picture.
        alt: What is drawn, for who cannot see it: axes, lines, colours. The
            position's label is added; without it, the text stands in.
        values: Exactly one name with its positions in order, such as
            density=[1.0, 0.512, 0.211]. Densities and sparsities are shown
            in percent.

    Returns:
        The slider, for the cell's last line.

    Raises:
        LotteryError: If there is not exactly one list of at least one value,
            each of them once, or `fn` returns something else.
    """
    name, stops = _one_list(fn, values)
    widgets = None if os.environ.get("LTH_BOOK") == "1" else _widgets()
    if widgets is None:
        return Slider(_title(name), _draw(fn, alt, name, stops))
    return _live_slider(widgets, fn, alt, name, stops)


class Slider:
    """A slider that holds its pictures in itself."""

    def __init__(self, title: str, positions: Sequence[Position]) -> None:
        """Take what the slider is about, and its drawn positions."""
        self.title = title
        self.positions = positions

    def __repr__(self) -> str:
        """Name what text alone cannot show."""
        labels = ", ".join(position.label for position in self.positions)
        return f"A slider of pictures. {self.title}: {labels}"

    def _repr_html_(self) -> str:
        """Return the slider as a fragment of a page.

        The element itself carries its few words of script: no name enters
        the page. Its id hashes its content, so that a build repeats itself.
        """
        stops = [{"src": p.src, "alt": p.alt, "label": p.label} for p in self.positions]
        # "<" is written as JSON's escape, so that no text can end the script.
        data = json.dumps(stops, ensure_ascii=False).replace("<", "\\u003c")
        captions = _captions(self.positions)
        text = self.title + data + captions
        digest = hashlib.sha256(text.encode()).hexdigest()
        first = self.positions[0]
        return _PAGE.format(
            id=f"lth-{digest[:12]}",
            title=escape(self.title),
            last=len(stops) - 1,
            label=escape(first.label),
            picture=_picture(first) + captions,
            move=_MOVE,
            data=data,
            style=_STYLE,
        )


# Runs as the input's handler: `this` is the slider, the rest is local.
# Without ">" in it, a search index that strips tags strips it whole.
_MOVE = (
    "var b=this.closest('.lth-explore'),i=b.querySelector('img'),"
    "v=this.value,f=JSON.parse(b.querySelector('script').textContent)[v];"
    "i.src=f.src;i.alt=f.alt;"
    "b.querySelectorAll('p').forEach(function(p,k){p.hidden=k!=v});"
    "b.querySelector('output').textContent=f.label;"
    "this.setAttribute('aria-valuetext',f.label)"
)
_STYLE = (
    ".lth-explore{max-width:100%;text-align:left}"
    ".lth-explore label{font-weight:600;margin-right:.5em}"
    ".lth-explore input{display:block;width:100%;max-width:36rem;"
    "height:2rem;margin:0;accent-color:#0072b2;cursor:pointer}"
    ".lth-explore img{display:block;max-width:100%;height:auto;"
    "margin:.25rem 0 0;padding:0!important}"
    # All captions lie in one place, as high as the longest: nothing below moves.
    ".lth-captions{display:grid}"
    ".lth-explore p{grid-area:1/1;margin:.5rem 0 0}"
    ".lth-explore p[hidden]{display:block!important;visibility:hidden}"
    ".lth-explore p:empty{margin:0}"
)
_PAGE = (
    '<div class="lth-explore">'
    "<style>{style}</style>"
    '<label for="{id}">{title}</label>'
    '<output for="{id}" aria-live="polite">{label}</output>'
    '<input type="range" id="{id}" min="0" max="{last}" step="1" value="0"'
    ' autocomplete="off" aria-valuetext="{label}" oninput="{move}">'
    "{picture}"
    '<script type="application/json">{data}</script>'
    "</div>"
)


def _picture(position: Position) -> str:
    return (
        f'<div><img src="{position.src}" alt="{escape(position.alt)}"'
        f' width="{position.width}" height="{position.height}"></div>'
    )


def _captions(positions: Sequence[Position]) -> str:
    """Return the captions of all positions; the first one is shown."""
    each = "</p><p hidden>".join(escape(position.caption) for position in positions)
    return f'<div class="lth-captions"><p>{each}</p></div>'


def _widgets() -> Any:
    """Return ipywidgets where a notebook's kernel runs and has them."""
    if shell() is None:
        return None
    try:
        import ipywidgets
    except ImportError:
        return None
    return ipywidgets


def _live_slider(
    widgets: Any, fn: Callable[[Any], Any], alt: str, name: str, stops: list[Any]
) -> Any:
    """A widget that draws a position when the reader goes there."""
    slider = widgets.SelectionSlider(
        options=[(_label(name, value), index) for index, value in enumerate(stops)],
        description=_title(name),
        continuous_update=False,
        style={"description_width": "initial"},
        layout={"width": "36rem", "max_width": "100%"},
    )
    output = widgets.Output()

    def show(index: int) -> None:
        output.clear_output(wait=True)
        with output:
            (position,) = _draw(fn, alt, name, [stops[index]])
            shown = _picture(position) + _captions([position])
            shell().display_pub.publish({"text/html": shown})

    slider.observe(lambda change: show(change["new"]), names="value")
    show(0)
    return widgets.VBox([slider, output])


def _draw(
    fn: Callable[[Any], Any], alt: str, name: str, stops: list[Any]
) -> list[Position]:
    """Call `fn` for each value, then turn all figures into pictures at once."""
    shown = [_call(fn, name, value) for value in stops]
    figures = [figure for figure, _ in shown]
    if len(set(map(id, figures))) < len(figures):
        raise LotteryError(
            "Your function returned the same Figure twice: expected a new one for"
            " each value. Make it inside the function, with plt.subplots()."
        )
    positions = []
    for value, (_, text), drawn in zip(stops, shown, pictures(figures), strict=True):
        label = _label(name, value)
        there = f"{_title(name)}: {label}"
        seen = f"{alt} {there}" if alt else text or there
        positions.append(
            Position(label, drawn.src, seen, joined(text), drawn.width, drawn.height)
        )
    return positions


def _call(fn: Callable[[Any], Any], name: str, value: Any) -> tuple[Figure, str]:
    """Return the figure and the sentence ("" if none) for a value."""
    shown = fn(value)
    pair = shown if isinstance(shown, tuple) and len(shown) == 2 else (shown, "")
    figure, text = pair
    if not isinstance(figure, Figure) or not isinstance(text, str):
        raise LotteryError(
            f"Your function returned {_kind(shown)} for {name} ="
            f" {_label(name, value)}: expected a matplotlib Figure, or (Figure,"
            " sentence). End it with `return fig`."
        )
    plt.close(figure)
    return figure, text


def _kind(thing: Any) -> str:
    return "nothing" if thing is None else f"a value of type {type(thing).__name__}"


def _one_list(
    fn: Callable[[Any], Any], values: dict[str, Iterable[Any]]
) -> tuple[str, list[Any]]:
    """Check the arguments; return the one name and its positions."""
    example = "lth.explore(show, density=[1.0, 0.5, 0.2])"
    if not callable(fn):
        raise LotteryError(
            f"lth.explore cannot call {_kind(fn)}: expected a function of one value"
            f" that returns a Figure, as in {example}."
        )
    if len(values) != 1:
        got = ", ".join(values) or "none"
        raise LotteryError(
            f"lth.explore needs exactly one named list of values, and got {got}:"
            f" write {example}."
        )
    [(name, given)] = values.items()
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise LotteryError(
            f"{name} is of type {type(given).__name__}: expected a list of values,"
            f" as in {example}."
        )
    stops = [plain(value) for value in given]
    if not stops:
        raise LotteryError(
            f"{name} is an empty list: expected at least one value, as in {example}."
        )
    written = [repr(value) for value in stops]
    for value in stops:
        if written.count(repr(value)) > 1:  # as in most columns of a table
            raise LotteryError(
                f"{name} holds {_label(name, value)} more than once: expected each"
                f" position once, as in {name}=sorted(set(values))."
            )
    return name, stops


def _title(name: str) -> str:
    titles = {"density": "Weights remaining", "sparsity": "Weights pruned"}
    return titles.get(name, name.replace("_", " ").capitalize())


def _label(name: str, value: Any) -> str:
    """Write a position for readers: 0.211 is "21.1 %" if it is a density."""
    if name in ("density", "sparsity") and isinstance(value, int | float):
        return percent(value)
    return f"{value:g}" if isinstance(value, float) else str(value)
