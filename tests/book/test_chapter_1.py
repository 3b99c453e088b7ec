"""Chapter 1: what it must show, and what its own cells must do."""

import re
from collections.abc import Callable
from fractions import Fraction
from functools import partial

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from book_fixtures import ROOT, captions, lifted, shown, told_by
from hypothesis import given
from hypothesis import strategies as st
from nbformat import NotebookNode
from torch import nn

import lth_utils as lth

# Torch says so once, at the first sparse matrix.
pytestmark = pytest.mark.filterwarnings("ignore:Sparse CSR")

NAME = "notebooks/01-what-is-pruning"


run = partial(lifted, NAME, lth=lth, np=np, torch=torch)


@pytest.fixture(scope="module")
def chapter(executed: Callable[[str], NotebookNode]) -> NotebookNode:
    return executed(NAME)


def percents(text: str) -> list[float]:
    """Return the means that a sentence gives with their spread."""
    return [float(found) for found in re.findall(r"([\d.]+) % \(", text)]


# What it must show


def test_the_smaller_half_can_go_and_a_random_half_cannot(chapter):
    (dense,) = percents(told_by(chapter, "accuracy-says"))
    assert dense > 93
    half, half_by_lot, tenth, _ = percents(told_by(chapter, "forgets-numbers"))
    assert half > dense - 1
    assert half_by_lot < half - 5
    assert tenth < dense - 10


def test_the_library_prunes_as_the_chapter_does(chapter):
    assert shown(chapter, "text/plain", "same-mask") == ["True"]


def test_a_tenth_of_the_weights_is_enough_after_retraining(chapter):
    text = told_by(chapter, "retraining-numbers")
    tenth, dense = percents(text)
    assert dense - 1 < tenth < dense
    # The summary says that it costs something: in every seed.
    assert "above 0 in 0 of n = 3 seeds" in text


def test_the_density_is_chosen_by_the_validation_images(chapter):
    text = told_by(chapter, "solution-c-code")
    assert "Chosen: 10 %." in text
    notebook = nbformat.read(ROOT / f"{NAME}.ipynb", as_version=4)
    for cell in notebook.cells:  # nothing else looks for a least or a best
        if cell.cell_type == "code" and cell.id != "solution-c-code":
            assert not re.search(r"idxmax|idxmin|index\.min\(\)", cell.source)


def test_a_file_is_not_as_small_as_its_network(chapter):
    text = told_by(chapter, "costs-numbers")
    bits, csr = map(float, re.findall(r"([\d.]+) times", text)[:2])
    assert np.allclose([bits, csr], [4 / 0.525, 4 / 0.8], rtol=0.05)
    assert "at 50 % the CSR file is still larger" in text


def test_zeros_in_place_make_nothing_faster(chapter):
    text = told_by(chapter, "costs-numbers")
    ratio = float(re.search(r"take ([\d.]+) times as long", text)[1])
    assert 0.75 < ratio < 1.35


def test_the_count_is_of_all_weights():
    left = pd.Series([266_200, 53_240, 26_620], [1, 0.2, 0.1])
    names = ("weights", "file", "bitmask file", "CSR file", "zeros", "dense", "CSR")
    costs = pd.DataFrame(dict.fromkeys(names, left)).rename_axis("density")
    masks = lth.prune(lth.masked(lth.LeNet()), 0.8)  # as in the chapter's cell
    space = run("costs-figure", costs=costs, masks=masks, pd=pd)
    counted = space["relative"]["multiply-adds, counted"]
    assert np.allclose(counted, counted.index)


def test_the_middle_has_learned_and_the_border_has_not(chapter):
    text = told_by(chapter, "pixels-moved")
    changes = re.findall(r"moved by ([\d.]+) and grew by (\d+) %", text)
    (border, larger), (middle, grown) = [map(float, each) for each in changes]
    assert border < middle / 3
    assert larger < 5 < 20 < grown
    assert "196 pixels in the middle" in text


def test_live_and_n_are_explained_where_they_first_appear():
    notebook = nbformat.read(ROOT / f"{NAME}.ipynb", as_version=4)
    ids = [cell.id for cell in notebook.cells]
    assert ids.index("live") == ids.index("accuracy-says") + 1
    for cell in notebook.cells[: ids.index("live")]:
        assert "(live" not in str(cell.metadata)


def test_the_slider_shows_the_loss(chapter):
    (page,) = shown(chapter, "text/html", "slider")
    said = captions(page)
    assert len(set(said)) == len(said) == 9
    assert said[0].startswith("266,200 weights remain")
    assert said[-1].startswith("2,662 weights remain")
    reads = [float(re.search(r"([\d.]+) % are", text)[1]) for text in said]
    assert reads[0] > 93
    assert reads[-1] < 40
    assert "mostly misread: none" in said[0]
    assert "mostly misread: none" not in said[-1]


