"""What a teacher reads: grades, which question was hard, the class's leaderboard."""

import csv
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from classroom.marking import Marks
from classroom.sources import Assignment

Class = Sequence[tuple[str, Marks]]  # each student's name and marks
Row = Sequence[str | float]


def grades(assignment: Assignment, marks: Class) -> Iterator[Row]:
    """Yield a row a student: points by question, their total, what was wrong."""
    most = [f"{name} ({points:g})" for name, points in assignment.questions.items()]
    yield ["student", *most, f"total ({assignment.total:g})", "messages"]
    for student, mark in marks:
        points = [mark.points[question] for question in assignment.questions]
        said = [f"{question}: {text}" for question, text in mark.messages.items()]
        yield [student, *points, sum(points), mark.unread or " | ".join(said)]


def summary(assignment: Assignment, marks: Class) -> Iterator[Row]:
    """Yield a row a question, over the notebooks that could be read.

    The share is of the question's points, on average: the lowest was hardest.
    """
    yield ["question", "points", "notebooks", "mean share", "full", "none", *_SAID]
    read = [mark for _, mark in marks if not mark.unread]
    for question, most in assignment.questions.items():
        points = [mark.points[question] for mark in read]
        said = Counter(m.messages[question] for m in read if question in m.messages)
        ((text, times),) = said.most_common(1) or [("", 0)]
        share = sum(points) / len(points) / most if points and most else 0.0
        full = sum(each == most for each in points)
        none = sum(each == 0 for each in points)
        yield [question, most, len(read), round(share, 3), full, none, text, times]


_SAID = ("commonest message", "times")


def leaderboard(marks: Class) -> Iterator[Row]:
    """Yield a row for each student with a figure, least first; none without any."""
    measures = list(dict.fromkeys(name for _, mark in marks for name in mark.board))
    if not measures:
        return
    yield ["student", *measures]
    rows = [
        ([mark.board.get(name, float("inf")) for name in measures], student)
        for student, mark in marks
        if mark.board
    ]
    for values, student in sorted(rows):
        yield [student, *("" if value == float("inf") else value for value in values)]


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write a table for spreadsheets, in which no text is taken for a formula.

    The first three bytes say that it is UTF-8, which some ask for.
    """
    with path.open("w", newline="", encoding="utf-8-sig", errors="replace") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)
        writer.writerows([_cell(each) for each in row] for row in rows)


def _cell(value: str | float) -> str | float:
    """Return a number as short as it is, and a text as nothing but text.

    >>> _cell("=1+1"), _cell(2.0), _cell("a\\nb")
    ("'=1+1", 2, 'a b')
    """
    if not isinstance(value, str):
        return int(value) if value == int(value) else value
    text = " ".join("".join(map(_plain, value)).split())
    # A spreadsheet may take what begins so for a formula, also in full width.
    first = unicodedata.normalize("NFKC", text[:1])
    return f"'{text}" if re.match(r"[=+\-@|%]", first) else text


def _plain(sign: str) -> str:
    return " " if unicodedata.category(sign) in ("Cc", "Cf") else sign
