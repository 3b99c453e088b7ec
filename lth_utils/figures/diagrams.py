"""Three ideas as drawings: how a ticket is found, what it is, what it is held against.

They are SVG in the page's own colour of text, so that they fit a light page and a
dark one. A matrix of weights is drawn as squares: the larger, the farther from zero;
orange above, purple below; an empty place is a weight that is gone.
"""

from html import escape
from typing import NamedTuple

import numpy as np

from lth_utils.errors import choose
from lth_utils.figures.drawing import ABOVE, BELOW, STYLE

_SIDE, _CELL = 5, 20  # places in a row of a matrix, and the size of one
_MATRIX = _SIDE * _CELL
_STYLE = (
    "max-width:100%;height:auto;font-family:inherit;font-size:14px;"
    "color:inherit;background:none"
)


class Diagram(NamedTuple):
    """A drawing, and its description for who cannot see it."""

    says: str
    width: int
    height: int
    marks: str

    def __repr__(self) -> str:
        """Tell what a text alone cannot show."""
        return self.says

    def _repr_html_(self) -> str:
        return (
            f'<svg class="lth-diagram" role="img" aria-label="{escape(self.says)}"'
            f' viewBox="0 0 {self.width} {self.height}" width="{self.width}"'
            f' height="{self.height}" style="{_STYLE}" fill="currentColor"'
            f' stroke="none">{self.marks}</svg>'
        )


def diagram(name: str) -> Diagram:
    """Return one of the book's drawings, for a cell's last line.

    Args:
        name: "loop" (train, prune, rewind), "ticket" (a mask times first values) or
            "arms" (the networks that a ticket is held against).

    Raises:
        LotteryError: For another name.
    """
    return _DRAWINGS[choose("diagram", name, _DRAWINGS)]()


def _weights() -> tuple[np.ndarray, np.ndarray]:
    """Return first values and what training made of them, each a matrix."""
    rng = np.random.default_rng(6)
    first = rng.normal(size=(_SIDE, _SIDE))
    return first, 0.8 * first + 0.7 * rng.normal(size=first.shape)


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """Return a mask that keeps the `count` largest magnitudes."""
    order = np.argsort(-abs(values), axis=None)
    mask = np.zeros(values.size, dtype=bool)
    mask[order[:count]] = True
    return mask.reshape(values.shape)


def _loop() -> Diagram:
    first, trained = _weights()
    kept = _largest(trained, 20)  # four fifths of 25
    left, right, top, bottom = 20, 280, 30, 230
    marks = [
        _matrix(left, top, first),
        _matrix(right, top, trained),
        _matrix(right, bottom, trained, kept),
        _matrix(left, bottom, first, kept),
        _arrow(left + _MATRIX + 12, top + 50, right - 12, top + 50),
        _arrow(right + 50, top + _MATRIX + 12, right + 50, bottom - 12),
        _arrow(right - 12, bottom + 50, left + _MATRIX + 12, bottom + 50),
        _arrow(left + 50, bottom - 12, left + 50, top + _MATRIX + 12),
        _text(70, 20, "first values"),
        _text(330, 20, "trained"),
        _text(330, 352, "a fifth is gone"),
        _text(70, 352, "the ticket"),
        _text(200, 70, "train", bold=True),
        _text(342, 175, "prune", "start", bold=True),
        _text(342, 193, "the smallest", "start"),
        _text(200, 268, "rewind", bold=True),
        _text(200, 302, "to first values"),
        _text(82, 175, "again", "start", bold=True),
        _text(82, 193, "with what is left", "start"),
    ]
    says = (
        "Four matrices of weights in a circle, joined by arrows: first values; train;"
        " trained values; prune the smallest; the same without a fifth of them; rewind;"
        " the weights that are left, at their first values; and again."
    )
    return Diagram(says, 440, 362, "".join(marks))


def _ticket() -> Diagram:
    first, trained = _weights()
    kept = _largest(trained, 9)
    places = 10, 170, 330
    marks = [
        _matrix(places[0], 30, np.ones_like(first), kept, sign=False),
        _matrix(places[1], 30, first),
        _matrix(places[2], 30, first, kept),
        _text(140, 87, "\N{CIRCLED DOT OPERATOR}", size=26),
        _text(300, 87, "=", size=26),
    ]
    names = "mask", "first values", "ticket"
    marks += [_text(x + 50, 20, name) for x, name in zip(places, names, strict=True)]
    says = (
        "Three matrices: a mask, whose squares stand where a weight remains; times the"
        " first values of all weights; is the ticket: first values where the mask has a"
        " square, and nothing elsewhere."
    )
    return Diagram(says, 440, 140, "".join(marks))


