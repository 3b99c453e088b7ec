"""Chapter 3: its algorithm is the library's, and it shows what it says."""

import re
from itertools import pairwise

import nbformat
import numpy as np
import pytest
import torch
from book_fixtures import ROOT, captions, glued, plain, printed, shown, told_by

import lth_utils as lth
from lth_utils.seeds import seed_of
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


RATES_OF_XOR = ("kept", "arbitrary", "all")


def numbers(text: str) -> list[float]:
    return [
        float(word.replace(",", "")) for word in re.findall(r"\d[\d,.]*\d|\d", text)
    ]


def test_the_pair_that_pruning_kept_beats_two_taken_without_looking(chapter):
    values = glued(chapter)
    kept, arbitrary, ten = (values[f"xor-{kind}"] for kind in RATES_OF_XOR)
    assert arbitrary + 0.3 <= kept < ten
    assert arbitrary < 0.5 < 0.8 < ten
    lines = printed(chapter, "xor-pairs").splitlines()
    said = sorted(float(re.search(r"([\d.]+) %", line)[1]) for line in lines if line)
    assert said == pytest.approx([100 * arbitrary, 100 * kept, 100 * ten], abs=0.051)


def test_two_hidden_units_can_express_xor(chapter):
    (shows,) = shown(chapter, "text/plain", "xor-by-hand")
    assert shows == "tensor([0., 1., 1., 0.])"


@pytest.fixture(scope="module")
def rounds(chapter) -> list[dict[str, float]]:
    """Return what the slider says of each round."""
    (slider,) = shown(chapter, "text/html", "slider")
    words = ("round", "left", "first", "looked", "stop", "at", "end", "n")
    return [
        dict(zip(words, numbers(caption), strict=True)) for caption in captions(slider)
    ]


def test_the_rounds_go_down_the_papers_ladder(rounds):
    rates = {"fc": 0.2, "output": 0.1}
    ladder = lth.densities(lth.masked(lth.LeNet()), rates, "layer-wise", 10)
    assert [each["round"] for each in rounds] == list(range(11))
    assert [each["left"] for each in rounds] == [round(100 * d, 1) for d in ladder]
    assert {each["n"] for each in rounds} == {1}


def test_tickets_lie_mostly_above_the_dense_network_and_end_there(rounds):
    dense, *tickets = rounds
    for moment in ("stop", "end"):
        above = [each[moment] > dense[moment] for each in tickets]
        assert sum(above) >= 6
        assert sum(above[-3:]) >= 2


def test_neighbouring_rounds_differ_by_half_a_point(rounds):
    moments = ("stop", "end")
    steps = [abs(a[m] - b[m]) for m in moments for a, b in pairwise(rounds)]
    assert 0.45 < max(steps) < 2


def test_every_ticket_is_ahead_of_the_dense_network_at_the_first_look(rounds):
    dense, *tickets = rounds
    assert all(each["looked"] == dense["looked"] for each in tickets)
    assert all(each["first"] > dense["first"] for each in tickets)


def test_both_moments_are_told_and_are_the_curves_own(chapter, rounds):
    text = told_by(chapter, "rounds-told")
    early, end = text.split(" Test accuracy after ")
    for told, moment in ((early, "stop"), (end, "end")):
        dense, _, _, last, _ = numbers(told)
        assert (dense, last) == (rounds[0][moment], rounds[10][moment])


def test_the_library_gets_what_the_loop_got(chapter, rounds):
    text = told_by(chapter, "library-says")
    _, iteration, accuracy, own, ours = numbers(text)
    assert own == rounds[10]["at"]
    assert ours == rounds[10]["stop"]
    assert accuracy == pytest.approx(ours, abs=0.5)
    assert iteration % 50 == 0


def test_seed_0_of_the_library_is_another_draw(book):
    """So chapter 4 prints other numbers; only the generator's seed is another."""

    def drawn(seed):
        net = book["LeNet"]()
        book["initialise"](net, seed)
        return net.fc1.weight

    library = lth.LeNet(seed=0).fc1.weight
    assert not torch.equal(drawn(0), library)
    assert torch.equal(drawn(seed_of("init", 0)), library)


def test_a_word_is_new_once():
    words = ("round", "run", "arm")
    text = [
        "\n".join(
            cell.source
            for cell in nbformat.read(ROOT / f"{name}.ipynb", as_version=4).cells
            if cell.cell_type == "markdown"
        )
        for name in ("notebooks/02-why-not-small", NAME)
    ]
    places = [[len(re.findall(rf"\*\*{w}s?\*\*", t)) for t in text] for w in words]
    assert places == [[0, 1], [1, 0], [1, 0]]