def test_the_key_answers_every_prediction(chapter):
    (key,) = shown(chapter, "text/markdown", "key-table")
    asked, found, sure = zip(
        *(row.split(" | ") for row in key.split("\n")[2:]), strict=True
    )
    assert [text[2] for text in asked] == ["1", "2", "3"]
    fall = float(re.search(r"By (\d+) points at once", found[0])[1])
    tenth = percents(told_by(chapter, "forgets-numbers"))[2]
    (dense,) = percents(told_by(chapter, "accuracy-says"))
    assert abs(fall - (dense - tenth)) < 1
    assert "n = 3" in sure[0]


def test_the_larger_weights_are_better_also_when_chance_may_train(chapter):
    text = told_by(chapter, "solution-1-code")
    once, later = map(float, re.findall(r"\+([\d.]+) points", text))
    assert text.count("above 0 in 3 of n = 3 seeds") == 2
    assert later < once / 4


# What its own cells must do


@given(
    values=st.lists(st.integers(-3, 3), min_size=6, max_size=6),
    going=st.integers(1, 5),
)
def test_the_mask_by_hand_is_the_librarys_also_with_ties(values, going):
    largest = run("by-hand")["largest"]
    net = lth.masked(nn.Sequential(nn.Linear(3, 2)))
    weight = torch.tensor(values, dtype=torch.float32).view(2, 3)
    net[0].weight.data.copy_(weight)
    mask = largest(weight, 1 - going / 6)
    assert mask.sum() == 6 - going
    assert torch.equal(mask, lth.prune(net, going / 6)["0.weight"])


@pytest.fixture
def weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    draw = torch.randn(30, 41, generator=generator)
    return {"a": draw * (draw.abs() > 1), "b": torch.zeros(2, 9)}


def test_nothing_is_lost_in_csr(weights):
    tensors = run("as-csr")["as_csr"](weights)
    for name, weight in weights.items():
        values, columns, rows = (
            tensors[f"{name} {part}"] for part in ("values", "columns", "rows")
        )
        assert columns.dtype == rows.dtype == torch.int32
        starts, ends = rows[:-1].tolist(), rows[1:].tolist()
        back = torch.zeros_like(weight)
        for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
            back[row, columns[start:end].long()] = values[start:end]
        assert torch.equal(back, weight)


def test_nothing_is_lost_in_the_bitmask(weights):
    tensors = run("as-bitmask")["as_bitmask"](weights)
    for name, weight in weights.items():
        bits = np.unpackbits(tensors[f"{name} bits"].numpy(), count=weight.numel())
        back = torch.zeros(weight.numel())
        back[torch.from_numpy(bits).bool()] = tensors[f"{name} values"]
        assert torch.equal(back.view_as(weight), weight)


def test_what_is_timed_is_lenet():
    digits = lth.load("mnist-small")
    net = lth.masked(lth.LeNet(seed=3))
    for layer in (net.fc1, net.fc2, net.output):
        nn.init.normal_(layer.bias)
    lth.apply_masks(net, lth.prune(net, 0.9))
    space = run("scores", digits=digits, nets=[net])
    weights = [layer.weight.detach() for layer in (net.fc1, net.fc2, net.output)]
    with torch.no_grad():
        expected = net(digits.scale(digits.test.images[:256])).T
    for form in (weights, [weight.to_sparse_csr() for weight in weights]):
        assert torch.allclose(space["scores"](form), expected, atol=1e-4)


# What the checks say

MASK = [[1, 0, 0], [1, 1, 0]]
GLOBAL = {"fc1.weight": 0.17381, "fc2.weight": 0.38937, "output.weight": 0.674}


def by(column: str, level: float | None = None) -> Callable[[pd.DataFrame], float]:
    """Return a choice by one split; `level` replaces the dense networks'."""

    def chosen(table: pd.DataFrame) -> float:
        means = table.groupby("density")[column].mean()
        least = (means[1] if level is None else level) - 1
        return means[means >= least].index.min()

    return chosen


def by_the_first_seed(table: pd.DataFrame) -> float:
    return by("validation")(table[table["seed"] == 0])


def below_the_best(table: pd.DataFrame) -> float:
    return by("validation", table.groupby("density")["validation"].mean().max())(table)


def until_one_fails(table: pd.DataFrame) -> float:
    means = table.groupby("density")["validation"].mean().sort_index(ascending=False)
    return means.index[(means >= means[1] - 1).cummin()].min()


