"""Answers to an assignment, graded as a class's are, but in a kernel that is kept.

    def test_off_by_one_loses_the_count_alone(grade):
        wrong = edited("prune-by-magnitude", "your-keep", "[:k]", "[: k + 1]")
        found = grade("prune-by-magnitude", {"your-keep": wrong})
        assert lost("prune-by-magnitude", found) == {"count": 2}
        assert "expected exactly k = 2" in found.messages["count"]

Answers are named by grade_id or cell id; what is not given is the solution.
`untouched` gives the answers of one who wrote nothing. `until` ends the run after
a question. `to_its_end` runs an assignment beyond its last question, too.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from functools import cache
from pathlib import Path

import nbformat
import pytest
from book_fixtures import ROOT
from classroom.kernel import HIDDEN, Dead, Limits, kernel
from classroom.marking import Marks, run
from classroom.release import released
from classroom.sources import SOURCES, Assignment, mark_of
from nbclient import NotebookClient
from nbformat import NotebookNode, v4

assert str(ROOT / "book") in sys.path  # by book_fixtures

Grade = Callable[..., Marks]


def assignment(name: str) -> Assignment:
    """Return an assignment of the book."""
    return Assignment(SOURCES / f"{name}.ipynb")


def solution(name: str, answer: str) -> str:
    """Return the source of an answer cell, solved."""
    cells = [c for c in assignment(name).cells if answer in (c.name, c.id)]
    (found,) = [cell.source for cell in cells if cell.is_answer]
    return found


def edited(name: str, answer: str, old: str, new: str) -> str:
    """Return a solved answer in which a text was replaced; it must be there once."""
    source = solution(name, answer)
    assert source.count(old) == 1, f"{old!r} is {source.count(old)} times in {source}"
    return source.replace(old, new)


def untouched(name: str) -> dict[str, str]:
    """Return the answers as students get them."""
    cells = released(assignment(name)).cells
    marks = [(mark_of(cell), cell.source) for cell in cells]
    return {mark.grade_id: source for mark, source in marks if mark.get("solution")}


def lost(name: str, found: Marks) -> dict[str, float]:
    """Return the points that were lost, by question."""
    most = {q: assignment(name).questions[q] for q in found.points}
    return {q: most[q] - p for q, p in found.points.items() if p < most[q]}


def check_slip(
    grade: Grade,
    name: str,
    answer: str,
    old: str,
    new: str,
    questions: str,
    message: str,
    until: str = "",
) -> None:
    """Hold a slip in a solved answer against the questions that it must cost.

    Args:
        grade: The fixture.
        name: The assignment.
        answer: Whose text is changed, from `old` to `new`.
        questions: Their names, with spaces between; they lose all points.
        message: A part of what each of them says.
        until: The last question to run.
    """
    found = grade(name, {answer: edited(name, answer, old, new)}, until)
    most = assignment(name).questions
    assert lost(name, found) == {each: most[each] for each in questions.split()}
    for question in questions.split():
        assert message in found.messages[question]


def code(source: str, name: str, **mark: object) -> NotebookNode:
    """Return a locked code cell, as nbgrader marks it."""
    about = {"grade": False, "grade_id": name, "locked": True, "solution": False}
    about |= {"schema_version": 3, "task": False, **mark}
    return v4.new_code_cell(source, id=name, metadata={"nbgrader": about})


def made_up(folder: Path, name: str) -> Assignment:
    """Write a small assignment, which needs no library, into a folder."""
    answer, test = {"solution": True, "locked": False}, {"grade": True}
    cells = [
        v4.new_markdown_cell("# Made up\n\n## Twice", id="title"),
        code("x = 1", "set-up"),
        code(DOUBLE, "your-double", **answer),
        code(CHECK, "check"),
        code(TEST_DOUBLE, "double", points=2, **test),
        v4.new_markdown_cell("## Loud", id="loud"),
        code(SHOUT, "your-shout", **answer),
        code(TEST_SHOUT, "shout", points=1, **test),
        code("publish(len(shout('figure')))", "after"),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, folder / f"{name}.ipynb")
    return Assignment(folder / f"{name}.ipynb")


DOUBLE = """\
def double(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION"""
CHECK = """\
def check(found, expected):
    assert found == expected, f"Expected {expected}, and {found!r} came."
def publish(value):
    from IPython.display import publish_display_data
    name = {"scrapbook": {"name": "leaderboard_length"}}
    data = {"application/papermill.record/text/plain": str(value)}
    publish_display_data(data, name)"""
TEST_DOUBLE = """\
assert double(2) is not None, "double gives nothing back."
check(double(2), 4)
### BEGIN HIDDEN TESTS
hidden_input = 21
check(double(hidden_input), 42)
### END HIDDEN TESTS"""
SHOUT = """\
def shout(text):
    ### BEGIN SOLUTION
    return text.upper() + "!"
    ### END SOLUTION"""
TEST_SHOUT = """\
check(shout("a"), "A!")
publish(len(shout("a")))"""


class _Grader:
    """Grades in one kernel, emptied each time; a dead one is replaced."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.python = None

    def __call__(
        self,
        name: str | Assignment,
        answers: Mapping[str, str] | None = None,
        until: str = "",
        limits: Limits = Limits(),  # noqa: B008
    ) -> Marks:
        given = dict(answers or {})
        asked = assignment(name) if isinstance(name, str) else name
        filled = {
            cell.name: [given.pop(cell.name, given.pop(cell.id, cell.source))]
            for cell in asked.cells
            if cell.is_answer
        }
        assert not given, f"{name} has no answer {', '.join(given)}"
        assert until in ("", *asked.questions), f"{name} has no question {until}"
        return self.runner.run(self._grade(asked, filled, limits, until))

    async def _grade(self, asked, filled, limits, until) -> Marks:
        if self.python is None:
            generous = limits._replace(notebook=100_000)
            started = kernel(self.folder, generous)
            self.python = await self.stack.enter_async_context(started)
        else:
            await self.python.run(f"{HIDDEN}.forget()", 60)
        try:
            return await run(self.python, asked, filled, limits, until)
        except Dead:
            await self._close()
            raise

    async def _close(self) -> None:
        await self.stack.aclose()
        self.python = None

    def close(self) -> None:
        self.runner.run(self._close())
        self.runner.close()


@pytest.fixture(scope="session")
def grade(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grade]:
    """Return a function from an assignment's name and answers to their marks."""
    grader = _Grader(tmp_path_factory.mktemp("grading"))
    yield grader
    grader.close()


@pytest.fixture(scope="session")
def solved(grade: Grade) -> Callable[[str], Marks]:
    """Return a function from an assignment's name to its solution's marks."""
    return cache(grade)


@pytest.fixture(scope="session")
def to_its_end(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], NotebookNode]:
    """Return a function that runs an assignment, solved, as the book runs a chapter."""

    @cache
    def run(name: str) -> NotebookNode:
        notebook = nbformat.read(assignment(name).path, as_version=4)
        folder = str(tmp_path_factory.mktemp(name))
        resources = {"metadata": {"path": folder}}
        client = NotebookClient(notebook, timeout=300, resources=resources)
        return client.execute(env=os.environ | {"LTH_BOOK": "1"})

    return run
