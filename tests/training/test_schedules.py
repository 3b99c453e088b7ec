"""Learning rates that rise and fall: by hand, as torch's own, in every engine."""

import copy
import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from every_engine import (
    CONV,
    ENGINES,
    LENET,
    apart,
    by_torch,
    orders,
    stepped,
    thinned,
)
from helpers import few

import lth_utils as lth
from lth_utils import LotteryError, Recipe
from lth_utils.training import loop
from lth_utils.training.engines import Descent

DIGITS = few(lth.load("mnist-small"), 130, 60)
COLOURS = few(lth.load("colour-digits"), 70, 20)
KEYS = [(0, 0), (1, 2)]

SCHEDULE = {"warmup": 4, "milestones": (6, 9)}
ADAM = Recipe(2e-3, 12, batch_size=32, **SCHEDULE)
SGD = Recipe(0.05, 12, "sgd", 32, momentum=0.9, weight_decay=1e-2, **SCHEDULE)
RECIPES = pytest.mark.parametrize("recipe", [ADAM, SGD], ids=["adam", "sgd"])


# --- the rate ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (Recipe(0.8, 4), [0.8, 0.8, 0.8, 0.8]),
        (Recipe(0.8, 4, warmup=1), [0.8, 0.8, 0.8, 0.8]),
        (Recipe(0.8, 4, warmup=4), [0.2, 0.4, 0.6, 0.8]),  # all of the run
        (Recipe(0.8, 5, warmup=2), [0.4, 0.8, 0.8, 0.8, 0.8]),
        (Recipe(0.8, 5, milestones=(2, 3)), [0.8, 0.8, 0.08, 0.008, 0.008]),
        (Recipe(0.8, 5, milestones=(1, 4)), [0.8, 0.08, 0.08, 0.08, 0.008]),
        (Recipe(0.8, 5, warmup=2, milestones=(2,)), [0.4, 0.8, 0.08, 0.08, 0.08]),
        (Recipe(0.8, 6, warmup=2, milestones=(4,)), [0.4, 0.8, 0.8, 0.8, 0.08, 0.08]),
    ],
)
def test_the_rate_of_each_step(recipe, expected):
    found = [recipe.rate(step) for step in range(1, recipe.iterations + 1)]
    assert found == pytest.approx(expected, rel=1e-15)
    assert recipe.steady == (len(set(expected)) == 1 and not recipe.warmup)


def test_a_rate_may_fall_to_nothing():
    recipe = Recipe(0.8, 1000, milestones=range(1, 400))
    assert recipe.rate(1000) == 0
    assert recipe.rate(3) == pytest.approx(0.008, rel=1e-15)


def test_the_papers_rates():
    resnet = Recipe(0.03, 30_000, warmup=20_000, milestones=(20_000, 25_000))
    rates = [resnet.rate(at) for at in (1, 10_000, 20_000, 20_001, 25_000, 25_001)]
    assert rates == pytest.approx([1.5e-6, 0.015, 0.03, 3e-3, 3e-3, 3e-4], rel=1e-15)


@pytest.mark.parametrize("taken", range(5))
@pytest.mark.parametrize("steps", [1, 3, 7])
def test_rates_are_those_of_the_steps_run_by_run(taken, steps):
    recipe = Recipe(0.8, 12, warmup=2, milestones=(5, 8))
    found = [rate for rate, count in recipe.rates(taken, steps) for _ in range(count)]
    after = range(taken + 1, taken + steps + 1)
    assert found == [recipe.rate(step) for step in after]
    assert not list(recipe.rates(taken, 0))


def test_a_steady_rate_is_the_recipes_own_number_and_one_run():
    """What makes a recipe without a schedule train to the bits that it always did."""
    recipe = Recipe(1.2e-3, 50_000)
    assert recipe.steady
    assert {recipe.rate(step) for step in (1, 2, 49_999, 50_000)} == {1.2e-3}
    assert list(recipe.rates(7, 300)) == [(1.2e-3, 300)]
    descent = Descent([torch.zeros(3)], recipe)
    for _ in range(3):
        descent.begin()
        assert descent.rate == 1.2e-3


