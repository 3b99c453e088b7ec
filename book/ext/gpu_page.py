"""What `make gpu` measured, from `results/gpu/`: `{gpu-tables}`, a table for each card.

A row is a kind of network and how many of them train at once; its numbers are the
steps of all of them in a second.
"""

import json
from pathlib import Path
from typing import Any

import page_parts
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

NETWORKS = {"conv2": "Conv-2", "resnet20": "ResNet-20"}
HEAD = ("Network", "At once", "Steps a second", "With TF32")
SHOWN = ("textbook", "stacks", "tf32", "ways")  # the stages


def pages(folder: Path) -> list[dict[str, Any]]:
    """Return what each card's file says, if it has all that is shown."""
    found = [
        json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))
    ]
    return [
        page
        for page in found
        if all("failed" not in page["stages"].get(s, {"failed": ""}) for s in SHOWN)
    ]


def steps(stages: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return the table's rows, without its head, of a card's stages."""
    rows = [("LeNet, textbook loop", "1", number(stages["textbook"]["steps"]), "")]
    rows += _paired("LeNet", stages["stacks"]["rows"])
    ways = stages["ways"]
    for network, name in NETWORKS.items():
        mine = [row for row in ways["rows"] if row["network"] == network]
        alone = next(row for row in mine if row["way"] == "alone")
        rows.append((f"{name}, step by step", "1", number(alone["steps"]), ""))
        best = ways["fastest"][network]
        rows += _paired(name, [row for row in mine if row["way"] == best])
    return rows


def _paired(name: str, rows: list[dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    """Return a row for each number of networks, with and without TF32."""
    found = {(row["replicas"], row["tf32"]): number(row["steps"]) for row in rows}
    counts = sorted({count for count, _ in found})
    return [(name, str(n), found[n, False], found.get((n, True), "")) for n in counts]


def number(steps: float) -> str:
    """Return three digits of a number."""
    return f"{float(f'{steps:.3g}'):,.0f}"


def accuracies(stages: dict[str, Any]) -> str:
    """Say what TF32 does to the test accuracy of networks of several seeds."""
    names = {"lenet": "LeNet", **NETWORKS}
    each = [
        f"{names[word]} {100 * found['mean_gain']:+.2f}"
        f" ({100 * found['standard_error']:.2f})"
        for word, found in stages["tf32"].items()
        if word in names
    ]
    seeds = len(stages["tf32"]["lenet"]["tf32"])
    return (
        "Test accuracy with TF32 minus without, in points, with its standard error"
        f" (n = {seeds} seeds, a short training): {'; '.join(each)}."
    )


class GpuTables(SphinxDirective):
    """A table and a sentence for each card."""

    def run(self) -> list[nodes.Node]:
        folder = Path(self.env.srcdir) / "results" / "gpu"
        self.env.note_reread()  # there may be more of them at the next build
        found: list[nodes.Node] = []
        for page in pages(folder):
            rows = [HEAD, *steps(page["stages"])]
            made, card = page["made"][:10], page["environment"]["device"]
            first = f"{card}, PyTorch {page['versions']['torch']}, {made}:"
            found.append(nodes.paragraph("", first))
            found.append(page_parts.table([page_parts.row(*row) for row in rows]))
            found.append(nodes.paragraph("", accuracies(page["stages"])))
        return found


def setup(app: Sphinx) -> None:
    """Add the directive."""
    app.add_directive("gpu-tables", GpuTables)
