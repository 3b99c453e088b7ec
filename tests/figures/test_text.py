"""Curves drawn with letters."""

from lth_utils.figures.text import curves_text

LAST = ["1.00", "|", "c"]


def test_a_letter_stands_where_its_value_is():
    curves = {"up": {1: 0.0, 2: 1.0, 3: 2.0}, "down": {1: 2.0, 2: 1.0, 3: 0.0}}
    title, names, *rows, axis, ticks = curves_text(curves, "a title", 3).split("\n")
    assert (title, names) == ("a title", "u up, d down, * several")
    cells = [row.partition("|")[2] for row in rows]
    places = [[row[column] for column in (19, 39, 59)] for row in cells]
    assert places == [["d", " ", "u"], [" ", "*", " "], ["u", " ", "d"]]
    assert [row.partition("|")[0].strip() for row in rows] == ["2.00", "1.00", "0.00"]
    assert ticks.split() == ["1", "2", "3"]
    assert len(axis) == len(ticks) <= 72


def test_a_steep_beginning_runs_out_below():
    steep = {"curve": {10: -90.0, 20: 0.0, 60: 1.0, 100: 2.0}}
    text = curves_text(steep, "a title", 3)
    rows = text.splitlines()[2:5]
    assert [row.split() for row in rows] == [["2.00", "|", "c"], ["1.50", "|"], LAST]


def test_a_level_line_is_drawn():
    text = curves_text({"same": {1: 5.0, 2: 5.0}}, "a title", 4)
    assert text.splitlines()[2].split() == ["5.00", "|", "s", "s"]
