"""Chapter 2: what it must show, and what its own cells must do."""

import re
from collections.abc import Callable
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from book_fixtures import ROOT, captions, glued, plain, shown, told_by
from nbformat import NotebookNode

import lth_utils as lth

NAME = "notebooks/02-why-not-small"
ROUNDS = (7, 11, 15, 19)
DENSITIES = ("21.1 %", "8.68 %", "3.58 %", "1.49 %")


@pytest.fixture(scope="module")
def chapter(executed: Callable[[str], NotebookNode]) -> NotebookNode:
    return executed(NAME)


def table(chapter: NotebookNode, cell: str) -> dict[str, list[float]]:
    """Return the first numbers of a table's columns, row by row."""
    (page,) = shown(chapter, "text/html", cell)
    found = re.findall(r"<th>([\d.]+ %)</th>(.*?)</tr>", page, re.DOTALL)
    return {
        density: [float(n) for n in re.findall(r"<td>([+-]?[\d.]+)", row)]
        for density, row in found
    }


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


def test_fine_tuned_a_twelfth_does_about_the_work_of_all(chapter):
    tuned, new, lots = table(chapter, "fine-tuned-says")["8.68 %"]
    assert tuned > new > lots
    said_so = told_by(chapter, "values-say")
    (dense,) = re.findall(r"as many steps again: ([\d.]+) %", said_so)
    assert abs(tuned - float(dense)) < 1
    assert said_so.count("above 0 in 3 of n = 3 seeds") == 2


SIDES = {
    "21.1 %": "the ranges overlap",
    "8.68 %": "better",
    "3.58 %": "the ranges overlap",
    "1.49 %": "worse",
}


def test_narrow_against_random_is_as_the_text_has_it(chapter):
    (page,) = shown(chapter, "text/html", "accuracy-says")
    ends = [tuple(map(float, e)) for e in re.findall(r"\(([\d.]+) to ([\d.]+)\)", page)]
    for side, lots, few in zip(SIDES.values(), ends[::2], ends[1::2], strict=True):
        assert (few[0] > lots[1]) == (side == "better")
        assert (few[1] < lots[0]) == (side == "worse")


def test_the_last_iteration_has_the_order_of_early_stop(chapter):
    (text,) = re.findall(r"Dense, with as many.*", told_by(chapter, "values-say"))
    dense, last, tuned = map(float, re.findall(r"([\d.]+) % \(", text))
    assert max(dense, last) < tuned
    assert table(chapter, "fine-tuned-says")["8.68 %"][0] > dense
    # "As good as the whole network, down to a twelfth": and no longer below it.
    assert table(chapter, "fine-tuned-says")["21.1 %"][0] > dense
    assert table(chapter, "fine-tuned-says")["3.58 %"][0] < dense


def test_its_sentences_say_n_and_spread(chapter):
    assert told_by(chapter, "price").count("above 0 in 3 of n = 3 seeds") == 2
    (page,) = shown(chapter, "text/html", "accuracy-says")
    assert len(re.findall(r"[\d.]+ % \([\d.]+ to [\d.]+\)", page)) == 8
    assert list(table(chapter, "accuracy-says")) == list(DENSITIES)


def test_the_first_table_is_shown_before_it_is_used(chapter):
    (page,) = shown(chapter, "text/html", "shared-run")
    for column in ("arm", "seed", "round", "density", "iteration", "split"):
        assert f"<th>{column}</th>" in page


def test_the_slider_shows_that_small_networks_learn_more_slowly(chapter):
    (page,) = shown(chapter, "text/html", "slider")
    said_there = captions(page)
    assert len(said_there) == len(DENSITIES)
    for caption in said_there:
        dense, *small = map(float, re.findall(r"([\d.]+) % \(", caption))
        assert dense > max(small)
        assert "n = 3" in caption


