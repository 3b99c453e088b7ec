"""Networks of sparse convolutions: autograd's arithmetic on surviving weights."""

import copy
import sys
import threading
from itertools import islice

import numpy as np
import pytest
import torch
from helpers import few
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import lth_utils as lth
from lth_utils.data.splits import Split
from lth_utils.training import loop
from lth_utils.training.choice import engine_for
from lth_utils.training.convs import lanes
from lth_utils.training.convs.graph import Graph
from lth_utils.training.convs.lanes import CROSSOVER, Lanes
from lth_utils.training.convs.planes import LANES, Planes
from lth_utils.training.convs.taps import Taps
from lth_utils.training.engines import Autograd, Engine
from lth_utils.training.lenet import sparse
from lth_utils.training.order import batches
from lth_utils.training.plain import convolutional
from lth_utils.training.recipes import Recipe

COLOURS = few(lth.load("colour-digits"), train=140, other=70)
ADAM = Recipe(1e-3, 3)
SGD = Recipe(0.01, 3, "sgd", momentum=0.9, weight_decay=1e-3)


def images(height: int, width: int) -> lth.Dataset:
    """Return random images of three channels."""
    generator = torch.Generator().manual_seed(0)

    def split(count: int) -> Split:
        size = (count, 3, height, width)
        pixels = torch.randint(256, size, generator=generator, dtype=torch.uint8)
        return Split(pixels, torch.arange(count) % 10)

    return lth.dataset(f"{height}x{width}", split(140), split(70), split(70))


ODD = images(9, 7)  # no side can be halved, nor cut into fours
SMALL = images(16, 16)

NETWORKS = {
    "conv2": (lambda: lth.Conv2(0, (4, 6), (8, 8)), COLOURS),
    "conv4": (lambda: lth.Conv4(0, (4, 6, 5, 3), (8, 8)), COLOURS),
    "conv6": (lambda: lth.Conv6(0, (4, 6, 5, 3, 4, 4), (8, 8)), COLOURS),
    "resnet20": (lambda: lth.ResNet20(0), ODD),
    "vgg19": (lambda: lth.VGG19(0, width=1), SMALL),
}
NARROW = ((3, 2), (5, 2), (6, 1), (4, 1), (7, 1))


@pytest.fixture(autouse=True)
def narrow_vgg(monkeypatch):
    monkeypatch.setattr(lth.VGG19, "STAGES", NARROW)


def masked(word: str, dtype: torch.dtype = torch.float64) -> nn.Module:
    return lth.masked(NETWORKS[word][0]().to(dtype))


def random_masks(net: nn.Module, density: float, seed: int = 0) -> lth.Masks:
    whole = lth.Masks.ones(net)
    counts = {(name,): round(density * m.numel()) for name, m in whole.items()}
    return lth.keep(lth.random_scores(whole, seed), whole, counts)


def odd_masks(net: nn.Module, seed: int) -> lth.Masks:
    """Return masks of any density, with dead filters, sources and layers."""
    generator = torch.Generator().manual_seed(seed)

    def chance(count: int) -> torch.Tensor:
        return torch.rand(count, generator=generator)

    masks = {}
    for name, whole in lth.Masks.ones(net).items():
        density = (0.0, 0.05, 0.3, 1.0, 1.0)[int(chance(1) * 5)]
        mask = chance(whole.numel()).view(whole.shape) < density
        mask[chance(len(mask)) < 0.2] = False
        mask[:, chance(mask.shape[1]) < 0.2] = False
        masks[name] = mask
    return lth.Masks(masks)


