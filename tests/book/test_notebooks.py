"""Every chapter as papermill ran it, and the pages that the build made of it.

What a chapter must show is asserted in its own file, test_chapter_1.py and on.
"""

import re
from html import unescape
from pathlib import Path

import pytest
from book_fixtures import (
    ROOT,
    captions,
    chapters,
    copies,
    plain,
    printed,
    progress,
    shown,
    told_by,
)

PICTURES = ("image/png", "image/svg+xml")


@pytest.fixture(params=chapters())
def name(request) -> str:
    return request.param


@pytest.fixture
def chapter(executed, name):
    return executed(name)


def test_every_cell_ran(chapter):
    cells = [cell for cell in chapter.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    kinds = {output.output_type for cell in cells for output in cell.outputs}
    assert "error" not in kinds


def test_it_ran_in_the_quick_profile(chapter):
    assert chapter.metadata[copies.KEY]["profile"] == "quick"


def test_it_warns_of_nothing(chapter):
    # The page leaves the error stream out, so a warning there would be lost.
    assert not re.findall(r".*(?:Warning|Traceback).*", progress(chapter))


def test_every_figure_has_alt_text_and_a_caption(chapter):
    for cell in chapter.cells:
        data = [output.get("data", {}) for output in cell.get("outputs", [])]
        if any(kind in each for each in data for kind in PICTURES):
            assert sum(map(bool, data)) == 1, f"{cell.id} shows more than its figure"
            about = cell.metadata.get("mystnb", {})
            assert about.get("image", {}).get("alt"), cell.id
            assert about.get("figure", {}).get("caption"), cell.id


def test_every_figure_is_shown_once(chapter):
    for cell in chapter.cells:
        if "mystnb" in cell.metadata:
            pictures = [
                each for kind in PICTURES for each in shown(chapter, kind, cell.id)
            ]
            html = shown(chapter, "text/html", cell.id)
            pictures += [each for each in html if 'class="lth-' in each]
            assert len(pictures) == 1, cell.id


def test_exercises_wait_and_solutions_are_right(chapter):
    waiting, right = [], []
    for cell in filter(_is_code, chapter.cells):
        for which in re.findall(r'lth\.check\("([^"]+)"', cell.source):
            if "solution" in cell.metadata.get("tags", []):
                assert f"{which}: right." in told_by(chapter, cell.id)
                right.append(which)
            else:
                assert told_by(chapter, cell.id).startswith(f"{which}: not yet.")
                waiting.append(which)
    assert waiting
    assert waiting == list(dict.fromkeys(right))


def test_sliders_and_diagrams_have_captions_and_say_what_is_drawn(chapter):
    for cell in chapter.cells:
        for html in shown(chapter, "text/html", cell.id) if _is_code(cell) else []:
            if 'class="lth-' in html:
                caption = cell.metadata.get("mystnb", {}).get("figure", {})["caption"]
                alts = re.findall(r' (?:alt|aria-label)="([^"]*)"', html)
                assert alts, cell.id
                assert min(map(len, alts)) > 40, cell.id
                assert not {unescape(text) for text in alts} & {caption}, cell.id
            if "lth-explore" in html:
                assert not set(captions(html)) & set(map(unescape, alts)), cell.id


def test_no_more_than_three_sentences_are_printed_in_a_row(chapter):
    """More than that is a table or a picture."""
    row = 0
    for cell in chapter.cells:
        tags = set(cell.metadata.get("tags", []))
        if tags & {"remove-cell", "remove-output", "solution"}:
            continue
        if _is_code(cell):
            row += len(re.findall(r"[.!?](?=\s|$)", printed(chapter, cell.id)))
        if not _is_code(cell) or any("data" in output for output in cell.outputs):
            row = 0
        assert row <= 3, cell.id


def _is_code(cell) -> bool:
    return cell.cell_type == "code"


def test_its_slider_needs_no_kernel_and_no_network(chapter):
    sliders = [html for html in shown(chapter, "text/html") if "lth-explore" in html]
    assert sliders
    for slider in sliders:
        # A picture in an <img> may fetch nothing: the addresses inside an
        # SVG are only the names of its vocabularies.
        page = re.sub(r'"data:image/[^"]*"', '""', slider)
        assert not re.findall(r"https?://[^\s\"'<]+", page)
        assert 'type="range"' in slider


def test_its_page_shows_what_it_printed(site, name, chapter):
    # Tags go before entities: a printed "a < b" must not become a tag.
    page = (site / f"{name}.html").read_text("utf8")
    text = plain(unescape(re.sub(r"<[^>]+>", "", page)))
    lines = {False: [], True: []}  # by whether the page leaves it out
    for cell in (cell for cell in chapter.cells if cell.cell_type == "code"):
        left_out = "remove-output" in cell.metadata.get("tags", [])
        found = (line.strip() for line in printed(chapter, cell.id).splitlines())
        lines[left_out] += [line for line in found if line]
    assert lines[False]
    assert not [line for line in lines[False] if line not in text]
    assert lines[True]  # what a question says that has no answer yet
    assert not [line for line in lines[True] if "not yet" in line and line in text]


def test_its_page_says_how_long_it_is(site, name, chapter):
    page = (site / f"{name}.html").read_text("utf8")
    (told,) = re.findall(r'<p class="lth-time">(.*?)</p>', page)
    seconds = chapter.metadata[copies.KEY]["seconds"]
    assert f"the cells ran in {copies.clock(seconds)} when" in told.replace("\n", " ")
    count, minutes = (
        int(number.replace(",", ""))
        for number in re.match(r"([\d,]+) words, about (\d+) minutes", told).groups()
    )
    prose = [c.source for c in chapter.cells if c.cell_type == "markdown"]
    assert 0.5 < count / len(" ".join(prose).split()) < 1.5
    assert abs(minutes - count / copies.PACE) <= 2.5 or minutes == 5


def test_solutions_and_the_key_are_folded_on_its_page(site, name, chapter):
    page = (site / f"{name}.html").read_text("utf8")
    titles = re.findall(r'<details class="lth-fold"[^>]*><summary>(.*?)<', page)
    text = "\n".join(c.source for c in chapter.cells if c.cell_type == "markdown")
    expected = re.findall(r"^### ((?:Solution|The key).*)$", text, re.MULTILINE)
    assert [unescape(title) for title in titles] == expected
    assert "The key" in expected


def test_its_page_offers_the_clean_notebook(site, name):
    offered = site / "_sources" / f"{name}.ipynb"
    assert offered.read_bytes() == (ROOT / f"{name}.ipynb").read_bytes()


def test_the_times_are_on_their_page(site, executed):
    page = (site / "book" / "execution-time.html").read_text("utf8")
    for name in chapters():
        seconds = executed(name).metadata[copies.KEY]["seconds"]
        title = executed(name).cells[0].source.splitlines()[0].lstrip("# ")
        assert f"<p>{copies.clock(seconds)}</p>" in page
        assert title in unescape(page)


def test_the_reference_holds_every_public_name(site):
    stub = (ROOT / "lth_utils" / "__init__.pyi").read_text("utf8")
    public = set(re.findall(r"import \w+ as (\w+)$", stub, re.MULTILINE)) - {"plots"}
    page = (site / "book" / "api.html").read_text("utf8")
    assert public == set(re.findall(r'id="lth_utils\.(\w+)"', page))
    assert 'id="module-lth_utils.figures.plots"' in page


def test_nothing_was_written_among_the_sources(executed):
    for name in chapters():
        executed(name)
    found = {path.name for path in (ROOT / "notebooks").glob("[!.]*")}
    allowed = {Path(name).name + ".ipynb" for name in chapters()}
    assert found == allowed | {"assignments", "ruff.toml"}
