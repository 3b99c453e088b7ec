"""The paper's figures: which this book has, and at which scale.

`{figure-index}` is a table of `figures.toml`; a figure's state is worked out from the
records in `results/`, at every build.
"""

import tomllib
from pathlib import Path
from typing import Any

import page_parts
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

PAPER, REDUCED, LIVE, NOT_YET = (
    "recorded at paper scale",
    "recorded at reduced scale",
    "live only",
    "not yet",
)


def figures(folder: Path) -> list[dict[str, Any]]:
    """Return the entries of `figures.toml`, each with its `state`."""
    found = tomllib.loads((folder / "figures.toml").read_text("utf-8"))["figure"]
    return [{**each, "state": state(each)} for each in found]


def state(figure: dict[str, Any]) -> str:
    """Return how far this book has a figure; of several runs, all must be there."""
    from lth_utils.experiments.records import is_recorded

    runs = figure.get("runs", [])
    if runs and all(is_recorded(run, "paper") for run in runs):
        return PAPER
    if any(is_recorded(run, size) for run in runs for size in ("paper", "laptop")):
        return REDUCED
    return figure.get("state", LIVE if figure.get("live") else NOT_YET)


class FigureIndex(SphinxDirective):
    """A row for each figure of the paper."""

    def run(self) -> list[nodes.Node]:
        folder = Path(self.env.srcdir) / "book"
        self.env.note_reread()  # there may be more records at the next build
        rows = [page_parts.row("Figure", "State", "What it shows")]
        for each in figures(folder):
            state, shows = nodes.strong("", each["state"]), nodes.Text(each["shows"])
            if chapter := each.get("chapter"):
                link = self._link(chapter)
                shows = nodes.inline(
                    "", "", shows, nodes.Text(" ("), link, nodes.Text(")")
                )
            rows.append(page_parts.row(each["number"], state, shows))
        return [page_parts.table(rows, (2, 4, 9))]

    def _link(self, chapter: str) -> nodes.Node:
        """Return a link to a chapter, called by its number."""
        number = chapter.partition("-")[0].removeprefix("0")
        return pending_xref(
            "",
            nodes.inline("", f"chapter {number}"),
            refdomain="std",
            reftype="doc",
            reftarget=f"/notebooks/{chapter}",
            refexplicit=True,
            refwarn=True,
            refdoc=self.env.docname,
        )


def setup(app: Sphinx) -> None:
    """Add the directive."""
    app.add_directive("figure-index", FigureIndex)
