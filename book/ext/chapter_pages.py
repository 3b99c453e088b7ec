"""What a chapter's page has more than its notebook.

- Solutions and the key to the predictions are folded, with their explanations.
- Under the title stands how long it is, in words and minutes.
- Words in a table that a cell shows stand left, numbers right.
"""

import re
from pathlib import Path
from typing import Any

import executed
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

_NUMBER = re.compile(r"[-+\N{MINUS SIGN}]?[\d.,]+(\s?%)?|NaN|")


class folded(nodes.General, nodes.Element):  # named as docutils does
    """A part of a page that a click on its `summary` opens."""


def open_fold(translator: Any, node: folded) -> None:
    """Begin it, with its title as what is clicked."""
    ids = "".join(f' id="{each}"' for each in node["ids"][:1])
    title = translator.encode(node["summary"])
    translator.body.append(f'<details class="lth-fold"{ids}><summary>{title}</summary>')


def close_fold(translator: Any, _: folded) -> None:
    """End it."""
    translator.body.append("</details>")


class Chapter(SphinxTransform):
    """Make a notebook's page of what the notebook holds."""

    default_priority = 400  # sections are there, nothing was resolved yet

    def apply(self, **_: Any) -> None:
        """Fold, align, and say how long it takes."""
        root, name = Path(self.env.srcdir), self.env.docname
        if name not in executed.chapters(root):
            return
        for section in list(self.document.findall(nodes.section)):
            title = section[0].astext()
            if re.match(executed.SECRET, title):
                fold = folded("", *section[1:], summary=title, ids=section["ids"])
                section.replace_self(fold)
        for raw in self.document.findall(nodes.raw):
            if 'class="dataframe"' in raw.astext():
                raw[:] = [nodes.Text(_aligned(raw.astext()))]
        words = executed.words(root, name)
        runs = executed.clock(executed.stamp(root, name)["seconds"])
        told = (
            f"{words:,} words, about {executed.minutes(words)} minutes to read, without"
            f" doing the exercises; the cells ran in {runs} when this page was made."
        )
        first = next(self.document.findall(nodes.section))
        first.insert(1, nodes.paragraph("", told, classes=["lth-time"]))


def _aligned(table: str) -> str:
    """Mark the columns of a table that pandas wrote which hold words."""
    rows = [re.findall(r"<(t[hd])>(.*?)</t", row) for row in table.split("<tr")]
    cells = [[text for kind, text in row if kind == "td"] for row in rows]
    body = [row for row in cells if row]
    words = [
        not all(map(_NUMBER.fullmatch, column)) for column in zip(*body, strict=False)
    ]

    def marked(row: re.Match[str]) -> str:
        """Mark a row's last cells, as many as it has columns of data."""
        parts = re.split(r"(?=<t[hd]>)", row[0])
        first = len(parts) - len(words)
        for place, wordy in enumerate(words, start=first):
            if wordy and place > 0:
                parts[place] = parts[place].replace(">", ' class="text">', 1)
        return "".join(parts)

    return re.sub(r"<tr.*?</tr>", marked, table, flags=re.DOTALL)


def setup(app: Sphinx) -> None:
    """Add the transform, and its node."""
    app.add_node(folded, html=(open_fold, close_fold))
    app.add_transform(Chapter)
