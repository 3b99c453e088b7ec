"""Slides: what a lecture may ask for, and the deck in a real Chromium, offline."""

import re
from collections.abc import Iterator
from pathlib import Path

import made_book
import make_slides
import pytest
from book_fixtures import ROOT
from browser_fixtures import Reader

from lth_utils.evidence.verdicts import WORDS

LECTURE = """\
# A title

Words.

Note (1 min): Say *this*, about {glue:text}`../../notebooks/one.ipynb::seeds:d` seeds.

---

## Lines

The lead is {glue:text}`../../notebooks/one.ipynb::lead:+.2f`, it is
{glue:text}`../../notebooks/one.ipynb::word`. {claims}`all` verdicts.

![](one/lines)

Note (2 min): That.

---

## Slide

![](one/slider)

Note (3 min): Move it.

---

## A drawing

![](one/drawing)

Note (1 min): Look.
"""


def write(root: Path, text: str) -> Path:
    (root / make_slides.LECTURE).write_text(text)
    return root


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Path:
    """A book with a deck of four slides."""
    root = made_book.make_book(tmp_path_factory.mktemp("book"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(make_slides, "counts", lambda: {"all": 164, "partly": 10})
        make_slides.make(write(root, LECTURE))
    return root


@pytest.fixture(scope="module")
def deck(book) -> str:
    return (book / "_build" / "slides" / "lottery-tickets.html").read_text("utf8")


# What is in it


def test_numbers_come_from_the_chapters(deck):
    assert "The lead is +0.49, it is\nreplicated. 164 verdicts." in deck
    assert "about 5 seeds" in deck


def test_a_figure_comes_with_alt_text_and_caption(deck):
    assert 'alt="Two lines."' in deck
    caption = "<figcaption>Lines (live, n = 3). Chapter&nbsp;one.</figcaption>"
    assert caption in deck


def test_notes_and_their_minutes_are_the_speakers(deck):
    assert '<aside class="notes"><p>Say <em>this</em>' in deck
    assert re.findall(r'data-timing="(\d+)"', deck) == ["60", "120", "180", "60"]


def test_one_file_that_asks_nobody(deck):
    assert "<title>A title</title>" in deck
    assert not re.findall(r"<script[^>]*src|<link\b|@import|sourceMappingURL", deck)
    assert "{{" not in re.sub(r"<script>.*?</script>", "", deck, flags=re.S)
    assert "reveal.js 5" in deck or "reveal.js 6" in deck


# What a lecture must not ask for


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("![](one/liens)", r"slide 2 \(B\): Unknown figure of one 'liens'.*'lines'"),
        ("![](two/lines)", r"Unknown chapter.* 'two': expected one of one"),
        ("![alt](one/lines)", r"slide 2 \(B\): !\[alt\]\(one/lines\) is neither"),
        ("See ![](one/lines).", "is neither a figure"),
        (
            "{glue:text}`../../notebooks/one.ipynb::leed:.2f`",
            r"slide 2 \(B\): Unknown value of one 'leed'.*'lead'",
        ),
        (
            "{glue:text}`../../notebooks/one.ipynb::word:.2f`",
            "word of one is 'replicated', which '.2f' does not format",
        ),
        ("{glue:text}`one::lead`", "is neither a figure"),
        ("{claims}`partially`", r"slide 2 \(B\): Unknown verdict .*'partly'"),
    ],
)
def test_what_is_not_there_is_said_with_its_slide(
    tmp_path, capsys, monkeypatch, asked, answer
):
    monkeypatch.setattr(make_slides, "counts", lambda: {"all": 164, "partly": 10})
    root = made_book.make_book(tmp_path)
    write(
        root, f"# A\n\nNote (1 min): x\n\n---\n\n## B\n\n{asked}\n\nNote (1 min): y\n"
    )
    assert make_slides.main(root) == 1
    assert re.search(answer, capsys.readouterr().err)
    assert not list((root / "_build").rglob("*.html"))


@pytest.mark.parametrize(
    "note", ["", "Note: y\n", "Note (1 min): a\n\nNote (2 min): b"]
)
def test_a_slide_says_its_minutes(tmp_path, capsys, note):
    root = made_book.make_book(tmp_path)
    write(root, f"# A\n\nNote (1 min): x\n\n---\n\n## B\n\n{note}")
    assert make_slides.main(root) == 1
    assert "slide 2 (B): it needs one note at its end" in capsys.readouterr().err


def test_a_chapter_that_changed_is_refused(tmp_path, capsys):
    root = write(made_book.make_book(tmp_path), LECTURE)
    made_book.stale(root)
    assert make_slides.main(root) == 1
    assert "changed since it was run. Run `make notebooks`." in capsys.readouterr().err


def test_a_missing_package_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(make_slides, "find_spec", lambda name: None)
    assert make_slides.main(write(made_book.make_book(tmp_path), LECTURE)) == 1
    assert "pip install sphinx-revealjs" in capsys.readouterr().err


