"""What the teacher's guide takes from a chapter: `{for-teachers} 04-fully-connected`.

A chapter says itself what its reader must know and which predictions it asks for, and
its executed copy what came out: the guide repeats them, folded, and types none of it.
"""

import re
from pathlib import Path

import executed
import nbformat
from docutils import nodes
from nbformat import NotebookNode
from page_parts import stop
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

NEEDS = r"\*\*What you need to know\.\*\* (.*?)(?:\n\n|\Z)"
ONE = "**Prediction "
ASKED = r"^## (?!Your ).*predictions?\b"


class ForTeachers(SphinxDirective):
    """What a chapter needs, how long it is, its predictions and their key."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        root, name = Path(self.env.srcdir), f"notebooks/{self.arguments[0]}"
        path = executed.copy(root, name)
        if not path.is_file():
            stop(f"The teacher's guide names {name}, which there is not.")
        self.env.note_dependency(str(path))
        notebook = nbformat.read(path, as_version=4)
        text = told(notebook, executed.minutes(executed.words(root, name)))
        found: list[nodes.Node] = self.parse_text_to_nodes(text)
        return found


def told(notebook: NotebookNode, minutes: int) -> str:
    """Return a chapter's part of the guide, as Markdown.

    Raises:
        SystemExit: If the chapter does not have what every chapter has.
    """
    needs = re.search(NEEDS, notebook.cells[0].source, re.DOTALL)
    asked = _asked(notebook)
    keys = [
        output.data["text/markdown"]
        for cell in notebook.cells
        if cell.cell_type == "code" and "lth.key(" in cell.source
        for output in cell.outputs
        if "text/markdown" in output.get("data", {})
    ]
    if needs is None or not asked or not keys:
        stop(
            "The teacher's guide takes from a chapter what its reader needs to know,"
            f" its predictions and their key, and {notebook.cells[0].source[:60]!r}"
            " lacks one of them."
        )
    return "\n\n".join(
        [
            f"**Needs.** {needs[1]}",
            f"**Reading.** About {minutes} minutes, without exercises.",
            ":::{dropdown} Its predictions, and the key",
            *asked,
            *keys,
            ":::",
        ]
    )


def _asked(notebook: NotebookNode) -> list[str]:
    """Return a chapter's predictions, from their own section or each from its place."""
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    sections = [
        text.partition("\n")[2].strip() for text in texts if re.match(ASKED, text)
    ]
    parts = [part for text in texts for part in text.split("\n\n")]
    return sections[:1] or [part for part in parts if part.startswith(ONE)]


def setup(app: Sphinx) -> None:
    """Add the directive."""
    app.add_directive("for-teachers", ForTeachers)
