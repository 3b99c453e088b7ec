"""The list of the paper's figures: whole, and as far as the records say."""

import re

import figures_page
import pytest
from book_fixtures import ROOT
from figures_page import LIVE, NOT_YET, PAPER, REDUCED

import lth_utils as lth
from lth_utils.experiments import records

FIGURES = figures_page.figures(ROOT / "book")


def numbers(text: str) -> list[int]:
    first, *last = map(int, re.findall(r"\d+", text))
    return list(range(first, (last or [first])[0] + 1))


def test_every_figure_of_the_paper_is_listed_in_order():
    listed = [number for each in FIGURES for number in numbers(each["number"])]
    assert listed == sorted(listed)
    assert set(listed) == set(range(1, 46))


def test_runs_and_chapters_are_there():
    for each in FIGURES:
        assert set(each.get("runs", [])) <= set(lth.EXPERIMENTS)
        if chapter := each.get("chapter"):
            assert (ROOT / "notebooks" / f"{chapter}.ipynb").exists()


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ({("a", "paper"), ("b", "paper")}, PAPER),
        ({("a", "paper")}, REDUCED),
        ({("b", "laptop")}, REDUCED),
        (set(), NOT_YET),
    ],
)
def test_a_state_is_that_of_all_runs(there, expected, monkeypatch):
    monkeypatch.setattr(records, "is_recorded", lambda *run: run in there)
    assert figures_page.state({"runs": ["a", "b"]}) == expected


def test_what_has_no_record_is_live_or_not_there():
    assert figures_page.state({"live": True}) == LIVE
    assert figures_page.state({}) == NOT_YET


def test_todays_states():
    """The paper-scale runs are LeNet's; nothing else is called so."""
    states = {(each["number"], each["shows"]): each["state"] for each in FIGURES}
    at_paper_scale = {key for key, state in states.items() if state == PAPER}
    assert {number for number, _ in at_paper_scale} >= {"3", "4", "9", "11", "12"}
    assert all("Conv" not in shows for _, shows in at_paper_scale)
    assert states["16", "the same, trained with SGD"] == LIVE
