"""The book, for tests: each chapter run once, the site built once.

Both are what `make book` makes, in the same place: a chapter that is unchanged
since the last `make book` is not run again. A chapter's own tests need only
that chapter:

    def test_it_says_so(executed):
        chapter = executed("notebooks/01-what-is-pruning")
        assert "density" in printed(chapter)
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "book"), str(ROOT / "book" / "ext")]

import executed as copies  # noqa: E402

# As it was before any test changed it.
ENVIRONMENT = dict(os.environ)


def chapters() -> list[str]:
    """Return the names of the book's chapters."""
    return copies.chapters(ROOT)


@pytest.fixture(scope="session")
def executed() -> Callable[[str], NotebookNode]:
    """Return a function from a chapter's name to its executed notebook."""

    around = copies.surroundings(ROOT)

    @cache
    def run(name: str) -> NotebookNode:
        made = copies.digest(ROOT, name, "quick", around)
        if copies.stamp(ROOT, name).get("digest") != made:
            command(sys.executable, "book/run_notebooks.py", name)
        return nbformat.read(copies.copy(ROOT, name), as_version=4)

    return run


@pytest.fixture(scope="session")
def site(executed: Callable[[str], NotebookNode]) -> Path:
    """Build the book strictly and return the folder of its pages."""
    for name in chapters():
        executed(name)
    command(sys.executable, "book/render.py")
    pages = ROOT / "_build" / "html"
    assert (pages / "index.html").is_file(), "the build said it was fine, and made none"
    return pages


def command(*words: str) -> None:
    """Run a command in the book's folder; what it said is the failure's message."""
    environment = ENVIRONMENT | {"LTH_RUNS": os.environ["LTH_RUNS"]}
    done = subprocess.run(
        words,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.fail(f"{' '.join(words)}\n{done.stdout}\n{done.stderr}", pytrace=False)


def printed(notebook: NotebookNode, cell: str = "") -> str:
    """Return what an executed notebook, or one of its cells, printed.

    The no-break spaces that `lth.say` sets are plain ones here.
    """
    return "".join(
        plain(output.text)
        for output in _outputs(notebook, cell)
        if output.output_type == "stream" and output.name == "stdout"
    )


def told_by(notebook: NotebookNode, cell: str = "") -> str:
    """Return the same on one line."""
    return " ".join(printed(notebook, cell).split())


def plain(text: str) -> str:
    """Return a text whose no-break spaces are plain ones."""
    return text.replace("\N{NO-BREAK SPACE}", " ")


def lifted(chapter: str, *cells: str, **names: Any) -> dict[str, Any]:
    """Run some of a chapter's cells alone, and return what they define.

    Args:
        chapter: Its name.
        cells: Their ids, in order.
        names: What they find defined.
    """
    notebook = nbformat.read(ROOT / f"{chapter}.ipynb", as_version=4)
    sources = {cell.id: cell.source for cell in notebook.cells}
    for cell in cells:
        exec(sources[cell], names)
    return names


def progress(notebook: NotebookNode) -> str:
    """Return what an executed notebook wrote to its error stream."""
    return "".join(
        output.text
        for output in _outputs(notebook)
        if output.output_type == "stream" and output.name == "stderr"
    )


def shown(notebook: NotebookNode, kind: str, cell: str = "") -> list[str]:
    """Return the outputs of one media type: "text/html", "image/svg+xml"."""
    return [
        "".join(output.data[kind])
        for output in _outputs(notebook, cell)
        if kind in output.get("data", {})
    ]


def table_of(notebook: NotebookNode, cell: str) -> list[list[str]]:
    """Return the table that a cell shows, head first, its cells as text."""
    (html,) = shown(notebook, "text/html", cell)
    each = re.findall(r"<tr.*?</tr>", html, re.DOTALL)
    found = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in each]
    return [[plain(unescape(text)).strip() for text in row] for row in found]


def captions(slider: str) -> list[str]:
    """Return what a slider says under its picture, stop by stop."""
    found = re.search(r'<div class="lth-captions">(.*?)</div>', slider, re.DOTALL)
    assert found, "this is no slider"
    texts = re.findall(r"<p[^>]*>(.*?)</p>", found[1], re.DOTALL)
    return [plain(unescape(text)) for text in texts]


def gaps(table: pd.DataFrame, one: str, other: str, round: int) -> np.ndarray:
    """Return paired differences in points, worked out anew."""
    rows = table[table["round"].isin([0, round])].set_index("seed")["test"]
    arm = table[table["round"].isin([0, round])].set_index("seed")["arm"]
    return 100 * (rows[arm == one] - rows[arm == other]).to_numpy()


def glued(notebook: NotebookNode) -> dict[str, Any]:
    """Return the values that an executed notebook handed on with `lth.glue`."""
    mark = "application/papermill.record/text/plain"
    values = {
        output.metadata["scrapbook"]["name"]: output.data[mark]
        for output in _outputs(notebook)
        if mark in output.get("data", {})
    }
    return {name: _value("".join(text)) for name, text in values.items()}


def _value(text: str) -> float | str:
    number = re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", text)
    return float(text) if number else text.strip("'\"")


def _outputs(notebook: NotebookNode, cell: str = "") -> list[NotebookNode]:
    cells = [each for each in notebook.cells if each.cell_type == "code"]
    chosen = [each for each in cells if cell in ("", each.id)]
    assert chosen, f"there is no code cell {cell!r}"
    return [output for each in chosen for output in each.outputs]
