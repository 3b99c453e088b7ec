"""Chapter 2: what it must show, and what its own cells must do."""

import json
import re
from collections.abc import Callable
from typing import Any

import nbformat
import pytest
from book_fixtures import ROOT, glued, printed, shown
from nbformat import NotebookNode

import lth_utils as lth

NAME = "notebooks/02-why-not-small"
ROUNDS = (7, 11, 15, 19)
DENSITIES = ("21.1 %", "8.68 %", "3.58 %", "1.49 %")


@pytest.fixture(scope="module")
def chapter(executed: Callable[[str], NotebookNode]) -> NotebookNode:
    return executed(NAME)


def said(chapter: NotebookNode, cell: str) -> str:
    """Return what a cell said, unwrapped."""
    return " ".join(printed(chapter, cell).split())


# What it must show; the tolerances were fixed before the first run.


def test_what_starts_small_ends_below_the_dense_network(chapter):
    costs = glued(chapter)
    for kind in ("random", "narrow"):
        points = [costs[f"{kind}-costs-{rounds}"] for rounds in ROUNDS]
        assert points == sorted(points)
        assert points[0] > 0
        assert points[2] > 2
        assert points[3] > 4


def test_the_same_structure_needs_its_trained_values(chapter):
    gain = glued(chapter)
    assert gain["values-7"] > 0.5
    assert gain["values-11"] > 1
    assert gain["values-15"] > 1.5


def test_fine_tuned_a_twelfth_does_the_work_of_all(chapter):
    (dense,) = re.findall(r"dense +([\d.]+) %", printed(chapter, "accuracy-says"))
    tuned = re.findall(r"trained values ([\d.]+) %", said(chapter, "fine-tuned-says"))
    assert float(tuned[1]) > float(dense) - 0.5


def test_its_sentences_say_n_and_spread(chapter):
    for density in DENSITIES:
        line = rf"{density} +(random|narrow) +[\d.]+ % \([\d.]+ to [\d.]+, n = 3\)"
        assert len(re.findall(line, printed(chapter, "accuracy-says"))) == 2
    assert said(chapter, "fine-tuned-says").count("n = 3") == 9


def test_the_slider_shows_that_small_networks_learn_more_slowly(chapter):
    (page,) = shown(chapter, "text/html", "slider")
    data = re.search(r'<script type="application/json">(.*?)</script>', page)[1]
    stops = json.loads(data)
    assert [stop["label"] for stop in stops] == list(DENSITIES)
    for stop in stops:
        dense, random, narrow = map(float, re.findall(r"([\d.]+) % \(", stop["alt"]))
        assert dense > max(random, narrow)


def test_the_record_has_the_papers_dashed_lines(chapter):
    text = said(chapter, "recorded-says")
    assert text.count("n = 5") == len(ROUNDS)
    costs = [float(cost) for cost in re.findall(r"([\d.-]+) points below", text)]
    assert costs[-1] == max(costs) > 1
    for cell in ("recorded", "recorded-stop"):
        assert shown(chapter, "image/png", cell) or shown(
            chapter, "image/svg+xml", cell
        )


@pytest.mark.parametrize("number", range(1, 5))
def test_the_solutions_are_right(chapter, number):
    assert "no answer" in said(chapter, f"exercise-{number}")
    assert f"2.{number}: right." in said(chapter, f"solution-{number}-code")


# What its own cells do


@pytest.fixture(scope="module")
def cells() -> dict[str, Any]:
    """Return what the chapter's cells up to its networks define."""
    notebook = nbformat.read(ROOT / f"{NAME}.ipynb", as_version=4)
    names: dict[str, Any] = {"lth": lth, "lenet": lth.experiment("lenet-mnist")}
    for cell in notebook.cells:
        if cell.id in ("ladder", "random-sparse", "narrow"):
            exec(cell.source, names)
    return names


def test_the_ladder_is_the_books(cells):
    assert tuple(lth.plots.drawing.percent(d) for d in cells["DENSITY"].values()) == (
        DENSITIES
    )


@pytest.mark.parametrize("rounds", ROUNDS)
def test_random_masks_keep_what_the_ladder_keeps(cells, rounds):
    net = cells["random_sparse"](rounds, 0)
    masks = lth.masks_of(net)
    assert abs(masks.remaining - 266_200 * cells["DENSITY"][rounds]) < 5
    alive = {name: net.get_parameter(name).detach() != 0 for name in masks}
    assert lth.Masks(alive) == masks
    assert lth.masks_of(cells["random_sparse"](rounds, 1)) != masks


@pytest.mark.parametrize("rounds", ROUNDS)
def test_narrow_networks_have_as_many_weights(cells, rounds):
    net = cells["narrow"](rounds, 0)
    count = lth.Masks.ones(lth.masked(net)).total
    assert count == cells["weights"](net.fc1.out_features)
    target = 266_200 * cells["DENSITY"][rounds]
    for n in (net.fc1.out_features - 1, net.fc1.out_features + 1):
        assert abs(cells["weights"](n) - target) > abs(count - target)


# Its exercises


@pytest.mark.parametrize(
    ("exercise", "answer", "hint"),
    [
        ("2.1", 30, "A tenth of the units"),
        ("2.1", 33, "Try every n"),
        ("2.2", (12, 4), "Train both"),
        ("2.2", 12, "a pair such as"),
        ("2.3", 300, "count the living"),
        ("2.3", 0.0144, "not a density"),
        ("2.3", 4.5, "rows"),
        ("2.4", (-1.5, -0.5), "fine-tuned minus newcomer"),
        ("2.4", (0.02, 0.01), "points, not fractions"),
        ("2.4", (1.5, 1.7), "the same values"),
    ],
)
def test_a_wrong_answer_gets_a_hint(capsys, exercise, answer, hint):
    assert not lth.check(exercise, answer)
    assert hint in " ".join(capsys.readouterr().out.split())
