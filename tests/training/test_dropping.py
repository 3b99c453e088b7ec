"""Dropout: which units, in which step, and nowhere else."""

import copy
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from every_engine import (
    CONV,
    ENGINES,
    apart,
    by_torch,
    lanes,
    orders,
    stepped,
    thinned,
)
from helpers import few, two_convolutions
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

import lth_utils as lth
from lth_utils import LotteryError, Recipe
from lth_utils.experiments import perform
from lth_utils.experiments.jobs import jobs_of
from lth_utils.models.layers import Dropout
from lth_utils.seeds import seed_of
from lth_utils.training import loop
from lth_utils.training.choice import engine_for
from lth_utils.training.convs.lanes import Lanes
from lth_utils.training.dropping import Drops
from lth_utils.training.engines import Autograd

COLOURS = few(lth.load("colour-digits"), 70, 20)
KEYS = [(0, 0), (1, 2)]
UNITS = (12, 8)
ADAM = Recipe(2e-3, 8, batch_size=32, evaluate_every=4, dropout=0.5)
SGD = Recipe(
    0.05, 8, "sgd", 32, 4, momentum=0.9, weight_decay=1e-2, warmup=3, dropout=0.25
)
RECIPES = pytest.mark.parametrize("recipe", [ADAM, SGD], ids=["adam", "sgd"])


def conv2(density: float = 1.0, seed: int = 0) -> nn.Module:
    return thinned(lth.Conv2(seed, (4, 6), UNITS).double(), density, seed)


def places(net: nn.Module) -> list[Dropout]:
    return [part for part in net.modules() if isinstance(part, Dropout)]


def kept(
    iteration: int = 1,
    key: tuple[int, int] = (0, 0),
    recipe: Recipe = ADAM,
    net: nn.Module | None = None,
) -> list[torch.Tensor]:
    """Return what an iteration keeps at each place."""
    drops = Drops(net or conv2(), recipe, key)
    drops.draw(iteration)
    return drops.kept


# --- which units ------------------------------------------------------------------


@pytest.mark.parametrize("chance", [0.1, 0.5, 0.9])
def test_a_unit_is_left_out_or_made_up_for(chance):
    many = Recipe(batch_size=500, dropout=chance)
    found = kept(recipe=many, net=lth.Conv2().double())
    assert [tuple(each.shape) for each in found] == [(500, 256)] * 2
    for each in found:
        assert each.dtype == torch.float64
        assert each.unique().tolist() == [0, 1 / (1 - chance)]
        noise = (chance * (1 - chance) / each.numel()) ** 0.5
        assert (each == 0).double().mean().item() == pytest.approx(
            chance, abs=4 * noise
        )
        assert each.mean().item() == pytest.approx(1, abs=4 * noise / (1 - chance))
        for axis in (0, 1):  # neither an image nor a unit is left out as a whole
            assert each.any(axis).all()


def test_seed_round_iteration_and_place_name_what_is_kept():
    net = lth.Conv2(0, (4, 6), (8, 8))  # two places of one size
    found = [
        *kept(net=net),
        kept(2, net=net)[0],
        kept(1, (1, 0), net=net)[0],
        kept(1, (0, 1), net=net)[0],
        kept(0, (1, 0), net=net)[0],
    ]
    for number, one in enumerate(found):
        assert not any(torch.equal(one, other) for other in found[:number])
    for one, again in zip(kept(7, (3, 2)), kept(7, (3, 2)), strict=True):
        assert torch.equal(one, again)


def test_nothing_around_changes_what_is_kept():
    expected, state = kept(), torch.get_rng_state()
    torch.manual_seed(5)
    try:
        torch.set_default_dtype(torch.float64)
        double = kept()
    finally:
        torch.set_default_dtype(torch.float32)
    net = conv2()
    with torch.device("meta"):  # stands for another default device
        elsewhere = kept(net=net)
    for one, other, third in zip(expected, double, elsewhere, strict=True):
        assert torch.equal(one, other)
        assert torch.equal(one, third)
    single = kept(net=lth.Conv2(0, (4, 6), UNITS))
    assert all(torch.equal(a.float(), b) for a, b in zip(expected, single, strict=True))
    torch.set_rng_state(state)
    kept(net=net)
    assert torch.equal(torch.get_rng_state(), state)


# --- in every engine --------------------------------------------------------------