# --- in every engine --------------------------------------------------------------


def two(word: str, density: float) -> list[torch.nn.Module]:
    nets = {
        "lenet": lambda seed: lth.LeNet(seed, (20, 12)),
        "conv2": lambda seed: lth.Conv2(seed, (4, 6), (12, 8)),
    }
    return [thinned(nets[word](seed).double(), density, seed) for seed in (0, 1)]


WAYS = [*(("lenet", way) for way in LENET), *(("conv2", way) for way in CONV)]


@RECIPES
@pytest.mark.parametrize("density", [1.0, 0.1])
@pytest.mark.parametrize(("word", "way"), WAYS)
def test_a_schedule_is_torchs_own(word, way, density, recipe):
    data = DIGITS if word == "lenet" else COLOURS
    nets, starts = two(word, density), two(word, density)
    stepped(way, nets, recipe, data, KEYS)
    for net, start, key in zip(nets, starts, KEYS, strict=True):
        assert apart(net, by_torch(start, recipe, data, key)) <= 1e-12
        assert apart(net, start) > 1e-3
        for name, mask in lth.masks_of(net).items():
            assert not net.get_parameter(name)[~mask].any()


@RECIPES
@pytest.mark.parametrize("way", CONV)
def test_with_norms_too(way, recipe):
    net = thinned(lth.ResNet20(0, width=2).double(), 0.3)
    expected = by_torch(net, recipe, COLOURS, (3, 1))
    stepped(way, [net], recipe, COLOURS, [(3, 1)])
    assert apart(net, expected) <= 1e-10


@RECIPES
@pytest.mark.parametrize(("word", "way"), [pair for pair in WAYS if pair[1] in ENGINES])
def test_a_training_in_pieces_is_the_same_to_the_bit(word, way, recipe):
    data = DIGITS if word == "lenet" else COLOURS
    net, whole = (two(word, 0.5)[0].float() for _ in range(2))
    stepped(way, [whole], recipe, data, KEYS[:1])
    order, engine = (
        orders(recipe, data, KEYS[0]),
        ENGINES[way](net, recipe, data, (0, 0)),
    )
    for piece in order.split([1, 4, 1, 0, 2, 4]):  # 5 lies within the warm-up
        engine.steps(piece)
        engine.measure(data.validation)
    engine.write()
    assert apart(net, whole) == 0


def test_evaluations_and_what_is_kept_change_no_rate():
    net, other = (two("lenet", 0.1)[0].float() for _ in range(2))
    often = Recipe(2e-3, 12, batch_size=32, evaluate_every=1, **SCHEDULE)
    lth.train(net, DIGITS, often, keep_at=5, device="cpu")
    lth.train(other, DIGITS, ADAM, device="cpu")
    assert apart(net, other) == 0


def test_a_second_training_begins_with_the_warm_up_again():
    net = two("lenet", 0.5)[0]
    first = copy.deepcopy(net)
    lth.train(net, DIGITS, ADAM, device="cpu")
    trained = copy.deepcopy(net)
    lth.train(net, DIGITS, ADAM, device="cpu")
    assert apart(net, by_torch(trained, ADAM, DIGITS, (0, 0))) <= 1e-12
    assert apart(trained, by_torch(first, ADAM, DIGITS, (0, 0))) <= 1e-12


@pytest.mark.parametrize("density", [1.0, 0.1])
@pytest.mark.parametrize("word", ["lenet", "conv2"])
def test_a_rate_that_diverges_is_a_sentence(word, density):
    data = DIGITS if word == "lenet" else COLOURS
    net = two(word, density)[0].float()
    recipe = Recipe(9e37, 20, "sgd", 32, 10, 0.9, warmup=2, milestones=(15,))
    with pytest.raises(LotteryError, match=r"diverged.*Lower the learning rate"):
        lth.train(net, data, recipe, device="cpu")


