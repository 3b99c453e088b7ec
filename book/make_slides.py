"""Make one HTML file of the lecture, its figures and its numbers.

    python book/make_slides.py     _build/slides/lottery-tickets.html

The lecture is book/slides/lecture.md, and this is how it is written:

- `---` on a line of its own ends a slide. A slide ends with `Note (2 min): ...`, what
  the speaker says and how long that takes.
- `![](03-the-algorithm/the-loop)` is a figure: the chapter's notebook, and the name
  that its cell gives it. Alt text and caption come along; a slider can be moved.
- A measured number is never typed: {glue:text} and {claims} cite it, as in the pages.

reveal.js comes from a Python package. The file holds it and all pictures, and asks no
network.
"""

import re
import sys
from collections.abc import Callable
from functools import cache
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from steps import ROOT, step

sys.path.insert(0, str(ROOT / "book" / "ext"))

import chapter_figures
import executed
from chapter_figures import Figure
from claims_page import counts

from lth_utils.cli import print_anywhere
from lth_utils.errors import LotteryError, choose
from lth_utils.figures.glue import joined
from lth_utils.files.atomic import atomic_file
from lth_utils.files.places import check_writable

LECTURE = "book/slides/lecture.md"
NOTE = re.compile(r"^Note \((\d+) min\):", re.MULTILINE)
FIGURE = re.compile(r"^!\[\]\(([^/)]+)/([^/)]+)\)$", re.MULTILINE)
VALUE = re.compile(
    r"\{glue:text\}`(?:\.\./)*notebooks/([^`:]+)\.ipynb::([^`:]+)(?::([^`]*))?`"
)
CLAIMS = re.compile(r"\{claims\}`([^`]+)`")
ASKED = re.compile(r"\{[\w:]+\}`[^`]*`|!\[.*?\]\(.*?\)")
REVEAL = {  # in the folder of the package that carries it
    "reset.css": "dist/reset.css",
    "reveal.css": "dist/reveal.css",
    "reveal.js": "dist/reveal.js",
    "notes.js": "plugin/notes/notes.js",
}


class Slide(NamedTuple):
    """A slide as it is written: its text, the speaker's notes, and minutes."""

    number: int
    text: str
    notes: str
    minutes: int

    def wrong(self, sentence: str) -> LotteryError:
        """Return an error that says where it is."""
        first = self.text.strip().partition("\n")[0].lstrip("# ")
        return LotteryError(f"{LECTURE}, slide {self.number} ({first}): {sentence}")


class Book:
    """What the executed chapters have for slides."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.figures: Callable[[str], list[Figure]] = cache(
            lambda name: chapter_figures.figures(root, f"notebooks/{name}")
        )
        self.values: Callable[[str], dict[str, float | int | str]] = cache(
            lambda name: chapter_figures.values(root, f"notebooks/{name}")
        )

    def figure(self, slide: Slide, chapter: str, name: str) -> Figure:
        """Return a chapter's figure; raises if it has none of that name."""
        found = {figure.name: figure for figure in self.figures(chapter)}
        try:
            return found[choose(f"figure of {chapter}", name, found)]
        except LotteryError as error:
            raise slide.wrong(str(error)) from error

    def value(self, slide: Slide, chapter: str, name: str, form: str) -> str:
        """Return what a chapter handed on, in a format such as "+.2f"."""
        found = self.values(chapter)
        try:
            value = found[choose(f"value of {chapter}", name, found)]
            return format(value, form)
        except LotteryError as error:
            raise slide.wrong(str(error)) from error
        except ValueError as error:
            raise slide.wrong(
                f"{name} of {chapter} is {value!r}, which {form!r} does not format:"
                " expected a format such as d for a count and +.2f for points."
            ) from error


def make(root: Path = ROOT) -> Path:
    """Write the deck.

    Raises:
        LotteryError: If the lecture asks for what no chapter has, a chapter that it
            uses was not run, or reveal.js is not there.
    """
    target = root / "_build" / "slides" / "lottery-tickets.html"
    check_writable(target.parent)
    slides = read(root)
    used = {
        found[1]
        for slide in slides
        for text in (slide.text, slide.notes)
        for pattern in (FIGURE, VALUE)
        for found in pattern.finditer(text)
    }
    _check_chapters(root, used)
    book = Book(root)
    page = (root / "book" / "slides" / "deck.html").read_text("utf8")
    parts = _parts(root) | {
        "title": escape(slides[0].text.strip().partition("\n")[0].lstrip("# ")),
        "slides": "\n".join(section(book, slide) for slide in slides),
    }
    with atomic_file(target) as temporary:
        temporary.write_text(
            re.sub(r"\{\{([\w.]+)\}\}", lambda part: parts[part[1]], page), "utf8"
        )
    return target


