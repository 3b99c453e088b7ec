"""The assignment: the students' version of it, and their grades.

    python book/assignments.py release     _build/release/prune-by-magnitude.ipynb
    python book/assignments.py grade FROM  _build/grades.csv, a row a student;
                                           older grades become grades-1.csv

FROM holds a folder for each student, and in it prune-by-magnitude.ipynb.
Grading runs what students wrote, as the user who calls it: do that in a
throw-away environment, such as a container without a network.
"""

import argparse
import csv
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from warnings import catch_warnings, simplefilter

import nbformat
from nbformat import NotebookNode
from nbgrader.apps import NbGraderAPI
from traitlets.config import Config

from lth_utils.cli import print_anywhere
from lth_utils.errors import LotteryError
from lth_utils.files.atomic import atomic_file
from lth_utils.files.places import check_writable

ROOT = Path(__file__).resolve().parents[1]
NAME = "prune-by-magnitude"
SECONDS = 60  # a cell that takes longer is stopped and fails


def release(root: Path = ROOT) -> Path:
    """Write the students' version: no solutions, no hidden tests."""
    target = root / "_build" / "release" / f"{NAME}.ipynb"
    with _course(root) as (folder, _), atomic_file(target) as temporary:
        shutil.copyfile(folder / "release" / NAME / f"{NAME}.ipynb", temporary)
    return target


def grade(submissions: Path, root: Path = ROOT, seconds: int = SECONDS) -> Path:
    """Grade every student's notebook, each on its own.

    Args:
        submissions: A folder with a folder for each student.
        root: The book's folder.
        seconds: What a cell may take.

    Returns:
        The table: student, points by question, total, messages. An older one,
        which may be another class's or changed by hand, is kept beside it.

    Raises:
        LotteryError: If there is no submission, or the table cannot be
            written, before anything runs.
    """
    target = root / "_build" / "grades.csv"
    check_writable(target.parent)
    students = _students(submissions)
    questions = _questions(root)
    rows = [["student", *questions, "total", "messages"]]
    with _course(root, seconds) as (folder, api):
        for number, student in enumerate(students):
            print(f"{student.name}: grading", flush=True)
            points, messages = _graded(
                folder, api, student, f"student-{number}", questions
            )
            row = [points.get(question, 0) for question in questions]
            rows.append([student.name, *row, sum(row), "; ".join(messages)])
    if target.exists():
        target.rename(_unused(target))
    with (
        atomic_file(target) as temporary,
        temporary.open("w", newline="", encoding="utf8", errors="replace") as file,
    ):
        csv.writer(file).writerows(rows)
    return target


def _unused(path: Path) -> Path:
    """Return the first of grades-1.csv, grades-2.csv, … that is not there."""
    names = (f"{path.stem}-{number}{path.suffix}" for number in count(1))
    return next(new for name in names if not (new := path.with_name(name)).exists())


def _students(submissions: Path) -> list[Path]:
    """Return the students' folders; raises if nobody handed anything in."""
    if not submissions.is_dir():
        raise LotteryError(
            f"There is no folder {submissions}: expected the submissions,"
            f" FROM/<student>/{NAME}.ipynb. Say where they are, as in make grade"
            " FROM=folder."
        )
    found = sorted(path for path in submissions.iterdir() if path.is_dir())
    if not any((student / f"{NAME}.ipynb").is_file() for student in found):
        raise LotteryError(
            f"{submissions} holds no submissions: expected a folder for each student,"
            f" with {NAME}.ipynb in it. Collect the notebooks so, then run again."
        )
    return found


def _source(root: Path) -> Path:
    return root / "notebooks" / "assignments" / f"{NAME}.ipynb"


def _questions(root: Path) -> list[str]:
    """Return the graded cells' names, in the notebook's order."""
    cells = nbformat.read(_source(root), as_version=4).cells
    marks = [cell.metadata.get("nbgrader", {}) for cell in cells]
    return [mark["grade_id"] for mark in marks if mark.get("grade")]


