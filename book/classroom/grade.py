"""A class's submissions: graded two at a time, and written down."""

import asyncio
import tempfile
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from classroom import feedback, tables
from classroom.kernel import Limits
from classroom.marking import Marks, mark, nothing
from classroom.sources import Assignment
from classroom.submissions import Student, Unreadable, answers, read, students
from lth_utils.files.atomic import temporary_folder
from lth_utils.files.places import check_writable, writing

TOGETHER = 2  # submissions at a time


def grade(
    submissions: Path,
    assignments: Sequence[Assignment],
    build: Path,
    limits: Limits = Limits(),  # noqa: B008
) -> list[Path]:
    """Grade what was handed in, assignment by assignment.

    Args:
        submissions: A folder with a folder for each student.
        assignments: What may be graded; what nobody handed in is passed over.
        build: Where the results go, in a folder for each assignment. Older
            results, which may be another class's or changed by hand, are kept
            beside them.
        limits: What a submission may use.

    Returns:
        The folders that were written.

    Raises:
        LotteryError: If there is no submission, or the results cannot be
            written, before anything runs.
    """
    check_writable(build)
    every = students(submissions, assignments)
    written = []
    for each in assignments:
        if any((s.folder / f"{each.name}.ipynb").exists() for s in every):
            each.cells  # noqa: B018  (a source that cannot be read is said now)
            marks = asyncio.run(_class(each, every, limits))
            written.append(_write(each, list(zip(every, marks, strict=True)), build))
    return written


async def _class(
    assignment: Assignment, every: Sequence[Student], limits: Limits
) -> list[Marks]:
    """Grade an assignment's submissions, a few at a time."""
    gate = asyncio.Semaphore(TOGETHER)

    async def one(student: Student) -> Marks:
        async with gate:
            marks = await _one(assignment, student, limits)
        points = sum(marks.points.values())
        print(
            f"{assignment.name}, {student.name}: {points:g} of {assignment.total:g}",
            flush=True,
        )
        return marks

    return await asyncio.gather(*map(one, every))


async def _one(assignment: Assignment, student: Student, limits: Limits) -> Marks:
    """Grade a submission; whatever it is, the others do not suffer."""
    try:
        written = answers(assignment, read(student, assignment.name))
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            return await mark(assignment, written, Path(folder).resolve(), limits)
    except Unreadable as error:
        return nothing(assignment, str(error))
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return nothing(assignment, f"This could not be graded here: {said}")


def _write(
    assignment: Assignment, graded: Sequence[tuple[Student, Marks]], build: Path
) -> Path:
    """Write an assignment's results as a whole; return their folder."""
    named = [(student.name, marks) for student, marks in graded]
    target = build / assignment.name
    with writing(target):
        build.mkdir(parents=True, exist_ok=True)
        with temporary_folder(build) as outer:
            folder = outer / assignment.name
            folder.mkdir()
            tables.write(folder / "grades.csv", tables.grades(assignment, named))
            tables.write(folder / "summary.csv", tables.summary(assignment, named))
            if board := list(tables.leaderboard(named)):
                tables.write(folder / "leaderboard.csv", board)
            for name, marks in named:
                text = feedback.page(assignment, name, marks)
                path = folder / "feedback" / name / f"{assignment.name}.html"
                path.parent.mkdir(parents=True)
                path.write_text(text, "utf8", errors="xmlcharrefreplace")
            if target.exists():
                target.rename(_unused(target))
            folder.rename(target)
    return target


def _unused(path: Path) -> Path:
    """Return the first of name-1, name-2, … that is not there."""
    names = (path.with_name(f"{path.name}-{number}") for number in count(1))
    return next(name for name in names if not name.exists())
