"""The slider: in a page without a kernel, and in a live notebook."""

import base64
import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure
from nbclient import NotebookClient
from PIL import Image

from lth_utils.errors import LotteryError
from lth_utils.figures import frames
from lth_utils.figures.explore import explore

DENSITIES = [1.0, 0.512, 0.211]


@pytest.fixture(autouse=True)
def _building_the_book(monkeypatch):
    monkeypatch.setenv("LTH_BOOK", "1")


def line(value: float) -> Figure:
    figure, axis = plt.subplots(figsize=(3, 2))
    axis.plot([0, value], [0, 1])
    return figure


def told(value: float) -> tuple[Figure, str]:
    return line(value), f'At "{value}" <b> & more.'


def noise(value: int) -> Figure:
    figure, axis = plt.subplots(figsize=(5, 4))
    axis.pcolormesh(np.random.default_rng(value).random((20, 20)))
    return figure


class Page(HTMLParser):
    """What a fragment of HTML holds: tags' attributes and texts, by tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.attributes: dict[str, list[dict[str, str | None]]] = {}
        self.texts: dict[str, list[str]] = {}
        self.tag = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tag = tag
        self.attributes.setdefault(tag, []).append(dict(attrs))

    def handle_data(self, data):
        self.texts.setdefault(self.tag, []).append(data)


def page(slider) -> Page:
    return Page(slider._repr_html_())


def positions(slider) -> list[dict[str, str]]:
    return json.loads(page(slider).texts["script"][0])


def test_the_page_holds_a_labelled_slider_and_a_picture():
    shown = page(explore(line, density=DENSITIES))
    assert shown.attributes["div"][0] == {"class": "lth-explore"}
    (input,) = shown.attributes["input"]
    assert (input["type"], input["min"], input["max"]) == ("range", "0", "2")
    assert shown.attributes["label"] == [{"for": input["id"]}]
    assert shown.texts["label"] == ["Weights remaining"]
    assert shown.attributes["output"][0]["aria-live"] == "polite"
    assert shown.texts["output"] == ["100 %"]
    (img,) = shown.attributes["img"]
    assert img["alt"] == "Weights remaining: 100 %"
    assert img["src"].startswith("data:image/svg+xml,")


def test_each_position_has_its_label_and_picture():
    stops = positions(explore(line, density=DENSITIES))
    assert [stop["label"] for stop in stops] == ["100 %", "51.2 %", "21.1 %"]
    assert len({stop["src"] for stop in stops}) == 3
    assert stops[2]["alt"] == "Weights remaining: 21.1 %"
    assert not page(explore(line, density=DENSITIES)).texts.get("p")


def test_what_is_drawn_is_said_apart_from_what_it_shows():
    slider = explore(told, alt="A line rises.", density=DENSITIES)
    alts = [stop["alt"] for stop in positions(slider)]
    assert alts[0] == page(slider).attributes["img"][0]["alt"]
    assert alts[2] == "A line rises. Weights remaining: 21.1 %"


def test_all_captions_keep_their_place_and_one_is_seen():
    shown = page(explore(told, density=DENSITIES))
    assert shown.attributes["p"] == [{}, {"hidden": None}, {"hidden": None}]
    assert "".join(shown.texts["p"]) == "".join(told(d)[1] for d in DENSITIES)


def test_a_sentence_is_caption_and_alt_text_and_cannot_break_the_page():
    slider = explore(told, density=DENSITIES)
    shown = page(slider)
    assert shown.attributes["img"][0]["alt"] == 'At "1.0" <b> & more.'
    assert positions(slider)[1]["alt"] == 'At "0.512" <b> & more.'
    assert "b" not in shown.attributes


def test_an_end_of_script_in_a_sentence_stays_text():
    slider = explore(lambda v: (line(v), "</script><b>"), value=[1, 2])
    assert len(page(slider).attributes["script"]) == 1
    assert positions(slider)[1]["alt"] == "</script><b>"
    assert "b" not in page(slider).attributes


@pytest.mark.parametrize(
    ("values", "title", "labels"),
    [
        ({"round": range(2)}, "Round", ["0", "1"]),
        ({"round": np.arange(2)}, "Round", ["0", "1"]),
        ({"sparsity": np.array([0.5])}, "Weights pruned", ["50 %"]),
        ({"learning_rate": (1.2e-3,)}, "Learning rate", ["0.0012"]),
        ({"arm": ["ticket"]}, "Arm", ["ticket"]),
    ],
)
def test_labels_are_written_for_readers(values, title, labels):
    slider = explore(lambda value: line(1), **values)
    assert page(slider).texts["label"] == [title]
    assert [stop["label"] for stop in positions(slider)] == labels
    assert repr(slider) == f"A slider of pictures. {title}: {', '.join(labels)}"


def test_another_process_makes_the_same_bytes():
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import test_explore\n"
        "print(test_explore.explore(test_explore.told, value=[1, 2])._repr_html_())"
    )
    folder = str(Path(__file__).parent)
    other = subprocess.check_output([sys.executable, "-c", program, folder], text=True)
    assert other.strip() == explore(told, value=[1, 2])._repr_html_()


def test_other_figures_give_another_id():
    first, second = (
        page(explore(line, density=[1.0, d])).attributes["input"][0]["id"]
        for d in (0.5, 0.4)
    )
    assert first != second


def test_nothing_is_fetched_and_no_name_enters_the_page():
    text = explore(line, density=DENSITIES)._repr_html_()
    text = re.sub(r"data:image[^\"]*", "", text)
    assert "//" not in text
    assert "fetch" not in text
    shown = page(explore(line, density=DENSITIES))
    assert [script["type"] for script in shown.attributes["script"]] == [
        "application/json"
    ]


def test_small_figures_stay_sharp_and_large_ones_fit_the_budget():
    figures = [noise(value) for value in range(3)]
    sharp = frames.pictures(figures, budget=10_000_000)
    assert all(picture.src.startswith("data:image/svg+xml") for picture in sharp)
    for budget in (250_000, 60_000):
        coarse = frames.pictures(figures, budget=budget)
        assert all(picture.src.startswith("data:image/webp") for picture in coarse)
        assert sum(len(p.src) for p in [coarse[0], *coarse]) <= budget
        assert {p[1:] for p in coarse} == {p[1:] for p in sharp}


def test_pictures_have_one_size_and_nothing_is_cut_off():
    def long(value: int) -> Figure:
        figure, axis = plt.subplots(figsize=(3, 2))
        axis.set_ylabel("a label far too long for so small a figure" * (value > 1))
        return figure

    found = frames.pictures([long(1), long(2)], budget=0)
    content = [base64.b64decode(p.src.partition(",")[2]) for p in found]
    images = [Image.open(io.BytesIO(each)).convert("L") for each in content]
    assert images[0].size == images[1].size
    borders = [np.asarray(image)[[0, -1]] for image in images]
    assert min(border.min() for border in borders) > 250


def test_figures_are_closed():
    before = plt.get_fignums()
    explore(line, density=DENSITIES)
    assert plt.get_fignums() == before


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: explore(line), "exactly one named list of values, and got none"),
        (lambda: explore(line, density=[1], round=[1]), "and got density, round"),
        (lambda: explore(line, density=[]), "density is an empty list"),
        (lambda: explore(line, density=[1, 0.5, 1]), "holds 100 % more than once"),
        (lambda: explore(line, part=["2", "2"]), r"=sorted\(set\(values\)\)"),
        (
            lambda: explore(line, density=0.5),
            "density is of type float: expected a list",
        ),
        (lambda: explore(line, arm="ticket"), "arm is of type str: expected a list"),
        (lambda: explore(7, density=[1.0]), "a function of one value"),
        (
            lambda: explore(lambda d: None, density=[0.2]),
            r"returned nothing for density = 20 %: expected a matplotlib Figure",
        ),
        (
            lambda: explore(lambda d: line(d).axes[0], density=[1.0]),
            "returned a value of type Axes .*return fig",
        ),
        (
            lambda: explore(lambda d: (line(d), 3), density=[1.0]),
            "returned a value of type tuple",
        ),
    ],
)
def test_a_wrong_call_is_one_sentence(call, sentence):
    with pytest.raises(LotteryError, match=sentence):
        call()


def test_one_figure_for_all_values_is_refused():
    figure = line(1)
    with pytest.raises(LotteryError, match="same Figure twice"):
        explore(lambda density: figure, density=[1.0, 0.5])


LIVE = """\
import matplotlib.pyplot as plt
from lth_utils.figures.explore import explore
from lth_utils.figures.glue import glue