def test_the_three_conditions_are_weighed(chapter, rounds):
    (table,) = shown(chapter, "text/html", "verdict")
    dense, ticket = rounds[0], rounds[10]
    rows = re.findall(r"<th>([a-z (%)]+)</th>\s*((?:<td>.*?</td>\s*)+)", table)
    said = {name: re.findall(r"<td>(.*?)</td>", cells) for name, cells in rows}
    met = "yes" if ticket["at"] <= dense["at"] else "no"
    at = [f"{each['at']:,.0f}" for each in (dense, ticket)]
    assert said["iterations"] == [*at, met]
    stops = [f"{each['stop']:.1f}" for each in (dense, ticket)]
    assert said["test accuracy (%)"][:2] == stops
    better = ticket["stop"] - dense["stop"]
    assert abs(better) < 0.05 or (said["test accuracy (%)"][2] == "yes") == (better > 0)
    rates = {"fc": 0.2, "output": 0.1}
    *_, left = lth.densities(lth.masked(lth.LeNet()), rates, "layer-wise", 10)
    assert said["weights"] == ["266,200", f"{266_200 * left:,.0f}", "yes"]


def test_the_chapter_keeps_what_later_ones_ask():
    """Chapters 8 and 9 ask what first values, and which pixels, survive."""
    text = "\n".join(cell.source for cell in SOURCE.cells)
    for spoiler in ("around zero", "second bias", "input_image", "unit_images"):
        assert spoiler not in text


def test_the_key_holds_what_the_chapter_found(chapter, rounds):
    (key,) = shown(chapter, "text/markdown", "key-table")
    key = plain(key)
    one, two, three, four = key.splitlines()[2:]
    stop, end = re.findall(r"[+-][\d.]+", one)
    for told, moment in ((stop, "stop"), (end, "end")):
        gain = rounds[10][moment] - rounds[0][moment]
        assert float(told) == pytest.approx(gain, abs=0.11)
    unmasked, gone, remembered = numbers(two.split("|")[2])
    revived = numbers(printed(chapter, "slip-gradient"))
    assert [gone, unmasked] == [revived[0], revived[-1]]
    assert [remembered] == numbers(printed(chapter, "slip-momentum"))
    rates = {kind: round(100 * glued(chapter)[f"xor-{kind}"]) for kind in RATES_OF_XOR}
    assert numbers(three.split("|")[2]) == [rates["arbitrary"], rates["all"]]
    assert numbers(four.split("|")[2]) == [rates["kept"]]


def test_the_slips_break_what_they_should_break(chapter):
    gone, _, right, forgotten = numbers(
        printed(chapter, "slip-gradient").replace("one", "1")
    )
    (remembered,) = numbers(printed(chapter, "slip-momentum"))
    assert gone == 266_200 - 213_060
    assert right == 0
    assert min(forgotten, remembered) > 0.5 * gone
    first, second = numbers(printed(chapter, "slip-alias"))
    *_, guess = numbers(printed(chapter, "slip-alias-right"))
    assert first == guess < 30
    assert second > 70


def test_a_weight_stays_dead_only_between_units_never_at_work_together(book):
    """Without the gradient's mask: the text says why not all are revived."""
    data, recipe = lth.load("mnist-small"), lth.Recipe(iterations=200)
    x, y = data.scale(data.train.images), data.train.labels
    net = book["LeNet"]()
    book["initialise"](net, 0)
    init = book["snapshot"](net)
    ones = {name: torch.ones_like(init[name]) for name in book["RATES"]}
    book["train"](net, ones, x, y, batches(len(y), recipe, seed=0, round=0))
    first = book["prune"](net, ones)
    book["rewind"](net, init, first)
    index = next(batches(len(y), recipe, seed=0, round=1))
    seen = [x[index].flatten(1)]
    for layer in (net.fc1, net.fc2):
        seen.append(torch.relu(layer(seen[-1])))
    on = [(values != 0).double() for values in seen] + [torch.ones(len(index), 10)]
    book["train"](net, ones, x, y, [index])
    dead = 0
    for name, before, after in zip(first, on, on[1:], strict=False):
        never = (after.double().T @ before) == 0
        pruned = first[name] == 0
        zero = net.get_parameter(name) == 0
        assert torch.equal(zero & pruned, never & pruned)
        dead += int((zero & pruned).sum())
    assert dead > 0


