"""A slider in a page without a kernel: one fragment of HTML that holds all it shows.

`slider.js` moves it, `slider.css` lays it out; both are written into the fragment.
"""

import hashlib
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple


class Axis(NamedTuple):
    """A list of positions: what it is about, and their labels."""

    title: str
    labels: list[str]


class Frame(NamedTuple):
    """What is seen at one position; `caption` may be empty."""

    src: str
    alt: str
    caption: str
    width: int
    height: int


class Slider:
    """A slider, or two, over pictures that it holds in itself."""

    def __init__(self, axes: Sequence[Axis], frames: Sequence[Frame]) -> None:
        """Take one list or two, and a frame a position; the last list runs fastest."""
        self.axes = axes
        self.frames = frames

    def __repr__(self) -> str:
        """Name what text alone cannot show."""
        return f"A slider of pictures. {named(self.axes)}"

    def _repr_html_(self) -> str:
        """Return the slider as a fragment of a page.

        The element itself carries its few words of script: no name enters
        the page. Its id hashes its content, so that a build repeats itself.
        """
        halves = [len(axis.labels) // 2 for axis in self.axes]
        middle = halves[0]  # where paper, which cannot move, shows it
        for half, axis in zip(halves[1:], self.axes[1:], strict=True):
            middle = middle * len(axis.labels) + half
        content = _pictures(self.frames, middle) + captions(self.frames, middle)
        data = _data(self.axes, self.frames, {0, middle})
        text = named(self.axes) + content + data
        name = f"lth-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        rows = "".join(
            _row(f"{name}-{place}", axis, half, play=not place and len(axis.labels) > 1)
            for place, (axis, half) in enumerate(zip(self.axes, halves, strict=True))
        )
        move = escape(_inlined("slider.js"))
        return (
            f'<div class="lth-explore" oninput="{move}" onclick="this.oninput(event)">'
            f"<style>{style()}</style>{rows}{content}"
            f'<script type="application/json">{data}</script></div>'
        )


def named(axes: Sequence[Axis]) -> str:
    """Write all lists on a line."""
    return "; ".join(f"{axis.title}: {', '.join(axis.labels)}" for axis in axes)


def picture(frame: Frame, attributes: str = "") -> str:
    """Return a frame's picture as HTML."""
    return (
        f'<div><img src="{frame.src}" alt="{escape(frame.alt)}"'
        f' width="{frame.width}" height="{frame.height}"{attributes}></div>'
    )


def captions(frames: Sequence[Frame], middle: int = 0) -> str:
    """Return the captions of all frames as HTML; the first one is shown."""
    each = [
        f"<p{_printed(place == middle)}{' hidden' if place else ''}>"
        f"{escape(frame.caption)}</p>"
        for place, frame in enumerate(frames)
    ]
    return f'<div class="lth-captions">{"".join(each)}</div>'


def style() -> str:
    """Return the style sheet that all of it needs."""
    return _inlined("slider.css")


def _row(name: str, axis: Axis, half: int, play: bool) -> str:
    """Return a list's label, its value and its slider, maybe with a button."""
    first = escape(axis.labels[0])
    button = '<button type="button">Play</button>' if play else ""
    title = escape(axis.title)
    return (
        f'<div class="lth-controls"><div><label for="{name}">{title}</label>'
        f'<output for="{name}" aria-live="polite">{first}</output>'
        f"<span{_printed(True)} hidden>{escape(axis.labels[half])}</span></div>"
        f'<input type="range" id="{name}" min="0" max="{len(axis.labels) - 1}" step="1"'
        f' value="0" autocomplete="off" aria-valuetext="{first}">{button}</div>'
    )


def _pictures(frames: Sequence[Frame], middle: int) -> str:
    """Return the picture that is seen first, and the one that is printed."""
    first = f' data-frame="0"{_printed(middle == 0)}'
    other = f' data-frame="{middle}"{_printed(True)} hidden'
    return picture(frames[0], first) + (picture(frames[middle], other) * (middle > 0))


def _data(axes: Sequence[Axis], frames: Sequence[Frame], shown: set[int]) -> str:
    """Return what the script reads; pictures that the page shows are not in it."""
    stops = [
        {"src": "" if place in shown else frame.src, "alt": frame.alt}
        for place, frame in enumerate(frames)
    ]
    labels = [[{"label": label} for label in axis.labels] for axis in axes]
    data = {"axes": labels, "frames": stops}
    # "<" is written as JSON's escape, so that no text can end the script.
    return json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")


def _printed(is_printed: bool) -> str:
    return ' class="lth-print"' if is_printed else ""


def _inlined(name: str) -> str:
    """Return a file beside this one on a line, without its comments."""
    text = Path(__file__).with_name(name).read_text("utf8")
    lines = (line.strip() for line in text.splitlines())
    return " ".join(line for line in lines if line and line[:2] not in ("//", "/*"))
