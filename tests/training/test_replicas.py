"""Convolutional networks that train together are what each would be alone."""

import pytest
import torch
from helpers import few
from torch import nn

import lth_utils as lth
from lth_utils.training.recipes import Recipe
from lth_utils.training.replicas import WAYS, together

COLOURS = few(lth.load("colour-digits"), train=64, other=16)
ADAM = Recipe(iterations=5, batch_size=16, evaluate_every=5)
SGD = Recipe(0.05, 5, "sgd", 16, 5, momentum=0.9, weight_decay=1e-3)
KEYS = [(0, 0), (0, 3), (1, 2)]


def network(word: str, seed: int) -> nn.Module:
    """Return a network, of few filters where it can be had."""
    if word == "vgg19":  # by an eighth
        return narrow_vgg(seed)
    kind = getattr(lth, word)
    return kind(seed, *NARROW[word]) if word in NARROW else kind(seed)


NARROW = {
    "Conv2": ((8, 8), (16, 16)),
    "Conv4": ((8, 8, 8, 8), (16, 16)),
    "Conv6": ((8, 8, 8, 8, 16, 16), (16, 16)),
}


def three(word: str) -> list[nn.Module]:
    """Return a dense network without masks, and two that are pruned."""
    nets = [network(word, seed).double() for seed in (0, 0, 1)]
    for number, density in ((1, 0.5), (2, 0.1)):
        nets[number] = net = lth.masked(nets[number])
        whole = lth.Masks.ones(net)
        counts = {(n,): round(density * m.numel()) for n, m in whole.items()}
        masks = lth.keep(lth.random_scores(whole, number), whole, counts)
        lth.apply_masks(net, masks)
    return nets


def apart(net: nn.Module, other: nn.Module) -> float:
    """Return the largest difference of any parameter or statistic."""
    theirs = lth.snapshot(other)
    return max((t - theirs[n]).abs().max().item() for n, t in lth.snapshot(net).items())


@pytest.mark.parametrize("recipe", [ADAM, SGD], ids=["adam", "sgd"])
@pytest.mark.parametrize("word", ["Conv2", "Conv4", "Conv6", "ResNet20"])
def test_every_way_trains_each_network_as_if_alone(word, recipe):
    alone = three(word)
    expected = [
        lth.train(net, COLOURS, recipe, *key, device="cpu")
        for net, key in zip(alone, KEYS, strict=True)
    ]
    for way in WAYS:
        nets = three(word)
        found = lth.train_together(nets, COLOURS, recipe, KEYS, "cpu", way)
        for net, reference in zip(nets, alone, strict=True):
            print(way, apart(net, reference))
        for ours, theirs in zip(found, expected, strict=True):
            for point, other in zip(ours.curve, theirs.curve, strict=True):
                assert point == pytest.approx(other, abs=1e-9)
