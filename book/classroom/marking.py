"""The points of one submission: its answers, run among the assignment's own cells.

Nothing of the student's notebook is run but its answers, so a test that was
changed, emptied or deleted is as its author wrote it.
"""

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from classroom.kernel import HIDDEN, Dead, Kernel, Limits, Ran, kernel
from classroom.sources import Assignment, Cell, bound, is_test
from classroom.submissions import Answers

SHOWN = 400  # characters of a message
BOARD = "leaderboard_"


class Marks(NamedTuple):
    """What a submission earned.

    Attributes:
        points: By question.
        messages: What was wrong, by question; a question with all its points
            has none.
        board: The figures for the class's leaderboard, by measure.
        unread: Why nothing of it could be graded, or "".
    """

    points: dict[str, float]
    messages: dict[str, str]
    board: dict[str, float]
    unread: str = ""


def nothing(assignment: Assignment, why: str) -> Marks:
    """Return no points, for one reason."""
    none = dict.fromkeys(assignment.questions, 0.0)
    return Marks(none, {}, {}, why)


async def mark(
    assignment: Assignment,
    answers: Answers,
    folder: Path,
    limits: Limits = Limits(),  # noqa: B008
) -> Marks:
    """Run a submission in kernels of its own.

    A cell that ends Python is left out the next time, so that it costs what
    hangs on it and no more.

    Args:
        assignment: What was asked.
        answers: What was written, by answer.
        folder: An empty one, where it works.
        limits: What it may use, all times together.
    """
    deadly: dict[str, str] = {}
    until = None
    while True:
        way = _Run(assignment, answers, limits, deadly)
        try:
            async with kernel(folder, limits) as python:
                until = way.begin(until)
                return await way.through(python)
        except Dead as dead:
            if not way.at:
                raise  # before the first cell: not the student's doing
            deadly[way.at] = str(dead)


async def run(
    python: Kernel,
    assignment: Assignment,
    answers: Answers,
    limits: Limits = Limits(),  # noqa: B008
    last: str = "",
) -> Marks:
    """Run a submission in a kernel that is there, up to a question.

    Raises:
        Dead: If the kernel ended.
    """
    way = _Run(assignment, answers, limits, {})
    way.begin()
    return await way.through(python, last)


class _Run:
    """One way through an assignment's cells."""

    def __init__(
        self,
        assignment: Assignment,
        answers: Answers,
        limits: Limits,
        deadly: Mapping[str, str],
    ) -> None:
        self.assignment = assignment
        self.answers = answers
        self.limits = limits
        self.until = 0.0  # on the clock
        self.deadly = deadly
        self.at = ""  # the cell that is run now
        self.slips: list[str] = []  # in cells since the last test
        self.halted = ""  # why one of these did not come to its end
        self.marks = Marks({}, {}, {})

    def begin(self, until: float | None = None) -> float:
        """Start the clock, or go by one that runs; return when it is over."""
        self.until = until or time.monotonic() + self.limits.notebook
        return self.until

    async def through(self, python: Kernel, last: str = "") -> Marks:
        """Run the cells, up to the question `last` if one is named."""
        tested = False
        for cell in self.assignment.cells:
            if tested and cell.is_answer:
                self.slips, self.halted = [], ""
            tested = is_test(cell)
            self.at = cell.name
            if cell.is_answer:
                await self._answer(python, cell)
            elif tested:
                await self._test(python, cell)
            else:
                await self._own(python, cell)
            if last and cell.name == last:
                break
        return self.marks

    async def _answer(self, python: Kernel, cell: Cell) -> None:
        if cell.name in self.deadly:
            self.halted = f"{self.deadly[cell.name]}, in your answer."
            return
        if not self.answers.get(cell.name):
            self.slips.append("There is no cell that answers this.")
        for source in self.answers.get(cell.name, []):
            ran = await self._run(python, source)
            if ran.stopped:
                self.halted = f"Your answer was stopped: {ran.stopped}."
            elif ran.error and ran.error != "NotImplementedError":
                self.slips.append(f"Your answer's cell ends with {_told(ran)}")

    async def _own(self, python: Kernel, cell: Cell) -> None:
        if cell.name in self.deadly:
            self.halted = f"{self.deadly[cell.name]}, in the cell {cell.name}."
            return
        ran = await self._run(python, cell.source, self.limits.own)
        if ran.stopped:
            self.halted = f"The cell {cell.name} was stopped: {ran.stopped}."
        elif ran.error:
            self.slips.append(f"The cell {cell.name} ends with {_told(ran)}")
        self._note(ran)
        await python.run(f"{HIDDEN}.keep({sorted(bound(cell.source))!r})", 60)

    async def _test(self, python: Kernel, cell: Cell) -> None:
        if cell.name in self.deadly:
            self._zero(cell, f"{self.deadly[cell.name]}.")
            return
        await python.run(f"{HIDDEN}.restore()", 60)
        ran = await self._run(python, cell.source)  # also what it sets right
        if self.halted:
            self._zero(cell, self.halted)
        elif ran.stopped:
            self._zero(cell, f"Stopped: {ran.stopped}.")
        elif ran.error == "NotImplementedError":
            self._zero(cell, "Not answered.")
        elif ran.error:
            self._zero(cell, " ".join([*self.slips, _told(ran)]))
        else:
            self._earn(cell, ran)

    async def _run(self, python: Kernel, source: str, most: float = 0) -> Ran:
        whole = f"the whole notebook took longer than {self.limits.notebook:g} seconds"
        left = self.until - time.monotonic()
        if left <= 0:
            return Ran(stopped=whole)
        seconds = min(most or self.limits.cell, left)
        ran = await python.run(source, seconds, self.limits.output)
        over = ran.stopped and time.monotonic() >= self.until
        return ran._replace(stopped=whole) if over else ran

    def _zero(self, cell: Cell, why: str) -> None:
        self.marks.points[cell.name] = 0.0
        self.marks.messages[cell.name] = why[: 2 * SHOWN]

    def _earn(self, cell: Cell, ran: Ran) -> None:
        """Give all points, or those that a test's last expression says."""
        most = cell.points or 0.0
        earned = _number(ran.shown)
        points = most if earned is None else min(max(earned, 0.0), most)
        self.marks.points[cell.name] = points
        if points < most:
            why = " ".join(ran.printed.split()) or "A part of this is not right yet."
            self.marks.messages[cell.name] = why[:SHOWN]
        self._note(ran)

    def _note(self, ran: Ran) -> None:
        """Take what a cell of the assignment publishes, never what an answer does."""
        for name, text in ran.glued.items():
            value = _number(text)
            if name.startswith(BOARD) and value is not None:
                self.marks.board[name.removeprefix(BOARD)] = value


def _told(ran: Ran) -> str:
    """Say an error as students see it: an assert's message is a sentence."""
    text = " ".join(ran.said.split())
    text = text[:SHOWN] + " …" * (len(text) > SHOWN)
    if ran.error == "AssertionError":
        return text or "A test fails."
    return f"{ran.error}: {text}" if text else f"{ran.error}."


def _number(text: str) -> float | None:
    """Read a number as Python or NumPy shows it.

    >>> _number("np.float64(1.5)"), _number("2"), _number("None")
    (1.5, 2.0, None)
    """
    inner = re.fullmatch(r"(?:np\.\w+\()?(-?\d+\.?\d*(?:e[+-]?\d+)?)\)?", text.strip())
    return float(inner[1]) if inner else None