# The exercises


def test_chance_costs_more_than_pruning_by_magnitude(chapter, rounds):
    text = told_by(chapter, "solution-3-1-run")
    number, left, lot, ticket, dense, _ = numbers(text)
    assert (number, left) == (6, rounds[6]["left"])
    assert (ticket, dense) == (rounds[6]["end"], rounds[0]["end"])
    assert lot < ticket


def test_a_global_ranking_spares_the_output_layer(chapter):
    lines = printed(chapter, "solution-3-2-run").splitlines()
    first, second, output = [numbers(line)[-1] for line in lines if "keeps" in line]
    assert first < second < output


def said(capsys, number: str, answer: object) -> str:
    assert lth.check(number, answer) is False
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("number", "answer", "hint"),
    [
        ("3.A", lambda dense, ticket: None, "returns nothing yet"),
        ("3.A", lambda dense, ticket: (True, False), "True or False for each"),
        ("3.B", lambda net, init, masks: None, "The network is as it was"),
        ("3.C", [[1, 1, 0, 1]], "Expected two rows of four, and got (1, 4)"),
        ("3.C", [[1, 1, 0, 1], [1, 1, -1, -1]], "this pair says 0, 1, 1, 1."),
        ("3.C", [[1, 1, 0, 1], [1, 1, -1, -2]], "That is the pair of the text"),
        ("3.C", [[0.5, 0.5, -0.5, -4], [2, 2, 0, 0.5]], "the pair of the text"),
        ("3.C", "r(a - b)", "Expected two rows of four numbers"),
        ("3.1", 18_293, "Expected a function, and got the int 18293"),
        ("3.1", lambda *_: None, "returns nothing yet"),
        ("3.1", lambda *_: [], "All masks come at once"),
        ("3.1", lambda *_: iter([]), "there are 4 networks, the dense one first"),
        ("3.1", lambda *_: iter([1, 2]), "stopped with AttributeError"),
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
    "are its steps masked": [("step(net, masks", "step(net, {}")],
    "are not those of `train`": [
        ("Adam(net.parameters(), lr=1.2e-3, fused=True)", "SGD(net.parameters(), 0.1)")
    ],
}


@pytest.mark.parametrize("hint", KEEPING)
def test_a_wrong_place_for_the_copy_is_named(capsys, book, hint):
    answer = solution(book, "3-3", *KEEPING[hint])
    assert hint in said(capsys, "3.3", answer)


def wins(accuracy=">=", iteration="<=", weights="< 0.25 *"):
    """Return 3.A's solution, or one with another sign."""
    test = f"t.accuracy {accuracy} d.accuracy and t.iteration {iteration} d.iteration"
    return eval(f"lambda d, t: {test} and t.weights {weights} d.weights")


@pytest.mark.parametrize(
    ("hint", "signs"),
    {
        "better in all three does not win": {"accuracy": "<="},
        "as good, and as early, does not win": {"accuracy": ">"},
        "as good, and as early, does not": {"iteration": "<"},
        "needs more iterations wins": {"iteration": "< 9 +"},
        "more than a quarter of the weights wins": {"weights": "<"},
        "less than a quarter does not win": {"weights": "< 0.2 *"},
        "exactly a quarter of the weights wins": {"weights": "<= 0.25 *"},
        "2,000 of 10,000 weights does not win": {"weights": "< 250 + 0 *"},
    }.items(),
)
def test_a_wrong_sign_is_named(capsys, hint, signs):
    signs = {name: "< 99 +" if s == "< 9 +" else s for name, s in signs.items()}
    assert hint in said(capsys, "3.A", wins(**signs))


def test_who_returns_nothing_for_no_is_told(capsys):
    def only_yes(dense, ticket):
        return True if wins()(dense, ticket) else None

    assert "does not win, return False" in said(capsys, "3.A", only_yes)


def test_a_ticket_wins_in_other_words():
    def stepwise(dense, ticket):
        worse = dense.accuracy - ticket.accuracy > 0
        later = ticket.iteration - dense.iteration > 0
        small = torch.tensor(4 * ticket.weights < dense.weights)
        return small & (not worse) & (not later)

    assert lth.check("3.A", stepwise)
    assert lth.check("3.A", wins())


def rewinding(book: dict, *changes: tuple[str, str]):
    """Return the book's `rewind`, spoiled by replacing text."""
    source = named("step-4")
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    exec(source, book)
    return book["rewind"]


