"""Figures and values of the executed chapters, for what is made of them.

The slides show them and `make figures` writes them to files: both read here. A
figure is what a cell shows whose metadata names it (`mystnb`, `figure`, `name`).
"""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from html import escape, unescape
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import executed
import nbformat
from nbformat import NotebookNode

from lth_utils.errors import LotteryError
from lth_utils.figures.glue import PREFIX

VALUE = f"{PREFIX}text/plain"
SVG, PNG = "image/svg+xml", "image/png"
LIVE, RECORDED = r"\blive\b", r"\brecorded\b|\blong run\b|runs? on file"


@dataclass(frozen=True)
class Figure:
    """A figure of a chapter.

    Attributes:
        chapter: Its notebook, "03-the-algorithm".
        name: What the book's pages call it, "accuracy-by-round".
        caption: What stands below it, in plain words.
        alt: What is drawn; of a slider, at its middle stop.
        kind: The media type of `picture`.
        picture: The file's bytes; of a slider, its middle stop's.
        html: What a page shows that has no picture file: a slider or a drawing.
    """

    chapter: str
    name: str
    caption: str
    alt: str
    kind: str
    picture: bytes
    html: str = ""

    @property
    def address(self) -> str:
        """Return how slides and files name it, "chapter/name"."""
        return f"{self.chapter}/{self.name}"

    @property
    def source(self) -> str:
        """Return "live", "recorded", "live and recorded", or "" if it doesn't say."""
        said = f"{self.caption} {self.alt}"
        words = {"live": LIVE, "recorded": RECORDED}
        found = [word for word, mark in words.items() if re.search(mark, said, re.I)]
        return " and ".join(found)

    @cached_property
    def page(self) -> str:
        """Return the HTML that shows it, in itself."""
        held = base64.b64encode(self.picture).decode()
        picture = f'<img src="data:{self.kind};base64,{held}" alt="{escape(self.alt)}">'
        return self.html or picture


def figures(root: Path, chapter: str) -> list[Figure]:
    """Return a chapter's figures, in its order.

    Args:
        root: The book's folder.
        chapter: As `_toc.yml` has it, "notebooks/03-the-algorithm".

    Raises:
        LotteryError: If a cell is called a figure and shows none.
    """
    notebook = nbformat.read(executed.copy(root, chapter), as_version=4)
    return list(_figures(notebook, Path(chapter).name))


def values(root: Path, chapter: str) -> dict[str, float | int | str]:
    """Return what a chapter handed on with `lth.glue`, by name."""
    notebook = nbformat.read(executed.copy(root, chapter), as_version=4)
    return {
        output.metadata["scrapbook"]["name"]: _value(output.data[VALUE])
        for output in _outputs(notebook)
        if VALUE in output.get("data", {})
    }


def _value(text: str) -> float | int | str:
    """Return the number or the text that Python printed."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text.strip("'\"")


def _outputs(notebook: NotebookNode) -> Iterator[NotebookNode]:
    for cell in notebook.cells:
        yield from cell.get("outputs", [])


def _figures(notebook: NotebookNode, chapter: str) -> Iterator[Figure]:
    for cell in notebook.cells:
        told = cell.metadata.get("mystnb", {})
        if named := told.get("figure"):
            alt = told.get("image", {}).get("alt", "")
            caption = re.sub(r"[*`]", "", named.get("caption", ""))
            yield _figure(cell, chapter, named["name"], _plain(caption), _plain(alt))


def _plain(text: str) -> str:
    return " ".join(text.split())


def _figure(
    cell: NotebookNode, chapter: str, name: str, caption: str, alt: str
) -> Figure:
    """Return what a cell shows."""
    for output in cell.get("outputs", []):
        data: dict[str, Any] = output.get("data", {})
        if SVG in data:
            drawn = "".join(data[SVG]).encode()
            return Figure(chapter, name, caption, alt, SVG, drawn)
        if PNG in data:
            drawn = base64.b64decode("".join(data[PNG]))
            return Figure(chapter, name, caption, alt, PNG, drawn)
        html = "".join(data.get("text/html", ""))
        if 'class="lth-explore"' in html:
            kind, drawn, said = _middle(html)
            return Figure(chapter, name, caption, said, kind, drawn, html)
        if "<svg" in html:
            said = re.search(r'aria-label="([^"]*)"', html)
            told = unescape(said[1]) if said else alt
            return Figure(chapter, name, caption, told, SVG, _alone(html), html)
    raise LotteryError(
        f"{chapter}: the cell {cell.get('id')!r} is called the figure {name!r}, and"
        " shows neither a picture nor a slider nor a drawing. Let its last line show"
        " one, or take the name away."
    )


def _middle(html: str) -> tuple[str, bytes, str]:
    """Return media type, bytes and alt text of a slider's middle stop."""
    # It is the one that paper shows.
    printed = re.search(r'<img src="([^"]*)" alt="([^"]*)"[^>]*"lth-print"', html)
    if printed is None:
        raise LotteryError("A slider has no middle stop: run its chapter again.")
    source, alt = map(unescape, printed.groups())
    head, _, body = source.partition(",")
    kind, *coding = head.removeprefix("data:").split(";")
    drawn = base64.b64decode(body) if "base64" in coding else unquote_to_bytes(body)
    return kind, drawn, _plain(alt)


def _alone(html: str) -> bytes:
    """Return a drawing that a page holds as a file of its own, black on white."""
    (svg,) = re.findall(r"<svg.*?</svg>", html, re.S)[:1]
    style = "font-family:sans-serif;font-size:14px;color:black;background:white"
    svg = re.sub(r' style="[^"]*"', f' style="{style}"', svg, count=1)
    if "xmlns=" not in svg:
        svg = svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    return svg.encode()
