"""Chapter 3: its algorithm is the library's, and it shows what it says."""

import re

import nbformat
import pytest
import torch
from book_fixtures import ROOT, glued, printed, shown

import lth_utils as lth
from lth_utils.training.order import batches

NAME = "notebooks/03-the-algorithm"
SOURCE = nbformat.read(ROOT / f"{NAME}.ipynb", as_version=4)
CELLS = [
    cell.source for cell in SOURCE.cells if "algorithm" in cell.metadata.get("tags", [])
]


def named(name: str) -> str:
    """Return the source of one of the notebook's cells."""
    (cell,) = [cell for cell in SOURCE.cells if cell.id == name]
    return cell.source


# The cells tagged `algorithm`, lifted out


@pytest.fixture
def book() -> dict:
    """Return what the chapter's algorithm defines, and nothing else of it."""
    names: dict = {}
    for source in CELLS:
        exec(source, names)
    return names


def test_the_algorithm_is_plain_torch():
    text = "\n".join(CELLS)
    imports = re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE)
    assert set(imports) == {"torch"}
    assert "lth" not in text


def test_its_masks_are_the_librarys(book):
    data, recipe = lth.load("mnist-small"), lth.Recipe(iterations=300)
    x, y = data.scale(data.train.images, torch.float64), data.train.labels

    def maker(seed):
        net = book["LeNet"]()
        book["initialise"](net, seed)
        return net.double()

    rates = {"fc": 0.2, "output": 0.1}
    tickets = lth.find_ticket(maker, data, recipe, rates, rounds=3, seed=0)

    def order(round):
        return batches(len(y), recipe, seed=0, round=round)

    rounds = book["lottery"](maker(0), x, y, order, rounds=3)
    dense, *found = [lth.Masks(masks) for masks in rounds]
    assert dense.density == 1
    assert found == [ticket.masks for ticket in tickets]


def test_its_start_is_glorots_and_its_snapshot_a_copy(book):
    net = book["LeNet"]()
    book["initialise"](net, 0)
    init = book["snapshot"](net)
    for name in book["RATES"]:
        outputs, inputs = init[name].shape
        assert init[name].std() == pytest.approx((2 / (inputs + outputs)) ** 0.5, 0.1)
    assert not any(init[f"{layer}.bias"].any() for layer in ("fc1", "fc2", "output"))
    first = {name: values.clone() for name, values in init.items()}
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 1
    assert all(torch.equal(init[name], first[name]) for name in first)