def by_hand(recipe: Recipe, key: tuple[int, int]):
    """Return a forward pass that leaves out what the seeds say."""

    def forward(net: nn.Module, x: torch.Tensor, iteration: int) -> torch.Tensor:
        def drop(signal: torch.Tensor, number: int) -> torch.Tensor:
            seed = seed_of("dropout", *key, iteration, number)
            draws = torch.Generator().manual_seed(seed)
            left = torch.rand(signal.shape, generator=draws) >= recipe.dropout
            return signal * left / (1 - recipe.dropout)

        h = F.relu(net.conv2(F.relu(net.conv1(x))))
        h = F.relu(net.fc1(F.max_pool2d(h, 2).flatten(1)))
        return net.output(drop(F.relu(net.fc2(drop(h, 0))), 1))

    return forward


@RECIPES
@pytest.mark.parametrize("density", [1.0, 0.1])
@pytest.mark.parametrize("way", CONV)
def test_every_engine_leaves_out_the_same_units(way, density, recipe):
    nets, starts = ([conv2(density, seed) for seed in (0, 1)] for _ in range(2))
    stepped(way, nets, recipe, COLOURS, KEYS)
    plain = replace(recipe, dropout=0.0)
    for net, start, key in zip(nets, starts, KEYS, strict=True):
        expected = by_torch(start, recipe, COLOURS, key, by_hand(recipe, key))
        assert apart(net, expected) <= 1e-12
        assert apart(net, by_torch(start, plain, COLOURS, key)) > 1e-4
        for name, mask in lth.masks_of(net).items():
            assert not net.get_parameter(name)[~mask].any()
        assert not any(place.kept is not None for place in places(net))


@pytest.mark.parametrize("word", ["Conv4", "Conv6"])
def test_deeper_networks_have_the_same_places(word):
    filters = (4, 4, 6, 6, 8, 8)[: int(word[-1])]
    nets = [
        thinned(getattr(lth, word)(0, filters, UNITS).double(), 0.3) for _ in range(2)
    ]
    assert len(places(nets[0])) == 2
    for way, net in zip(("autograd", "lanes"), nets, strict=True):
        stepped(way, [net], ADAM, COLOURS, [(0, 0)])
    assert apart(*nets) <= 1e-12


@pytest.mark.parametrize("size", [1, 16, 32, 65])
def test_whatever_the_batch(size):
    data = few(lth.load("colour-digits"), 140, 20)
    recipe = Recipe(2e-3, 2, batch_size=size, dropout=0.5)
    net, other = conv2(0.3), conv2(0.3)
    stepped("autograd", [net], recipe, data, [(0, 0)])
    stepped("lanes", [other], recipe, data, [(0, 0)])
    assert apart(net, other) <= 1e-12


@pytest.mark.parametrize("way", ["autograd", "lanes"])
def test_a_training_in_pieces_is_the_same_to_the_bit(way):
    net, whole = conv2(0.3).float(), conv2(0.3).float()
    stepped(way, [whole], ADAM, COLOURS, [(3, 1)])
    engine = ENGINES[way](net, ADAM, COLOURS, (3, 1))
    for piece in orders(ADAM, COLOURS, (3, 1)).split([1, 0, 5, 2]):
        engine.steps(piece)
        engine.measure(COLOURS.validation)
    engine.write()
    assert apart(net, whole) == 0


def test_a_second_training_leaves_out_the_same_again():
    net = conv2()
    lth.train(net, COLOURS, ADAM, 3, 1, device="cpu")
    middle = copy.deepcopy(net)
    lth.train(net, COLOURS, ADAM, 3, 1, device="cpu")
    forward = by_hand(ADAM, (3, 1))
    assert apart(net, by_torch(middle, ADAM, COLOURS, (3, 1), forward)) <= 1e-12


def test_a_sparse_network_takes_the_fast_engine_with_dropout_too():
    net, full = conv2(0.1).float(), replace(ADAM, batch_size=64)
    assert isinstance(engine_for(net, full, COLOURS), Lanes)
    assert isinstance(engine_for(conv2().float(), full, COLOURS), Autograd)


def test_the_round_of_a_job_names_what_is_left_out(monkeypatch):
    heard, draw = [], Drops.draw

    def listening(self, iteration):
        heard.append((*self.key, iteration))
        draw(self, iteration)

    monkeypatch.setattr(Drops, "draw", listening)
    plan = two_convolutions(Recipe(iterations=2, batch_size=8, dropout=0.5))
    jobs = [replace(job, round=job.seed + 4) for job in jobs_of(plan)]
    starts = [lth.from_seed("conv2-narrow", 0) for _ in jobs]
    perform._train(starts, COLOURS, jobs, torch.device("cpu"))
    assert heard == [(0, 4, 1), (0, 4, 2), (1, 5, 1), (1, 5, 2)]


# --- and nowhere else -------------------------------------------------------------


