"""Figures as files: each one, as SVG and as PNG, and a list of them."""

import base64
import csv
import io
import re
import shutil
from pathlib import Path

import chapter_figures
import export_figures
import made_book
import pytest
from book_fixtures import ROOT, chapters
from PIL import Image

FOLDER = Path("_build", "figures", "one")


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Path:
    return made_book.make_book(tmp_path_factory.mktemp("book"))


@pytest.fixture
def figures(book) -> dict[str, chapter_figures.Figure]:
    return {each.name: each for each in chapter_figures.figures(book, made_book.NAME)}


@pytest.fixture
def no_chromium(monkeypatch) -> None:
    monkeypatch.setattr(export_figures.shutil, "which", lambda name: None)


def opened(path: Path) -> Image.Image:
    return Image.open(io.BytesIO(path.read_bytes()))


def test_a_figure_is_what_its_cell_says(figures):
    lines = figures["lines"]
    assert lines.address == "one/lines"
    assert (lines.caption, lines.alt) == ("Lines (live, n = 3).", "Two lines.")
    assert lines.picture.decode() == made_book.SVG
    assert [each.source for each in figures.values()] == [
        "live",
        "recorded",
        "live and recorded",
        "",
    ]
    assert list(figures) == ["lines", "pixels", "slider", "drawing"]


def test_a_page_holds_the_picture_and_its_alt_text(figures):
    page = figures["pixels"].page
    held = re.fullmatch(r'<img src="data:image/png;base64,(.*?)" alt="(.*?)">', page)
    assert base64.b64decode(held[1]) == made_book.PNG.getvalue()
    assert held[2] == "A &quot;red&quot; one."
    assert 'type="range"' in figures["slider"].page


def test_a_slider_is_drawn_at_its_middle_stop(figures):
    slider = figures["slider"]
    assert slider.kind == "image/svg+xml"
    assert slider.picture.decode().startswith("<?xml")
    assert slider.alt == "A bar. Weights remaining: 50 %"
    # Pixels too, as sliders with many pictures have.
    kind, _, alt = chapter_figures._middle(
        '<img src="data:image/webp;base64,QUI=" alt="&lt;" class="lth-print">'
    )
    assert (kind, alt) == ("image/webp", "<")


def test_values_are_what_was_handed_on(book):
    values = chapter_figures.values(book, made_book.NAME)
    assert values == {"lead": 0.4876, "seeds": 5, "word": "replicated"}
    assert isinstance(values["seeds"], int)


@pytest.mark.usefixtures("chromium_here")
def test_every_figure_is_written_twice_and_listed(book):
    old = book / FOLDER / "gone.svg"
    old.parent.mkdir(parents=True, exist_ok=True)
    old.write_text("of a chapter as it was")
    index = export_figures.export(book)
    with index.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["lines", "pixels", "slider", "drawing"]
    drawn = {row["name"]: row["drawn"] for row in rows}
    assert drawn.pop("pixels") == "pixels"
    assert set(drawn.values()) == {"lines"}
    for row in rows:
        assert row["chapter"] == "one"
        assert row["caption"]
        assert row["alt"]
        svg = (index.parent / row["svg"]).read_text("utf8")
        assert made_book.SPACE in svg
        assert opened(index.parent / row["png"]).format == "PNG"
    assert rows[0]["alt"] == "Two lines."
    assert not old.exists()
    assert len(list((book / FOLDER).iterdir())) == 2 * len(rows)
    # Two pixels for each of a page's.
    assert opened(book / FOLDER / "lines.png").size == (80, 60)
    pixels = (book / FOLDER / "pixels.png").read_bytes()
    assert pixels == made_book.PNG.getvalue()
    assert base64.b64encode(pixels).decode() in (
        (book / FOLDER / "pixels.svg").read_text()
    )


def test_a_drawing_alone_has_its_own_colours(book, no_chromium):
    with pytest.raises(export_figures.LotteryError):
        export_figures.export(book)
    svg = (book / FOLDER / "drawing.svg").read_text("utf8")
    assert "color:black;background:white" in svg
    assert "font-family:inherit" not in svg


def test_pixels_of_another_kind_become_png(tmp_path):
    target = io.BytesIO()
    Image.new("RGB", (5, 4), "blue").save(target, "webp", lossless=True)
    webp = target.getvalue()
    figure = chapter_figures.Figure("one", "x", "", "", "image/webp", webp)
    export_figures._write(figure, tmp_path)
    image = opened(tmp_path / "one" / "x.png")
    assert (image.format, image.size) == ("PNG", (5, 4))
    assert image.convert("RGB").getpixel((2, 2)) == (0, 0, 255)


def test_without_chromium_the_svg_files_are_there(book, no_chromium, capsys):
    shutil.rmtree(book / FOLDER, ignore_errors=True)
    assert export_figures.main(book) == 1
    said = capsys.readouterr().err
    assert "All SVG files are in _build/figures, but 3 of them" in said
    assert "install your system's `chromium` package" in said
    found = {path.name for path in (book / FOLDER).iterdir()}
    names = ("lines", "pixels", "slider", "drawing")
    assert found == {f"{name}.svg" for name in names} | {"pixels.png"}


def test_a_chapter_that_changed_is_refused_before_anything_is_written(tmp_path, capsys):
    root = made_book.make_book(tmp_path)
    made_book.stale(root)
    assert export_figures.main(root) == 1
    said = capsys.readouterr().err
    assert "notebooks/one.ipynb, or what it uses, changed since it was run." in said
    assert "Run `make notebooks`." in said
    assert not (root / "_build" / "figures").exists()


def test_a_cell_called_a_figure_that_shows_none_is_named(tmp_path):
    root = made_book.make_book(tmp_path)
    made_book.write_copy(root, [made_book.cell("bare", "x", {"text/plain": "7"})])
    with pytest.raises(chapter_figures.LotteryError, match=r"'bare-cell'.* 'bare'"):
        chapter_figures.figures(root, made_book.NAME)


@pytest.mark.parametrize("chapter", chapters())
def test_every_figure_of_the_book_has_an_alt_text(executed, chapter):
    executed(chapter)
    found = chapter_figures.figures(ROOT, chapter)
    assert found
    assert len({figure.name for figure in found}) == len(found)
    assert all(figure.alt and figure.caption and figure.picture for figure in found)
