"""What a notebook says: sentences to its reader, values to the book's pages."""

import textwrap
from collections.abc import Mapping
from typing import Any

from IPython.core.getipython import get_ipython
from IPython.display import Markdown

from lth_utils.errors import LotteryError

# A front end that does not know this kind of output shows nothing.
PREFIX = "application/papermill.record/"


def shell() -> Any:
    """Return the shell of the notebook that runs this, or None elsewhere."""
    found = get_ipython()
    return None if getattr(found, "kernel", None) is None else found


def say(text: str) -> None:
    """Print a sentence, wrapped to the width of a code cell.

    >>> say("The ticket keeps a fifth of the weights.")
    The ticket keeps a fifth of the weights.
    """
    kept = joined(text).replace("n = ", "n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}")
    wrapped = textwrap.fill(kept, 72)
    try:
        print(wrapped)
    except UnicodeEncodeError:  # a terminal that has no such space
        wrapped = wrapped.replace("\N{NO-BREAK SPACE}", " ")
        print(wrapped.encode("ascii", "backslashreplace").decode())


def key(answers: Mapping[str, tuple[str, str]]) -> Markdown:
    """Return the key to a chapter's predictions, for a cell's last line.

    Args:
        answers: To each question what was found, and how sure that is: from what
            run, of how many seeds.

    Raises:
        LotteryError: If there is no answer, or one that is no pair of texts.

    >>> print(key({"Does it fall?": ("By 43 points.", "live, n = 3")}).data)
    | Asked | Found | How sure |
    |:--|:--|:--|
    | Does it fall? | By 43 points. | live, n = 3 |
    """
    rows = [("Asked", "Found", "How sure")]
    for asked, found in dict(answers).items():
        if isinstance(found, str) or len(found) != 2:
            raise LotteryError(
                f"The key answers {asked!r} with {found!r}: expected a pair, what was"
                ' found and how sure that is, as in ("By 43 points.", "live, n = 3").'
            )
        rows.append((asked, *found))
    if len(rows) == 1:
        raise LotteryError(
            "The key has no answer: expected one for each prediction of the chapter."
        )
    head, *rest = ("| " + " | ".join(map(_cell, row)) + " |" for row in rows)
    return Markdown("\n".join([head, "|:--|:--|:--|", *rest]))


def _cell(text: str) -> str:
    """Write a text as a Markdown table's cell: on one line, and not cut by a bar."""
    return joined(" ".join(str(text).split())).replace("|", "\\|")


def joined(text: str) -> str:
    """Let no line break part a number from its percent sign.

    On a narrow page a printed line is broken once more, so say keeps it.
    """
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def plain(value: Any) -> Any:
    """Turn a NumPy or torch scalar into Python's own."""
    return value.item() if getattr(value, "shape", None) == () else value


def glue(name: str, value: Any) -> None:
    """Keep a value in the notebook, for the book's pages to cite.

    A page writes {glue:text}`../notebooks/x.ipynb::name:.2f`, and MyST-NB
    puts the value there. In the notebook itself nothing is shown, and
    outside of a notebook nothing happens.

    Args:
        name: What the page calls it; unique in its notebook.
        value: A number (also NumPy's or torch's), a text, or a figure.

    Raises:
        LotteryError: If the name is empty or holds a colon, at which the
            page's reference would be cut.
    """
    if not isinstance(name, str) or not name.strip() or ":" in name:
        raise LotteryError(
            f"{name!r} cannot name a glued value: expected some text without a"
            " colon, such as 'gap-21'."
        )
    notebook = shell()
    if notebook is None:
        return
    # A page formats what Python prints: np.float64(0.5) would be no number.
    data, metadata = notebook.display_formatter.format(plain(value))
    metadata["scrapbook"] = {"name": name, "mime_prefix": PREFIX}
    prefixed = {PREFIX + kind: content for kind, content in data.items()}
    notebook.display_pub.publish(prefixed, metadata)
