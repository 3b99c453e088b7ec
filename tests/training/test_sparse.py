"""The sparse engine where it is hard: odd sizes, scalings, images and words."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import few_digits

import lth_utils as lth
from lth_utils.data.splits import Split
from lth_utils.training.choice import engine_for
from lth_utils.training.engines import Autograd
from lth_utils.training.lenet.mlp import MLP, linear_layers
from lth_utils.training.recipes import Recipe

pytest.importorskip("numba")

from lth_utils.training.lenet import sparse as sparse_module
from lth_utils.training.lenet.pixels import Pixels
from lth_utils.training.lenet.sparse import Sparse

ADAM = Recipe(1e-3)
SGD = Recipe(0.05, optimizer="sgd", momentum=0.9, weight_decay=1e-2)
DIGITS = few_digits()


def images_of(shape: tuple[int, int, int], scaling: str) -> lth.Dataset:
    """Return images at random; one is black, and one has no black at all."""
    generator = torch.Generator().manual_seed(sum(shape))
    splits = []
    for count in (90, 70, 64):
        images = torch.randint(0, 256, (count, *shape), generator=generator)
        images[:, :, :2] = images[:, :, :2] // 200  # sparse, as digits' borders are
        images[0], images[1] = 0, images[1].clamp(1)
        labels = torch.randint(0, 10, (count,), generator=generator)
        splits.append(Split(images.to(torch.uint8), labels))
    return lth.dataset("random", *splits, scaling)


def thinned(inputs: int, hidden: tuple[int, int], density: float) -> torch.nn.Module:
    """Return a LeNet with random masks and biases in float64."""
    net = lth.masked(lth.LeNet(0, hidden, inputs).double())
    whole = lth.Masks.ones(net)
    counts = {(name,): round(density * mask.numel()) for name, mask in whole.items()}
    lth.apply_masks(net, lth.keep(lth.random_scores(whole, 0), whole, counts))
    with torch.no_grad():
        for layer in (net.fc1, net.fc2, net.output):
            layer.bias.uniform_(-0.1, 0.1, generator=torch.Generator().manual_seed(1))
    return net


def sparse(net: torch.nn.Module, recipe: Recipe, data: lth.Dataset) -> Sparse:
    layers = linear_layers(net)
    assert layers is not None
    return Sparse(layers, recipe, data)


def order_of(data: lth.Dataset, steps: int, size: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(size)
    return torch.randint(len(data.train.labels), (steps, size), generator=generator)


def apart(net: torch.nn.Module, other: torch.nn.Module) -> float:
    pairs = zip(net.parameters(), other.parameters(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


@pytest.mark.parametrize("recipe", [ADAM, SGD], ids=["adam", "sgd"])
@pytest.mark.parametrize("scaling", ["standardize", "unit", "l2"])
@pytest.mark.parametrize(
    ("shape", "hidden", "size"),
    [
        ((1, 28, 28), (300, 100), 128),
        ((1, 5, 8), (17, 3), 1000),
        ((3, 32, 32), (20, 16), 60),
        ((2, 3, 1), (1, 1), 7),
        ((1, 4, 4), (64, 5), 1),
    ],
    ids=str,
)
def test_steps_and_measures_are_autograds(shape, hidden, size, scaling, recipe):
    data = images_of(shape, scaling)
    net = thinned(int(np.prod(shape)), hidden, 0.3)
    other = copy.deepcopy(net)
    engine, reference = sparse(net, recipe, data), Autograd(other, recipe, data)
    order = order_of(data, 5, size)
    for each in (engine, reference):
        each.steps(order)
        each.write()
    assert apart(net, other) <= 1e-10
    for sample in (data.train, data.validation, data.test):
        assert engine.measure(sample) == pytest.approx(
            reference.measure(sample), abs=1e-10
        )


@pytest.mark.parametrize(
    ("density", "black", "expected"),
    [
        (sparse_module.CROSSOVER - 0.01, True, Sparse),
        (sparse_module.CROSSOVER + 0.01, True, Pixels),
        (sparse_module.CROSSOVER_FULL - 0.01, False, Sparse),
        (sparse_module.CROSSOVER_FULL + 0.01, False, MLP),
    ],
)
def test_the_crossover_depends_on_the_images(density, black, expected):
    data = DIGITS
    if not black:
        data = replace(data, train=Split(*(t.clone() for t in data.train)))
        data.train.images.clamp_(1)
    net = thinned(784, (30, 20), density)
    assert type(engine_for(net, ADAM, data)) is expected


@pytest.mark.parametrize("empty", ["fc1", "fc2", "output"])
def test_a_layer_may_be_pruned_wholly(empty):
    net = thinned(784, (13, 7), 0.5)
    masks = dict(lth.masks_of(net))
    masks[f"{empty}.weight"] = torch.zeros_like(masks[f"{empty}.weight"])
    lth.apply_masks(net, lth.Masks(masks))
    other = copy.deepcopy(net)
    engine, reference = (
        make(n, ADAM, DIGITS) for make, n in ((sparse, net), (Autograd, other))
    )
    for each in (engine, reference):
        each.steps(order_of(DIGITS, 3, 60))
        each.write()
    assert apart(net, other) <= 1e-10
    assert engine.measure(DIGITS.test) == pytest.approx(reference.measure(DIGITS.test))


@pytest.mark.parametrize("recipe", [ADAM, SGD], ids=["adam", "sgd"])
@pytest.mark.parametrize("size", [7, 60, 100])
def test_bits_do_not_depend_on_how_steps_are_called(size, recipe):
    order = order_of(DIGITS, 12, size)
    ends = []
    for parts in ([12], [1] * 12, [5, 7], [0, 12]):
        net = thinned(784, (30, 20), 0.2).float()
        engine = sparse(net, recipe, DIGITS)
        for part in order.split(parts):
            engine.steps(part)
            engine.measure(DIGITS.validation)  # and nobody minds
        engine.write()
        ends.append(net)
    assert all(apart(net, ends[0]) == 0 for net in ends[1:])


def test_what_is_read_was_written():
    net = thinned(784, (30, 20), 0.2).float()
    engine = sparse(net, ADAM, DIGITS)
    start = engine.measure(DIGITS.test)
    first = lth.snapshot(net)
    engine.steps(order_of(DIGITS, 5, 60))
    engine.write()
    assert engine.measure(DIGITS.test) != start
    net.load_state_dict(first)
    engine.read()
    assert engine.measure(DIGITS.test) == start
    for name, mask in lth.masks_of(net).items():
        assert net.get_parameter(name)[~mask].eq(0).all()


def test_the_first_of_equal_scores_is_chosen():
    net = thinned(784, (13, 7), 0.5)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    loss, accuracy = sparse(net, ADAM, DIGITS).measure(DIGITS.test)
    assert loss == pytest.approx(np.log(10))
    assert accuracy == (DIGITS.test.labels == 0).double().mean().item()
    assert (loss, accuracy) == pytest.approx(lth.evaluate(net, DIGITS))


@pytest.mark.parametrize("number", [-1, 300, 10**12, -(10**12)])
def test_a_number_that_is_no_images_is_refused(number):
    engine = sparse(thinned(784, (13, 7), 0.5), ADAM, DIGITS)
    order = order_of(DIGITS, 3, 60)
    order[2, 59] = number
    before = engine.net.theta.copy()
    with pytest.raises(lth.LotteryError, match=f"{number}.*from 0 to 299"):
        engine.steps(order)
    assert (engine.net.theta == before).all()


@pytest.mark.parametrize("label", [-1, 10, 10**12])
def test_a_label_that_is_no_class_is_refused_when_measured(label):
    labels = DIGITS.test.labels.clone()
    labels[-1] = label
    engine = sparse(thinned(784, (13, 7), 0.5), ADAM, DIGITS)
    with pytest.raises(lth.LotteryError, match=f"{label}.*from 0 to 9"):
        engine.measure(Split(DIGITS.test.images, labels))


def test_images_of_another_size_are_refused():
    wide = replace(
        DIGITS,
        **{
            name: Split(split.images[..., :20], split.labels)
            for name, split in vars(DIGITS).items()
            if isinstance(split, Split)
        },
    )
    with pytest.raises(lth.LotteryError, match=r"560 values.*takes 784"):
        sparse(thinned(784, (13, 7), 0.5), ADAM, wide)


def test_images_that_lie_apart_in_memory_are_read_right():
    turned = Split(DIGITS.test.images.transpose(2, 3), DIGITS.test.labels)
    engine = sparse(thinned(784, (13, 7), 0.5), ADAM, DIGITS)
    again = Split(turned.images.contiguous(), turned.labels)
    assert engine.measure(turned) == engine.measure(again)
    assert engine.measure(turned) != engine.measure(DIGITS.test)


@pytest.mark.parametrize("recipe", [ADAM, SGD], ids=["adam", "sgd"])
def test_what_lies_between_the_parameters_stays_0(recipe):
    data = images_of((1, 5, 8), "standardize")
    engine = sparse(thinned(40, (17, 3), 0.3), recipe, data)
    engine.steps(order_of(data, 20, 60))
    used = np.zeros(engine.net.theta.size, bool)
    for mask, first, bias in zip(
        engine.masks, engine.firsts, engine.biases, strict=True
    ):
        used[first : first + mask.sum()] = used[bias : bias + len(mask)] = True
    assert (~used).any()
    for array in (engine.net.theta, engine.net.mean, engine.net.square):
        assert not array[~used].any()


def test_factors_are_those_of_every_image_at_once():
    data = images_of((3, 32, 32), "l2")
    many = data.train.images.repeat(30, 1, 1, 1)[:2500]
    rows = many.flatten(1).numpy().astype(np.float64)
    expected = 1 / np.sqrt(np.maximum((rows**2).sum(1), 1))
    assert np.array_equal(data.factors(many), expected)