def as_it_lies(table: pd.DataFrame) -> float:
    means = table.groupby("density", sort=False)["validation"].mean()
    return means[means >= means[1] - 1].index[-1]


@pytest.mark.parametrize(
    ("which", "answer"),
    [
        ("1.A", torch.tensor(MASK)),
        ("1.A", np.array(MASK, dtype=bool)),
        ("1.A", MASK),
        ("1.A", torch.tensor(MASK, dtype=torch.float64)),
        ("1.B", GLOBAL),
        ("1.B", {name: torch.tensor(d) for name, d in GLOBAL.items()}),
        ("1.B", tuple(GLOBAL.values())),
        ("1.B", pd.Series(GLOBAL)),
        ("1.B", np.array(list(GLOBAL.values()))),
        ("1.B", torch.tensor(list(GLOBAL.values()))),
        ("1.C", by("validation")),
        ("1.C", lambda table: np.float64(by("validation")(table))),
        ("1.1", [3.8, 3.4, 3.7]),
        ("1.1", np.array([3.8, 3.4, 3.7])),
        ("1.1", torch.tensor([3.8, 3.4, 3.7])),
        ("1.1", pd.Series([3.8, 3.4, 3.7])),
        ("1.1", {0: 3.8, 1: 3.4, 2: 3.7}),
        ("1.2", 0.03125),
        ("1.2", 0.031),
        ("1.2", Fraction(1, 32)),
        ("1.3", (54.2, 91.4)),
        ("1.3", np.array([54.2, 91.4])),
        ("1.4", 63.5),
        ("1.4", torch.tensor(63.5)),
    ],
)
def test_right_answers(which, answer, capsys):
    assert lth.check(which, answer)
    assert capsys.readouterr().out.startswith(f"{which}: right.")


@pytest.mark.parametrize(
    ("which", "answer", "hint"),
    [
        ("1.A", torch.tensor([[1, 0, 1], [0, 1, 0]]), "without signs"),
        ("1.A", torch.tensor([[0, 1, 1], [0, 0, 1]]), "marks those that go"),
        ("1.A", torch.tensor([[1, 1, 0], [1, 1, 0]]), "1 weights more"),
        ("1.A", torch.tensor([1, 0, 0, 1, 1, 0]), "the shape (2, 3)"),
        ("1.B", dict.fromkeys(GLOBAL, 0.2), "its own threshold"),
        ("1.B", {name: 100 * d for name, d in GLOBAL.items()}, "not percent"),
        ("1.B", {name: 1 - d for name, d in GLOBAL.items()}, "which side of it"),
        ("1.B", {name: 1.2 * d for name, d in GLOBAL.items()}, "a fifth should"),
        ("1.B", (0.2476, -0.1667, 0.0), "at least 0"),
        ("1.B", {"fc1": 0.2}, "densities by layer, one for each of fc1.weight"),
        ("1.B", 0.063, "Expected densities by layer"),
        ("1.C", by("test"), "what only the test likes"),
        ("1.C", by("validation", 97), "of the same table"),
        ("1.C", lambda table: 100 * by("validation")(table), "not percent"),
        ("1.C", lambda table: 1, "pruned nothing"),
        ("1.C", as_it_lies, "of the same table"),
        ("1.C", below_the_best, "not below the best"),
        ("1.C", until_one_fails, "no matter that one above fails"),
        ("1.C", 0.1, "Expected a function"),
        ("1.1", 3.6, "a number for each seed"),
        ("1.1", "3.8 and 3.4", "and got a text"),
        ("1.1", [3.6], "give all of them"),
        ("1.1", [-3.8, -3.4, -3.7], "magnitude minus lot"),
        ("1.1", [0.038, 0.034, 0.037], "points, not fractions"),
        ("1.1", [35.6, 47.9, 36.6], "only before retraining"),
        ("1.2", 3.125, "a fraction, not percent"),
        ("1.2", 0.5, "CSR meets the dense file"),
        ("1.2", 0.1, "0.1 is too large. CSR writes 64 bits"),
        ("1.3", (0.542, 0.914), "Give percent"),
        ("1.3", (91.4, 54.2), "Layer-wise first"),
        ("1.3", (95.3, 96.4), "only after retraining"),
        ("1.3", (54.2, 54.2), 'scope="global"'),
        ("1.3", 91.4, "a pair of numbers"),
        ("1.4", 0.635, "no accuracy in percent"),
        ("1.4", 95.0, "not the largest"),
        ("1.4", 11.0, "nine tenths stay"),
    ],
)
def test_wrong_answers_get_a_hint(which, answer, hint, capsys):
    assert not lth.check(which, answer)
    assert hint in " ".join(capsys.readouterr().out.split())