@contextmanager
def _course(root: Path, seconds: int = SECONDS) -> Iterator[tuple[Path, NbGraderAPI]]:
    """Yield a temporary course with the released assignment, and its grader.

    nbgrader keeps a database and copies in its course: none of that belongs
    among the sources.
    """
    with tempfile.TemporaryDirectory() as name, _programs(), catch_warnings():
        simplefilter("ignore")  # nbgrader's own, about its database
        folder = Path(name).resolve()
        source = folder / "source" / NAME / f"{NAME}.ipynb"
        source.parent.mkdir(parents=True)
        shutil.copyfile(_source(root), source)
        config = Config()
        config.CourseDirectory.root = config.Exchange.root = str(folder)
        config.Execute.timeout = seconds
        config.Execute.iopub_timeout = seconds
        config.Execute.extra_arguments = ["--log-level=ERROR"]
        api = NbGraderAPI(config=config)
        made = api.generate_assignment(NAME)
        if not made["success"]:
            raise LotteryError(
                f"nbgrader cannot release {_source(root)}: expected its marks of"
                f" solutions and tests to be whole. It says:\n{made['log']}"
            )
        yield folder, api


@contextmanager
def _programs() -> Iterator[None]:
    """Let nbgrader find the programs that lie beside this Python."""
    before = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{before}"
    try:
        yield
    finally:
        os.environ["PATH"] = before


def _graded(
    folder: Path, api: NbGraderAPI, student: Path, code: str, questions: list[str]
) -> tuple[dict[str, float], list[str]]:
    """Run one submission; return points by question, and what went wrong.

    The student goes by a code, since nbgrader bears few names as they are.
    """
    handed_in = student / f"{NAME}.ipynb"
    if not handed_in.is_file():
        return {}, [f"There is no {NAME}.ipynb in this folder."]
    copy = folder / "submitted" / code / NAME / f"{NAME}.ipynb"
    copy.parent.mkdir(parents=True)
    try:
        nbformat.write(_to_the_last_question(handed_in), copy)
    except Exception as error:  # whatever was handed in
        return {}, [f"This is no whole notebook: {str(error)[:200]}"]
    done = api.autograde(NAME, code)
    if not done["success"]:
        return {}, [_failure(done["log"])]
    with api.gradebook as book:
        (notebook,) = book.find_submission(NAME, code).notebooks
        points = {grade.cell.name: grade.score for grade in notebook.grades}
    ran = nbformat.read(folder / "autograded" / code / NAME / f"{NAME}.ipynb", 4)
    return points, list(_complaints(ran, questions))


def _to_the_last_question(path: Path) -> NotebookNode:
    """Read a notebook without what follows its last question, and its time."""
    notebook = nbformat.read(path, as_version=4)
    graded = [
        number
        for number, cell in enumerate(notebook.cells)
        if cell.metadata.get("nbgrader", {}).get("grade")
    ]
    notebook.cells = notebook.cells[: max(graded, default=-1) + 1]
    return notebook


def _failure(log: str) -> str:
    """Say why a submission could not be run at all."""
    if "DeadKernelError" in log:
        return "Python itself stopped while this notebook ran: nothing was graded."
    if "CellTimeoutError" in log:
        return "A cell took too long and could not be stopped: nothing was graded."
    lines = [line for line in log.splitlines() if "Error" in line]
    reason = lines[-1].strip() if lines else "nbgrader does not say why"
    return f"This notebook could not be graded: {reason}"


def _complaints(notebook: NotebookNode, questions: list[str]) -> Iterator[str]:
    """Yield what went wrong in each test cell, in the questions' order."""
    marks = [cell.metadata.get("nbgrader", {}) for cell in notebook.cells]
    tests = {
        mark["grade_id"]: cell
        for mark, cell in zip(marks, notebook.cells, strict=True)
        if mark.get("grade")
    }
    for question in questions:
        if question not in tests:
            yield f"{question}: its test cell was deleted."
            continue
        errors = [o for o in tests[question].outputs if o.output_type == "error"]
        if errors:
            yield f"{question}: {_reason(errors[0])}"


def _reason(error: NotebookNode) -> str:
    if error.ename == "NotImplementedError":
        return "not answered."
    if error.ename in ("CellTimeoutError", "KeyboardInterrupt"):
        return "stopped, because it took too long."
    text = error.evalue.split("\n")[0]
    return text if error.ename == "AssertionError" else f"{error.ename}: {text}"


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("release", help="write the students' version")
    grading = commands.add_parser("grade", help="grade FROM/<student>/*.ipynb")
    grading.add_argument("folder", metavar="FROM", type=Path)
    options = parser.parse_args(argv)
    print_anywhere()
    try:
        if options.command == "release":
            print(f"The students' version: {release(root)}")
        else:
            print(f"The grades: {grade(options.folder, root)}")
    except LotteryError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
