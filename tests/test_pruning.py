"""Exactly k, stable ties, and the paper's ladders without training."""

from contextlib import suppress
from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers import RATES, tiny_net
from hypothesis import given, settings
from hypothesis import strategies as st

import lth_utils as lth
from lth_utils import LotteryError, Masks
from lth_utils.pruning import check_ladder

# paper.md's section 1, from the architectures: round -> percent remaining.
LENET = [100, 80.04, 64.06, 51.28, 41.05, 32.87, 26.32, 21.07, 16.88, 13.52, 10.83]
LENET += [8.68, 6.95, 5.57, 4.47, 3.58, 2.87, 2.31, 1.85, 1.49, 1.19]
LADDERS = {
    "lenet": dict(enumerate(LENET)),
    "conv2": {0: 100, 6: 26.47, 11: 8.81, 14: 4.57},
    "conv4": {0: 100, 11: 11.06, 12: 9.18, 13: 7.65, 15: 5.37},
    "conv6": {0: 100},
    "resnet20": {0: 100, 4: 41.66, 6: 27.09, 7: 21.91, 10: 11.79},
    "vgg19": {0: 100, 12: 6.90, 15: 3.54, 19: 1.47},
}


@pytest.mark.parametrize("word", LADDERS)
def test_ladder(word):
    pruning = lth.PRUNING[word]
    net = lth.masked(lth.network(word, 0))
    rungs = lth.densities(net, pruning.rates, pruning.scope, 20)
    for round, percent in LADDERS[word].items():
        assert f"{100 * rungs[round]:.2f}" == f"{percent:.2f}"
    assert all(a > b for a, b in pairwise(rungs))


def test_conv6_first_round_by_hand():
    # 1,144,512 convolution weights at 15 %, 1,114,112 at 20 %, 2,560 at 10 %.
    left = (1_144_512 - 171_677) + (1_114_112 - 222_822) + (2_560 - 256)
    net = lth.masked(lth.Conv6())
    rungs = lth.densities(net, lth.PRUNING["conv6"].rates, "layer-wise", 1)
    assert rungs[1] == left / 2_261_184


@settings(max_examples=30, deadline=None)
@given(
    fraction=st.floats(0.05, 0.95),
    seed=st.integers(0, 1000),
    scope=st.sampled_from(["layer-wise", "global"]),
    score=st.sampled_from(["magnitude", "random", "initial"]),
)
def test_masks_only_shrink_by_exactly_k(fraction, seed, scope, score):
    net = lth.masked(tiny_net(seed))
    init = lth.snapshot(tiny_net(seed + 1))
    for _ in range(2):
        before = lth.masks_of(net)
        masks = lth.prune(net, fraction, score, scope, seed=seed, init=init)
        assert all(torch.all(before[name][mask]) for name, mask in masks.items())
        if scope == "global":
            expected = before.remaining - round(fraction * before.remaining)
            assert masks.remaining == expected
        else:
            assert masks.counts() == {
                name: n - round(fraction * n) for name, n in before.counts().items()
            }
        lth.apply_masks(net, masks)


def test_the_smallest_go():
    net = lth.masked(torch.nn.Linear(5, 2, bias=False))
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[1, -9, 2, -8, 3], [-7, 4, 6, -5, 0.5]]))
    masks = lth.prune(net, 0.4)
    assert masks["weight"].tolist() == [
        [False, True, False, True, False],
        [True, True, True, True, False],
    ]


def test_ties_break_by_position():
    scores = {"a": torch.tensor([1.0, 1.0, 1.0, 1.0])}
    masks = lth.keep(scores, Masks({"a": torch.ones(4)}), {("a",): 2})
    assert masks["a"].tolist() == [False, False, True, True]


def test_the_dead_stay_dead_whatever_their_score():
    scores = {"a": torch.tensor([9.0, 1.0, 2.0])}
    masks = lth.keep(scores, Masks({"a": torch.tensor([0, 1, 1])}), {("a",): 1})
    assert masks["a"].tolist() == [False, False, True]


def test_kinds_without_a_rate_are_kept_whole():
    net = lth.masked(lth.LeNet())
    masks = lth.prune(net, {"fc": 0.2})
    assert masks.counts()["output.weight"] == 1000
    assert lth.prune(net, RATES).counts()["output.weight"] == 900


def test_pruning_changes_nothing():
    net = lth.masked(lth.LeNet())
    before = lth.snapshot(net)
    lth.prune(net, 0.5)
    assert lth.masks_of(net).density == 1
    assert all(torch.equal(before[n], t) for n, t in lth.snapshot(net).items())


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 1.5, float("nan"), "a", True, None])
def test_fraction_out_of_range(fraction):
    with pytest.raises(LotteryError, match="at least 0 and below 1"):
        lth.prune(lth.masked(tiny_net()), fraction)


def test_a_round_that_would_prune_nothing():
    net = lth.masked(torch.nn.Linear(2, 1))
    with pytest.raises(LotteryError, match="would prune nothing"):
        lth.prune(net, 0.2)


def test_mistaken_words_and_rates():
    net = lth.masked(lth.LeNet())
    with pytest.raises(LotteryError, match=r"Unknown score 'magnitud'.*Did you mean"):
        lth.prune(net, 0.2, score="magnitud")
    with pytest.raises(LotteryError, match="Unknown scope"):
        lth.prune(net, 0.2, scope="local")
    with pytest.raises(LotteryError, match="Unknown kind of layer 'dense'"):
        lth.prune(net, {"dense": 0.2})
    with pytest.raises(LotteryError, match="for 'conv', but this network's layers"):
        lth.prune(net, {"conv": 0.2, "fc": 0.2})
    with pytest.raises(LotteryError, match="Global pruning has one rate"):
        lth.prune(net, RATES, scope="global")
    with pytest.raises(LotteryError, match="needs the initial weights"):
        lth.prune(net, 0.2, score="initial")
    with pytest.raises(LotteryError, match="is no seed"):
        lth.prune(net, 0.2, score="random")