def test_the_record_has_the_papers_dashed_lines(chapter):
    lots = table(chapter, "recorded-says")
    new = table(chapter, "recorded-new")
    assert list(lots) == list(new) == list(DENSITIES)
    for density in DENSITIES:
        assert lots[density][-1] == new[density][-1] == 5
    # As the summary has it: level at a fifth, and no longer at a twelfth.
    assert abs(lots["21.1 %"][0]) < 0.2
    assert lots["8.68 %"][0] < -0.5
    assert new["1.49 %"][0] < new["3.58 %"][0] < -0.5
    assert new["8.68 %"][0] > -0.5
    (page,) = shown(chapter, "text/html", "recorded-new")
    spans = re.findall(r"([+-][\d.]+) to ([+-][\d.]+)", page)
    holds = [float(low) < 0 < float(high) for low, high in spans]
    assert holds == [True, True, False, False]


def test_the_key_answers_every_prediction(chapter):
    (key,) = shown(chapter, "text/markdown", "key-answers")
    key = plain(key)
    rows = [row.split(" | ") for row in key.split("\n")[2:]]
    assert [asked[2] for asked, *_ in rows] == ["1", "2", "3", "4"]
    assert all("n = 3" in sure for *_, sure in rows)
    later, sooner = map(int, re.findall(r"after (\d+)", rows[1][1]))
    assert later > 2 * sooner
    costs = glued(chapter)
    for row, name in ((0, "random-costs-15"), (3, "values-15")):
        assert f"{costs[name]:.1f} points" in rows[row][1]
    # Better or worse: size by size, as the prose above has it.
    for density, side in SIDES.items():
        (gap,) = re.findall(
            rf"{re.escape(density)}: {side} \(([+-][\d.]+) points", rows[2][1]
        )
        lots, few = table(chapter, "accuracy-says")[density]
        assert abs(float(gap) - (few - lots)) < 0.11


def test_time_closes_a_part_of_the_gap_and_not_all_of_it(chapter):
    text = told_by(chapter, "solution-4-code")
    gaps = [float(gap) for gap in re.findall(r"\+([\d.]+) points", text)]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[1] < 0.75 * gaps[0]
    assert text.count("above 0 in 3 of n = 3 seeds") == len(gaps) == 3


# What its own cells do


@pytest.fixture(scope="module")
def cells() -> dict[str, Any]:
    """Return what the chapter's cells up to its networks define."""
    notebook = nbformat.read(ROOT / f"{NAME}.ipynb", as_version=4)
    names: dict[str, Any] = {"lth": lth, "lenet": lth.experiment("lenet-mnist")}
    for cell in notebook.cells:
        if cell.id in ("ladder", "random-sparse", "width", "narrow"):
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


def lots(shape: tuple[int, int], count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(shape[0] * shape[1], generator=generator)
    mask = torch.zeros(len(order), dtype=torch.bool)
    mask[order[:count]] = True
    return mask.view(shape)


def numpy_lots(shape: tuple[int, int], count: int, seed: int) -> np.ndarray:
    flat = np.arange(shape[0] * shape[1]) < count
    return np.random.default_rng(seed).permutation(flat).reshape(shape).astype(int)


def by_probability(shape: tuple[int, int], count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator) < count / (shape[0] * shape[1])


def in_one_row(shape: tuple[int, int], count: int, seed: int) -> torch.Tensor:
    order = torch.arange(shape[0] * shape[1]).roll(seed % 2)
    return (order < count).view(shape)


def block(shape: tuple[int, int], count: int, seed: int) -> torch.Tensor:
    size = shape[0] * shape[1]
    start = torch.randint(size, (), generator=torch.Generator().manual_seed(seed))
    return (torch.arange(size).roll(int(start)) < count).view(shape)


def without_the_seed(shape: tuple[int, int], count: int, seed: int) -> torch.Tensor:
    return lots(shape, count, int(torch.randint(2**31, ())))


def reached(rows: pd.DataFrame, level: float, split: str = "validation") -> int:
    high = rows["accuracy"] >= level
    return rows[high & (rows["split"] == split)]["iteration"].min()


def first_row(rows: pd.DataFrame, level: float) -> int:
    mine = rows[(rows["split"] == "validation") & (rows["accuracy"] >= level)]
    return mine["iteration"].iloc[0]


def place(rows: pd.DataFrame, level: float) -> int:
    mine = rows[rows["split"] == "validation"]
    return int((mine["accuracy"] >= level).to_numpy().argmax())


def last_below(rows: pd.DataFrame, level: float) -> int:
    mine = rows[rows["split"] == "validation"]
    below = mine[mine["accuracy"] < level]["iteration"].max()
    return mine[mine["iteration"] > below]["iteration"].min()


def above(rows: pd.DataFrame, level: float) -> int:
    return reached(rows, level + 1e-9)


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        ("2.A", lots),
        ("2.A", numpy_lots),
        ("2.A", lambda *given: lots(*given).tolist()),
        ("2.B", reached),
        ("2.B", lambda rows, level: float(reached(rows, level))),
        ("2.1", (86.6, 44.6)),
        ("2.1", torch.tensor([86.6, 44.6])),
        ("2.1", pd.Series([86.6, 44.6])),
        ("2.1", {"by layer": 86.6, "from one pot": 44.6}),
        ("2.2", (12, 12)),
        ("2.2", [12.0, 12.0]),
        ("2.3", 763),
        ("2.3", torch.tensor(763)),
        ("2.4", (2.3, 1.2)),
        ("2.4", np.array([2.3, 1.2])),
        ("2.4", {1: 2.3, 2: 1.2}),
    ],
)
def test_right_answers(capsys, exercise, answer):
    assert lth.check(exercise, answer)
    assert capsys.readouterr().out.startswith(f"{exercise}: right.")


