"""What a class hands in, and what each gets for it.

The assignment is a made-up one that needs no library, so a kernel starts fast.
"""

import asyncio
import copy
import csv
import doctest
import json
import sys
from collections.abc import Callable
from pathlib import Path

import assignments as command
import nbformat
import pytest
from classroom import kernel as kernels
from classroom import sources, tables
from classroom.grade import grade as grade_class
from classroom.kernel import Limits
from classroom.marking import Marks
from classroom.release import released
from classroom.submissions import answers, students
from grading_fixtures import code, made_up
from nbformat import NotebookNode, v4

from lth_utils.errors import LotteryError

NAME = "made-up"
FILE = f"{NAME}.ipynb"
LIMITS = Limits(cell=3, notebook=25, output=1_000_000)
EMPTY = "def double(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()"
NOT_JSON = '{"cells": ['


def solved(release: NotebookNode, double: str = "", shout: str = "") -> NotebookNode:
    """Fill in the right answers, but for those that are given."""
    notebook = copy.deepcopy(release)
    cell(notebook, "your-double").source = double or "def double(x):\n    return 2 * x"
    right = "def shout(text):\n    return text.upper() + '!'"
    cell(notebook, "your-shout").source = shout or right
    return notebook


def cell(notebook: NotebookNode, name: str) -> NotebookNode:
    (found,) = [each for each in notebook.cells if each.id == name]
    return found


def without_marks(notebook: NotebookNode) -> NotebookNode:
    for number, each in enumerate(notebook.cells):
        each.metadata, each.id = NotebookNode(), f"cell-{number}"
    return notebook


def copied(notebook: NotebookNode) -> NotebookNode:
    """The answer twice, the second time untouched; a line left in the first."""
    first = cell(notebook, "your-double")
    double = copy.deepcopy(first)
    double.source, double.id = EMPTY, "a-copy"
    first.source += "\n    raise NotImplementedError()"
    notebook.cells.insert(4, double)
    return notebook


def split(notebook: NotebookNode) -> NotebookNode:
    """A helper above the answer, and the answer in a cell below its own."""
    cell(notebook, "your-double").source = "two = 2"
    notebook.cells.insert(4, v4.new_code_cell("def double(x):\n    return two * x"))
    at = notebook.cells.index(cell(notebook, "your-shout"))
    notebook.cells.insert(at, v4.new_code_cell("mark = '!'"))
    cell(notebook, "your-shout").source = "def shout(t):\n    return t.upper() + mark"
    return notebook


def in_one_cell(notebook: NotebookNode) -> NotebookNode:
    """Both functions in the first answer's cell, and the second one deleted."""
    both = cell(notebook, "your-double"), cell(notebook, "your-shout")
    both[0].source += "\n\n\n" + both[1].source
    notebook.cells.remove(both[1])
    return notebook


def disarmed(notebook: NotebookNode) -> NotebookNode:
    """Wrong answers beside tests that were emptied, deleted, or outwitted."""
    wrong = "def double(x):\n    return x\n\n\ndef check(*_):\n    pass"
    notebook = solved(notebook, wrong, "def shout(t):\n    return t")
    cell(notebook, "double").source = "pass"
    notebook.cells.remove(cell(notebook, "shout"))
    return notebook


def of_old(notebook: NotebookNode) -> NotebookNode:
    return nbformat.convert(notebook, 3)


def from_elsewhere(notebook: NotebookNode) -> NotebookNode:
    """Another kernel's name, large outputs, a broken one among the cells."""
    notebook.metadata.kernelspec.name = "no-such-kernel"
    output = v4.new_output("stream", text="x" * 5_000_000)
    cell(notebook, "your-double").outputs = [output]
    return notebook


