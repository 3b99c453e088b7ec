"""Chapter 1: what it must show, and what its own cells must do."""

import json
import re
from collections.abc import Callable
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
from book_fixtures import ROOT, printed, shown
from hypothesis import given
from hypothesis import strategies as st
from nbformat import NotebookNode
from torch import nn

import lth_utils as lth

# Torch says so once, at the first sparse matrix.
pytestmark = pytest.mark.filterwarnings("ignore:Sparse CSR")

NAME = "notebooks/01-what-is-pruning"
FIGURES = (
    "histogram",
    "forgets-figure",
    "retraining-figure",
    "sizes-figure",
    "times-figure",
)


@pytest.fixture(scope="module")
def chapter(executed: Callable[[str], NotebookNode]) -> NotebookNode:
    return executed(NAME)


def said(chapter: NotebookNode, cell: str) -> str:
    """Return what a cell said, unwrapped."""
    return " ".join(printed(chapter, cell).split())


def percents(text: str) -> list[float]:
    """Return the means that a sentence gives with their spread."""
    return [float(found) for found in re.findall(r"([\d.]+) % \(", text)]


# What it must show


def test_the_smaller_half_can_go_and_a_random_half_cannot(chapter):
    (dense,) = percents(said(chapter, "accuracy"))
    assert dense > 93
    half, half_by_lot, tenth, _ = percents(said(chapter, "forgets-numbers"))
    assert half > dense - 1
    assert half_by_lot < half - 5
    assert tenth < dense - 10


def test_the_library_prunes_as_the_chapter_does(chapter):
    assert "The same masks: True. 53,240 of 266,200" in said(chapter, "same-mask")


def test_a_tenth_of_the_weights_is_enough_after_retraining(chapter):
    text = said(chapter, "retraining-numbers")
    tenth, dense = percents(text)
    assert tenth > dense - 1.5
    assert int(re.search(r"Retrained, (\d+) %", text)[1]) <= 20


def test_where_csr_is_larger_than_dense(chapter):
    text = said(chapter, "sizes-numbers")
    files = re.findall(r"([\w, ]+): larger than the dense file at ([^;]+);", text)
    larger = {name.strip(): densities for name, densities in files}
    assert larger == {
        "CSR, int64": "100 %, 80 %, 50 %",
        "CSR, int32": "100 %, 80 %, 50 %",
        "bitmask and values": "100 %",
    }
    ratios = [float(r) for r in re.findall(r"([\d.]+) times smaller at 10 %", text)]
    assert np.allclose(ratios, [4 / 1.2, 4 / 0.8, 4 / 0.525], rtol=0.05)


def test_zeros_in_place_make_nothing_faster(chapter):
    text = said(chapter, "times-numbers")
    ratio = float(re.search(r"take ([\d.]+) times as long", text)[1])
    assert 0.75 < ratio < 1.35


def test_the_slider_shows_the_loss(chapter):
    (page,) = shown(chapter, "text/html", "slider")
    data = re.search(r"<script type=.application/json.>(.*?)</script>", page)[1]
    stops = json.loads(data)
    assert [stop["label"] for stop in stops[:3]] == ["100 %", "80 %", "50 %"]
    assert len({stop["src"] for stop in stops}) == len(stops) == 9
    captions = [stop["caption"].replace("\N{NO-BREAK SPACE}", " ") for stop in stops]
    assert captions == [stop["alt"] for stop in stops]
    reads = [float(re.search(r"([\d.]+) % of", stop["alt"])[1]) for stop in stops]
    assert reads[0] > 93
    assert reads[-1] < 40
    assert stops[0]["alt"].endswith("Mostly misread: none.")
    assert stops[-1]["alt"].startswith("2,662 weights remain")


@pytest.mark.parametrize("cell", FIGURES)
def test_every_figure_is_there(chapter, cell):
    assert len(shown(chapter, "image/svg+xml", cell)) == 1


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_an_exercise_waits_and_its_solution_is_right(chapter, number):
    waiting = said(chapter, f"exercise-{number}")
    assert waiting.startswith(f"1.{number}: not yet.")
    assert "got no answer" in waiting
    assert f"1.{number}: right." in said(chapter, f"solution-{number}-code")


