"""The slider in a page without a kernel."""

import base64
import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
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


def data(slider) -> dict[str, list]:
    return json.loads(page(slider).texts["script"][0])


def labels(slider) -> list[list[str]]:
    return [[stop["label"] for stop in axis] for axis in data(slider)["axes"]]


def alts(slider) -> list[str]:
    return [frame["alt"] for frame in data(slider)["frames"]]


def pictures(slider) -> list[str]:
    """Return each frame's address; those that the page shows are not listed again."""
    found = [frame["src"] for frame in data(slider)["frames"]]
    for image in page(slider).attributes["img"]:
        assert not found[int(image["data-frame"])]
        found[int(image["data-frame"])] = image["src"]
    return found


def test_the_page_holds_a_labelled_slider_and_a_picture():
    shown = page(explore(line, density=DENSITIES))
    assert shown.attributes["div"][0]["class"] == "lth-explore"
    (input,) = shown.attributes["input"]
    assert (input["type"], input["min"], input["max"]) == ("range", "0", "2")
    assert shown.attributes["label"] == [{"for": input["id"]}]
    assert shown.texts["label"] == ["Weights remaining"]
    assert shown.attributes["output"][0]["aria-live"] == "polite"
    assert shown.texts["output"] == ["100 %"]
    assert shown.texts["button"] == ["Play"]
    img = shown.attributes["img"][0]
    assert img["alt"] == "Weights remaining: 100 %"
    assert img["src"].startswith("data:image/svg+xml,")


def test_each_position_has_its_label_and_picture():
    slider = explore(line, density=DENSITIES)
    assert labels(slider) == [["100 %", "51.2 %", "21.1 %"]]
    assert len(set(pictures(slider))) == 3
    assert alts(slider)[2] == "Weights remaining: 21.1 %"
    assert not page(slider).texts.get("p")


def test_two_lists_make_a_grid_of_frames():
    asked = []

    def show(density, arm):
        asked.append((density, arm))
        return line(density if arm == "ticket" else -density)

    slider = explore(show, density=DENSITIES, arm=["ticket", "reinit"])
    assert asked == [(d, arm) for d in DENSITIES for arm in ("ticket", "reinit")]
    assert labels(slider)[1] == ["ticket", "reinit"]
    assert len(set(pictures(slider))) == 6
    assert alts(slider)[3] == "Weights remaining: 51.2 %, Arm: reinit"
    shown = page(slider)
    assert [each["max"] for each in shown.attributes["input"]] == ["2", "1"]
    assert shown.texts["label"] == ["Weights remaining", "Arm"]
    names = [each["id"] for each in shown.attributes["input"]]
    assert [each["for"] for each in shown.attributes["label"]] == names
    assert len(set(names)) == 2
    assert len(shown.attributes["button"]) == 1


@pytest.mark.parametrize(
    ("lists", "middle", "told"),
    [
        ({"density": DENSITIES}, 1, ["51.2 %"]),
        ({"density": DENSITIES, "arm": ["ticket", "reinit"]}, 3, ["51.2 %", "reinit"]),
        ({"density": [0.5]}, 0, ["50 %"]),
    ],
)
def test_paper_shows_the_middle_frame(lists, middle, told):
    slider = explore(lambda density, arm="": (line(density), f"{density}"), **lists)
    shown = page(slider)
    printed = [
        [place for place, each in enumerate(shown.attributes[tag]) if "class" in each]
        for tag in ("img", "p")
    ]
    image = shown.attributes["img"][printed[0][0]]
    assert (image["class"], image["data-frame"]) == ("lth-print", str(middle))
    assert printed[1] == [middle]
    assert shown.texts["span"] == told
    assert ("hidden" in image) == (middle > 0)


def test_one_position_has_nothing_to_play():
    assert "button" not in page(explore(line, density=[0.5])).attributes


def test_what_is_drawn_is_said_apart_from_what_it_shows():
    slider = explore(told, alt="A line rises.", density=DENSITIES)
    assert alts(slider)[0] == page(slider).attributes["img"][0]["alt"]
    assert alts(slider)[2] == "A line rises. Weights remaining: 21.1 %"


def test_all_captions_keep_their_place_and_one_is_seen():
    shown = page(explore(told, density=DENSITIES))
    assert ["hidden" in each for each in shown.attributes["p"]] == [False, True, True]
    assert "".join(shown.texts["p"]) == "".join(told(d)[1] for d in DENSITIES)


def test_a_sentence_is_caption_and_alt_text_and_cannot_break_the_page():
    slider = explore(told, density=DENSITIES)
    shown = page(slider)
    assert shown.attributes["img"][0]["alt"] == 'At "1.0" <b> & more.'
    assert alts(slider)[1] == 'At "0.512" <b> & more.'
    assert "b" not in shown.attributes


def test_an_end_of_script_in_a_sentence_stays_text():
    slider = explore(lambda v: (line(v), "</script><b>"), value=[1, 2])
    assert len(page(slider).attributes["script"]) == 1
    assert alts(slider)[1] == "</script><b>"
    assert "b" not in page(slider).attributes


@pytest.mark.parametrize(
    ("values", "title", "written"),
    [
        ({"round": range(2)}, "Round", ["0", "1"]),
        ({"round": np.arange(2)}, "Round", ["0", "1"]),
        ({"sparsity": np.array([0.5])}, "Weights pruned", ["50 %"]),
        ({"learning_rate": (1.2e-3,)}, "Learning rate", ["0.0012"]),
        ({"arm": ["ticket"]}, "Arm", ["ticket"]),
    ],
)
def test_labels_are_written_for_readers(values, title, written):
    slider = explore(lambda value: line(1), **values)
    assert page(slider).texts["label"] == [title]
    assert labels(slider) == [written]
    assert repr(slider) == f"A slider of pictures. {title}: {', '.join(written)}"


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
    for budget in (150_000, 60_000):
        coarse = frames.pictures(figures, budget=budget)
        assert all(picture.src.startswith("data:image/webp") for picture in coarse)
        assert sum(len(p.src) for p in coarse) <= budget
        assert {p[1:] for p in coarse} == {p[1:] for p in sharp}


def test_a_slider_holds_a_megabyte_at_most():
    heavy = [noise(value) for value in range(3)]
    with pytest.raises(LotteryError, match=r"These 3 pictures take 0\.\d+ MB, even"):
        frames.pictures(heavy, budget=0, limit=10_000)


def test_too_many_positions_are_refused_before_any_is_drawn():
    with pytest.raises(LotteryError, match="round and seed make 121 pictures: a slid"):
        explore(pytest.fail, round=range(11), seed=range(11))


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
        (lambda: explore(line), "needs one named list of values, or two, and got none"),
        (lambda: explore(line, a=[1], b=[1], c=[1]), "and got a, b, c"),
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
            lambda: explore(lambda d, a: d, density=[0.2], arm=["reinit"]),
            "a value of type float for density = 20 %, arm = reinit: expected",
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
