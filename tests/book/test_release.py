"""The students' versions: whole, and without a way to what is private."""

import re
import sys
from pathlib import Path

import assignments as command
import nbformat
import pytest
import yaml
from book_fixtures import ROOT
from classroom.release import faults, release, released
from classroom.sources import SOURCES, Assignment, mark_of
from grading_fixtures import code, made_up
from nbformat import NotebookNode
from test_hygiene import CONFIG, URL

from lth_utils.errors import LotteryError

NAMES = sorted(path.stem for path in SOURCES.glob("*.ipynb"))
EVERY = pytest.mark.parametrize("name", NAMES)
REGION = r"### BEGIN (?:SOLUTION|HIDDEN TESTS)\n(.*?)### END (?:SOLUTION|HIDDEN TESTS)"
# What `lth_utils` brings along.
OFFERED = {"lth_utils", "torch", "numpy", "pandas", "matplotlib", "scipy", "seaborn"}


@pytest.fixture(scope="module")
def versions() -> dict[str, NotebookNode]:
    return {name: released(Assignment(SOURCES / f"{name}.ipynb")) for name in NAMES}


def text_of(notebook: NotebookNode) -> str:
    return "\n".join(cell.source for cell in notebook.cells)


# The book's own


@EVERY
def test_no_private_line_is_released(versions, name):
    source = text_of(nbformat.read(SOURCES / f"{name}.ipynb", as_version=4))
    private = "".join(re.findall(REGION, source, re.DOTALL)).splitlines()
    public = re.sub(REGION, "", source, flags=re.DOTALL).splitlines()
    secret = {line.strip() for line in private} - {line.strip() for line in public}
    given = {line.strip() for line in text_of(versions[name]).splitlines()}
    assert len(secret) > 10
    assert not secret & given
    whole = nbformat.writes(versions[name])
    assert not re.search("(BEGIN|END) (SOLUTION|HIDDEN)", whole, re.IGNORECASE)


@EVERY
def test_nothing_released_leads_to_its_source(versions, name):
    whole = nbformat.writes(versions[name])
    # What a student may follow: the address that the library is installed from.
    set_up = "".join(c.source for c in versions[name].cells if c.id == "set-up")
    assert whole.count(URL) == set_up.count(URL) == 1
    places = (
        r"assignments/|\.ipynb|colab\.|nbviewer|github\.dev|blob/|raw/|tree/|/main\b"
    )
    assert not re.findall(places, whole, re.IGNORECASE)
    assert "_colab" not in str(versions[name].metadata)
    assert not any(cell.get("outputs") for cell in versions[name].cells)


@EVERY
def test_every_test_has_points_and_is_locked_and_every_answer_is_open(versions, name):
    marks = [mark_of(cell) for cell in versions[name].cells]
    assert all(mark.points > 0 for mark in marks if mark.grade)
    assert sum(mark.solution for mark in marks) > 1
    assert all(mark.locked != mark.solution for mark in marks)
    for cell in versions[name].cells:
        if mark_of(cell).solution:
            assert "raise NotImplementedError()" in cell.source


@EVERY
def test_every_assert_that_students_see_has_a_message(versions, name):
    source = "\n".join(c.source for c in versions[name].cells if c.cell_type == "code")
    statement = r"^ *assert (.*(?:\n(?! *(?:assert|for|def|return)\b).*)*)"
    asserts = re.findall(statement, source, re.M)
    assert len(asserts) > 5
    for text in asserts:
        assert re.search(r',\s*(\(\s*)?(f?"|\w)', text), text


@EVERY
def test_students_need_the_library_alone(versions, name):
    source = "\n".join(c.source for c in versions[name].cells if c.cell_type == "code")
    imported = re.findall(r"^ *(?:import|from) (\w+)", source, re.M)
    assert set(imported) <= OFFERED | sys.stdlib_module_names


@EVERY
def test_students_are_told_what_they_learn_and_how_long_it_takes(versions, name):
    opening = "\n".join(c.source for c in versions[name].cells[:2])
    assert re.search(r"\*\*(What you learn|You learn|Goal)", opening)
    assert "**Time" in opening
    points = sum(mark_of(c).get("points", 0) for c in versions[name].cells)
    assert re.search(rf"\b{points:g}\s+points|points:\W*{points:g}\b", opening, re.I)


@EVERY
def test_there_is_a_slider_over_the_sparsity(versions, name):
    source = "\n".join(c.source for c in versions[name].cells if c.cell_type == "code")
    assert re.search(r"lth\.explore\(.*?\b(sparsity|density)=", source, re.DOTALL)


def test_the_book_shows_no_assignment():
    assert "assignments" not in (ROOT / "_toc.yml").read_text("utf8")
    assert CONFIG["only_build_toc_files"]  # so that nothing else is copied
    pages = yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))
    assert not any(name in str(pages) for name in NAMES)