def show(density):
    fig, ax = plt.subplots(figsize=(3, 2))
    ax.plot([0, density])
    return fig, f"This is {density}."

box = explore(show, density=[1.0, 0.5])
box"""
MOVE = "box.children[0].value = 1"
SEEN = "print([o['data']['text/html'] for o in box.children[1].outputs])"
WITHOUT = "import sys; sys.modules['ipywidgets'] = None"


def live(*cells: str) -> list[list]:
    """Run cells in a kernel of their own; return each one's outputs."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(text) for text in cells]
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return [cell.outputs for cell in notebook.cells]


def test_a_live_notebook_gets_a_widget_that_draws_when_moved(monkeypatch):
    monkeypatch.delenv("LTH_BOOK")
    shown, moved, seen = live(LIVE, MOVE, SEEN)
    assert "application/vnd.jupyter.widget-view+json" in shown[0]["data"]
    assert not moved
    assert "This is 0.5." in seen[0]["text"]
    assert "This is 1.0." not in seen[0]["text"]


def test_without_ipywidgets_a_live_notebook_gets_the_pages_slider(monkeypatch):
    monkeypatch.delenv("LTH_BOOK")
    _, shown = live(WITHOUT, LIVE)
    assert '<div class="lth-explore">' in shown[0]["data"]["text/html"]
    assert shown[0]["data"]["text/plain"].endswith("100 %, 50 %")
