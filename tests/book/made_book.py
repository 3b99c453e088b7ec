"""A book of one chapter that was run: a figure of each kind, and two values."""

import base64
import io
import json
import shutil
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
from book_fixtures import ROOT, copies
from nbformat import NotebookNode, v4
from PIL import Image
from test_pipeline import write_book

import lth_utils as lth
from lth_utils.figures.diagrams import diagram

NAME = "notebooks/one"
VALUE = "application/papermill.record/text/plain"
SPACE = "http://www.w3.org/2000/svg"
SVG = f'<svg xmlns="{SPACE}" width="40" height="30"><path d="M0 0"/></svg>'
PNG = io.BytesIO()
Image.new("RGB", (40, 30), "red").save(PNG, "png")
STOPS = [1.0, 0.5, 0.2]


def slider() -> str:
    """Return the HTML of a slider of three stops, the picture of each as wide."""

    def show(density: float):
        figure, axes = plt.subplots(figsize=(3, 2))
        axes.bar([0], [density])
        return figure, f"Half is {density / 2}."

    return lth.explore(show, alt="A bar.", density=STOPS)._repr_html_()


def cell(name: str, caption: str, data: dict[str, str], alt: str = "") -> NotebookNode:
    """Return a cell that shows a figure."""
    told = {"figure": {"caption": caption, "name": name}}
    if alt:
        told["image"] = {"alt": alt}
    made = v4.new_code_cell("show()", id=f"{name}-cell", metadata={"mystnb": told})
    made.outputs = [v4.new_output("display_data", data)]
    return made


def glued(name: str, value: object) -> NotebookNode:
    """Return a cell that hands a value on."""
    said = {"scrapbook": {"name": name}}
    made = v4.new_code_cell("glue()", id=f"{name}-cell")
    made.outputs = [v4.new_output("display_data", {VALUE: repr(value)}, metadata=said)]
    return made


def make_book(root: Path) -> Path:
    """Write it, with the slides' own files and no lecture."""
    write_book(root)
    shutil.copytree(ROOT / "book" / "slides", root / "book" / "slides")
    (root / "book" / "slides" / "lecture.md").unlink()
    pixels = base64.b64encode(PNG.getvalue()).decode()
    cells = [
        cell("lines", "Lines (live, *n* = 3).", {"image/svg+xml": SVG}, "Two\nlines."),
        cell("pixels", "From the recorded run.", {"image/png": pixels}, 'A "red" one.'),
        cell("slider", "Live and recorded.", {"text/html": slider()}),
        cell("drawing", "A drawing.", {"text/html": diagram("ticket")._repr_html_()}),
        glued("lead", 0.4876),
        glued("seeds", 5),
        glued("word", "replicated"),
    ]
    write_copy(root, cells)
    return root


def write_copy(root: Path, cells: list[NotebookNode]) -> None:
    """Write the chapter's executed copy, stamped as if it had just run."""
    around = copies.surroundings(root)
    digest = copies.digest(root, NAME, "quick", around)
    stamp = {"digest": digest, "profile": "quick", "seconds": 1}
    notebook = v4.new_notebook(cells=cells, metadata={copies.KEY: stamp})
    path = copies.copy(root, NAME)
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def stale(root: Path) -> None:
    """Change the chapter after it was run."""
    path = copies.source(root, NAME)
    path.write_text(json.dumps(json.loads(path.read_text()), indent=3))