# A teacher's own


def test_a_private_folder_is_released_whole(tmp_path, capsys):
    made_up(tmp_path / "mine", "one")
    made_up(tmp_path / "mine", "two")
    words = ["release", "--source", str(tmp_path / "mine"), "--assignment", ""]
    assert command.main(words, tmp_path / "_build") == 0
    there = sorted((tmp_path / "_build" / "release").iterdir())
    assert [path.name for path in there] == ["one.ipynb", "two.ipynb"]
    assert "def double(x):\n    # YOUR CODE HERE" in there[0].read_text("utf8").replace(
        '\\n",\n    "', "\n"
    )
    assert capsys.readouterr().out.count("For the students: ") == 2


def test_one_of_several_is_released_by_name(tmp_path):
    made_up(tmp_path / "mine", "one")
    made_up(tmp_path / "mine", "two")
    words = ["release", "--source", str(tmp_path / "mine"), "--assignment", "two"]
    assert command.main(words, tmp_path) == 0
    assert [p.name for p in (tmp_path / "release").iterdir()] == ["two.ipynb"]


def spoiled(old: str, new: str, cell: str = "") -> NotebookNode:
    """Return the made-up assignment with a text replaced."""
    notebook = nbformat.read(made_up_once(), as_version=4)
    for each in notebook.cells:
        if each.id == cell or not cell:
            each.source = each.source.replace(old, new)
    return notebook


def made_up_once() -> Path:
    return made_up_once.folder / "made-up.ipynb"


@pytest.fixture(autouse=True, scope="module")
def _made_up(tmp_path_factory):
    made_up_once.folder = tmp_path_factory.mktemp("mine")
    made_up(made_up_once.folder, "made-up")


REFUSED = {
    "expected '### BEGIN HIDDEN TESTS'": ("### BEGIN HIDDEN", "### Begin Hidden"),
    "expected '### END HIDDEN TESTS'": ("### END HIDDEN TESTS", "### end hidden tests"),
    "expected '### BEGIN SOLUTION'": ("### BEGIN SOLUTION", "# BEGIN SOLUTION"),
    "expected '### END SOLUTION'": ("### END SOLUTION", "### END_SOLUTIONS"),
    "does not pair": ("### BEGIN SOLUTION", "pass"),
    "has no '### END SOLUTION'": ("### END SOLUTION", "pass"),
    "has no '### END HIDDEN TESTS'": ("### END HIDDEN TESTS", "pass"),
    "is not marked as an answer": ("x = 1", "### BEGIN SOLUTION\n### END SOLUTION"),
    "would not compile without what is hidden": (
        "assert double(2)",
        "for _ in range(2):\n    ### BEGIN HIDDEN TESTS\n    pass\n    "
        "### END HIDDEN TESTS\nassert double(2)",
    ),
    "it would name the sources' folder": ("x = 1", "x = 'Notebooks/Assignments/a'"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_would_leak_is_refused_before_anything_is_written(tmp_path, fault):
    nbformat.write(spoiled(*REFUSED[fault]), tmp_path / "b.ipynb")
    made_up(tmp_path, "a")
    both = [Assignment(tmp_path / "a.ipynb"), Assignment(tmp_path / "b.ipynb")]
    with pytest.raises(LotteryError, match=re.escape(fault)):
        release(both, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_grade_id_that_is_used_twice_is_refused():
    notebook = nbformat.read(made_up_once(), as_version=4)
    notebook.cells.append(notebook.cells[-1])
    assert "is the grade_id of two cells" in next(faults(notebook))


def test_a_notebook_without_tests_is_no_assignment():
    notebook = nbformat.v4.new_notebook(cells=[code("x = 1", "x")])
    assert "no cell of it earns points" in next(faults(notebook))


@pytest.mark.parametrize("there", ["", "nothing.txt"])
def test_a_folder_without_assignments_is_one_sentence(tmp_path, capsys, there):
    if there:
        (tmp_path / there).write_text("")
    words = ["release", "--source", str(tmp_path / ("" if there else "nowhere"))]
    assert command.main(words, tmp_path) == 2
    assert "holds no assignment: expected a folder" in capsys.readouterr().err


def test_an_unknown_assignment_is_one_sentence(capsys, tmp_path):
    assert command.main(["release", "--assignment", NAMES[0][:-1]], tmp_path) == 2
    assert f"Did you mean '{NAMES[0]}'?" in capsys.readouterr().err


def test_a_source_that_is_no_notebook_is_one_sentence(capsys, tmp_path):
    (tmp_path / "torn.ipynb").write_text("{")
    assert command.main(["release", "--source", str(tmp_path)], tmp_path) == 2
    assert "torn.ipynb cannot be read" in capsys.readouterr().err
