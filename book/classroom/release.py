"""The students' version: no solution, no hidden test, no way to either.

nbgrader makes it. What nbgrader would let through is refused beforehand: it
takes a marker in another capitalisation for a comment, and says nothing.
"""

import copy
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader import preprocessors

from classroom.sources import Assignment, compiled, mark_of
from lth_utils.errors import LotteryError
from lth_utils.files.atomic import atomic_file

# As nbgrader's own generate_assignment does it, without its database.
STEPS = (
    preprocessors.LockCells,
    preprocessors.ClearSolutions,
    preprocessors.ClearOutput,
    preprocessors.CheckCellMetadata,
    preprocessors.ClearHiddenTests,
    preprocessors.ComputeChecksums,
)
WHAT = ("SOLUTION", "HIDDEN TESTS")
MARKER = re.compile(
    r"(?:#.*?\b(?i:(begin|end)[\s_-]*(solution|hidden[\s_-]*test)))"
    r"|\b(BEGIN|END) (SOLUTION|HIDDEN TEST)"
)


def release(assignments: Sequence[Assignment], folder: Path) -> list[Path]:
    """Write the students' versions, all of them or none.

    Args:
        assignments: The sources.
        folder: Where the versions go, under the sources' names.

    Raises:
        LotteryError: If a source's marks are not whole, or a version would
            lead to its source, before anything is written.
    """
    texts = {each.name: nbformat.writes(released(each)) + "\n" for each in assignments}
    paths = [folder / f"{name}.ipynb" for name in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        with atomic_file(path) as temporary:
            temporary.write_text(text, "utf8")
    return paths


def released(assignment: Assignment) -> NotebookNode:
    """Return the students' version of an assignment.

    Raises:
        LotteryError: As `release` does.
    """
    for fault in faults(assignment.notebook):
        raise LotteryError(f"{assignment.path} is not released: {fault}.")
    notebook = copy.deepcopy(assignment.notebook)
    try:
        for step in STEPS:
            notebook, _ = step().preprocess(notebook, {})
    except Exception as error:
        raise LotteryError(
            f"{assignment.path} is not released: nbgrader says {str(error)!r}."
        ) from error
    for fault in leaks(notebook, assignment):
        raise LotteryError(f"{assignment.path} is not released: {fault}.")
    return notebook


def faults(notebook: NotebookNode) -> Iterator[str]:
    """Yield what is wrong with a source's marks."""
    names = [mark_of(cell).get("grade_id") for cell in notebook.cells]
    for name in sorted({n for n in names if n and names.count(n) > 1}):
        yield f"{name} is the grade_id of two cells: expected each once"
    if not any(mark_of(cell).get("grade") for cell in notebook.cells):
        yield "no cell of it earns points: expected nbgrader's marks on its tests"
    for cell in notebook.cells:
        mark = mark_of(cell)
        where = f"cell {mark.get('grade_id') or cell.get('id', '?')}"
        if mark.get("grade") and mark.get("solution"):
            yield f"{where} is an answer and its test in one: expected two cells"
        yield from (f"{where} {fault}" for fault in _unpaired(cell.source, mark))


def _unpaired(source: str, mark: NotebookNode) -> Iterator[str]:
    """Yield what is wrong with the markers in a cell."""
    opened = ""
    for line in source.splitlines():
        if not (found := MARKER.search(line)):
            continue
        side, kind = (each.upper() for each in found.groups() if each)
        what = WHAT[0] if kind == WHAT[0] else WHAT[1]
        right = f"### {side} {what}"
        if line.strip() != right:
            yield f"says {line.strip()!r}: expected {right!r}"
        if (opened or "nothing") != ("nothing" if side == "BEGIN" else what):
            yield f"has {right!r} where it does not pair with another"
        opened = what if side == "BEGIN" else ""
        if not mark.get("solution" if what == WHAT[0] else "grade"):
            cell = "an answer" if what == WHAT[0] else "a test"
            yield f"has {right!r}, but is not marked as {cell}"
    if opened:
        yield f"has no '### END {opened}'"


def leaks(notebook: NotebookNode, assignment: Assignment) -> Iterator[str]:
    """Yield what a students' version must not have."""
    text = nbformat.writes(notebook)
    if found := MARKER.search(text):
        yield f"it would say {found[0]!r}"
    private = assignment.path.resolve().parent.as_posix()
    for place in ("notebooks/assignments", private):
        if place.casefold() in text.casefold():
            yield f"it would name the sources' folder, {place!r}"
    for cell in notebook.cells:
        if cell.cell_type == "code":
            try:
                compiled(cell.source)
            except SyntaxError as error:
                yield (
                    f"cell {mark_of(cell).get('grade_id')} would not compile without"
                    f" what is hidden ({error.msg}): expected a block with a line"
                    " that stays"
                )
