"""What came back: folders of students, and in each notebook their answers."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from classroom.sources import Assignment, bound, is_test, mark_of
from lth_utils.errors import LotteryError

LARGEST = 200_000_000  # bytes of a notebook; its outputs are not needed

Answers = dict[str, list[str]]  # to each answer cell's name, the cells that fill it


class Unreadable(Exception):
    """Says why a submission cannot be read."""


class Student(NamedTuple):
    """One who handed something in.

    Attributes:
        name: The folder's name.
        folder: Where the notebooks lie.
    """

    name: str
    folder: Path


def students(submissions: Path, expected: Sequence[Assignment]) -> list[Student]:
    """Return those who have a folder, by name.

    Hidden folders, those that archives bring along, single files and links are
    no students.

    Raises:
        LotteryError: If nobody handed in any of the assignments.
    """
    names = [f"{assignment.name}.ipynb" for assignment in expected]
    files = names[0] if len(names) == 1 else "<assignment>.ipynb"
    if not submissions.is_dir():
        raise LotteryError(
            f"There is no folder {submissions}: expected the submissions,"
            f" FROM/<student>/{files}. Say where they are, as in make grade"
            " FROM=folder."
        )
    found = [
        Student(path.name, path)
        for path in sorted(submissions.iterdir())
        if path.is_dir() and not path.is_symlink() and not _is_litter(path.name)
    ]
    if not any((each.folder / name).is_file() for each in found for name in names):
        raise LotteryError(
            f"{submissions} holds no submissions: expected a folder for each student,"
            f" with {' or '.join(names)} in it. Collect the notebooks so, then run"
            " again."
        )
    return found


def _is_litter(name: str) -> bool:
    """Whether a folder comes from a file manager, an archive or Jupyter."""
    return name.startswith((".", "__")) or name in ("lost+found", "$RECYCLE.BIN")


def read(student: Student, name: str) -> list[NotebookNode]:
    """Return the cells of a student's notebook.

    Raises:
        Unreadable: With a sentence for the student and the teacher.
    """
    path = student.folder / f"{name}.ipynb"
    if path.is_symlink():
        raise Unreadable(f"{path.name} is a link, which is not followed.")
    if not path.is_file():
        raise Unreadable(f"There is no {path.name} in this folder{_instead(student)}.")
    if (size := path.stat().st_size) > LARGEST:
        raise Unreadable(
            f"{path.name} has {size / 1e6:.0f} MB, more than the {LARGEST / 1e6:.0f}"
            " that are read: clear its outputs and hand it in again."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an old format, or no ids
            text = path.read_bytes().decode("utf-8-sig")
            cells = nbformat.reads(text, as_version=4).cells
        return [cell for cell in cells if isinstance(cell.source, str)]
    except Exception as error:  # whatever was handed in
        said = " ".join(str(error).split())[:200]
        raise Unreadable(f"This is no whole notebook: {said}") from error


def _instead(student: Student) -> str:
    """Say what is in a folder that lacks what was expected."""
    there = sorted(p.name for p in student.folder.iterdir() if not _is_litter(p.name))
    listed = ", ".join(there[:5]) + (" …" if len(there) > 5 else "")
    return f"; it holds {listed}" if there else ", which is empty"


def answers(assignment: Assignment, cells: Sequence[NotebookNode]) -> Answers:
    """Find what a student wrote for each answer.

    A cell that is the assignment's own is left out: grading uses the
    assignment's. Of the others, an answer is known by its grade_id, else by its
    cell's id, else by the names that it defines. A cell that is none of these,
    such as the second half of one that was split, belongs to the answer before
    it; after a test, to the next one. If an answer was copied, all copies run in
    their order, without those that are still empty.
    """
    asked = [cell for cell in assignment.cells if cell.is_answer]
    found: Answers = {cell.name: [] for cell in asked}
    if not asked:
        return found
    defines = {cell.name: bound(cell.source) for cell in asked}
    own = _Own(assignment)
    current = asked[0].name
    ahead: list[str] = []  # cells of no answer, since the last test
    code = []
    for cell in cells:
        answer = own.answer(cell)
        if not answer and (cell.cell_type != "code" or own.is_locked(cell)):
            current = "" if own.is_test(cell) else current
            continue
        names = bound(cell.source)
        code.append((names, cell.source))
        answer = answer or next((a for a in found if defines[a] & names), current)
        if answer:
            found[answer] += [*ahead, cell.source]
            ahead = []
        else:
            ahead.append(cell.source)
        current = answer
    for each in asked:
        sources, empty = found[each.name], each.empty.strip()
        if not any(source.strip() != empty for source in sources):
            # Perhaps it is in the cell of another answer.
            sources = sources + [s for names, s in code if names & defines[each.name]]
        written = [source for source in sources if source.strip() != empty]
        found[each.name] = written or sources[:1]
    return found


class _Own:
    """Knows the assignment's own cells, whatever a front end did to their marks."""

    def __init__(self, assignment: Assignment) -> None:
        asked = [cell for cell in assignment.cells if cell.is_answer]
        self.answers = {cell.name: cell.name for cell in asked}
        self.ids = {cell.id: cell.name for cell in asked}
        marks = [(cell, mark_of(cell)) for cell in assignment.notebook.cells]
        locked = [cell for cell, mark in marks if not mark.get("solution")]
        self.locked = {_key(cell) for cell in locked} | {
            c.get("id", "") for c in locked
        }
        tests = [cell for cell in assignment.cells if is_test(cell)]
        self.tests = {cell.name for cell in tests} | {cell.id for cell in tests}
        own = [cell for cell in assignment.cells if not cell.is_answer]
        self.texts = {line for cell in own for line in _lines(cell.source)}
        self.test_texts = {line for cell in tests for line in _lines(cell.source)}

    def answer(self, cell: NotebookNode) -> str:
        """Return the answer that a cell is marked as, or ""."""
        name = self.answers.get(mark_of(cell).get("grade_id", ""))
        return name or self.ids.get(cell.get("id", ""), "")

    def is_locked(self, cell: NotebookNode) -> bool:
        """Whether a cell is one that students were told to leave alone."""
        return _key(cell) in self.locked or set(_lines(cell.source)) <= self.texts

    def is_test(self, cell: NotebookNode) -> bool:
        """Whether a locked cell is a test."""
        lines = set(_lines(cell.source))
        return _key(cell) in self.tests or (bool(lines) and lines <= self.test_texts)


def _key(cell: NotebookNode) -> str:
    """Return a cell's grade_id, or else its id."""
    return mark_of(cell).get("grade_id") or cell.get("id", "")


def _lines(source: str) -> Iterator[str]:
    return (line.strip() for line in source.splitlines() if line.strip())
