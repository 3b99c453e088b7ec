"""One bit a living weight is all that the next round needs."""

from dataclasses import replace

import pytest
import torch

import lth_utils as lth
from benchmarks.gpu_packed import next_masks, packed, ranks
from lth_utils.experiments.jobs import Result, jobs_of
from lth_utils.experiments.perform import start
from lth_utils.masking import masked, rewind, snapshot
from lth_utils.masks import Masks, masks_of
from lth_utils.models import network
from lth_utils.pruning import prune

# Layer by layer, and all layers together.
PLANS = {
    "conv2-narrow": "conv2",
    "lenet-20-10": "lenet-mnist",
    "resnet8-narrow": "resnet20",
}


def drawn(word: str, masks: Masks, seed: int, levels: int | None):
    """Return a network with random weights: of a few sizes, so that many are equal."""
    net = masked(network(word))
    generator = torch.Generator().manual_seed(seed)
    state = snapshot(net)
    for name in masks:
        state[name] = torch.randn(state[name].shape, generator=generator)
        if levels:
            state[name] = (state[name] * levels).round() / levels
    rewind(net, state, masks)
    return net


@pytest.mark.parametrize("levels", [None, 1])
@pytest.mark.parametrize("word", PLANS)
def test_ranks_give_the_masks_that_the_weights_give(word, levels):
    pruning = lth.experiment(PLANS[word]).parts[0].pruning
    assert pruning.scope == ("global" if word == "resnet8-narrow" else "layer-wise")
    masks = masks_of(masked(network(word)))
    for round in range(4):
        net = drawn(word, masks, round, levels)
        true = prune(net, pruning.rates, scope=pruning.scope)
        state = ranks(word, masks, true)
        rewind(net, state, masks)
        assert prune(net, pruning.rates, scope=pruning.scope) == true
        for name, mask in masks.items():
            values = snapshot(net)[name]
            assert torch.equal(values == 0, ~mask)
            assert torch.equal(values == 2, true[name])
        assert true != masks
        masks = true


def test_with_ties_the_order_decides_what_ranks_must_keep():
    """The case is a real one: here equal weights stay and go."""
    masks = masks_of(masked(network("conv2-narrow")))
    net = drawn("conv2-narrow", masks, 0, 1)
    pruning = lth.PRUNING["conv2"]
    true = prune(net, pruning.rates, scope=pruning.scope)
    name = next(iter(masks))
    weights = snapshot(net)[name].abs()
    assert set(weights[true[name]].tolist()) & set(weights[~true[name]].tolist())


def jobs(name: str, arms: tuple[str, ...]):
    plan = lth.experiment(name).parts[0]
    rounds = max(plan.rounds, 4)
    plan = replace(plan, arms=arms, seeds=(0,), control_rounds=None, rounds=rounds)
    return {(job.arm, job.round): job for job in jobs_of(replace(plan, controls={}))}


@pytest.mark.parametrize("name", ["conv2", "resnet20"])
def test_a_chain_goes_on_from_its_bits_alone(name):
    every = jobs(name, ("dense", "ticket"))
    job, masks = every["dense", 0], masks_of(masked(network(every["dense", 0].network)))
    for round in range(1, 5):
        heir = every["ticket", round]
        net = drawn(job.network, masks, round, 3)
        result = Result(masks, 0, [], snapshot(net), 1.0)
        after = start(heir, result).masks
        small = packed(job, result, after)
        assert not small.masks
        assert all(bits.dtype == torch.uint8 for bits in small.weights.values())
        bits = sum(each.numel() for each in small.weights.values())
        assert bits <= masks.remaining / 8 + len(masks)
        assert next_masks(masks, small.weights) == after
        state = ranks(job.network, masks, next_masks(masks, small.weights))
        assert start(heir, replace(result, weights=state)).masks == after
        job, masks = heir, after


def test_the_last_of_a_chain_keeps_nothing_and_other_arms_their_masks():
    every = jobs("lenet-mnist", ("dense", "ticket", "oneshot", "random"))
    masks = masks_of(masked(network("lenet")))
    result = Result(masks, 0, [], {"fc1.weight": torch.ones(2)}, 1.0)
    for arm, kept in (("ticket", {}), ("random", {}), ("oneshot", masks)):
        small = packed(every[arm, 2], result, None)
        assert small.masks == Masks(kept)
        assert small.weights == {}
