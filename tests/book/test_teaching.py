"""The teacher's guide: its plans add up, and its chapters speak for themselves."""

import re

import nbformat
import pytest
import teaching_page
from book_fixtures import ROOT, chapters
from nbformat import v4

GUIDE = (ROOT / "book" / "teaching.md").read_text("utf8")


def rows(title: str) -> list[list[str]]:
    """Return the cells of the table under a heading, without its head."""
    part = GUIDE.partition(f"### {title}")[2].partition("\n### ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_a_lecture_is_as_long_as_it_says():
    slides = (ROOT / "book" / "slides" / "lecture.md").read_text("utf8")
    notes = [int(minutes) for minutes in re.findall(r"^Note \((\d+) min", slides, re.M)]
    assert (sum(notes), len(notes)) == (50, slides.count("\n---\n") + 1)
    after = 0
    for minutes, what in rows("One lecture, 50 minutes"):
        first, last = map(int, re.findall(r"\d+", what)[:2])
        assert first == after + 1
        assert sum(notes[after:last]) == int(minutes)
        after = last
    assert after == len(notes)


def test_a_class_is_as_long_as_it_says():
    classes: list[int] = []
    for number, minutes, _ in rows("One week, three classes of 90 minutes"):
        if number:
            classes.append(0)
        classes[-1] += int(minutes)
    assert classes == [90, 90, 90]


def test_every_chapter_has_its_part_in_order():
    named = re.findall(r"```\{for-teachers\} (\S+)", GUIDE)
    assert [f"notebooks/{name}" for name in named] == chapters()


def test_its_questions_are_numbered():
    numbers = re.findall(r"^:::\{dropdown\} (\d+)\. ", GUIDE, re.MULTILINE)
    assert numbers == [str(n + 1) for n in range(len(numbers))]
    assert len(numbers) >= 10


@pytest.fixture
def chapter() -> nbformat.NotebookNode:
    """Return an executed chapter with all that the guide takes from one."""
    title = (
        "# 1. A\n\n**The question.** Why?\n\n**What you need to know.** Nothing.\n\n"
    )
    key = v4.new_output("display_data", {"text/markdown": "| Asked |\n|:--|\n| 1. |"})
    cells = [
        v4.new_markdown_cell(f"{title}**Time and hardware.** An hour."),
        v4.new_markdown_cell("## A prediction to write down\n\n1. How many?"),
        v4.new_markdown_cell("## Your predictions\n\nLook at them."),
        v4.new_code_cell("lth.key({})", outputs=[key]),
    ]
    return v4.new_notebook(cells=cells)


def test_a_chapter_says_itself_what_it_needs_and_asks(chapter):
    assert teaching_page.told(chapter, 25) == (
        "**Needs.** Nothing.\n\n"
        "**Reading.** About 25 minutes, without exercises.\n\n"
        ":::{dropdown} Its predictions, and the key\n\n1. How many?\n\n"
        "| Asked |\n|:--|\n| 1. |\n\n:::"
    )


def test_predictions_that_are_asked_along_the_way_are_put_together(chapter):
    chapter.cells[1] = v4.new_markdown_cell(
        "## Run it\n\nNow.\n\n**Prediction 1.** Up?"
    )
    chapter.cells.insert(2, v4.new_markdown_cell("**Prediction 2.** Down?\n\nSee."))
    found = teaching_page.told(chapter, 25)
    assert "**Prediction 1.** Up?\n\n**Prediction 2.** Down?\n\n| Asked |" in found
    assert "Now." not in found


@pytest.mark.parametrize("cell", [0, 1, 3])
def test_a_chapter_without_one_of_them_stops_the_build(chapter, cell):
    changed = v4.new_markdown_cell if cell < 3 else v4.new_code_cell
    chapter.cells[cell] = changed("# Something else")
    with pytest.raises(SystemExit, match="lacks one of them"):
        teaching_page.told(chapter, 25)


def test_the_page_has_the_predictions_and_what_was_found(site):
    page = (site / "book" / "teaching.html").read_text("utf8")
    assert page.count("Its predictions, and the key") == len(chapters())
    assert page.count("How sure") >= len(chapters())
    for found in re.findall(r'href="(\.\./notebooks/[^"#]+\.html)#([^"]+)"', page):
        text = (site / "book" / found[0]).read_text("utf8")
        assert f'id="{found[1]}"' in text