@pytest.mark.parametrize("density", [1.0, 0.1])
def test_nothing_is_left_out_where_it_is_measured(density):
    net = conv2(density)
    recipe = replace(ADAM, batch_size=64)
    curve = lth.train(net, COLOURS, recipe, device="cpu").curve
    for point in curve[-3:]:
        assert lth.evaluate(net, COLOURS, point.split) == pytest.approx(point[2:])
    x = COLOURS.scale(COLOURS.test.images, torch.float64)
    plain = copy.deepcopy(net)
    plain.drop1, plain.drop2 = nn.Identity(), nn.Identity()
    for each in (net.train(), net.eval()):
        assert torch.equal(each(x), plain(x))


class Halt(Exception):
    """What comes in the middle of a training."""


@pytest.mark.parametrize("make", [Autograd, lanes])
@pytest.mark.parametrize("error", [Halt, KeyboardInterrupt])
def test_nothing_is_left_out_after_a_training_that_raised(make, error, monkeypatch):
    net = conv2(0.3)
    engine = make(net, ADAM, COLOURS, (0, 0))
    step, seen = engine.descent.step, []

    def stop():
        seen.append([place.kept is not None for place in places(net)])
        if len(seen) == 3:
            raise error
        step()

    monkeypatch.setattr(engine.descent, "step", stop)
    with pytest.raises(error):
        engine.steps(orders(ADAM, COLOURS, (0, 0)))
    assert seen == [[True, True]] * 3
    assert not any(place.kept is not None for place in places(net))


def test_a_training_that_diverges_leaves_nothing_behind():
    net = conv2().float()
    with pytest.raises(LotteryError, match="diverged"):
        lth.train(net, COLOURS, replace(SGD, lr=1e30), device="cpu")
    assert not any(place.kept is not None for place in places(net))


def test_a_look_from_within_a_training_drops_nothing():
    """As with torch's own dropout, a network in evaluation is whole."""
    net, other, found = conv2(), conv2(), []
    x = COLOURS.scale(COLOURS.test.images, torch.float64)

    def look(layer: nn.Module, _: object) -> None:
        if other.training:
            other.eval()
            plain = copy.deepcopy(other)
            plain.drop1, plain.drop2 = nn.Identity(), nn.Identity()
            found.append(torch.equal(other(x), plain(x)))
            other.train()

    other.conv1.register_forward_pre_hook(look)
    for each in (net, other):
        lth.train(each, COLOURS, ADAM, device="cpu")
    assert found == [True] * ADAM.iterations
    assert apart(net, other) == 0


def test_a_place_that_evaluates_drops_nothing_while_others_train():
    net = conv2()
    net.drop2.eval()
    start = copy.deepcopy(net)

    def forward(net: nn.Module, x: torch.Tensor, iteration: int) -> torch.Tensor:
        h = F.relu(net.conv2(F.relu(net.conv1(x))))
        h = F.relu(net.fc1(F.max_pool2d(h, 2).flatten(1))) * kept(iteration)[0]
        return net.output(F.relu(net.fc2(h)))

    lth.train(net, COLOURS, ADAM, device="cpu")
    assert apart(net, by_torch(start, ADAM, COLOURS, (0, 0), forward)) <= 1e-12
    assert not net.drop2.training


def test_two_networks_train_beside_each_other_in_threads():
    nets, alone = ([conv2(0.5, seed) for seed in (0, 1)] for _ in range(2))

    def train(net: nn.Module, key: tuple[int, int]) -> None:
        lth.train(net, COLOURS, ADAM, *key, device="cpu")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(train, nets, KEYS))
    for net, other, key in zip(nets, alone, KEYS, strict=True):
        train(other, key)
        assert apart(net, other) == 0


# --- what is refused, before anything moves ---------------------------------------

WITHOUT = {
    "LeNet": (lambda: lth.LeNet(0, (20, 12)), "mnist-small"),
    "ResNet20": (lambda: lth.ResNet20(0, width=2), "colour-digits"),
    "Sequential": (
        lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(784, 20), nn.Dropout(), nn.Linear(20, 10)
        ),
        "mnist-small",
    ),
}


@pytest.mark.parametrize("word", WITHOUT)
@pytest.mark.parametrize("thin", [False, True])
def test_a_network_without_places_is_refused(word, thin, monkeypatch):
    make, data = WITHOUT[word]
    net = thinned(make(), 0.1) if thin else make()
    before, modes = lth.snapshot(net), [part.training for part in net.eval().modules()]
    monkeypatch.setattr("lth_utils.training.engines.Descent", None)  # would fail
    sentence = f"network {word} has no place for the recipe's dropout of 0.5: expected"
    few_data = few(lth.load(data), 70, 20)
    with pytest.raises(LotteryError, match=sentence):
        lth.train(net, few_data, ADAM, device="cpu")
    if word != "Sequential":
        with pytest.raises(LotteryError, match=sentence):
            lth.train_together([net, net], few_data, ADAM, KEYS, "cpu")
    assert all(torch.equal(before[n], t) for n, t in lth.snapshot(net).items())
    assert all(p.is_contiguous() for p in net.parameters())
    assert [part.training for part in net.modules()] == modes


