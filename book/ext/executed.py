"""Executed notebooks: where they are, and what made them.

`run_notebooks.py` writes them and the Sphinx extension reads them. A copy
carries, in its metadata, the hash of everything that made it; a copy with
another hash is stale, whatever its file's time says (a git checkout moves
file times).
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import nbformat
import yaml

from lth_utils.errors import LotteryError

KEY = "lth_book"  # in a copy's metadata: {digest, profile, seconds}
REMEDY = "Run `make notebooks`."
SECRET = "Solution|The key"  # headings of what a page folds
PACE = 200  # words a minute


def chapters(root: Path) -> list[str]:
    """Return the names of the notebooks of `_toc.yml`, in its order.

    A name has no suffix and starts at `root`: "notebooks/01-what-is-pruning".

    Raises:
        LotteryError: If `_toc.yml` is missing or names a page that is.
    """
    toc = root / "_toc.yml"
    if not toc.is_file():
        raise LotteryError(f"There is no {toc}: run this in the book's own folder.")
    names = list(_pages(yaml.safe_load(toc.read_text("utf8"))))
    for name in names:
        if not any((root / f"{name}{end}").is_file() for end in (".ipynb", ".md")):
            raise LotteryError(_missing(root, name))
    return [name for name in names if (root / f"{name}.ipynb").is_file()]


def _pages(node: Any) -> Iterator[str]:
    """Walk down `_toc.yml`: pages stand under "root" and "file"."""
    if isinstance(node, list):
        for item in node:
            yield from _pages(item)
    elif isinstance(node, dict):
        yield from (str(node[key]) for key in ("root", "file") if key in node)
        for value in node.values():
            yield from _pages(value)


def _missing(root: Path, name: str) -> str:
    here = (root / name).parent
    pages = [p.stem for p in here.glob("*") if p.suffix in (".ipynb", ".md")]
    near = get_close_matches(Path(name).name, pages, n=1)
    hint = f" Did you mean {Path(name).parent / near[0]}?" if near else ""
    return (
        f"_toc.yml names {name}, but there is neither {name}.ipynb nor {name}.md:"
        f" add the page, or correct the line.{hint}"
    )


def source(root: Path, name: str) -> Path:
    """Return where a chapter's clean notebook is."""
    return root / f"{name}.ipynb"


def copy(root: Path, name: str) -> Path:
    """Return where a chapter's executed copy is, or will be."""
    return root / "_build" / "executed" / f"{name}.ipynb"


def surroundings(root: Path) -> str:
    """Hash what every chapter is made from: library, results, lock file."""
    digest = hashlib.sha256()
    files = [root / "requirements.lock"]
    for folder in ("lth_utils", "results"):
        files += sorted((root / folder).rglob("*"))
    for path in files:
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.relative_to(root).as_posix().encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def digest(root: Path, name: str, profile: str, around: str) -> str:
    """Hash what a chapter's executed copy is made from.

    Args:
        root: The book's folder.
        name: The chapter.
        profile: How much it trains: "quick", "laptop" or "paper".
        around: What `surroundings(root)` returned.
    """
    text = hashlib.sha256(source(root, name).read_bytes()).hexdigest()
    return hashlib.sha256(f"{text} {around} {profile}".encode()).hexdigest()


def stamp(root: Path, name: str) -> dict[str, Any]:
    """Return what a chapter's executed copy says about itself.

    Returns:
        digest, profile and seconds; empty if there is no copy.
    """
    path = copy(root, name)
    if not path.is_file():
        return {}
    notebook = nbformat.read(path, as_version=4)
    return dict(notebook.metadata.get(KEY, {}))


def complaint(root: Path, name: str, around: str) -> str | None:
    """Say why a chapter cannot be shown, or return None if it can."""
    made = stamp(root, name)
    if not made:
        return f"{name}.ipynb was never run."
    if made["digest"] != digest(root, name, made["profile"], around):
        return f"{name}.ipynb, or what it uses, changed since it was run."
    return None


def check(root: Path, names: Iterable[str]) -> None:
    """Refuse executed copies that are missing or stale.

    Raises:
        LotteryError: That names each of those chapters.
    """
    around = surroundings(root)
    found = (complaint(root, name, around) for name in names)
    if complaints := [sentence for sentence in found if sentence]:
        raise LotteryError(" ".join([*complaints, REMEDY]))


def words(root: Path, name: str) -> int:
    """Count the words that a chapter's reader reads: prose, and what cells printed.

    Code, formulas and what is folded are left out.
    """
    found, secret = 0, False
    for cell in nbformat.read(copy(root, name), as_version=4).cells:
        if cell.cell_type == "markdown":
            if heading := re.match(r"#+ (.*)", cell.source):
                secret = bool(re.match(SECRET, heading[1]))
            texts = [re.sub(r"```.*?```|\$\$.*?\$\$", "", cell.source, flags=re.S)]
        else:
            tags = set(cell.metadata.get("tags", []))
            seen = [] if tags & {"remove-cell", "remove-output"} else cell.outputs
            texts = [out.text for out in seen if out.get("name") == "stdout"]
        found += 0 if secret else sum(len(text.split()) for text in texts)
    return found


def minutes(count: int) -> int:
    """Say how long that many words take, to five minutes, and five at least.

    >>> minutes(4321), minutes(200)
    (20, 5)
    """
    return max(5, 5 * round(count / PACE / 5))


def clock(seconds: float) -> str:
    """Write a duration for people.

    >>> clock(7.3), clock(125)
    ('7 s', '2 min 05 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
