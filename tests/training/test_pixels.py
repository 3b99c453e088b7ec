"""The engine that skips what is 0 does autograd's arithmetic, however hard the case."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from helpers import few as first
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import lth_utils as lth
from lth_utils.data.splits import Split
from lth_utils.errors import LotteryError
from lth_utils.training.choice import engine_for
from lth_utils.training.engines import Autograd
from lth_utils.training.lenet import pixels, sparse
from lth_utils.training.lenet.mlp import MLP, linear_layers
from lth_utils.training.order import batches
from lth_utils.training.recipes import Recipe
from lth_utils.words import SCALINGS

pytest.importorskip("numba")

from lth_utils.training.lenet import pixel_kernels as kernels

DATA = first(lth.load("mnist-small"), train=2000, other=300)
ADAM = Recipe(iterations=300)
SGD = Recipe(0.05, 300, "sgd", momentum=0.9, weight_decay=1e-3)
RECIPES = pytest.mark.parametrize("recipe", [ADAM, SGD], ids=["adam", "sgd"])


def lenet(masks=None, hidden=(300, 100), shape=(1, 28, 28), dtype=torch.float64):
    """Return a masked LeNet for images of a shape."""
    net = lth.LeNet(0, hidden)
    if shape != (1, 28, 28):
        torch.manual_seed(0)
        net.fc1 = nn.Linear(int(np.prod(shape)), hidden[0])
    net = lth.masked(net.to(dtype))
    if masks is not None:
        lth.apply_masks(net, masks)
    return net


def random_masks(net: nn.Module, density: float) -> lth.Masks:
    whole = lth.Masks.ones(net)
    counts = {(name,): round(density * m.numel()) for name, m in whole.items()}
    return lth.keep(lth.random_scores(whole, 0), whole, counts)


def engine(net: nn.Module, recipe: Recipe, data: lth.Dataset) -> pixels.Pixels:
    layers = linear_layers(net)
    assert layers is not None
    return pixels.Pixels(layers, recipe, data)


def after(make, net, recipe, steps, data=DATA):
    """Return state, loss and accuracy after some steps."""
    trained = make(net, recipe, data)
    trained.steps(
        torch.stack(list(islice(batches(data.train.size, recipe, 0, 0), steps)))
    )
    measured = trained.measure(data.test)
    trained.write()
    return lth.snapshot(net), measured


def check(masks, recipe, steps, data=DATA, **shape):
    """Hold the engine against autograd in float64; return the state it reaches."""
    state, (loss, right) = after(engine, lenet(masks, **shape), recipe, steps, data)
    reference = after(Autograd, lenet(masks, **shape), recipe, steps, data)
    for name, values in reference[0].items():
        assert (state[name] - values).abs().max() <= 1e-10, name
    assert abs(loss - reference[1][0]) <= 1e-10
    assert right == reference[1][1]
    for name, mask in (masks or {}).items():
        assert state[name][~mask].eq(0).all()
    return state


# --- the arithmetic -------------------------------------------------------------------


@pytest.mark.parametrize("density", [None, 0.51])
def test_the_gradients_of_a_step_are_autograds(density):
    masks = None if density is None else random_masks(lenet(), density)
    net, other = lenet(masks), lenet(masks)
    images, labels = (tensor[:60] for tensor in DATA.train)
    F.cross_entropy(other(DATA.scale(images, torch.float64)), labels).backward()
    before = lth.snapshot(net)
    descent = engine(net, Recipe(1.0, 1, "sgd"), DATA)
    descent.steps(torch.arange(60)[None])
    descent.write()
    for name, parameter in other.named_parameters():
        found = before[name] - lth.snapshot(net)[name]
        assert (found - parameter.grad).abs().max() <= 1e-14, name


def few(shape: tuple[int, int, int], scaling: str, seed: int = 0) -> lth.Dataset:
    """A data set of images that are two thirds 0; one is all 0, one has no 0."""
    draw = np.random.default_rng(seed)

    def split(size: int) -> Split:
        grey = draw.integers(1, 256, (size, *shape)) * (
            draw.random((size, *shape)) < 0.3
        )
        grey[0] = 0
        grey[1] = draw.integers(1, 256, shape)
        return Split(
            torch.from_numpy(grey.astype(np.uint8)),
            torch.from_numpy(draw.integers(0, 10, size)),
        )

    return lth.dataset("few", split(140), split(70), split(65), scaling)


@st.composite
def odd_masks(draw, hidden: tuple[int, int], inputs: int) -> dict[str, torch.Tensor]:
    """Masks of any density, with dead rows, columns and layers."""
    masks = {}
    names = ("fc1.weight", "fc2.weight", "output.weight")
    shapes = zip((*hidden, 10), (inputs, *hidden), strict=True)
    for name, shape in zip(names, shapes, strict=True):
        generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
        density = draw(st.sampled_from([0.0, 0.3, 1.0]))
        masks[name] = torch.rand(shape, generator=generator) < density
        for axis, length in enumerate(shape):
            dead = draw(st.lists(st.integers(0, length - 1), max_size=4))
            masks[name].index_fill_(axis, torch.tensor(dead, dtype=torch.int64), False)
    return masks


@RECIPES
@settings(max_examples=40, deadline=None)
@given(
    shape=st.sampled_from([(1, 5, 7), (3, 4, 4), (2, 16, 16)]),
    scaling=st.sampled_from(SCALINGS),
    hidden=st.sampled_from([(13, 7), (1, 17), (17, 1), (64, 65), (130, 1)]),
    size=st.sampled_from([1, 7, 60, 64, 65, 128]),
    draw=st.data(),
)
def test_hard_cases_are_autograds(recipe, shape, scaling, hidden, size, draw):
    masks = draw.draw(odd_masks(hidden, int(np.prod(shape))))
    recipe = replace(recipe, batch_size=size)
    check(masks, recipe, 3, few(shape, scaling), hidden=hidden, shape=shape)


@RECIPES
@pytest.mark.parametrize(("hidden", "size"), [((600, 70), 60), ((300, 100), 1000)])
def test_wide_layers_and_large_batches_are_autograds(recipe, hidden, size):
    masks = random_masks(lenet(hidden=hidden), 0.7)
    check(masks, replace(recipe, batch_size=size), 4, hidden=hidden)


# --- to the bit -----------------------------------------------------------------------


def test_bits_do_not_depend_on_the_calls():
    order = torch.stack(list(islice(batches(DATA.train.size, ADAM, 0, 0), 30)))
    losses = set()
    for calls in ([30], [1, 29], [7] * 4 + [2], [1] * 30):
        net = lenet(dtype=torch.float32)
        stepped = engine(net, ADAM, DATA)
        for rows in order.split(calls):
            stepped.steps(rows)
        losses.add(stepped.measure(DATA.validation))
    assert len(losses) == 1


def test_weights_that_are_read_measure_as_when_they_were_written():
    net = lenet(random_masks(lenet(), 0.6), dtype=torch.float32)
    trained = engine(net, ADAM, DATA)
    order = torch.stack(list(islice(batches(DATA.train.size, ADAM, 0, 0), 30)))
    trained.steps(order[:20])
    trained.write()
    found, kept = trained.measure(DATA.test), lth.snapshot(net)
    trained.steps(order[20:])
    assert trained.measure(DATA.test) != found
    net.load_state_dict(kept, strict=False)
    trained.read()
    assert trained.measure(DATA.test) == found


def test_moments_of_pruned_weights_stay_0():
    net = lenet(random_masks(lenet(), 0.6))
    trained = engine(net, ADAM, DATA)
    trained.steps(torch.arange(600).view(10, 60))
    for layer in trained.layers:
        pruned = layer.alive == 0
        assert pruned.any()
        for values in (layer.theta, layer.mean, layer.square):
            assert not values[pruned].any()


# --- what the loops would not ask -----------------------------------------------------


@pytest.mark.parametrize("label", [-1, 10, 10**15])
def test_a_wrong_label_is_a_sentence(label):
    labels = DATA.train.labels.clone()
    trained = engine(lenet(), ADAM, DATA)
    labels[69] = label
    wrong = Split(DATA.train.images, labels)
    data = replace(DATA)
    vars(data)["train"] = wrong  # someone changed it since it was looked at
    with pytest.raises(LotteryError, match=f"{label}.*expected them from 0 to 9"):
        engine(lenet(), ADAM, data)
    with pytest.raises(LotteryError, match=f"{label}.*expected them from 0 to 9"):
        trained.measure(wrong)


def test_what_was_listed_is_trained_on_whatever_becomes_of_the_data():
    data = replace(DATA, train=Split(*(tensor.clone() for tensor in DATA.train)))
    states = []
    for change in (False, True):
        net = lenet()
        trained = engine(net, ADAM, data)
        if change:
            data.train.images.zero_()
            data.train.labels.fill_(10**15)
        trained.steps(torch.arange(120).view(2, 60))
        trained.write()
        states.append(lth.snapshot(net))
    assert all(
        torch.equal(values, states[1][name]) for name, values in states[0].items()
    )


@pytest.mark.parametrize("number", [-1, DATA.train.size])
def test_an_image_that_is_not_there_is_a_sentence(number):
    order = torch.arange(60)[None].clone()
    order[0, 59] = number
    with pytest.raises(LotteryError, match=f" {number}.*: expected them from 0 to"):
        engine(lenet(), ADAM, DATA).steps(order)


def test_a_batch_is_never_larger_than_there_is_room_for():
    trained = engine(lenet(), ADAM, DATA)
    with pytest.raises(LotteryError, match="61 images: expected at most 60"):
        trained.steps(torch.arange(61)[None])
    full = int((DATA.train.images != 0).sum((1, 2, 3)).argmax())
    net, other = lenet(), lenet()
    for make, one in ((engine, net), (Autograd, other)):
        stepped = make(one, ADAM, DATA)
        stepped.steps(torch.full((2, 60), full))  # more pixels than any 60 images have
        stepped.write()
    for name, values in lth.snapshot(other).items():
        assert (lth.snapshot(net)[name] - values).abs().max() <= 1e-10


def test_images_of_another_size_are_a_sentence():
    images = torch.ones(70, 1, 28, 29, dtype=torch.uint8)
    with pytest.raises(LotteryError, match=r"812 values.* takes 784"):
        engine(lenet(), ADAM, DATA).measure(Split(images, torch.zeros(70).long()))


# --- the choice -----------------------------------------------------------------------


def test_the_choice_is_made_by_the_data():
    generator = torch.Generator().manual_seed(0)
    for share, kind in (
        (pixels.SHARE - 0.05, pixels.Pixels),
        (pixels.SHARE + 0.05, MLP),
    ):
        train = (
            torch.rand(DATA.train.images.shape, generator=generator) < share
        ).byte()
        data = replace(DATA, train=Split(train, DATA.train.labels))
        assert pixels.share_of(data) == pytest.approx(share, abs=0.01)
        assert isinstance(engine_for(lenet(), ADAM, data), kind)
    masked = lenet(random_masks(lenet(), sparse.CROSSOVER + 0.05))
    assert isinstance(engine_for(masked, ADAM, DATA), pixels.Pixels)


# --- the loops ------------------------------------------------------------------------


def test_lists_hold_what_is_not_0():
    draw = np.random.default_rng(0)
    dense = draw.integers(1, 9, (11, 6)) * (draw.random((11, 6)) < 0.4)

    def room(rows: int) -> kernels.Some:
        places = np.zeros(66, np.uint32)
        return kernels.Some(np.zeros(rows + 1, np.uint64), places, np.zeros(66))

    def whole(some: kernels.Some, rows: int, columns: int) -> np.ndarray:
        matrix = np.zeros((rows, columns))
        for row in range(rows):
            for k in range(int(some.starts[row]), int(some.starts[row + 1])):
                matrix[row, some.columns[k]] += some.values[k]
        return matrix

    some, turned = room(11), room(6)
    assert kernels.squeeze(dense.astype(np.uint8), some) == np.count_nonzero(dense)
    assert (whole(some, 11, 6) == dense).all()
    kernels.turn(some, 11, 6, turned)
    assert (whole(turned, 6, 11) == dense.T).all()