@pytest.mark.parametrize("chance", [1, 1.0, -0.1, 20, True, "0.5", None, float("nan")])
def test_a_chance_that_is_none(chance):
    with pytest.raises(
        LotteryError, match=r"recipe's dropout is .* at least 0 and bel"
    ):
        Recipe(dropout=chance)


def test_numpys_chance_is_a_number():
    assert Recipe(dropout=np.float32(0.5)) == Recipe(dropout=0.5)
    assert Recipe(dropout=np.int64(0)) == Recipe() == Recipe(dropout=0)


# --- networks with places are what they were --------------------------------------

NAMES = [
    f"{layer}.{kind}"
    for layer in ("conv1", "conv2", "fc1", "fc2", "output")
    for kind in ("weight", "bias")
]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(t, other[name]) for name, t in one.items()
    )


def test_places_have_no_state():
    net = lth.Conv2(3, (4, 6), UNITS)
    state = net.state_dict()
    assert list(state) == NAMES
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert not list(net.buffers())
    masked = lth.masked(net)
    assert list(lth.snapshot(masked)) == NAMES
    assert list(lth.masks_of(masked)) == [n for n in NAMES if n.endswith("weight")]
    assert repr(net.drop1) == "Dropout(12)"


def test_copies_and_files_come_back(tmp_path):
    net = conv2(0.3)
    lth.train(net, COLOURS, ADAM, device="cpu")
    state = lth.snapshot(net)
    assert list(state) == NAMES
    assert same(lth.snapshot(copy.deepcopy(net)), state)
    save_file(state, tmp_path / "net.safetensors")
    again = lth.masked(lth.Conv2(9, (4, 6), UNITS).double())
    again.load_state_dict(load_file(tmp_path / "net.safetensors"))
    assert same(lth.snapshot(again), state)
    assert lth.evaluate(again, COLOURS) == lth.evaluate(net, COLOURS)


def test_a_ticket_of_a_training_with_dropout_comes_back(tmp_path):
    (ticket,) = lth.find_ticket("conv2-narrow", COLOURS, ADAM, {"fc": 0.2}, 1)
    ticket.save(tmp_path / "ticket")
    again = lth.Ticket.load(tmp_path / "ticket")
    assert again.masks == ticket.masks
    assert same(lth.snapshot(again.build()), lth.snapshot(ticket.build()))
    plain = replace(ADAM, dropout=0.0)
    (other,) = lth.find_ticket("conv2-narrow", COLOURS, plain, {"fc": 0.2}, 1)
    assert other.masks != ticket.masks
    assert same(other.init, ticket.init)


@pytest.mark.parametrize("density", [1.0, 0.1])
def test_without_dropout_places_change_no_bit(density, monkeypatch):
    """The forward pass of a network without places is that with empty ones."""

    class Bare(lth.Conv2):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = F.relu(F.max_pool2d(self.conv2(F.relu(self.conv1(x))), 2))
            return self.output(F.relu(self.fc2(F.relu(self.fc1(h.flatten(1))))))

    monkeypatch.setattr(loop, "engine_for", Autograd)
    nets = [thinned(kind(0, (4, 6), UNITS), density) for kind in (lth.Conv2, Bare)]
    for net in nets:
        lth.train(net, COLOURS, replace(ADAM, dropout=0.0), device="cpu")
    assert apart(*nets) == 0


# --- where nothing is left --------------------------------------------------------


@pytest.mark.parametrize("chance", [0.0, 0.5])
@pytest.mark.parametrize("pruned", [["conv1"], ["conv2"], ["fc1", "fc2"], NAMES])
def test_a_network_of_which_a_layer_is_gone_trains(pruned, chance):
    """What is left of it are biases; the engines agree about them."""
    nets = [conv2(0.5) for _ in range(2)]
    recipe = replace(ADAM, dropout=chance)
    for way, net in zip(("autograd", "lanes"), nets, strict=True):
        masks = {
            name: mask & (not any(name.startswith(word) for word in pruned))
            for name, mask in lth.masks_of(net).items()
        }
        lth.apply_masks(net, masks)
        stepped(way, [net], recipe, COLOURS, [(0, 0)])
        for name, mask in masks.items():
            assert not net.get_parameter(name)[~mask].any()
    assert apart(*nets) <= 1e-12
    assert nets[0].output.bias.any()
