"""What directives of this book share: a table's nodes, and how a build ends."""

from typing import NoReturn

from docutils import nodes


def stop(sentence: str) -> NoReturn:
    """End the build with a sentence; an exception would add 40 lines to it."""
    raise SystemExit(f"The book cannot be built. {sentence}")


def row(*cells: str | nodes.Node) -> nodes.row:
    """Return a table's row of texts or nodes."""
    texts = [nodes.Text(cell) if isinstance(cell, str) else cell for cell in cells]
    return nodes.row("", *[nodes.entry("", nodes.paragraph("", "", t)) for t in texts])


def banner(columns: int, *content: nodes.Node) -> nodes.row:
    """Return a row whose one cell goes over all columns."""
    cell = nodes.entry("", nodes.paragraph("", "", *content), morecols=columns - 1)
    return nodes.row("", cell)


def table(rows: list[nodes.row], widths: tuple[int, ...] = ()) -> nodes.table:
    """Return a table whose first row is its head."""
    shares = widths or (1,) * len(rows[0])
    columns = [nodes.colspec(colwidth=share) for share in shares]
    head, body = nodes.thead("", rows[0]), nodes.tbody("", *rows[1:])
    group = nodes.tgroup("", *columns, head, body, cols=len(columns))
    return nodes.table("", group)
