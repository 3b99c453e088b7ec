"""The assignment: what students get, and what they get for it."""

import csv
import re
from contextlib import nullcontext
from pathlib import Path

import assignments
import nbformat
import pytest
from book_fixtures import ROOT
from nbformat import NotebookNode
from test_hygiene import URL

FILE = f"{assignments.NAME}.ipynb"
SOURCE = ROOT / "notebooks" / "assignments" / FILE
POINTS = {
    "score": 1,
    "count": 2,
    "ties": 1,
    "layers": 2,
    "apply": 1,
    "step": 2,
    "density": 1,
}
SECONDS = 30  # for one student whose code never ends


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Path:
    """Return a folder with the assignment in it, to build in."""
    folder = tmp_path_factory.mktemp("book")
    source = folder / "notebooks" / "assignments" / FILE
    source.parent.mkdir(parents=True)
    source.write_bytes(SOURCE.read_bytes())
    return folder


@pytest.fixture(scope="module")
def release(book) -> NotebookNode:
    """Return the students' version."""
    return nbformat.read(assignments.release(book), as_version=4)


# What students get


def test_no_solution_and_no_hidden_test_is_released(release):
    text = nbformat.writes(release)
    assert not re.findall("BEGIN|END|SOLUTION|HIDDEN|right_mask|reshape", text)
    asked = [cell for cell in release.cells if cell.metadata.nbgrader.solution]
    assert len(asked) == 6
    for cell in asked:
        assert "# YOUR CODE HERE\n    raise NotImplementedError()" in cell.source


def test_nothing_released_leads_to_the_solution(release):
    text = nbformat.writes(release)
    # What a student may follow: the address that the library is installed from.
    set_up = "".join(cell.source for cell in release.cells if cell.id == "set-up")
    assert set(re.findall(r"\w*\+?\w+://[^\s\"\\)]+", text)) == {f"git+{URL}"}
    assert text.count(URL) == set_up.count(URL) == 1
    places = r"assignments|ipynb|colab|nbviewer|github\.dev|blob/|raw/|tree/|/main\b"
    assert not re.findall(places, text, re.IGNORECASE)
    assert set(release.metadata) == {"kernelspec"}
    keys = {key for cell in release.cells for key in cell.metadata}
    assert keys == {"nbgrader", "deletable", "editable"}


def test_every_test_has_its_points_and_is_locked(release):
    marks = [cell.metadata.nbgrader for cell in release.cells]
    assert {m.grade_id: m.points for m in marks if m.grade} == POINTS
    assert sum(POINTS.values()) == 10
    assert all(mark.locked != mark.solution for mark in marks)


def test_every_assert_that_students_see_has_a_message(release):
    source = "\n".join(c.source for c in release.cells if c.cell_type == "code")
    statement = r"^ *assert (.*(?:\n(?! *(?:assert|for|def)).*)*)"
    asserts = re.findall(statement, source, re.M)
    assert len(asserts) > 12
    for text in asserts:
        assert re.search(r',\s*(\(\s*)?f?"', text), text


def test_students_need_the_library_alone(release):
    source = "\n".join(c.source for c in release.cells if c.cell_type == "code")
    imported = re.findall(r"^ *(?:import|from) (\w+)", source, re.M)
    assert set(imported) == {"lth_utils", "copy", "torch"}


# What they get for it


def solved(release: NotebookNode, **answers: str) -> NotebookNode:
    """Fill in the right answers, but for those that are given."""
    right = {cell.id: cell for cell in nbformat.read(SOURCE, as_version=4).cells}
    notebook = nbformat.from_dict(release)
    for cell in notebook.cells:
        if cell.metadata.nbgrader.solution:
            own = answers.get(cell.id.removeprefix("your-"))
            cell.source = own or right[cell.id].source
    return notebook


def off_by_one(release: NotebookNode) -> str:
    (cell,) = [cell for cell in solved(release).cells if cell.id == "your-keep"]
    assert "order[:k]" in cell.source
    return cell.source.replace("order[:k]", "order[: k + 1]")


ENDLESS = """
def masked_step(net, masks, optimizer, loss):
    while True:
        pass
"""
DEADLY = """
def magnitude(weight):
    import os
    os._exit(1)
"""


def tampered(release: NotebookNode) -> NotebookNode:
    """Hand in wrong answers beside tests that were made harmless."""
    notebook = solved(release, keep=off_by_one(release), step=ENDLESS)
    for cell in notebook.cells:
        if cell.id == "test-count":
            cell.source = "pass"
    notebook.cells = [cell for cell in notebook.cells if cell.id != "test-density"]
    return notebook