QUIET = {
    "Ada [1] 'Löv\"elace": solved,
    "=HYPERLINK(0)": lambda n: n,
    "a copied cell": lambda n: copied(solved(n)),
    "a split cell": lambda n: split(solved(n)),
    "both in one": lambda n: in_one_cell(solved(n)),
    "no marks": lambda n: without_marks(solved(n)),
    "disarmed": disarmed,
    "off by one": lambda n: solved(n, "def double(x):\n    return 2 * x + 1"),
    "a warning": lambda n: solved(
        n,
        "import sys, warnings\ndef double(x):\n    warnings.warn('old')\n"
        "    print('so', file=sys.stderr)\n    return 2 * x",
    ),
    "no syntax": lambda n: solved(n, "def double(x)\n    return 2 * x"),
    "old format": lambda n: of_old(solved(n)),
    "from elsewhere": lambda n: from_elsewhere(solved(n)),
    "own figure": lambda n: solved(n, shout=BOASTFUL),
    "a nosy error": lambda n: solved(
        n, "def double(x):\n    raise ValueError('<b>&' + 'x' * 9999)"
    ),
}
BOASTFUL = """\
publish(10 ** 6)


def shout(text):
    return text.upper() + "!"
"""
LOUD = {
    "endless": lambda n: solved(n, "def double(x):\n    while True:\n        pass"),
    "endless cell": lambda n: solved(
        n, "def double(x):\n    return 2 * x\nwhile True:\n    pass"
    ),
    "deaf": lambda n: solved(n, DEAF),
    "deadly": lambda n: solved(n, "def double(x):\n    import os\n    os._exit(1)"),
    "leaving": lambda n: solved(n, "def double(x):\n    return 2 * x\nexit()"),
    "50 MB": lambda n: solved(n, LONG),
    "talking for ever": lambda n: solved(
        n, "def double(x):\n    while True:\n        print('x' * 1000)"
    ),
    "hungry": lambda n: solved(n, "def double(x):\n    return [0] * 10**11"),
}
LONG = """\
def double(x):
    return 2 * x


for _ in range(500):
    print("x" * 10**5)
"""
DEAF = """\
def double(x):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
"""


@pytest.fixture(scope="module")
def mine(tmp_path_factory) -> Path:
    """Return a teacher's private folder with one assignment in it."""
    folder = tmp_path_factory.mktemp("private")
    made_up(folder, NAME)
    return folder


def hand_in(folder: Path, mine: Path, kinds: dict[str, Callable]) -> None:
    release = released(sources.Assignment(mine / FILE))
    for student, make in kinds.items():
        (folder / student).mkdir(parents=True)
        made = make(copy.deepcopy(release))
        text = made if isinstance(made, str) else json.dumps(made)
        (folder / student / FILE).write_text(text, "utf8")


