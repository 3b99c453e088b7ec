"""Masked layers keep pruned weights at exactly 0 and change nothing else."""

import copy

import pytest
import torch
from helpers import tiny_net
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import lth_utils as lth
from lth_utils import LotteryError, Masks

IMAGES = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(1))
LABELS = torch.tensor([0, 1, 2, 3, 0, 1])


def random_masks(net: nn.Module, density: float, seed: int) -> Masks:
    generator = torch.Generator().manual_seed(seed)
    return Masks(
        {
            name: torch.rand(mask.shape, generator=generator) < density
            for name, mask in lth.masks_of(net).items()
        }
    )


OPTIMIZERS = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.05, fused=True),
    "adam with L2": lambda p: torch.optim.Adam(p, lr=0.05, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0.1),
    "sgd": lambda p: torch.optim.SGD(
        p, lr=0.1, momentum=0.9, weight_decay=0.1, fused=True
    ),
    "nesterov": lambda p: torch.optim.SGD(
        p, lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=True
    ),
}


@settings(max_examples=20, deadline=None)
@given(
    density=st.floats(0.0, 1.0),
    seed=st.integers(0, 1000),
    optimizer=st.sampled_from(sorted(OPTIMIZERS)),
)
def test_pruned_weights_are_zero_after_every_step(density, seed, optimizer):
    net = lth.masked(tiny_net(seed))
    masks = random_masks(net, density, seed)
    lth.apply_masks(net, masks)
    stepper = OPTIMIZERS[optimizer](net.parameters())
    before = lth.snapshot(net)
    for _ in range(5):
        stepper.zero_grad()
        nn.functional.cross_entropy(net(IMAGES), LABELS).backward()
        stepper.step()
        weights = dict(net.named_parameters())
        for name, mask in masks.items():
            assert torch.all(weights[name][~mask] == 0)
    assert not torch.equal(before["6.bias"], net.state_dict()["6.bias"])


def test_negative_weights_are_trained_too():
    # The bug that froze every negative weight in the most-starred codebase.
    net = lth.masked(nn.Linear(4, 3))
    with torch.no_grad():
        net.weight.fill_(-0.5)
    net(torch.ones(1, 4)).sum().backward()
    assert torch.all(net.weight.grad == 1)


def test_forward_is_the_plain_layers():
    plain = tiny_net()
    assert torch.equal(lth.masked(plain)(IMAGES), plain(IMAGES))
    assert lth.masked(plain).state_dict().keys() == plain.state_dict().keys()


def test_a_copy_obeys_its_mask():
    net = lth.masked(nn.Linear(4, 3))
    lth.apply_masks(net, {"weight": torch.zeros(3, 4)})
    twin = copy.deepcopy(net)
    twin(torch.ones(2, 4)).sum().backward()
    assert torch.all(twin.weight.grad == 0)


def test_masking_leaves_the_plain_network_alone():
    plain = tiny_net()
    net = lth.masked(plain)
    lth.apply_masks(net, random_masks(net, 0.1, seed=0))
    assert torch.all(plain[0].weight != 0)
    assert type(plain[0]) is nn.Conv2d


@settings(max_examples=15, deadline=None)
@given(density=st.floats(0.05, 1.0), seed=st.integers(0, 100))
def test_rewind_restores_everything_and_shares_nothing(density, seed):
    net = lth.masked(tiny_net(seed))
    init = lth.snapshot(net)
    kept = {name: tensor.clone() for name, tensor in init.items()}
    masks = random_masks(net, density, seed)
    stepper = torch.optim.SGD(net.parameters(), lr=0.5)
    for _ in range(3):  # trains weights, biases and BatchNorm's statistics
        nn.functional.cross_entropy(net(IMAGES), LABELS).backward()
        stepper.step()
    assert not torch.equal(net.state_dict()["1.running_mean"], init["1.running_mean"])
    lth.rewind(net, init, masks)
    for name, tensor in net.state_dict().items():
        expected = kept[name] * masks[name] if name in masks else kept[name]
        assert torch.equal(tensor, expected), name
        assert torch.equal(init[name], kept[name])
        assert tensor.data_ptr() != init[name].data_ptr()


def test_kinds_of_layers():
    assert lth.kinds(lth.masked(lth.LeNet())) == {
        "fc1.weight": "fc",
        "fc2.weight": "fc",
        "output.weight": "output",
    }
    kinds = list(lth.kinds(lth.masked(lth.ResNet20())).values())
    assert kinds.count("shortcut") == 2
    assert kinds.count("output") == 1
    assert kinds.count("conv") == 19


def test_densities_count_weights():
    masks = Masks({"a": torch.tensor([[1, 0], [0, 0]]), "b": torch.ones(4)})
    assert masks.density == 5 / 8
    assert masks.sparsity == 3 / 8
    assert masks.layer_density() == {"a": 0.25, "b": 1.0}
    assert masks.counts() == {"a": 1, "b": 4}


def test_masks_are_copies():
    mine = torch.tensor([1.0, 0.0])
    masks = Masks({"a": mine})
    mine.zero_()
    assert masks.remaining == 1


def test_mask_values_other_than_0_and_1():
    with pytest.raises(LotteryError, match="values other than 0 and 1"):
        Masks({"a": torch.tensor([0.0, 0.5])})
    with pytest.raises(LotteryError, match="values other than 0 and 1"):
        Masks({"a": torch.tensor([1, 2])})


def test_masks_of_another_shape():
    net = lth.masked(tiny_net())
    before = lth.snapshot(net)
    masks = {name: torch.ones(2, 2) for name in lth.masks_of(net)}
    with pytest.raises(LotteryError, match=r"shape \(2, 2\): expected its weight's"):
        lth.apply_masks(net, masks)
    with pytest.raises(LotteryError, match="expected one mask for each"):
        lth.apply_masks(net, {"0.weight": torch.ones(3, 1, 3, 3)})
    assert all(torch.equal(before[n], t) for n, t in net.state_dict().items())


def test_nothing_to_mask():
    with pytest.raises(LotteryError, match="nothing to mask"):
        lth.masked(nn.ReLU())
    with pytest.raises(LotteryError, match=r"made by lth\.masked"):
        lth.masks_of(tiny_net())


def test_rewinding_to_another_network():
    with pytest.raises(LotteryError, match="another network than LeNet"):
        lth.rewind(lth.masked(lth.LeNet()), lth.snapshot(tiny_net()))
