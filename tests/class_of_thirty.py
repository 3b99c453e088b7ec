"""How long does a class take to grade?  Not a test: it measures.

    python tests/class_of_thirty.py [ASSIGNMENT]

Thirty submissions of an assignment, most of them right, the others as classes
hand them in: nothing done, cells copied, marks lost, tests deleted, a loop for
ever, a dead kernel, 50 MB of output, a torn file, another file's name. Prints
each one's points, the wall time, and the kernels' CPU time.
"""

import copy
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book"))

from classroom.grade import grade  # noqa: E402
from classroom.release import released  # noqa: E402
from classroom.sources import Assignment, assignments, mark_of  # noqa: E402

DEFINITION = r"^def (\w+)\(.*?\):\n"
ENDLESS = "def {}(*_, **__):\n    while True:\n        pass\n"
DEADLY = "def {}(*_, **__):\n    import os\n    os._exit(1)\n"
LOUD = "\nfor _ in range(500):\n    print('x' * 10**5)\n"


def answers(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the cells that students write, of which the last is spoiled below."""
    return [cell for cell in notebook.cells if mark_of(cell).get("solution")]


def with_last(body: str) -> Callable[[NotebookNode], None]:
    def spoil(notebook: NotebookNode) -> None:
        cell = answers(notebook)[-1]
        name = re.findall(DEFINITION, cell.source, re.MULTILINE)[-1]
        cell.source = body.format(name)

    return spoil


def loud(notebook: NotebookNode) -> None:
    answers(notebook)[0].source += LOUD


def copied(notebook: NotebookNode) -> None:
    at = notebook.cells.index(answers(notebook)[0])
    notebook.cells.insert(at + 1, copy.deepcopy(notebook.cells[at]))
    notebook.cells[at + 1].id = "a-copy"


def unmarked(notebook: NotebookNode) -> None:
    for number, cell in enumerate(notebook.cells):
        cell.metadata, cell.id = NotebookNode(), f"cell-{number}"


def without_tests(notebook: NotebookNode) -> None:
    notebook.cells = [c for c in notebook.cells if not mark_of(c).get("grade")]


ODD = {
    "copied": copied,
    "unmarked": unmarked,
    "without tests": without_tests,
    "endless": with_last(ENDLESS),
    "deadly": with_last(DEADLY),
    "50 MB": loud,
}


def hand_in(assignment: Assignment, folder: Path, students: int = 30) -> None:
    """Write the submissions of a class."""
    empty = released(assignment)
    right = copy.deepcopy(empty)
    written = {cell.name: cell.source for cell in assignment.cells}
    for cell in answers(right):
        cell.source = written[mark_of(cell).grade_id]
    made = {"untouched": (empty, assignment.name), "misnamed": (right, "mine")}
    for student, change in ODD.items():
        made[student] = (copy.deepcopy(right), assignment.name)
        change(made[student][0])
    for number in range(students - len(made) - 1):
        made[f"student {number:02}"] = (right, assignment.name)
    for student, (notebook, name) in made.items():
        (folder / student).mkdir(parents=True)
        nbformat.write(notebook, folder / student / f"{name}.ipynb")
    (folder / "torn").mkdir()
    (folder / "torn" / f"{assignment.name}.ipynb").write_text('{"cells": [')


def main(name: str = "prune-by-magnitude") -> None:
    (assignment,) = assignments(name=name)
    with tempfile.TemporaryDirectory() as folder:
        hand_in(assignment, Path(folder) / "in")
        start = time.monotonic()
        (results,) = grade(Path(folder) / "in", [assignment], Path(folder) / "out")
        wall = time.monotonic() - start
        print((results / "summary.csv").read_text("utf-8-sig"))
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{wall:.0f} s, of CPU {spent.ru_utime + spent.ru_stime:.0f} s in kernels")


if __name__ == "__main__":
    main(*sys.argv[1:])