# What its own cells must do


def lifted(*cells: str, **names: Any) -> dict[str, Any]:
    """Run some of the chapter's cells, and return what they define."""
    notebook = nbformat.read(ROOT / f"{NAME}.ipynb", as_version=4)
    sources = {cell.id: cell.source for cell in notebook.cells}
    space = {"lth": lth, "np": np, "torch": torch, **names}
    for cell in cells:
        exec(sources[cell], space)
    return space


@given(
    values=st.lists(st.integers(-3, 3), min_size=6, max_size=6),
    going=st.integers(1, 5),
)
def test_the_mask_by_hand_is_the_librarys_also_with_ties(values, going):
    largest = lifted("by-hand")["largest"]
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


@pytest.mark.parametrize("index", [torch.int32, torch.int64])
def test_nothing_is_lost_in_csr(weights, index):
    tensors = lifted("as-csr")["as_csr"](weights, index)
    for name, weight in weights.items():
        values, columns, rows = (
            tensors[f"{name} {part}"] for part in ("values", "columns", "rows")
        )
        assert columns.dtype == rows.dtype == index
        starts, ends = rows[:-1].tolist(), rows[1:].tolist()
        back = torch.zeros_like(weight)
        for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
            back[row, columns[start:end].long()] = values[start:end]
        assert torch.equal(back, weight)


def test_nothing_is_lost_in_the_bitmask(weights):
    tensors = lifted("as-bitmask")["as_bitmask"](weights)
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
    space = lifted("scores", digits=digits, nets=[net])
    weights = [layer.weight.detach() for layer in (net.fc1, net.fc2, net.output)]
    with torch.no_grad():
        expected = net(digits.scale(digits.test.images[:256])).T
    for form in (weights, [weight.to_sparse_csr() for weight in weights]):
        assert torch.allclose(space["scores"](form), expected, atol=1e-4)


# What the checks say

MASK = [[1, 0, 0], [1, 1, 0]]
GLOBAL = {"fc1.weight": 0.17381, "fc2.weight": 0.38937, "output.weight": 0.674}


@pytest.mark.parametrize(
    ("which", "answer"),
    [
        ("1.1", torch.tensor(MASK)),
        ("1.1", np.array(MASK, dtype=bool)),
        ("1.2", 0.03125),
        ("1.2", 0.031),
        ("1.3", GLOBAL),
        ("1.4", 63.5),
    ],
)
def test_right_answers(which, answer, capsys):
    assert lth.check(which, answer)
    assert capsys.readouterr().out.startswith(f"{which}: right.")


@pytest.mark.parametrize(
    ("which", "answer", "hint"),
    [
        ("1.1", torch.tensor([[1, 0, 1], [0, 1, 0]]), "without signs"),
        ("1.1", torch.tensor([[1, 1, 0], [1, 1, 0]]), "1 weights more"),
        ("1.1", torch.tensor([1, 0, 0, 1, 1, 0]), "the shape (2, 3)"),
        ("1.2", 3.125, "a fraction, not percent"),
        ("1.2", 0.5, "CSR meets the dense file"),
        ("1.2", 0.1, "0.1 is too large. CSR writes 64 bits"),
        ("1.3", dict.fromkeys(GLOBAL, 0.2), 'say scope="global"'),
        ("1.3", {name: 1.2 * d for name, d in GLOBAL.items()}, "a fifth remains"),
        ("1.3", {"fc1": 0.2}, "densities by layer, one for each of fc1.weight"),
        ("1.4", 0.635, "no accuracy in percent"),
        ("1.4", 95.0, "turn the scores' signs"),
        ("1.4", 11.0, "nine tenths stay"),
    ],
)
def test_wrong_answers_get_a_hint(which, answer, hint, capsys):
    assert not lth.check(which, answer)
    assert hint in " ".join(capsys.readouterr().out.split())
