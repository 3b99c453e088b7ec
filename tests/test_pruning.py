"""Exactly k, stable ties, and the paper's ladders without training."""

from itertools import pairwise

import pytest
import torch
from helpers import RATES, tiny_net
from hypothesis import given, settings
from hypothesis import strategies as st

import lth_utils as lth
from lth_utils import LotteryError, Masks
from lth_utils.pruning import check_density

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


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 1.5, float("nan"), "a"])
def test_fraction_out_of_range(fraction):
    with pytest.raises(LotteryError, match="at least 0 and below 1"):
        lth.prune(lth.masked(tiny_net()), fraction)


@pytest.mark.parametrize("density", [0, -0.1, 1.01, None])
def test_density_out_of_range(density):
    with pytest.raises(LotteryError, match="above 0 and at most 1"):
        check_density(density)


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
    with pytest.raises(LotteryError, match="Global pruning has one rate"):
        lth.prune(net, RATES, scope="global")
    with pytest.raises(LotteryError, match="needs the initial weights"):
        lth.prune(net, 0.2, score="initial")
    with pytest.raises(LotteryError, match="is no seed"):
        lth.prune(net, 0.2, score="random")


def test_keeping_more_than_are_alive():
    masks = Masks({"a": torch.tensor([1, 0])})
    with pytest.raises(LotteryError, match="at most the 1 that are alive"):
        lth.keep({"a": torch.ones(2)}, masks, {("a",): 2})


def test_random_scores_do_not_depend_on_the_order_of_layers():
    masks = lth.masks_of(lth.masked(tiny_net()))
    backwards = Masks({name: masks[name] for name in reversed(list(masks))})
    scores = lth.random_scores(masks, seed=1)
    again = lth.random_scores(backwards, seed=1)
    assert all(torch.equal(scores[name], again[name]) for name in masks)
    assert not torch.equal(scores["4.weight"], lth.random_scores(masks, 2)["4.weight"])