# --- what is left after rewinding -------------------------------------------------

WHOLE = Recipe(0.8, 20, warmup=4, milestones=(6, 9, 15))


@pytest.mark.parametrize("done", [0, 4, 5, 6, 7, 9, 14, 15, 19])
def test_what_is_left_goes_on_where_it_was(done):
    left = WHOLE.left(done)
    assert left.iterations == 20 - done
    rates = [left.rate(step) for step in range(1, left.iterations + 1)]
    expected = [WHOLE.rate(step) for step in range(done + 1, 21)]
    assert rates == pytest.approx(expected, rel=1e-15)


def test_of_a_steady_recipe_only_the_iterations_change():
    assert Recipe(1.2e-3, 20).left(5) == Recipe(1.2e-3, 15)
    assert WHOLE.left(0) == WHOLE


def test_a_ticket_goes_on_with_the_rates_of_where_it_was_rewound_to(monkeypatch):
    heard, train = [], loop.train

    def listening(net, data, recipe, *words, **more):
        heard.append([recipe.rate(step) for step in range(1, recipe.iterations + 1)])
        return train(net, data, recipe, *words, **more)

    monkeypatch.setattr("lth_utils.tickets.train", listening)
    recipe = Recipe(1e-3, 12, batch_size=32, warmup=3, milestones=(5, 8))
    lth.find_ticket("lenet", DIGITS, recipe, 0.2, rounds=2, rewind_to=5)
    assert heard[1] == pytest.approx(heard[0][5:], rel=1e-15)


def test_to_rewind_into_a_warm_up_is_refused_before_training(monkeypatch):
    monkeypatch.setattr("lth_utils.tickets.train", None)  # would fail
    with pytest.raises(LotteryError, match=r"5 lies within .* warm-up of 8 iterations"):
        lth.find_ticket(
            "lenet", DIGITS, Recipe(1e-3, 12, warmup=8), 0.2, 2, rewind_to=5
        )


# --- what is mistaken -------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        *(
            ({"warmup": w}, "Of 20 iterations, .* warmup is .* from 0 to 20")
            for w in (-1, 21, 2.0, True)
        ),
        *(
            ({"milestones": m}, "milestones are .* expected several in a tuple")
            for m in (5, "12", None, np.int64(5), np.array(5))
        ),
        *(
            ({"milestones": (5, m)}, "One of .* milestones is .* from 1 to 19")
            for m in (0, -1, 20, 21, 6.0, True, "7", None)
        ),
        ({"milestones": (5, 9, 5)}, "milestones name 5 twice"),
        ({"milestones": (5, np.int64(5))}, "milestones name 5 twice"),
        ({"warmup": 6, "milestones": (5, 9)}, "milestones is 5: .* from 6 to 19"),
        ({"warmup": 20, "milestones": (20,)}, "no room .* warm-up of 20 .* end at 20"),
        ({"iterations": 1, "milestones": (1,)}, "no room .* of 0 iterations .* at 1"),
    ],
)
def test_mistaken_schedules(change, sentence):
    with pytest.raises(LotteryError, match=sentence) as caught:
        Recipe(**{"iterations": 20, **change})
    assert "\n" not in str(caught.value)


def test_a_schedule_in_other_words_is_the_same():
    ours = Recipe(0.5, 20, warmup=2, milestones=(5, 9))
    for milestones in ([9, 5], range(5, 10, 4), np.array([9, 5]), {5, 9}, iter([5, 9])):
        theirs = Recipe(np.float32(0.5), 20, warmup=np.int64(2), milestones=milestones)
        assert theirs == ours
        assert hash(theirs) == hash(ours)
        assert json.dumps(asdict(theirs)) == json.dumps(asdict(ours))
    assert type(ours.rate(1)) is float
    assert Recipe(**json.loads(json.dumps(asdict(ours)))) == ours