def _arms() -> Diagram:
    first, trained = _weights()
    rng = np.random.default_rng(7)
    new = rng.normal(size=first.shape)
    kept = _largest(trained, 9)
    # In rounds, later trainings have a say in what goes: the mask differs a little.
    rounds = _largest(trained + 0.5 * rng.normal(size=first.shape), 9)
    lot = rng.permutation(kept.flatten()).reshape(kept.shape)
    arms = {
        "dense": (first, np.ones_like(kept), False, "all weights,", "first values"),
        "ticket": (first, rounds, False, "pruned in rounds,", "its own first values"),
        "reinit": (new, rounds, True, "the ticket's mask,", "new values"),
        "random": (first, lot, False, "a mask by lot,", "first values"),
        "oneshot": (first, kept, False, "pruned at once,", "its own first values"),
        "oneshot-reinit": (new, kept, True, "one-shot's mask,", "new values"),
    }
    marks = []
    for place, (arm, (values, mask, fresh, *told)) in enumerate(arms.items()):
        x, y = 30 + 230 * (place % 2), 30 + 185 * (place // 2)
        label, colour, *_ = STYLE[arm]
        swatch = "currentColor" if arm == "dense" else colour
        marks += [
            f'<rect x="{x}" y="{y - 22}" width="12" height="12" fill="{swatch}"/>',
            _text(x + 18, y - 11, label, "start", bold=True),
            _matrix(x, y, values, mask, fresh),
            _text(x, y + _MATRIX + 18, told[0], "start"),
            _text(x, y + _MATRIX + 35, told[1], "start"),
        ]
    says = (
        "Six matrices of weights. Dense: all at their first values. Ticket: few are"
        " left, at their first values. Reinit: the same places with other values, drawn"
        " as empty squares. Random mask: as many, in other places, at their first"
        " values. One-shot: nearly the ticket's places. One-shot, reinit: these with"
        " other values."
    )
    return Diagram(says, 440, 560, "".join(marks))


_DRAWINGS = {"loop": _loop, "ticket": _ticket, "arms": _arms}


def _matrix(
    x: int,
    y: int,
    values: np.ndarray,
    mask: np.ndarray | None = None,
    hollow: bool = False,
    sign: bool = True,
) -> str:
    """Draw weights as squares in a frame; new values are hollow."""
    alive = np.ones(values.shape, bool) if mask is None else mask
    sizes = 3 + 15 * np.clip(abs(values) / 1.8, 0, 1)
    drawn = [
        f'<rect x="{x}" y="{y}" width="{_MATRIX}" height="{_MATRIX}" fill="none"'
        ' stroke="currentColor" stroke-opacity="0.45"/>'
    ]
    for row, column in zip(*alive.nonzero(), strict=True):
        size = float(sizes[row, column])
        colour = ABOVE if values[row, column] > 0 else BELOW
        colour = colour if sign else "currentColor"
        fill = f'fill="{colour}"'
        if hollow:
            fill, size = f'fill="none" stroke="{colour}" stroke-width="2"', size - 2
        left = x + column * _CELL + (_CELL - size) / 2
        top = y + row * _CELL + (_CELL - size) / 2
        drawn.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{size:.1f}"'
            f' height="{size:.1f}" {fill}/>'
        )
    return "".join(drawn)


def _arrow(x: int, y: int, to_x: int, to_y: int) -> str:
    """Draw a straight arrow, along a row or a column."""
    across = np.sign(to_x - x), np.sign(to_y - y)
    back = to_x - 9 * across[0], to_y - 9 * across[1]
    wide = 5 * across[1], 5 * across[0]
    head = (
        f"{to_x},{to_y} {back[0] + wide[0]},{back[1] + wide[1]}"
        f" {back[0] - wide[0]},{back[1] - wide[1]}"
    )
    return (
        f'<path d="M{x} {y}L{back[0]} {back[1]}" stroke="currentColor"'
        f' stroke-width="2"/><polygon points="{head}"/>'
    )


def _text(
    x: int,
    y: int,
    words: str,
    anchor: str = "middle",
    bold: bool = False,
    size: int = 0,
) -> str:
    style = ' font-weight="600"' * bold + f' font-size="{size}"' * (size > 0)
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{style}>{escape(words)}</text>'
