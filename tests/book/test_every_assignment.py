"""What holds for each assignment: its points, right answers, none, and its end."""

import re

import pytest
from book_fixtures import ROOT
from classroom.sources import SOURCES, Assignment, assignments, mark_of
from grading_fixtures import assignment, lost, untouched

NAMES = [each.name for each in assignments()]
HOURS = {"An hour and a half": "1½", "Two hours": "2"}


def numbered(each: Assignment) -> tuple[str, str]:
    """Return an assignment's number, and its title as the pages write it."""
    number, title = re.fullmatch(r"Assignment (\d): (.*)", each.title).groups()
    return number, title[0].upper() + title[1:]


def section(each: Assignment) -> str:
    """Return what the teacher's README says of an assignment."""
    text = (SOURCES / "README.md").read_text("utf8")
    return text.split(f"## {numbered(each)[1]}\n")[1].split("\n## ")[0]


def test_the_page_for_teachers_lists_them_all():
    page = (ROOT / "book" / "how-to-use.md").read_text("utf8")
    row = r"^\| (\d)\. \*(.*)\* \| \d+ \| (\d+) \| (\S+) \|"
    expected = []
    for each in assignments():
        (said,) = re.findall(r"^\n(.*?), \d+ points", section(each))
        expected.append((*numbered(each), f"{each.total:g}", HOURS[said]))
    assert re.findall(row, page, re.MULTILINE) == sorted(expected)


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_says_its_points(name):
    said = section(assignment(name))
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", said, re.MULTILINE)
    assert assignment(name).questions == {each: float(most) for each, most in rows}
    assert f"{assignment(name).total:g} points" in said


@pytest.mark.parametrize("name", NAMES)
def test_the_solution_has_full_marks(solved, name):
    found = solved(name)
    assert not lost(name, found)
    assert not found.messages


@pytest.mark.parametrize("name", NAMES)
def test_the_untouched_release_has_none(grade, name):
    found = grade(name, untouched(name))
    assert set(found.points.values()) == {0}
    assert set(found.messages.values()) == {"Not answered."}
    assert not found.board


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_to_its_end_and_has_a_slider(to_its_end, name):
    ran = to_its_end(name)
    # nbgrader gives no point for a test that writes anything to stderr.
    tests = [cell for cell in ran.cells if mark_of(cell).get("grade")]
    printed = [out for cell in tests for out in cell.outputs]
    assert not any(out.get("name") == "stderr" for out in printed)
    pages = [out for cell in ran.cells for out in cell.get("outputs", [])]
    html = ["".join(out.get("data", {}).get("text/html", "")) for out in pages]
    assert any('class="lth-explore"' in page for page in html)