def sparsely(
    net: nn.Module, recipe: Recipe, data: lth.Dataset, key: tuple[int, int] = (0, 0)
) -> Engine:
    assert convolutional(net)
    tiles = 4 * -(-recipe.batch_size // 64)
    return Lanes(Graph(net, data.shape, tiles), recipe, data, key)


def after(make, net: nn.Module, recipe: Recipe, data: lth.Dataset):
    """Train a copy of `net`; return its state and what it measures."""
    net = copy.deepcopy(net)
    engine = make(net, recipe, data)
    order = batches(len(data.train.labels), recipe, 0, 0)
    engine.steps(torch.stack(list(islice(order, recipe.iterations))))
    engine.write()
    return lth.snapshot(net), engine.measure(data.test)


def check(net: nn.Module, recipe: Recipe, data: lth.Dataset) -> None:
    """Check that the engine leaves what Autograd leaves."""
    state, (loss, accuracy) = after(sparsely, net, recipe, data)
    theirs, (their_loss, their_accuracy) = after(Autograd, net, recipe, data)
    for name, value in state.items():
        assert (value - theirs[name]).abs().max() <= 1e-10, name
    assert abs(loss - their_loss) <= 1e-10
    assert accuracy == their_accuracy
    for name, mask in lth.masks_of(net).items():
        assert state[name][~mask].eq(0).all()


# --- one layer -----------------------------------------------------------------


def filled(planes: Planes, flat: np.ndarray, batch: torch.Tensor) -> None:
    tiles = batch.numpy().reshape(planes.tiles, LANES, *planes.shape)
    planes.view(flat)[:] = tiles.transpose(2, 0, 3, 4, 1)


SIZES = [(8, 2), (4, 8), (3, 8), (4, 4), (5, 4), (7, 5), (2, 2), (1, 1), (1, 16)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("side", [1, 3])
@pytest.mark.parametrize("density", [0.0, 0.04, 0.2, 1.0])
@pytest.mark.parametrize("wide", [True, False])
def test_a_convolution_is_torchs(size, side, density, wide, monkeypatch):
    monkeypatch.setattr("lth_utils.training.convs.taps.WIDE", wide)
    draws = torch.Generator().manual_seed(0)
    weight = torch.randn(20, 70, side, side, generator=draws, dtype=torch.float64)
    weight *= torch.rand(weight.shape, generator=draws) < density
    bias = torch.randn(20, generator=draws, dtype=torch.float64)
    x = torch.randn(64, 70, *size, generator=draws, dtype=torch.float64).relu()
    above = torch.randn(64, 20, *size, generator=draws, dtype=torch.float64)
    w, x = weight.clone().requires_grad_(), x.requires_grad_()
    expected = F.relu(F.conv2d(x, w, bias, padding=side // 2))
    F.conv2d(x, w, bias, padding=side // 2).backward(above)

    source = Planes((70, *size), 4, np.float64, rectified=True)
    target = Planes((20, *size), 4, np.float64, rectified=True)
    source.find_delta([])
    target.find_delta([])
    filled(source, source.values, x.detach())
    filled(target, target.delta, above)
    taps = Taps((weight != 0).numpy(), source, target)
    values = weight.numpy()[taps.where]
    taps.forward(values, bias.numpy(), 0.0)
    assert np.allclose(target.images(target.values), expected.detach())
    gradient = np.full_like(values, np.nan)
    taps.correlate(gradient)
    assert np.allclose(gradient, w.grad.numpy()[taps.where])
    for times in (1, 2):  # the second time it is added
        taps.backward(values, more=times == 2)
        by_x = times * x.grad * (x > 0)
        assert np.allclose(source.images(source.delta), by_x)
    inner = np.zeros_like(source.values)
    source.view(inner)[:] = 1
    assert not source.values[inner == 0].any()  # the border
    assert not source.delta[inner == 0].any()


# --- whole networks ------------------------------------------------------------


@pytest.mark.parametrize("recipe", [ADAM, SGD], ids=["adam", "sgd"])
@pytest.mark.parametrize("word", NETWORKS)
def test_steps_are_autograds(word, recipe):
    net = masked(word)
    lth.apply_masks(net, random_masks(net, 0.3))
    check(net, recipe, NETWORKS[word][1])


@pytest.mark.parametrize("word", ["conv2", "resnet20"])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**31), size=st.sampled_from([2, 16, 33, 64, 70]))
def test_steps_are_autograds_whatever_the_mask_and_the_batch(word, seed, size):
    net = masked(word)
    lth.apply_masks(net, odd_masks(net, seed))
    check(net, Recipe(1e-3, 2, batch_size=size), NETWORKS[word][1])


@pytest.mark.parametrize("pruned", ["conv1", "conv2", "fc1", "output"])
def test_a_layer_may_be_wholly_pruned(pruned):
    net = masked("conv2")
    masks = dict(random_masks(net, 0.3))
    masks[f"{pruned}.weight"] = torch.zeros_like(masks[f"{pruned}.weight"])
    lth.apply_masks(net, masks)
    check(net, SGD, COLOURS)


@pytest.mark.parametrize("recipe", [ADAM, SGD], ids=["adam", "sgd"])
def test_three_hundred_steps_are_autograds(recipe):
    net = lth.masked(lth.Conv2(0, (2, 3), (5, 4)).double())
    lth.apply_masks(net, random_masks(net, 0.3))
    many = Recipe(
        recipe.lr,
        300,
        recipe.optimizer,
        10,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
    )
    check(net, many, COLOURS)


def test_three_rounds_find_autograds_masks(monkeypatch):
    def found(make):
        monkeypatch.setattr(loop, "engine_for", make)
        return lth.find_ticket(
            lambda seed: lth.Conv2(seed, (2, 3), (5, 4)).double(),
            COLOURS,
            Recipe(1e-3, 30, batch_size=20),
            {"conv": 0.3, "fc": 0.5, "output": 0.2},
            rounds=3,
        )

    for mine, theirs in zip(found(sparsely), found(Autograd), strict=True):
        assert mine.masks == theirs.masks


def test_a_training_repeats_itself_to_the_bit():
    net = masked("resnet20", torch.float32)
    lth.apply_masks(net, random_masks(net, 0.1))
    (one, loss), (two, again) = (after(sparsely, net, ADAM, ODD) for _ in range(2))
    assert loss == again
    assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_an_evaluation_between_steps_changes_nothing():
    net = masked("resnet20")
    lth.apply_masks(net, random_masks(net, 0.3))
    short, long = copy.deepcopy(net), copy.deepcopy(net)
    order = torch.arange(120).view(2, 60)
    engine = sparsely(short, SGD, ODD)
    for rows in order.split(1):
        engine.steps(rows)
        engine.measure(ODD.validation)
    engine.write()
    other = sparsely(long, SGD, ODD)
    other.steps(order)
    other.write()
    theirs = lth.snapshot(long)
    assert all(torch.equal(v, theirs[k]) for k, v in lth.snapshot(short).items())


def test_what_a_network_holds_is_read_again():
    net = masked("conv2")
    lth.apply_masks(net, random_masks(net, 0.3))
    engine = sparsely(net, ADAM, COLOURS)
    before, state = engine.measure(COLOURS.test), lth.snapshot(net)
    engine.steps(torch.arange(60)[None])
    assert engine.measure(COLOURS.test) != before
    net.load_state_dict(state)
    engine.read()
    assert engine.measure(COLOURS.test) == before


# --- which network, and when ---------------------------------------------------


def sparse_net(word: str = "conv2", part: float = 0.1) -> nn.Module:
    net = masked(word, torch.float32)
    lth.apply_masks(net, random_masks(net, part))
    return net


@pytest.mark.parametrize("word", NETWORKS)
def test_a_sparse_network_is_taken_and_a_dense_one_is_not(word):
    data = NETWORKS[word][1]
    full = Recipe(1e-3, 3, batch_size=64)
    assert isinstance(engine_for(sparse_net(word), full, data), Lanes)
    assert isinstance(engine_for(sparse_net(word, 0.7), full, data), Autograd)
    assert isinstance(engine_for(NETWORKS[word][0](), full, data), Autograd)


def test_what_counts_are_products_and_the_lanes_that_they_take():
    net = sparse_net(part=CROSSOVER / 2)
    for size, kind in ((64, Lanes), (40, Lanes), (20, Autograd), (70, Autograd)):
        assert isinstance(engine_for(net, Recipe(batch_size=size), COLOURS), kind)
    masks = dict(lth.masks_of(net))
    masks["conv2.weight"] = torch.ones_like(masks["conv2.weight"])
    lth.apply_masks(net, masks)
    assert lth.masks_of(net).density < CROSSOVER / 2 + 0.1
    assert isinstance(engine_for(net, Recipe(batch_size=64), COLOURS), Autograd)


def exchange(name, **about):
    def change(net):
        old = net.get_submodule(name)
        sizes = (old.in_channels, old.out_channels, 3)
        setattr(net, name, nn.Conv2d(*sizes, padding=1, **about))

    return change


CHANGES = {
    "a hook on a weight": lambda net: net.conv2.weight.register_hook(lambda g: g),
    "a forward hook": lambda net: net.conv1.register_forward_hook(lambda *_: None),
    "a frozen layer": lambda net: net.fc1.requires_grad_(False),
    "a layer that evaluates": lambda net: net.conv1.eval(),
    "a further module": lambda net: net.add_module("drop", nn.Dropout()),
    "a further parameter": lambda net: net.register_parameter(
        "scale", nn.Parameter(torch.ones(1))
    ),
    "a further layer": lambda net: net.add_module("fc3", nn.Linear(2, 2)),
    "a forward of its own": lambda net: setattr(net, "forward", net.forward),
    "reflected borders": exchange("conv2", padding_mode="reflect"),
    "float16": lambda net: net.half(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_network_goes_the_general_way(change):
    net = sparse_net()
    assert isinstance(engine_for(net, Recipe(batch_size=64), COLOURS), Lanes)
    CHANGES[change](net)
    assert isinstance(engine_for(net, Recipe(batch_size=64), COLOURS), Autograd)


def test_a_layer_that_is_used_twice_goes_the_general_way():
    net = sparse_net("resnet20")
    net.blocks[1] = net.blocks[2]
    assert convolutional(net)
    assert isinstance(engine_for(net, Recipe(1e-3, 3), ODD), Autograd)


def test_a_subclass_and_a_frozen_norm_go_the_general_way():
    class Other(lth.Conv2):
        pass

    net, frozen = lth.masked(Other(0, (4, 6), (8, 8))), sparse_net("resnet20")
    lth.apply_masks(net, random_masks(net, 0.1))
    frozen.norm1.eval()
    full = Recipe(1e-3, 3, batch_size=64)
    assert isinstance(engine_for(net, full, COLOURS), Autograd)
    assert isinstance(engine_for(frozen, full, ODD), Autograd)


def test_weights_of_shapes_that_do_not_fit_reach_no_compiled_loop():
    net = sparse_net()
    net.conv1 = lth.masked(nn.Conv2d(3, 9, 3, padding=1))
    full = Recipe(1e-3, 3, batch_size=64)
    assert isinstance(engine_for(net, full, COLOURS), Autograd)
    assert lanes.lanes_for(net, full, COLOURS, (0, 0)) is None


def test_without_numba_it_is_autograd_and_said_so_once(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    sparse.numba_version.cache_clear()
    net, full = sparse_net(), Recipe(1e-3, 3, batch_size=64)
    try:
        assert isinstance(engine_for(lth.Conv2(), full, COLOURS), Autograd)
        with pytest.warns(UserWarning, match="Numba cannot be used"):
            assert isinstance(engine_for(net, full, COLOURS), Autograd)
        assert isinstance(engine_for(net, full, COLOURS), Autograd)
    finally:
        sparse.numba_version.cache_clear()


def test_a_diverging_loss_is_found():
    net = sparse_net("resnet20")
    recipe = Recipe(1e30, 20, "sgd", 60, momentum=0.9, evaluate_every=10)
    with pytest.raises(lth.LotteryError, match="Lower the learning rate"):
        lth.train(net, ODD, recipe, device="cpu")


def test_the_last_point_is_what_evaluate_finds():
    net = sparse_net("resnet20")
    point = lth.train(net, ODD, Recipe(1e-3, 5), device="cpu").at(5)
    assert lth.evaluate(net, ODD) == pytest.approx(point[2:], rel=1e-5)


@pytest.mark.parametrize("size", [8, 64])
def test_images_of_another_size_are_a_sentence(size):
    net = sparse_net(part=CROSSOVER / 2)
    data = few(lth.load("colour-digits"), train=64, other=8)
    engine = sparsely(net, Recipe(), data)
    strange = Split(torch.zeros(8, 3, size, size, dtype=torch.uint8), data.test.labels)
    with pytest.raises(lth.LotteryError, match=rf"images are \(3, {size}, {size}\)"):
        engine.measure(strange)


def test_a_networks_layers_are_found_while_other_threads_use_theirs():
    mine, other = (lth.masked(lth.network("resnet8-narrow", s)) for s in (0, 1))
    images, done = torch.zeros(2, 3, 32, 32), threading.Event()
    expected = other(images)
    wrong: list[object] = []

    def use():
        while not done.is_set():
            try:
                assert torch.equal(other(images), expected)
            except BaseException as error:  # else nobody would hear of it
                wrong.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    for _ in range(20):
        Graph(mine, (3, 32, 32), 4)
    done.set()
    thread.join()
    assert not wrong
    assert not any("forward" in vars(part) for part in mine.modules())