@pytest.mark.parametrize(
    ("exercise", "answer", "hint"),
    [
        ("2.A", by_probability, "where, not how many"),
        ("2.A", lambda *given: ~lots(*given), "turn it around"),
        ("2.A", lambda shape, count, seed: lots(shape, 5, seed), "6 should stay"),
        ("2.A", lambda shape, count, seed: lots(shape, count, 0), "Every seed"),
        ("2.A", without_the_seed, "no other chance"),
        ("2.A", block, "who stays with whom"),
        ("2.A", lambda shape, count, seed: lots((4, 5), 6, seed), "shape (3, 7)"),
        ("2.A", lambda shape, count, seed: lots(shape, 6, seed), "where 5 should stay"),
        ("2.A", in_one_row, "more often than others"),
        ("2.A", lambda *given: lots(*given).flatten(), "the shape (4, 5)"),
        ("2.A", lots((4, 5), 6, 0), "Expected a function"),
        ("2.B", lambda rows, level: reached(rows, level, "test"), "test images"),
        ("2.B", lambda rows, level: reached(rows, level, "train"), "training images"),
        ("2.B", place, "counts rows"),
        ("2.B", last_below, "falls back for a while"),
        ("2.B", above, "just as high is high enough"),
        ("2.B", first_row, "in any order"),
        ("2.B", 150, "Expected a function"),
        ("2.1", (0.866, 0.446), "Give percent"),
        ("2.1", (44.6, 86.6), "By layer comes first"),
        ("2.1", (86.6, 86.1), 'Is the scope "global"'),
        ("2.1", (91.3, 88.5), "is the size wrong"),
        ("2.1", 44.6, "a pair of numbers"),
        ("2.2", (12, 4), "for each seed"),
        ("2.2", 12, "a pair such as"),
        ("2.2", "12 and 12", "a pair such as (12, 4)"),
        ("2.1", "86.6 and 44.6", "a pair of numbers"),
        ("2.4", "2.3 and 1.2", "a pair of numbers"),
        ("2.3", 67, "counts the units"),
        ("2.3", 0.225, "not a share"),
        ("2.3", 2627, "pass something on"),
        ("2.3", 67 * 784, "the living are fewer"),
        ("2.3", 1, "another kind of waste"),
        ("2.3", 764, "too large. Which columns"),
        ("2.4", (-1.5, -0.5), "fine-tuned minus newcomer"),
        ("2.4", (0.02, 0.01), "points, not fractions"),
        ("2.4", (94.8, 93.6), "not the accuracies"),
        ("2.4", (1.5, 1.7), "the same values"),
    ],
)
def test_a_wrong_answer_gets_a_hint(capsys, exercise, answer, hint):
    assert not lth.check(exercise, answer)
    assert hint in " ".join(capsys.readouterr().out.split())
