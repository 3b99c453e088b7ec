"""Figures as pictures that a page holds in itself: the frames of a slider.

The same figures give the same bytes on every build: no date, no random ids.
"""

import base64
import io
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import quote

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from lth_utils.errors import LotteryError

# All the pictures of one slider together, in bytes of page: what they should take,
# and what they may.
BUDGET = 640_000
LIMIT = 960_000  # a megabyte with all captions
_RESOLUTIONS = (144, 110, 96, 80)  # dots an inch, finest first
_MARGIN = 0.08  # inches around what is drawn


class Picture(NamedTuple):
    """A picture as a data address, and its size on the page in CSS pixels."""

    src: str
    width: int
    height: int


def pictures(
    figures: Sequence[Figure], budget: int = BUDGET, limit: int = LIMIT
) -> list[Picture]:
    """Turn figures into pictures of one size and one kind.

    They are cut to what any of them draws, so that nothing jumps between
    two frames. SVG if all of them fit the budget, else lossless WebP, whose
    colours are exact, at the finest resolution that does.

    Args:
        figures: Figures of equal size.
        budget: The bytes that all of them together should take at most.
        limit: The most bytes that they may take.

    Raises:
        LotteryError: If even the coarsest pictures take more than the limit.
    """
    box = _box(figures)
    found = [_svg(figure, box) for figure in figures]
    for dpi in _RESOLUTIONS:
        if _bytes(found) <= budget:
            break
        found = [_webp(figure, box, dpi) for figure in figures]
    if _bytes(found) > limit:
        raise LotteryError(
            f"These {len(found)} pictures take {_bytes(found) / 1e6:.2g} MB, even"
            f" coarsely drawn: a slider may hold {limit / 1e6:.2g}. Give fewer values,"
            " or smaller figures."
        )
    width, height = round(96 * box.width), round(96 * box.height)
    return [Picture(src, width, height) for src in found]


def _bytes(found: Sequence[str]) -> int:
    return sum(map(len, found))


def _box(figures: Sequence[Figure]) -> Bbox:
    """The smallest box, in inches, around all that the figures draw."""
    boxes = []
    for figure in figures:
        figure.draw_without_rendering()
        boxes.append(figure.get_tightbbox())
    return Bbox.union(boxes).padded(_MARGIN)


def _svg(figure: Figure, box: Bbox) -> str:
    target = io.BytesIO()
    # Ids in an SVG hash its salt; text is paths, so that it looks the same
    # with any fonts.
    with plt.rc_context({"svg.hashsalt": "lth", "svg.fonttype": "path"}):
        figure.savefig(
            target,
            format="svg",
            bbox_inches=box,
            facecolor="white",
            metadata={"Date": None},
        )
    # Percent-encoded as little as a page allows, it is a quarter smaller than
    # in base64.
    text = " ".join(target.getvalue().decode().split())
    text = text.replace("'", "&apos;").replace('"', "'")
    return "data:image/svg+xml," + quote(text, safe=" '!$()*+,/:;=?@[]^{|}~")


def _webp(figure: Figure, box: Bbox, dpi: int) -> str:
    target = io.BytesIO()
    figure.savefig(
        target,
        format="webp",
        bbox_inches=box,
        facecolor="white",
        dpi=dpi,
        pil_kwargs={"lossless": True},
    )
    return "data:image/webp;base64," + base64.b64encode(target.getvalue()).decode()