# In a browser


@pytest.fixture
def reader(browser, book) -> Iterator[Reader]:
    reader = Reader(browser, book / "_build" / "slides")
    yield reader
    reader.context.close()
    assert not reader.wrong


def opened(reader: Reader, query: str = ""):
    page = reader.open(f"lottery-tickets?{query}")
    page.wait_for_function("Reveal.isReady()")
    return page


def here(page) -> int:
    return page.evaluate("Reveal.getIndices().h")


def test_keys_go_through_the_slides(reader):
    page = opened(reader)
    for key, slide in [("ArrowRight", 1), ("Space", 2), ("ArrowLeft", 1), ("End", 3)]:
        page.keyboard.press(key)
        assert here(page) == slide


def test_a_slider_moves_by_key_and_finger_and_the_slide_stays(reader):
    page = opened(reader)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    box = page.locator(".lth-explore")
    slider, picture = box.get_by_role("slider"), box.locator("img").first
    first = picture.get_attribute("src")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert (slider.input_value(), here(page)) == ("1", 2)
    assert picture.get_attribute("src") != first
    assert "50 %" in box.locator("output").inner_text()
    size = slider.bounding_box()
    slider.click(position={"x": size["width"] - 3, "y": size["height"] / 2})
    assert (slider.input_value(), here(page)) == ("2", 2)
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    assert here(page) == 3
    assert not page.evaluate("Reveal.isOverview()")


def test_d_changes_between_light_and_dark(reader):
    page = opened(reader)
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    assert light == "rgb(255, 255, 255)"
    page.keyboard.press("d")
    dark = page.evaluate(paper)
    assert dark != light
    page.keyboard.press("d")
    assert page.evaluate(paper) == light
    page.emulate_media(color_scheme="dark")
    page.reload()
    assert page.evaluate(paper) == dark


def test_print_has_a_light_page_for_each_slide(reader):
    reader.page.emulate_media(color_scheme="dark")
    page = opened(reader, "print-pdf")
    page.locator(".pdf-page").nth(3).wait_for()
    colour = "pages => pages.map(page => getComputedStyle(page).backgroundColor)"
    assert page.locator(".pdf-page").evaluate_all(colour) == ["rgb(255, 255, 255)"] * 4
    printed = page.pdf(prefer_css_page_size=True, print_background=True)
    assert len(re.findall(rb"/Type /Page\b", printed)) == 4


def test_s_opens_the_speakers_view(reader):
    page = opened(reader)
    page.keyboard.press("ArrowRight")
    with reader.context.expect_page() as opening:
        page.keyboard.press("s")
    view = opening.value
    notes = view.locator(".speaker-controls-notes .value", has_text="That.")
    notes.wait_for()
    view.locator("iframe").first.wait_for()


def test_the_lecture_itself(executed, browser, monkeypatch):
    """All that it asks for is there, fits its slide, and takes a lesson."""
    # Judging takes its time, and the pages' tests have the counts.
    known = dict.fromkeys((*WORDS, "all", "claims"), 7)
    monkeypatch.setattr(make_slides, "counts", lambda: known)
    slides = make_slides.read()
    asked = {chapter for slide in slides for chapter in used(slide.text + slide.notes)}
    for chapter in sorted(asked):
        executed(f"notebooks/{chapter}")
    reader = Reader(browser, make_slides.make().parent)
    page = opened(reader)
    assert page.evaluate("Reveal.getTotalSlides()") == len(slides)
    assert 20 <= len(slides) <= 25
    assert 45 <= sum(slide.minutes for slide in slides) <= 50
    for number in range(len(slides)):
        page.evaluate(f"Reveal.slide({number})")
        inside = page.evaluate("Reveal.getCurrentSlide().scrollHeight")
        assert inside <= 720, slides[number].text
        pictures = page.locator("section.present img:visible")
        assert all(pictures.evaluate_all("each => each.map(e => e.naturalWidth > 0)"))
    # Who is asked first sees the figure afterwards.
    kinds = [("Vote" in slide.text, "![](" in slide.text) for slide in slides]
    assert sum(vote for vote, _ in kinds) >= 5
    assert not any(vote and figure for vote, figure in kinds)
    reader.context.close()
    assert not reader.wrong


def used(text: str) -> set[str]:
    found = make_slides.FIGURE.findall(text) + make_slides.VALUE.findall(text)
    return {each[0] for each in found}


def test_no_measured_number_is_typed():
    """A slide's numbers are counts of the set-up, years and densities, or cited."""
    for slide in make_slides.read(ROOT):
        text = make_slides.VALUE.sub("", slide.text)
        assert not re.findall(r"[+\N{MINUS SIGN}]\d|\d+\.\d+ (?:points|times)", text)
