"""An assignment as its author wrote it: with solutions and hidden tests."""

import ast
import dis
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

from lth_utils.errors import LotteryError, choose

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "notebooks" / "assignments"


class Cell(NamedTuple):
    """A cell of an assignment, as far as grading needs it.

    Attributes:
        name: Its grade_id.
        id: Its id, which survives where a front end drops the grade_id.
        source: What its author wrote.
        points: The most that it earns; None where it is no test.
        is_answer: Whether students write it.
    """

    name: str
    id: str
    source: str
    points: float | None
    is_answer: bool

    @property
    def empty(self) -> str:
        """An answer as students get it, by nbgrader's rule."""
        region = r"( *)### BEGIN SOLUTION.*?### END SOLUTION"
        stub = r"\1# YOUR CODE HERE\n\1raise NotImplementedError()"
        return re.sub(region, stub, self.source, flags=re.DOTALL)


class Assignment:
    """A source notebook, read once."""

    def __init__(self, path: Path) -> None:
        """Take a notebook in nbgrader's form."""
        self.path = path
        self.name = path.stem

    @cached_property
    def notebook(self) -> NotebookNode:
        """The notebook as it is on the disk."""
        try:
            return nbformat.read(self.path, as_version=4)
        except Exception as error:
            raise LotteryError(
                f"{self.path} cannot be read: expected a whole notebook, and found"
                f" {str(error)[:200]!r}. Save it again in Jupyter."
            ) from error

    @cached_property
    def cells(self) -> list[Cell]:
        """The code cells, up to the last test: the rest is not for the grade."""
        found = []
        for cell in self.notebook.cells:
            mark = mark_of(cell)
            if cell.cell_type == "code":
                name = mark.get("grade_id", cell.get("id", ""))
                points = float(mark.get("points", 0)) if mark.get("grade") else None
                answer = bool(mark.get("solution"))
                found.append(
                    Cell(name, cell.get("id", name), cell.source, points, answer)
                )
        last = max((n for n, cell in enumerate(found) if is_test(cell)), default=-1)
        return found[: last + 1]

    @cached_property
    def questions(self) -> dict[str, float]:
        """Each question's most points, in the notebook's order."""
        return {cell.name: cell.points or 0.0 for cell in self.cells if is_test(cell)}

    @cached_property
    def title(self) -> str:
        """Its title, or its name."""
        cells = self.notebook.cells
        titles = re.findall(r"^# (.+)", "\n".join(_texts(cells)), re.MULTILINE)
        return titles[0] if titles else self.name

    @cached_property
    def headings(self) -> dict[str, str]:
        """The heading under which each question stands."""
        found, heading = {}, self.title
        for cell in self.notebook.cells:
            if cell.cell_type == "markdown":
                heads = re.findall(r"^##+ (.+)", cell.source, re.MULTILINE)
                heading = heads[-1] if heads else heading
            elif mark_of(cell).get("grade"):
                found[mark_of(cell).grade_id] = heading
        return found

    @property
    def total(self) -> float:
        """All questions' points."""
        return sum(self.questions.values())


def _texts(cells: Sequence[NotebookNode]) -> Iterator[str]:
    return (cell.source for cell in cells if cell.cell_type == "markdown")


def is_test(cell: Cell) -> bool:
    """Whether a cell earns points."""
    return cell.points is not None


def mark_of(cell: NotebookNode) -> NotebookNode:
    """Return what nbgrader keeps of a cell, or an empty mark."""
    return cell.get("metadata", {}).get("nbgrader", NotebookNode())


def assignments(folder: Path = SOURCES, name: str = "") -> list[Assignment]:
    """Return the assignments in a folder, by name.

    Args:
        folder: Where the sources lie: the book's, or a teacher's private one.
        name: Only this one.

    Raises:
        LotteryError: If there is none, or none of this name.
    """
    paths: Sequence[Path] = []
    if folder.is_dir():
        paths = sorted(p for p in folder.glob("*.ipynb") if not p.name.startswith("."))
    if not paths:
        raise LotteryError(
            f"{folder} holds no assignment: expected a folder of notebooks in"
            " nbgrader's form. Name yours, as in make release SOURCE=folder."
        )
    if name:
        choose("assignment", name, [path.stem for path in paths])
    return [Assignment(path) for path in paths if name in ("", path.stem)]


def bound(source: str) -> set[str]:
    """Return the names that a cell gives values to, outside of its functions.

    >>> sorted(bound("import torch as t\\ndef f(x):\\n    y = x\\nz = f(1)"))
    ['f', 't', 'z']
    >>> bound("def f(:")
    set()
    """
    try:
        code = compiled(source)
    except (SyntaxError, ValueError):
        return set()
    stores = ("STORE_NAME", "STORE_GLOBAL")
    return {i.argval for i in dis.get_instructions(code) if i.opname in stores}


def compiled(source: str):
    """Compile a cell as a notebook would; raises SyntaxError or ValueError."""
    python = TransformerManager().transform_cell(source)
    flag = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return compile(python, "cell", "exec", flags=flag, dont_inherit=True)