def read(root: Path = ROOT) -> list[Slide]:
    """Return the lecture's slides as they are written.

    Raises:
        LotteryError: If one has no note that says its minutes.
    """
    slides = []
    text = (root / LECTURE).read_text("utf8")
    for number, part in enumerate(re.split(r"^---$", text, flags=re.M), start=1):
        shown, *noted = NOTE.split(part)
        slide = Slide(number, shown, "", 0)
        if len(noted) != 2:
            raise slide.wrong(
                "it needs one note at its end, with its minutes: Note (2 min): ..."
            )
        slides.append(slide._replace(minutes=int(noted[0]), notes=noted[1]))
    return slides


def _check_chapters(root: Path, used: set[str]) -> None:
    names = {Path(name).name: name for name in executed.chapters(root)}
    for chapter in sorted(used):
        choose(f"chapter, for {LECTURE},", chapter, names)
    executed.check(root, [names[chapter] for chapter in sorted(used)])


def section(book: Book, slide: Slide) -> str:
    """Return a slide's HTML."""
    drawn = "".join(
        _figure(book.figure(slide, *found.groups()))
        for found in FIGURE.finditer(slide.text)
    )
    text = _html(book, slide, FIGURE.sub("", slide.text))
    kind = "with-figure" if drawn else "words"
    return (
        f'<section data-timing="{60 * slide.minutes}"><div class="{kind}">'
        f"<div>{text}</div>{drawn}</div>"
        f'<aside class="notes">{_html(book, slide, slide.notes)}</aside></section>'
    )


def _figure(figure: Figure) -> str:
    number = figure.chapter.partition("-")[0].lstrip("0")
    told = f"{escape(figure.caption)} Chapter&nbsp;{number}."
    # A finger on a slider moves the slider, not the slides.
    return (
        f"<figure data-prevent-swipe>{figure.page}<figcaption>{told}</figcaption>"
        "</figure>"
    )


def _html(book: Book, slide: Slide, text: str) -> str:
    """Return Markdown as HTML, with its numbers put in."""
    text = VALUE.sub(
        lambda found: book.value(slide, found[1], found[2], found[3] or ""), text
    )
    text = CLAIMS.sub(lambda found: _count(slide, found[1]), text)
    if left := ASKED.search(text):
        raise slide.wrong(
            f"{left[0]} is neither a figure, ![](chapter/name) on a line of its own,"
            " nor a value, {glue:text}`../../notebooks/chapter.ipynb::name:.2f`."
        )
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    return markdown.render(joined(text))


def _count(slide: Slide, word: str) -> str:
    found = counts()
    try:
        return str(found[choose("verdict", word, found)])
    except LotteryError as error:
        raise slide.wrong(str(error)) from error


def _parts(root: Path) -> dict[str, str]:
    """Return what the page is made of besides slides: scripts and styles."""
    package = find_spec("sphinx_revealjs")
    if package is None or package.origin is None:
        raise LotteryError("reveal.js is missing: pip install sphinx-revealjs.")
    folder = Path(package.origin).parent / "_static" / "revealjs"
    parts = {name: (folder / path).read_text("utf8") for name, path in REVEAL.items()}
    parts["deck.css"] = (root / "book" / "slides" / "deck.css").read_text("utf8")
    # None of them may end the element that holds it, or ask for a file beside the page.
    return {name: _inline(text) for name, text in parts.items()}


def _inline(text: str) -> str:
    text = re.sub(r"//# sourceMappingURL=.*", "", text)
    return re.sub(r"</(script|style)", r"<\\/\1", text, flags=re.IGNORECASE)


def main(root: Path = ROOT) -> int:
    print_anywhere()
    try:
        slides = read(root)
        with step("Writing the slides into _build/slides: a minute"):
            page = make(root)
    except LotteryError as error:
        print(error, file=sys.stderr)
        return 1
    minutes = sum(slide.minutes for slide in slides)
    print(f"{len(slides)} slides, {minutes} minutes with their notes")
    print(f"Open {page.as_uri()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