COPYING = "        values.copy_(init[name])\n"
MASKING = "        if name in masks:\n            values *= masks[name]"
REWINDING = {
    "A pruned weight of 0.weight is not 0": [(MASKING, "")],
    "0.bias is not at its first values": [
        (COPYING, "        if name in masks: values.copy_(init[name])\n")
    ],
    "0.weight is not at its first values": [
        (COPYING, "        if name not in masks: values.copy_(init[name])\n")
    ],
    "The network is as it was": [(COPYING, "")],
    "*is* the tensor in `init`": [(COPYING, "        values.data = init[name]\n")],
    "`init` or `masks` has changed": [
        (COPYING, ""),
        (MASKING, MASKING.replace("values", "init[name]") + f"\n{COPYING}"),
    ],
    "cannot be trained any more": [(COPYING, COPYING + "        values.detach_()\n")],
    "stopped with RuntimeError": [("@torch.no_grad()\n", "")],
}


@pytest.mark.parametrize("hint", REWINDING)
def test_a_slip_in_rewinding_is_named(capsys, book, hint):
    assert hint in said(capsys, "3.B", rewinding(book, *REWINDING[hint]))


def test_rewinding_may_be_written_in_other_ways(book):
    def fresh_parameters(net, init, masks):
        for name, values in net.named_parameters():
            values.data = init[name].clone()
            if name in masks:
                values.data[masks[name] == 0] = 0

    assert lth.check("3.B", rewinding(book))
    assert lth.check("3.B", fresh_parameters)


@pytest.mark.parametrize(
    "pair",
    [
        [[1, -1, 0, 1], [-1, 1, 0, 1]],
        torch.tensor([[-2.0, 2, 0, 0.5], [1, -1, 0, 1]]),
        np.array([[-1, -1, 2, 1], [-1, -1, 1, -2]]),
        ((0.5, -0.5, 0, 2), (-1, 1, 0, 1)),
    ],
)
def test_any_other_pair_that_solves_xor_is_right(pair):
    assert lth.check("3.C", pair)


LOTTERY = {
    "Size decides what goes": [("torch.rand_like(m)", "net.get_parameter(name)")],
    "Their places decide": [("torch.rand_like(m)", "m.cumsum(0).cumsum(1)")],
    "does not begin at the first values": [
        ("        rewind(net, init, masks)", "        pass")
    ],
    "Round 0 hands out its masks before the network is trained": [
        ("        train(net, masks, x, y, batches(round))\n", ""),
        ("yield masks", "yield masks\n        train(net, masks, x, y, batches(round))"),
    ],
    "In round 1 fc1.weight should keep 480 weights, and keeps 300": [
        ("RATES[name])", "0.5)")
    ],
    "there are 4 networks, the dense one first; yours hands out 3": [
        ("rounds + 1", "rounds")
    ],
    "Nobody asked for the batches of round 1": [("batches(round)", "batches(0)")],
    "In round 1 training brought pruned weights back": [
        ("train(net, masks,", "train(net, {},")
    ],
    "a weight of fc1.weight is alive again": [
        (", m, RATES[name])", ", m * 0 + 1, 1 - (1 - RATES[name]) ** (round + 1))")
    ],
}


@pytest.mark.parametrize("hint", LOTTERY)
def test_a_second_thing_changed_in_the_loop_is_named(capsys, book, hint):
    torch.manual_seed(0)
    answer = solution(book, "3-1", *LOTTERY[hint])
    assert hint in said(capsys, "3.1", answer)


@pytest.mark.parametrize("seed", range(5))
def test_lots_may_be_drawn_in_other_ways(book, seed):
    """A list instead of a generator, a permutation instead of scores, bools."""

    def lottery_by_lot(net, x, y, batches, rounds):
        first = {name: p.detach().clone() for name, p in net.named_parameters()}
        masks = {name: torch.ones_like(first[name]).bool() for name in book["RATES"]}
        for round in range(rounds + 1):
            with torch.no_grad():
                for name, values in net.named_parameters():
                    values.copy_(first[name] * masks.get(name, 1))
            book["train"](net, masks, x, y, batches(round))
            yield masks
            masks = {name: thinner(mask, name) for name, mask in masks.items()}

    def thinner(mask, name):
        places = mask.flatten().nonzero().flatten()
        count = round(book["RATES"][name] * len(places))
        gone = places[torch.randperm(len(places))[:count]]
        return mask.flatten().index_fill(0, gone, False).view_as(mask)

    torch.manual_seed(seed)
    assert lth.check("3.1", lottery_by_lot)