def test_equal_weights_go_in_order_and_the_dead_stay_dead(book):
    weight = torch.tensor([[0.5, 0.5, 0.5], [0.5, 9.0, 0.0]])
    mask = torch.tensor([[0.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    fewer = book["without_smallest"](weight, mask, 0.4)
    assert fewer.tolist() == [[0, 0, 1], [1, 1, 0]]


# What the executed chapter shows


@pytest.fixture(scope="module")
def chapter(executed):
    return executed(NAME)


def numbers(text: str) -> list[float]:
    return [
        float(word.replace(",", "")) for word in re.findall(r"\d[\d,.]*\d|\d", text)
    ]


def test_the_pair_that_pruning_kept_beats_every_other_pair(chapter):
    values = glued(chapter)
    kept, arbitrary, fresh = (
        values[f"xor-{kind}"] for kind in ("kept", "arbitrary", "fresh")
    )
    assert kept - max(arbitrary, fresh) >= 0.3
    assert arbitrary <= fresh + 0.05


def test_more_hidden_units_solve_xor_more_often(chapter):
    lines = [numbers(line) for line in printed(chapter, "xor-fresh").splitlines()]
    assert [line[0] for line in lines] == [10, 8, 6, 4, 2]
    rates = [line[1] for line in lines]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 80
    assert rates[-1] < 50


def test_two_hidden_units_can_express_xor(chapter):
    (shows,) = shown(chapter, "text/plain", "xor-by-hand")
    assert shows == "tensor([[0., 1., 1., 0.]])"


def test_the_rounds_go_down_the_papers_ladder(chapter):
    lines = [numbers(line) for line in printed(chapter, "rounds-told").splitlines()]
    rates = {"fc": 0.2, "output": 0.1}
    ladder = lth.densities(lth.masked(lth.LeNet()), rates, "layer-wise", 10)
    assert [line[0] for line in lines] == list(range(11))
    assert [line[1] for line in lines] == [float(f"{100 * d:.3g}") for d in ladder]
    dense, *_, last = [line[2] for line in lines]
    assert last >= dense - 1


def test_the_slider_has_every_round(chapter):
    (slider,) = shown(chapter, "text/html", "slider")
    rounds = printed(chapter, "rounds-told").splitlines()
    for line in rounds:
        number, density, accuracy = re.findall(r"\d[\d.]*", line)
        assert f"Round {number}: {density} % of the weights are left, " in slider
        assert f"they reach {accuracy} % on the test set." in slider


def test_the_survivors_began_large_and_lie_in_the_middle(chapter):
    found = numbers(printed(chapter, "slider-numbers").replace("\n", " "))
    _, middle, rim, every, survivors = found
    assert middle > 1.2 * rim
    assert survivors < every / 3


def test_the_three_quantities_are_weighed(chapter):
    lines = printed(chapter, "verdict").replace("\n", " ")
    for quantity in ("Test accuracy", "Iterations", "Weights"):
        assert re.search(rf"{quantity}: dense .*?, so this one is (not )?met\.", lines)
    assert "dense 266,200, ticket 56,094" in lines


def test_the_slips_break_what_they_should_break(chapter):
    gone, right, forgotten = numbers(printed(chapter, "slip-gradient"))[:3]
    (remembered,) = numbers(printed(chapter, "slip-momentum"))
    assert gone == 266_200 - 213_060
    assert right == 0
    assert min(forgotten, remembered) > 0.5 * gone
    first, second = numbers(printed(chapter, "slip-alias"))
    *_, guess = numbers(printed(chapter, "slip-alias-right"))
    assert first == guess < 30
    assert second > 70


# The exercises


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_an_exercise_waits_for_its_answer_and_its_solution_is_right(chapter, number):
    asked = printed(chapter, f"exercise-3-{number}-answer")
    assert f"3.{number}: not yet." in asked
    assert "no answer" in asked
    assert f"3.{number}: right." in printed(chapter, f"solution-3-{number}")


def test_a_global_ranking_spares_the_output_layer(chapter):
    lines = printed(chapter, "solution-3-2").splitlines()
    first, second, output = [numbers(line)[-1] for line in lines if "keeps" in line]
    assert first < second < output


def said(capsys, number: str, answer: object) -> str:
    assert lth.check(number, answer) is False
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("number", "answer", "hint"),
    [
        ("3.1", 18_293, "The output layer loses only 10 %"),
        ("3.1", 266_610, "Biases are not counted"),
        ("3.1", 23_131, "too large. Count each layer alone"),
        ("3.2", lambda net, masks: masks, "stopped with TypeError"),
        ("3.2", lambda net, masks, rate: None, "returns nothing yet"),
        ("3.2", lambda net, masks, rate: masks, "23 of 38 living weights"),
        ("3.3", 7, "Expected a function, and got the int 7"),
        ("3.3", lambda *_: {}, "Expected copies of the parameters by name"),
        ("3.4", 50, "too large. Which weights are smaller"),
    ],
)
def test_a_wrong_answer_gets_a_hint(capsys, number, answer, hint):
    assert hint in said(capsys, number, answer)


def solution(book: dict, number: str, *changes: tuple[str, str]):
    """Return the function of a folded solution, spoiled by replacing text."""
    source = named(f"solution-{number}").split("\n\n\n")[0]
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    exec(source, book)
    return book[re.search(r"def (\w+)", source)[1]]


def test_pruning_each_layer_alone_is_not_global(capsys, book):
    def by_layer(net, masks, rate):
        book["RATES"] = dict.fromkeys(masks, rate)
        return book["prune"](net, masks)

    assert "Rank all living weights together" in said(capsys, "3.2", by_layer)


def test_a_dead_weight_in_the_ranking_is_noticed(capsys, book):
    answer = solution(book, "3-2", ("torch.cat(flat)", "torch.ones(45)"))
    assert "23 of 38 living weights should be left" in said(capsys, "3.2", answer)


COPY = "            kept = snapshot(net)"
KEEPING = {
    "return copies": [("kept = snapshot(net)", "kept = dict(net.named_parameters())")],
    "after 0 steps": [("number == k", "number == k + 1")],
    "was not trained": [("        step(", "        (")],
    "depends on k": [
        (COPY, f"{COPY}\n            break"),
    ],
}


@pytest.mark.parametrize("hint", KEEPING)
def test_a_wrong_place_for_the_copy_is_named(capsys, book, hint):
    answer = solution(book, "3-3", *KEEPING[hint])
    assert hint in said(capsys, "3.3", answer)
