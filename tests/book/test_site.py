"""The built book in a real Chromium, opened from its files, without a network."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import figures_page
import nbformat
import pytest
import yaml
from book_fixtures import ROOT, chapters
from browser_fixtures import NARROW, WIDE, Reader

import lth_utils as lth

CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))
HEAVIEST = 7_000_000  # bytes of a page, with style, scripts and fonts


# Every page is opened once and looked at; the tests below judge what was seen.

LOOK = """() => {
  const style = (element) => getComputedStyle(element);
  const paper = (element) => {
    while (element && style(element).backgroundColor === 'rgba(0, 0, 0, 0)')
      element = element.parentElement;
    return element ? style(element).backgroundColor : 'rgb(255, 255, 255)';
  };
  const texts = 'main p, main li, main td, main h1, main h2, main figcaption,'
    + '.lth-explore label, .lth-explore output';
  const pairs = [...document.querySelectorAll(texts)].map(
    (element) => style(element).color + ' on ' + paper(element));
  const top = document.documentElement;
  return {
    sideways: top.scrollWidth > top.clientWidth,
    paper: style(document.body).backgroundColor,
    pairs: [...new Set(pairs)],
  };
}"""
MATHS = r"""() => {
  const main = document.querySelector('main');
  const prose = main.cloneNode(true);
  prose.querySelectorAll('pre, code, script, mjx-container')
    .forEach((e) => e.remove());
  const fonts = [...document.fonts].filter((f) => f.family.startsWith('MJX'));
  return {
    formulas: main.querySelectorAll('.math').length,
    set: main.querySelectorAll('.math mjx-container').length,
    broken: main.querySelectorAll('mjx-merror').length,
    raw: prose.textContent.match(/\\[a-z([]+|\$\S*/g),
    fonts: fonts.filter((f) => f.status === 'loaded').length,
  };
}"""

# Milliseconds until something of the page was seen; nothing before that.
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


@pytest.fixture(scope="module")
def survey(browser, site) -> dict[str, dict[str, Any]]:
    """Return what there was to see on every page, by the page's name."""
    reader = Reader(browser, site)
    seen = {}
    for name in pages(site):
        reader.loaded.clear()
        page = reader.open(name)
        page.evaluate("document.fonts.ready")
        seen[name] = {"paint": first_paint(page), "bytes": weight(reader.loaded)}
        seen[name] |= {"maths": page.evaluate(MATHS), "looks": looks(page)}
        seen[name]["axe"] = said_by_axe(page)
        seen[name]["wrong"], reader.wrong = reader.wrong, []
    reader.context.close()
    return seen


def pages(site: Path) -> list[str]:
    """Return every page of the site by name; index.html only points to one."""
    found = (path.relative_to(site).with_suffix("") for path in site.rglob("*.html"))
    names = {path.as_posix() for path in found if path.parts[0] != "_static"}
    assert names >= {*chapters(), "book/intro", "book/api", "search", "genindex"}
    return sorted(names - {"index"})


def looks(page) -> dict[tuple[str, int], dict[str, Any]]:
    """Return how the page looks in each theme and width."""
    seen = {}
    for theme in ("light", "dark"):
        in_theme(page, theme)
        for size in (NARROW, WIDE):
            page.set_viewport_size(size)
            seen[theme, size["width"]] = page.evaluate(LOOK)
    return seen


def in_theme(page, theme: str) -> None:
    page.emulate_media(color_scheme=theme)
    page.wait_for_function(f"document.documentElement.dataset.theme === '{theme}'")


def first_paint(page) -> float:
    return page.wait_for_function(PAINT).json_value()


def weight(addresses: set[str]) -> int:
    """Return the bytes of the files that a page loaded."""
    files = {url2pathname(urlsplit(each).path) for each in addresses}
    return sum(Path(file).stat().st_size for file in files if Path(file).is_file())


def said_by_axe(page) -> list[str]:
    """Return each serious or critical violation, in both themes.

    It changes the page: look at everything else before.
    """
    from axe_playwright_python.base import AXE_SCRIPT

    page.evaluate(f"{AXE_SCRIPT}; 0")
    ask = (Path(__file__).parent / "with_axe.js").read_text("utf8").strip()
    page.evaluate(f"{ask}.prepare()")
    found = page.evaluate(f"{ask}.structure()")["violations"]
    for theme in ("light", "dark"):
        in_theme(page, theme)
        found += page.evaluate(f"{ask}.contrast()")["violations"]
    return [
        f"{each['id']}: {node['html'][:200]} {node['failureSummary']}"
        for each in found
        for node in each["nodes"]
        if each["impact"] in ("serious", "critical")
    ]


def test_no_page_asks_the_network_or_complains(survey):
    assert not {name: seen["wrong"] for name, seen in survey.items() if seen["wrong"]}


def test_no_page_scrolls_sideways(survey):
    looks = [
        (n, how, look) for n, s in survey.items() for how, look in s["looks"].items()
    ]
    assert not [(name, how) for name, how, look in looks if look["sideways"]]


def test_every_page_reads_in_both_themes(survey):
    for name, seen in survey.items():
        for (theme, width), look in seen["looks"].items():
            where = f"{name}, {theme}, {width} px"
            faint = [pair for pair in look["pairs"] if contrast(pair) < 4.5]
            assert not faint, where
            assert (luminance(look["paper"]) > 0.5) == (theme == "light"), where


def test_axe_finds_no_serious_fault_in_either_theme(survey):
    assert not {name: seen["axe"] for name, seen in survey.items() if seen["axe"]}


def test_pages_are_light_and_say_so(survey, capsys):
    """The times are this machine's, and no fault of a page: they are only told."""
    with capsys.disabled():
        print(f"\n{'page':36} {'MB':>6} {'first paint, s':>15}")
        for name, seen in survey.items():
            if not name.startswith("_modules/"):
                paint, size = seen["paint"] / 1000, seen["bytes"] / 1e6
                print(f"{name:36} {size:6.2f} {paint:15.2f}")
    assert all(0 < seen["bytes"] < HEAVIEST for seen in survey.values())
    assert all(seen["paint"] > 0 for seen in survey.values())


def contrast(pair: str) -> float:
    """Return the contrast of "ink on paper", from 1 to 21; WCAG asks for 4.5."""
    low, high = sorted(luminance(colour) for colour in pair.split(" on "))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """Return the relative luminance of "rgb(r, g, b)", as WCAG defines it."""
    numbers = [int(number) / 255 for number in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (
        n / 12.92 if n <= 0.04045 else ((n + 0.055) / 1.055) ** 2.4 for n in numbers
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_mathematics_is_set_in_its_own_fonts(survey):
    maths = {name: seen["maths"] for name, seen in survey.items()}
    for name, seen in maths.items():
        where = f"{name}: {seen}"
        assert seen["set"] >= seen["formulas"], where
        assert not seen["broken"], where
        assert not seen["raw"], where
        assert bool(seen["fonts"]) == bool(seen["formulas"]), where
    # Not every chapter needs a formula; the algorithm's does.
    assert maths["notebooks/03-the-algorithm"]["formulas"]


def test_the_front_door_leads_to_the_start_page(reader, site):
    reader.page.goto((site / "index.html").as_uri())
    reader.page.wait_for_url("**/book/intro.html")


# What is wide


def test_on_a_phone_no_picture_is_cut(reader):
    reader.page.set_viewport_size(NARROW)
    for name in (*chapters(), "book/intro", "book/replicated"):
        page = reader.open(name)
        pictures = page.locator(
            "main figure img:visible, .lth-explore img:visible"
        ).all()
        assert pictures, name
        for picture in pictures:
            place = picture.bounding_box()
            assert place["x"] >= 0, (name, picture.get_attribute("alt"))
            assert place["x"] + place["width"] <= NARROW["width"], name
            assert place["width"] > 200, name


def test_on_a_phone_no_table_of_a_page_is_cut(reader):
    """Of pages that do not run: what a cell shows may be scrolled in its box."""
    reader.page.set_viewport_size(NARROW)
    seen = 0
    for path in sorted((ROOT / "book").glob("*.md")):
        page = reader.open(f"book/{path.stem}")
        page.evaluate(
            "document.querySelectorAll('details').forEach(e => e.open = true)"
        )
        for table in page.locator("main table:visible").all():
            place = table.bounding_box()
            assert place["x"] + place["width"] <= NARROW["width"], path.stem
            seen += 1
    assert seen > 10


def test_on_a_desk_no_table_is_cut(reader):
    for name in (*chapters(), "book/replicated", "book/speed", "book/execution-time"):
        page = reader.open(name)
        for table in page.locator("main table:visible").all():
            cut = table.evaluate("t => t.scrollWidth - t.closest('div').clientWidth")
            assert cut <= 1, (name, table.inner_text()[:80])


def test_words_in_a_table_stand_left_and_numbers_right(reader):
    page = reader.open("notebooks/04-fully-connected")
    style = (
        "cells => cells.map(cell => [cell.innerText, getComputedStyle(cell).textAlign])"
    )
    cells = page.locator("table.dataframe:visible td").evaluate_all(style)
    sides = {"left": 0, "right": 0}
    for text, side in cells:
        sides[side] += 1
        if side == "right":
            assert re.fullmatch(r"[-+\N{MINUS SIGN}]?[\d.,]*(\s?%)?|NaN", text), text
    assert min(sides.values()) > 10
    dear = [side for text, side in cells if text in ("here, now", "recorded, long")]
    assert set(dear) == {"left"}


def test_the_front_page_shows_the_recorded_tickets(reader):
    page = reader.open("book/intro")
    slider = page.get_by_role("slider")
    for stop, number in enumerate((0, 3, 7, 11, 15, 19)):
        slider.fill(str(stop))
        masks = lth.recorded_tickets("lenet-mnist", "paper", number)[0].masks
        told = page.locator(".lth-captions p:visible").inner_text()
        assert told == f"{masks.remaining:,} of all {masks.total:,} weights are left."
    assert masks.density < 0.02
    # Predictions are made first: the numbers are there, and folded.
    folded = page.locator("main details", has_text="How far tickets are ahead")
    assert folded.get_attribute("open") is None
    assert "points on average" in folded.text_content()


# Buttons and search


def test_no_source_of_an_assignment_is_in_the_site(site):
    files = [path for path in site.rglob("*") if path.is_file()]
    names = {path.stem for path in (ROOT / "notebooks" / "assignments").glob("*.ipynb")}
    assert not names & {path.name.split(".")[0] for path in files}
    texts = [p for p in files if p.suffix in (".html", ".ipynb", ".txt", ".js", ".md")]
    private = rb"BEGIN (HIDDEN TESTS|SOLUTION)|href=[^>]*notebooks/assignments"
    assert not [path for path in texts if re.search(private, path.read_bytes())]


@pytest.mark.parametrize("name", chapters())
def test_the_colab_button_opens_the_clean_notebook(reader, name):
    page = reader.open(name)
    links = page.locator(".bd-header-article a[href*='colab.research']").all()
    repository = CONFIG["repository"]
    project = repository["url"].removeprefix("https://github.com/")
    path = f"{project}/blob/{repository['branch']}/{name}.ipynb"
    wanted = f"https://colab.research.google.com/github/{path}"
    assert {link.get_attribute("href") for link in links} == {wanted}
    source = nbformat.read(ROOT / f"{name}.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in source.cells)


def test_search_finds_the_ticket(reader):
    page = reader.open("book/intro")
    fields = page.locator("input[type=search]:visible")
    assert fields.count() == 0, "the theme's second search bar is back"
    page.keyboard.press("Control+k")
    assert fields.count() == 1
    fields.fill("ticket")
    fields.press("Enter")
    page.wait_for_url("**/search.html?q=ticket*")
    # Results come one by one; the summary says when all of them are there.
    page.locator("#search-results", has_text="Search finished").wait_for()
    found = page.locator("#search-results li a").evaluate_all(
        "links => links.map(link => link.href)"
    )
    for name in (*chapters(), "book/glossary"):
        assert any(f"{name}.html" in address for address in found), name


def test_the_page_of_verdicts_has_them_all(reader):
    """All verdicts, first in their rows, and their counts, here and up front."""
    page = reader.open("book/replicated")
    table = lth.claims()
    counts = table["verdict"].value_counts()
    texts = page.locator("main tbody tr").all_inner_texts()
    rows = [[cell.strip() for cell in text.split("\t")] for text in texts]
    told = {cells[0]: int(cells[1]) for cells in rows if len(cells) == 2}
    assert {word: n for word, n in told.items() if n} == counts.to_dict()
    found, claim = [], ""
    for cells in rows:
        if len(cells) == 1:  # a claim, above its verdicts
            claim = cells[0].partition(". ")[0]
        elif len(cells) == 4:
            record = cells[-1].replace("\N{ZERO WIDTH SPACE}", "")
            found.append((cells[0], claim, record))
    expected = table[["verdict", "claim", "record"]].itertuples(index=False, name=None)
    assert sorted(found) == sorted(expected)
    page.set_viewport_size(NARROW)
    for cell in page.locator("main tbody td:first-child").all():
        assert cell.bounding_box()["x"] + 40 < NARROW["width"]
    front = " ".join(reader.open("book/intro").locator("main").inner_text().split())
    assert f"Of {len(table)} verdicts on {table['claim'].nunique()} claims, " in front
    assert f"{counts['not replicated']} not replicated, " in front


def test_the_page_of_figures_has_them_all(reader):
    """Each with its state, and a way to its chapter."""
    page = reader.open("book/figures")
    listed = figures_page.figures(ROOT / "book")
    rows = page.locator("main tbody tr").all()
    for row, each in zip(rows, listed, strict=True):
        number, state, shows = row.locator("td").all_inner_texts()
        assert (number, state) == (each["number"], each["state"])
        assert shows.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").startswith(
            each["shows"]
        )
        links = [link.get_attribute("href") for link in row.locator("a").all()]
        there = [f"../notebooks/{name}.html" for name in [each.get("chapter")] if name]
        assert links == there