@pytest.fixture(scope="module")
def grades(book, release) -> dict[str, dict[str, str]]:
    """Grade one submission of each kind; return the rows by student."""
    handed_in = {
        "Ada [1] Lövelace": solved(release),
        "deadly": solved(release, score=DEADLY),
        "off by one": solved(release, keep=off_by_one(release)),
        "tampered": tampered(release),
        "untouched": release,
    }
    folder = book / "handed in"
    for student in [*handed_in, "absent", "torn"]:
        (folder / student).mkdir(parents=True)
    for student, notebook in handed_in.items():
        nbformat.write(notebook, folder / student / FILE)
    (folder / "torn" / FILE).write_text('{"cells": [')
    with assignments.grade(folder, book, SECONDS).open(encoding="utf8") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def points(row: dict[str, str]) -> dict[str, float]:
    return {question: float(row[question]) for question in POINTS}


def test_every_student_has_a_row(book, grades):
    students = {path.name for path in (book / "handed in").iterdir()}
    assert set(grades) == students
    for row in grades.values():
        assert list(row) == ["student", *POINTS, "total", "messages"]
        assert float(row["total"]) == sum(points(row).values())


def test_the_solution_has_full_marks(grades):
    row = grades["Ada [1] Lövelace"]
    assert points(row) == POINTS
    assert row["messages"] == ""


def test_the_untouched_release_has_none(grades):
    row = grades["untouched"]
    assert set(points(row).values()) == {0}
    assert row["messages"].count("not answered") == len(POINTS)


def test_off_by_one_loses_the_count_alone_and_is_told_why(grades):
    row = grades["off by one"]
    assert points(row) == POINTS | {"count": 0}
    assert row["messages"] == (
        "count: keep_mask prunes 3 of 6 weights: expected exactly k = 2."
        " Count the positions that you set to False."
    )


def test_tests_that_were_changed_are_put_back(grades):
    row = grades["tampered"]
    assert row["count"] == row["density"] == "0.0"
    assert "expected exactly k = 2" in row["messages"]
    assert "density: its test cell was deleted." in row["messages"]


def test_code_that_never_ends_loses_its_question_alone(grades):
    row = grades["tampered"]
    assert points(row) == POINTS | {"count": 0, "density": 0, "step": 0}
    assert "step: stopped, because it took too long." in row["messages"]


@pytest.mark.parametrize(
    ("student", "sentence"),
    [
        ("deadly", "Python itself stopped"),
        ("torn", "This is no whole notebook: "),
        ("absent", f"There is no {FILE} in this folder."),
    ],
)
def test_what_cannot_be_graded_is_said_in_its_row(grades, student, sentence):
    assert sentence in grades[student]["messages"]
    assert grades[student]["total"] == "0"


def test_a_cell_that_cannot_be_stopped_is_named():
    log = "[ERROR] nbclient.exceptions.CellTimeoutError: A cell timed out"
    assert "could not be stopped" in assignments._failure(log)


def test_nothing_is_written_but_below_build(book, grades):
    assert grades
    assert {path.name for path in book.iterdir()} == {
        "_build",
        "handed in",
        "notebooks",
    }
    files = [path for path in (book / "notebooks").rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in files] == [SOURCE.read_bytes()]


def test_older_grades_are_kept(book, grades, monkeypatch):
    table = book / "_build" / "grades.csv"
    texts = [table.read_text(), "changed by hand", "changed again"]
    monkeypatch.setattr(assignments, "_students", lambda _: [])  # quick
    monkeypatch.setattr(assignments, "_course", lambda *_: nullcontext((book, None)))
    for text in texts:
        table.write_text(text)
        assignments.grade(book, book)
    kept = [table.with_name(f"grades-{number}.csv") for number in (1, 2, 3)]
    assert [path.read_text() for path in kept] == texts


def test_a_table_that_cannot_be_written_is_known_before(tmp_path, capsys):
    (tmp_path / "_build").write_text("mine")
    assert assignments.main(["grade", str(tmp_path)], tmp_path) == 2
    assert "part of that path is a file" in capsys.readouterr().err


# Wrong folders


def test_a_missing_folder_is_one_sentence(tmp_path, capsys):
    assert assignments.main(["grade", str(tmp_path / "nowhere")]) == 2
    assert "There is no folder" in capsys.readouterr().err


@pytest.mark.parametrize("lies", [".", "deep/ada"])
def test_a_folder_without_submissions_is_one_sentence(tmp_path, capsys, lies):
    (tmp_path / lies).mkdir(parents=True, exist_ok=True)
    (tmp_path / lies / FILE).write_text("{}")
    assert assignments.main(["grade", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "holds no submissions: expected a folder for each student" in said
