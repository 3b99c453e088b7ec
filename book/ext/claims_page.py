"""What replicated and what did not: a page's table, picture and counts.

All of them are judged anew at every build, from `results/` alone.

- `{claims-table} 4` holds the verdicts on chapter 4's claims; `9b` is a chapter too.
- `{claims-figure} 4` draws them.
- `` {claims}`replicated` `` is how many verdicts have that word; `` {claims}`all` ``
  counts all of them, `` {claims}`claims` `` the claims.
"""

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import page_parts
from docutils import nodes
from speed_page import save
from sphinx.application import Sphinx
from sphinx.directives.patches import Figure
from sphinx.util.docutils import SphinxDirective, SphinxRole


@cache
def judged(chapter: str | None = None) -> Any:
    """Return the library's table of verdicts."""
    import lth_utils as lth

    return lth.claims(chapter)


def counts() -> dict[str, int]:
    """Return how many verdicts have each word, how many there are, and on what."""
    from lth_utils.evidence.verdicts import WORDS

    table = judged()
    found = dict.fromkeys(WORDS, 0) | Counter(table["verdict"])
    return found | {"all": len(table), "claims": table["claim"].nunique()}


class ClaimsTable(SphinxDirective):
    """A chapter's claims, and the verdicts on each, the word first."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        from lth_utils.evidence.saying import numbers

        self.env.note_reread()  # results/ may say more at the next build
        head = ("Verdict", "Ours", "Seeds", "Record")
        rows = [page_parts.row(*head)]
        table = judged(self.arguments[0])
        for claim, verdicts in table.groupby("claim", sort=False):
            first = verdicts.iloc[0]
            _, _, paper = numbers(first)
            told = f" {first['says']} ({first['source']}"
            told += f"; the paper's number: {paper})" if paper else ")"
            name = nodes.strong("", f"{claim}.")
            rows.append(page_parts.banner(len(head), name, nodes.Text(told)))
            for _, row in verdicts.iterrows():
                ours, seeds, _ = numbers(row)
                word = row["verdict"] + (" (rule changed)" if row["changed"] else "")
                # On a phone the record's name breaks behind its experiment.
                record = row["record"].replace("/", "/\N{ZERO WIDTH SPACE}")
                cells = (nodes.strong("", word), ours, seeds, record)
                rows.append(page_parts.row(*cells))
        return [page_parts.table(rows, (3, 4, 1, 3))]


class ClaimsFigure(Figure, SphinxDirective):
    """A chapter's forest plot; the content is its caption."""

    def run(self) -> list[nodes.Node]:
        from lth_utils.figures.forest import forest

        self.env.note_reread()
        name = f"claims-{self.arguments[0]}.svg"
        path = Path(self.env.srcdir) / "_build" / "claims" / name
        save(forest(judged(self.arguments[0])), path)
        self.arguments[0] = f"/_build/claims/{name}"
        return super().run()


class Claims(SphinxRole):
    """How many verdicts have a word."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        self.env.note_reread()
        found = counts()
        if self.text not in found:
            page_parts.stop(
                f"A page counts the verdicts {self.text!r}: expected one of"
                f" {', '.join(found)}."
            )
        return [nodes.Text(str(found[self.text]))], []


def setup(app: Sphinx) -> None:
    """Add the directives and the role."""
    app.add_directive("claims-table", ClaimsTable)
    app.add_directive("claims-figure", ClaimsFigure)
    app.add_role("claims", Claims())
