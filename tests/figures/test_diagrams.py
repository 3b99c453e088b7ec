"""Diagrams: what they say and draw, and that they need nothing from elsewhere."""

import re
from xml.etree import ElementTree

import pytest

import lth_utils as lth
from lth_utils.figures.diagrams import _MATRIX, _SIDE
from lth_utils.figures.drawing import STYLE

NAMES = ("loop", "ticket", "arms")


def drawn(name: str) -> ElementTree.Element:
    return ElementTree.fromstring(lth.diagram(name)._repr_html_())


def squares(svg: ElementTree.Element) -> list[dict[str, str]]:
    """Return the weights: squares smaller than a matrix, and no legend's swatch."""
    boxes = [element.attrib for element in svg.iter("rect")]
    return [b for b in boxes if float(b["width"]) < _MATRIX and b["width"] != "12"]


@pytest.mark.parametrize("name", NAMES)
def test_it_describes_itself_and_has_no_colour_of_its_own_for_text(name):
    svg = drawn(name)
    assert svg.attrib["role"] == "img"
    assert svg.attrib["aria-label"] == repr(lth.diagram(name))
    assert svg.attrib["fill"] == "currentColor"
    assert not [text for text in svg.iter("text") if "fill" in text.attrib]
    assert not re.search("url|href|http", lth.diagram(name)._repr_html_())


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_drawn_outside(name):
    svg = drawn(name)
    _, _, width, height = map(int, svg.attrib["viewBox"].split())
    for box in svg.iter("rect"):
        x, y = float(box.attrib["x"]), float(box.attrib["y"])
        assert 0 <= x <= width - float(box.attrib["width"])
        assert 0 <= y <= height - float(box.attrib["height"])
    for text in svg.iter("text"):
        assert 0 < float(text.attrib["y"]) < height


def test_a_ticket_is_a_mask_times_first_values():
    """9 of 25 are left: their places in all three matrices, their sizes in two."""
    marks = squares(drawn("ticket"))
    mask, first, ticket = marks[:9], marks[9:34], marks[34:]
    assert len(ticket) == 9

    def place(box: dict[str, str], left: int) -> tuple[int, int]:
        half = float(box["width"]) / 2
        step = _MATRIX / _SIDE
        x, y = float(box["x"]) + half - left, float(box["y"]) + half - 30
        return int(x // step), int(y // step)

    where = [place(box, 330) for box in ticket]
    assert where == [place(box, 10) for box in mask]
    sizes = {place(box, 170): (box["width"], box["fill"]) for box in first}
    assert [sizes[at] for at in where] == [(b["width"], b["fill"]) for b in ticket]


def test_a_round_prunes_a_fifth_and_rewinds():
    marks = squares(drawn("loop"))
    assert len(marks) == 25 + 25 + 20 + 20
    first = {(b["width"], b["fill"]) for b in marks[:25]}
    assert {(b["width"], b["fill"]) for b in marks[70:]} <= first
    trained = sorted(float(b["width"]) for b in marks[25:50])
    assert sorted(float(b["width"]) for b in marks[50:70]) == trained[5:]


def test_every_arm_has_its_look_and_new_values_are_hollow():
    svg = drawn("arms")
    names = {text.text for text in svg.iter("text")}
    for arm in ("dense", "ticket", "reinit", "random", "oneshot", "oneshot-reinit"):
        assert STYLE[arm].label in names
    hollow = [box for box in squares(svg) if box["fill"] == "none"]
    assert len(hollow) == 2 * 9


def test_an_unknown_name_is_one_sentence():
    with pytest.raises(lth.LotteryError, match="loops"):
        lth.diagram("loops")


@pytest.mark.parametrize("answers", [{}, {"a": "By 4"}, {"a": ("By 4",)}])
def test_a_key_without_answers_is_one_sentence(answers):
    with pytest.raises(lth.LotteryError, match="expected"):
        lth.key(answers)


def test_no_text_cuts_the_keys_table():
    table = lth.key({"Is |w|\nlarger?": ("yes | no", "n = 3")}).data
    assert table.split("\n")[2] == r"| Is \|w\| larger? | yes \| no | n = 3 |"


def test_the_key_is_a_table_that_no_line_breaks():
    table = lth.key({"Does it fall?": ("By 4 %.", "live, n = 3")}).data
    head, rule, row = table.split("\n")
    assert head.count("|") == rule.count("|") == row.count("|") == 4
    assert row == "| Does it fall? | By 4\N{NO-BREAK SPACE}%. | live, n = 3 |"