class Graded:
    """The results of a class."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows = {row["student"]: row for row in table(folder / "grades.csv")}

    def points(self, student: str) -> tuple[float, float]:
        row = self.rows[student]
        return float(row["double (2)"]), float(row["shout (1)"])

    def said(self, student: str) -> str:
        return self.rows[student]["messages"]

    def page(self, student: str) -> str:
        path = self.folder / "feedback" / student / f"{NAME}.html"
        return path.read_text("utf8")


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def quiet(tmp_path_factory, mine) -> Graded:
    """Grade a class through the command, from a private folder."""
    folder = tmp_path_factory.mktemp("quiet")
    hand_in(folder / "in", mine, QUIET | {"torn": lambda _: NOT_JSON})
    (folder / "in" / "empty").mkdir()
    (folder / "in" / "misnamed").mkdir()
    (folder / "in" / "misnamed" / f"Kopie von {FILE}").write_text("{}")
    (folder / "in" / "linked").mkdir()
    (folder / "in" / "linked" / FILE).symlink_to(mine / FILE)
    for litter in ("__MACOSX", ".git", ".ipynb_checkpoints"):
        (folder / "in" / litter).mkdir()
        (folder / "in" / litter / FILE).write_text("{}")
    (folder / "in" / "list.txt").write_text("")
    (folder / "in" / "elsewhere").symlink_to(mine, target_is_directory=True)
    words = ["grade", str(folder / "in"), "--source", str(mine), "--assignment", ""]
    assert command.main(words, folder / "_build") == 0
    return Graded(folder / "_build" / "grades" / NAME)


@pytest.fixture(scope="module")
def loud(tmp_path_factory, mine) -> Graded:
    """Grade a class that does not end, or ends too soon."""
    folder = tmp_path_factory.mktemp("loud")
    hand_in(folder / "in", mine, LOUD)
    (where,) = grade_class(
        folder / "in", [sources.Assignment(mine / FILE)], folder / "out", LIMITS
    )
    return Graded(where)


def test_every_student_has_a_row_and_nobody_else(quiet):
    others = {"torn", "empty", "misnamed", "linked"}
    names = {name.replace("=HYPER", "'=HYPER") for name in {*QUIET, *others}}
    assert {*quiet.rows} == names
    head = ["student", "double (2)", "shout (1)", "total (3)", "messages"]
    for row in quiet.rows.values():
        assert list(row) == head
        total = float(row["double (2)"]) + float(row["shout (1)"])
        assert float(row["total (3)"]) == total


@pytest.mark.parametrize(
    "student",
    [
        "Ada [1] 'Löv\"elace",
        "a copied cell",
        "a split cell",
        "both in one",
        "no marks",
        "a warning",
        "old format",
        "from elsewhere",
        "own figure",
    ],
)
def test_right_answers_have_full_marks_in_whatever_form(quiet, student):
    assert quiet.points(student) == (2, 1)
    assert quiet.said(student) == ""


def test_the_untouched_release_has_none(quiet):
    assert quiet.points("'=HYPERLINK(0)") == (0, 0)
    assert (
        quiet.said("'=HYPERLINK(0)") == "double: Not answered. | shout: Not answered."
    )


def test_tests_that_were_changed_deleted_or_outwitted_are_put_back(quiet):
    assert quiet.points("disarmed") == (0, 0)
    assert quiet.said("disarmed") == (
        "double: Expected 4, and 2 came. | shout: Expected A!, and 'a' came."
    )


def test_a_slip_loses_its_question_alone_and_is_told_why(quiet):
    assert quiet.points("off by one") == (0, 1)
    assert quiet.said("off by one") == "double: Expected 4, and 5 came."


def test_a_cell_that_does_not_run_is_named(quiet):
    assert quiet.points("no syntax") == (0, 1)
    assert "Your answer's cell ends with SyntaxError: " in quiet.said("no syntax")


@pytest.mark.parametrize(
    ("student", "sentence"),
    [
        ("torn", "This is no whole notebook: "),
        ("empty", f"There is no {FILE} in this folder, which is empty."),
        ("misnamed", f"in this folder; it holds Kopie von {FILE}."),
        ("linked", f"{FILE} is a link, which is not followed."),
    ],
)
def test_what_cannot_be_graded_is_said_in_its_row_and_page(quiet, student, sentence):
    assert sentence in quiet.said(student)
    assert sentence.replace("'", "&#x27;") in quiet.page(student)
    assert quiet.points(student) == (0, 0)


# Time, memory, output


@pytest.mark.parametrize(
    ("student", "sentence"),
    [
        ("endless", "double: Stopped: it took longer than 3 seconds."),
        ("endless cell", "double: Your answer was stopped: it took longer than 3"),
        ("deaf", "double: It took longer than 3 seconds, and could not be interr"),
        ("deadly", "double: Python itself ended here."),
        ("leaving", "double: Python was told to end here, in your answer."),
        ("50 MB", "double: Your answer was stopped: it wrote more than 1 million"),
        ("talking for ever", "double: Stopped: it wrote more than 1 million char"),
        ("hungry", "double: MemoryError"),
    ],
)
def test_it_costs_its_question_alone_and_its_row_says_so(loud, student, sentence):
    assert sentence in loud.said(student)
    assert loud.points(student) == (0, 1)


def test_all_time_together_is_bounded(tmp_path, mine):
    endless = "def {}(x):\n    while True:\n        pass"
    kinds = {
        "a": lambda n: solved(n, endless.format("double"), endless.format("shout"))
    }
    hand_in(tmp_path / "in", mine, kinds)
    asked, limits = [sources.Assignment(mine / FILE)], Limits(cell=9, notebook=2)
    graded = Graded(grade_class(tmp_path / "in", asked, tmp_path / "out", limits)[0])
    assert graded.points("a") == (0, 0)
    why = "the whole notebook took longer than 2 seconds."
    assert f"double: Stopped: {why}" in graded.said("a")
    assert f"shout: Your answer was stopped: {why}" in graded.said("a")


def test_what_a_kernel_started_ends_with_it(tmp_path):
    start = "import subprocess\nprint(subprocess.Popen(['sleep', '99']).pid)"

    async def run() -> int:
        async with kernels.kernel(tmp_path) as python:
            return int((await python.run(start, 9)).printed)

    child = asyncio.run(run())
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"


def test_a_kernel_has_one_thread_a_home_and_a_store_of_its_own(tmp_path):
    ask = "import os\nprint(os.getcwd(), *(os.environ[n] for n in {}))"
    names = ["HOME", "TMPDIR", "LTH_RUNS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"]

    async def run() -> str:
        async with kernels.kernel(tmp_path) as python:
            return (await python.run(ask.format(names), 9)).printed

    here = str(tmp_path)
    assert asyncio.run(run()).split() == [here, here, here, f"{here}/runs", "1", "1"]


# What is written


def test_a_page_shows_its_student_alone_and_nothing_hidden(quiet):
    for student in QUIET:
        page = quiet.page(student)
        assert "hidden_input" not in page
        assert "return 2 * x" not in page
        for other in {*QUIET} - {student}:
            assert other not in page
    page = quiet.page("off by one")
    assert "<strong>1 of 3 points</strong>" in page
    assert "<td>Twice</td><td>0</td><td>2</td><td>Expected 4, and 5 came.</td>" in page
    assert "<td>Loud</td><td>1</td><td>1</td><td>All tests passed.</td>" in page


def test_a_page_holds_text_and_no_markup_of_a_student(quiet):
    page = quiet.page("a nosy error")
    assert "ValueError: &lt;b&gt;&amp;xxx" in page
    assert len(page) < 3000
    assert "<script" not in page
    assert "Ada [1] &#x27;Löv&quot;elace" in quiet.page("Ada [1] 'Löv\"elace")


def test_the_summary_says_what_was_hard(quiet):
    double, shout = table(quiet.folder / "summary.csv")
    assert (double["question"], shout["question"]) == ("double", "shout")
    # Of fourteen that could be read: five wrong, two wrong.
    assert double["notebooks"] == shout["notebooks"] == "14"
    assert (double["full"], double["none"]) == ("9", "5")
    assert float(double["mean share"]) == round(9 / 14, 3)
    assert float(shout["mean share"]) == round(12 / 14, 3)
    assert double["times"] == "1"
    assert shout["commonest message"] in ("Not answered.", "Expected A!, and 'a' came.")


def test_the_leaderboard_holds_what_the_assignment_published(quiet):
    board = table(quiet.folder / "leaderboard.csv")
    assert list(board[0]) == ["student", "length"]
    assert {row["length"] for row in board} == {"2"}
    assert len(board) == 12


def test_the_leaderboard_is_sorted_and_says_what_is_missing():
    marks = [Marks({}, {}, board) for board in ({"b": 3.0}, {}, {"b": 1.0, "c": 2.5})]
    named = list(zip(["x", "y", "z"], marks, strict=True))
    assert list(tables.leaderboard(named)) == [
        ["student", "b", "c"],
        ["z", 1.0, 2.5],
        ["x", 3.0, ""],
    ]
    assert not list(tables.leaderboard([("y", Marks({}, {}, {}))]))


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\t=1", " =1", "＝1", "\n+1"])
def test_no_text_in_a_table_is_a_formula(tmp_path, text):
    tables.write(tmp_path / "t.csv", [["student", "points"], [text, 1.5]])
    (row,) = table(tmp_path / "t.csv")
    assert row["student"].startswith("'")
    assert row["points"] == "1.5"
    assert (tmp_path / "t.csv").read_bytes().startswith(b"\xef\xbb\xbf")


def test_older_results_are_kept(tmp_path, mine):
    hand_in(tmp_path / "in", mine, {"torn": lambda _: NOT_JSON})  # quick
    asked = [sources.Assignment(mine / FILE)]
    for text in ("changed by hand", "changed again"):
        (where,) = grade_class(tmp_path / "in", asked, tmp_path / "out")
        (where / "grades.csv").write_text(text)
    grade_class(tmp_path / "in", asked, tmp_path / "out")
    there = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert there == [NAME, f"{NAME}-1", f"{NAME}-2"]
    kept = tmp_path / "out" / f"{NAME}-1" / "grades.csv"
    assert kept.read_text() == "changed by hand"


def test_nothing_is_written_but_the_results(quiet, mine):
    assert [path.name for path in mine.iterdir()] == [FILE]
    build = quiet.folder.parents[1]
    assert {path.name for path in build.parent.iterdir()} == {"_build", "in"}
    assert [path.name for path in build.iterdir()] == ["grades"]


def test_a_place_that_cannot_be_written_is_known_before(tmp_path, mine, capsys):
    hand_in(tmp_path / "in", mine, {"a": lambda n: n})
    (tmp_path / "_build").write_text("mine")
    words = ["grade", str(tmp_path / "in"), "--source", str(mine)]
    assert command.main(words, tmp_path / "_build") == 2
    said = capsys.readouterr()
    assert "part of that path is a file" in said.err
    assert not said.out


# Folders


def test_assignments_that_nobody_handed_in_are_passed_over(tmp_path, mine):
    made_up(tmp_path / "mine", "another")
    made_up(tmp_path / "mine", NAME)
    hand_in(tmp_path / "in", mine, {"torn": lambda _: NOT_JSON})
    every = sources.assignments(tmp_path / "mine")
    assert [each.name for each in every] == ["another", NAME]
    written = grade_class(tmp_path / "in", every, tmp_path / "out")
    assert [path.name for path in written] == [NAME]


def test_a_missing_folder_is_one_sentence(tmp_path, capsys):
    assert command.main(["grade", str(tmp_path / "nowhere")], tmp_path) == 2
    assert "There is no folder" in capsys.readouterr().err


@pytest.mark.parametrize("lies", [".", "deep/ada"])
def test_a_folder_without_submissions_is_one_sentence(tmp_path, mine, lies):
    (tmp_path / lies).mkdir(parents=True, exist_ok=True)
    (tmp_path / lies / FILE).write_text("{}")
    with pytest.raises(LotteryError, match="expected a folder for each student, with"):
        students(tmp_path, [sources.Assignment(mine / FILE)])


# Answers


def test_a_students_cells_behind_the_last_test_are_not_run(mine):
    asked = sources.Assignment(mine / FILE)
    notebook = solved(released(asked))
    notebook.cells.append(code("shout('again and again')", "own"))
    notebook.cells[-1].metadata = NotebookNode()
    found = answers(asked, notebook.cells)
    assert [len(cells) for cells in found.values()] == [1, 1]


def test_an_empty_answer_is_what_students_get(mine):
    asked = sources.Assignment(mine / FILE)
    for each in asked.cells:
        if each.is_answer:
            assert each.empty == cell(released(asked), each.id).source


def test_an_answer_that_became_markdown_is_an_answer(mine):
    asked = sources.Assignment(mine / FILE)
    notebook = solved(released(asked))
    source = cell(notebook, "your-shout").source
    cell(notebook, "your-shout").cell_type = "markdown"
    assert answers(asked, notebook.cells)["your-shout"] == [source]


def test_partial_points_are_what_a_test_ends_with(grade_once):
    for last, points in {"1.5": 1.5, "7": 2, "-1": 0, "'x'": 2}.items():
        assert grade_once(last).points["double"] == points
    numpy = grade_once("type('F', (), {'__repr__': lambda s: 'np.float64(0.5)'})()")
    assert numpy.points["double"] == 0.5
    assert grade_once("print('Half of it.')\n1").messages["double"] == "Half of it."


@pytest.fixture(scope="module")
def grade_once(grade, tmp_path_factory):
    """Return a function that grades a right answer by a test with a last line."""
    folder = tmp_path_factory.mktemp("partial")

    def run(last: str) -> Marks:
        asked = made_up(folder, "partial")
        notebook = nbformat.read(asked.path, as_version=4)
        cell(notebook, "double").source += f"\n{last}"
        nbformat.write(notebook, asked.path)
        return grade(sources.Assignment(asked.path), until="double")

    return run


@pytest.mark.parametrize("module", ["sources", "tables", "marking"])
def test_the_examples_in_the_docstrings_are_right(module):
    found = doctest.testmod(sys.modules[f"classroom.{module}"])
    assert found.attempted > 0
    assert not found.failed