@pytest.mark.parametrize("rounds", [-1, 2.0, None])
def test_a_ladder_of_no_number_of_rounds(rounds):
    with pytest.raises(LotteryError, match="number of rounds is"):
        lth.densities(lth.masked(lth.LeNet()), RATES, "layer-wise", rounds)


def rounds_that_prune(net, scope):
    rounds = 0
    with suppress(LotteryError):
        while True:
            lth.apply_masks(net, lth.prune(net, 0.4, scope=scope))
            rounds += 1
    return rounds


@pytest.mark.parametrize("scope", ["layer-wise", "global"])
def test_a_ladder_is_judged_as_pruning_would(scope):
    rounds = rounds_that_prune(lth.masked(tiny_net()), scope)
    fresh = lth.masked(tiny_net())
    check_ladder(fresh, 0.4, scope, rounds)
    with pytest.raises(LotteryError, match=f"Round {rounds + 1} .* at most {rounds} "):
        check_ladder(fresh, 0.4, scope, rounds + 5)


ALIVE = Masks({"a": torch.tensor([1, 1, 0, 1]), "b": torch.ones(2, 2)})
SCORES = {"a": torch.tensor([1.0, 2, 3, 4]), "b": torch.arange(4.0).view(2, 2)}
COUNTS = {("a",): 2, ("b",): 1}


def scored(*values):
    return {**SCORES, "a": torch.tensor(values)}


@pytest.mark.parametrize(
    ("scores", "counts", "sentence"),
    [
        ({"a": SCORES["a"]}, COUNTS, "scores of 'b' are no tensor"),
        (scored(1.0, 2, 3), COUNTS, r"scores of 'a' are \(3,\): expected .* \(4,\)"),
        (scored([1.0, 2], [3, 4]), COUNTS, r"scores of 'a' are \(2, 2\)"),
        (scored(1, float("nan"), 1, 1), COUNTS, "scores of 'a' hold NaN"),
        (SCORES, {("a",): -1, ("b",): 1}, "to keep in a is -1: expected an integer"),
        (SCORES, {("a",): 1.5, ("b",): 1}, r"to keep in a is 1\.5"),
        (SCORES, {("a",): 2.0, ("b",): 1}, r"to keep in a is 2\.0"),
        (SCORES, {("a",): 4, ("b",): 1}, "at most the 3 that are alive"),
        (SCORES, {("a",): 2}, "layer 'b' is in 0 groups"),
        (SCORES, {("a",): 2, ("a", "b"): 1}, "layer 'a' is in 2 groups"),
        (SCORES, {("a", "a"): 2, ("b",): 1}, "layer 'a' is in 2 groups"),
        (SCORES, {**COUNTS, ("c",): 1}, "layer 'c' is not in the masks"),
        (SCORES, {"a": 2, "b": 1}, r"'a' is no group of layers: expected a tuple"),
        (SCORES, {}, "layer 'a' is in 0 groups"),
    ],
)
def test_what_cannot_be_kept_is_a_sentence(scores, counts, sentence):
    with pytest.raises(LotteryError, match=sentence):
        lth.keep(scores, ALIVE, counts)


INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("scores", "kept"),
    [
        (scored(-INF, 0, 0, INF), [0, 1, 0, 1]),
        (scored(1.0, 2, NAN, 3), [0, 1, 0, 1]),  # the dead need no score
        (scored(3, 2, 9, 1), [1, 1, 0, 0]),
        (scored(True, False, True, True), [1, 0, 0, 1]),
    ],
)
def test_scores_are_any_numbers(scores, kept):
    masks = lth.keep(scores, ALIVE, {("a",): np.int64(2), ("b",): 0})
    assert masks == Masks({"a": torch.tensor(kept), "b": torch.zeros(2, 2)})


def test_a_network_that_diverged_is_not_pruned_by_its_weights():
    net = lth.masked(lth.LeNet())
    with torch.no_grad():
        net.fc2.weight[0, 0] = NAN
    for rates, scope in ((RATES, "layer-wise"), (0.2, "global")):
        with pytest.raises(LotteryError, match=r"'fc2\.weight' hold NaN.*diverged"):
            lth.prune(net, rates, scope=scope)
    assert lth.prune(net, 0.2, "random", seed=0).density == pytest.approx(0.8)


def test_initial_weights_of_another_network():
    net = lth.masked(lth.LeNet())
    for init in ({}, lth.LeNet(hidden=(30, 10)).state_dict()):
        with pytest.raises(LotteryError, match=r"scores of 'fc1\.weight' are"):
            lth.prune(net, 0.2, "initial", init=init)


def test_random_scores_do_not_depend_on_the_order_of_layers():
    masks = lth.masks_of(lth.masked(tiny_net()))
    backwards = Masks({name: masks[name] for name in reversed(list(masks))})
    scores = lth.random_scores(masks, seed=1)
    again = lth.random_scores(backwards, seed=1)
    assert all(torch.equal(scores[name], again[name]) for name in masks)
    assert not torch.equal(scores["4.weight"], lth.random_scores(masks, 2)["4.weight"])
