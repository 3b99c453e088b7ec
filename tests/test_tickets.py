"""Tickets: found, saved, rebuilt; the controls differ in one thing only."""

import json
import re
from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers import RATES, few, few_digits, tiny_net
from hypothesis import given, settings
from hypothesis import strategies as st

import lth_utils as lth
from lth_utils import LotteryError, Recipe, Ticket, tickets
from lth_utils.tickets import oneshot_masks

SHORT = Recipe(iterations=20, evaluate_every=20)


@pytest.fixture(scope="module")
def digits():
    return few_digits()


@pytest.fixture(scope="module")
def found(digits):
    return lth.find_ticket("lenet", digits, SHORT, RATES, rounds=3, seed=4)


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_ticket_a_round_on_the_ladder(found):
    ladder = lth.densities(lth.masked(lth.LeNet()), RATES, "layer-wise", 3)
    assert [ticket.masks.density for ticket in found] == ladder[1:]
    for older, newer in pairwise(found):
        for name, mask in newer.masks.items():
            assert torch.all(older.masks[name][mask])


def test_a_ticket_starts_at_theta_0(found):
    theta_0 = lth.LeNet(seed=4).state_dict()
    for ticket in found:
        assert same(ticket.init, theta_0)
        state = ticket.build().state_dict()
        for name, mask in ticket.masks.items():
            assert torch.equal(state[name], theta_0[name] * mask)


def test_rewinding_to_a_later_iteration(digits):
    ticket = lth.find_ticket(
        "lenet", digits, SHORT, RATES, rounds=1, seed=4, rewind_to=5
    )[0]
    net = lth.masked(lth.LeNet(seed=4))
    lth.train(net, digits, Recipe(iterations=5), seed=4)
    assert same(ticket.init, lth.snapshot(net))


# --- networks of one's own -----------------------------------------------------


def test_each_round_begins_with_the_norms_of_the_start(monkeypatch):
    """Statistics and counts are set back, too, and to those of the iteration."""
    data, recipe = few(lth.load("colour-digits"), 40, 10), Recipe(1e-3, 4, "sgd", 8)
    seen, train = [], tickets.train

    def listening(net, *words, **more):
        norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        found = [lth.snapshot(norm) for norm in norms]
        training = train(net, *words, **more)
        moved = [norm.running_mean.any() for norm in norms]
        seen.append((found, training.kept, all(moved)))
        return training

    monkeypatch.setattr(tickets, "train", listening)
    for at in (0, 2):
        seen.clear()
        maker = narrow_resnet
        lth.find_ticket(maker, data, recipe, {"conv": 0.2}, 3, rewind_to=at)
        (fresh, kept, moved), *later = seen
        assert len(later) == 2
        assert moved
        for found, _, moved_again in later:
            assert moved_again
            for number, norm in enumerate(found):
                assert norm["num_batches_tracked"] == at
                assert at or same(norm, fresh[number])
            assert torch.equal(found[0]["running_mean"], kept["norm1.running_mean"])
            assert torch.equal(found[0]["running_var"], kept["norm1.running_var"])


def narrow_resnet(seed):
    return lth.ResNet20(seed, width=2)


def lenet(seed):
    """A function of that name is not the library's network."""
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))


@pytest.mark.parametrize(
    "maker", [lenet, lth.LeNet, lambda seed: lth.LeNet(seed).double()]
)
def test_any_maker_makes_a_ticket(digits, tmp_path, maker):
    ticket = lth.find_ticket(maker, digits, SHORT, 0.5, rounds=2, seed=3)[1]
    assert ticket.masks.density == 0.25
    assert ticket.network.startswith("own:")
    assert same(ticket.init, lth.from_seed(maker, 3).init)  # theta_0 is the seed's
    assert same(lth.masks_of(ticket.build()), ticket.masks)
    fresh = lth.control(ticket, "reinit", 2, 0)
    assert fresh.masks == ticket.masks
    assert same(fresh.init, lth.from_seed(maker, lth.reinit_seed(3, 2, 0)).init)
    assert not same(fresh.init, ticket.init)
    lth.control(ticket, "random", 2, 0).build()
    ticket.save(tmp_path / "t")
    loaded = Ticket.load(tmp_path / "t")
    for ask in (loaded.build, lambda: lth.control(loaded, "reinit", 2, 0)):
        with pytest.raises(LotteryError, match=r"the library's.*load\(folder, maker"):
            ask()
    known = Ticket.load(tmp_path / "t", maker)
    for net in (loaded.build(maker), known.build()):
        assert same(net.state_dict(), ticket.build().state_dict())
    assert same(lth.control(known, "reinit", 2, 0).init, fresh.init)


def test_a_ticket_is_built_by_its_own_maker_alone(found):
    with pytest.raises(LotteryError, match="weights are of another network"):
        found[0].build(lenet)
    with pytest.raises(LotteryError, match="LeNet is a network: expected what makes"):
        found[0].build(lth.LeNet())


def test_a_ticket_has_masks_for_its_own_weights(found):
    other = lth.masks_of(lth.masked(tiny_net()))
    part = lth.Masks({"fc1.weight": torch.ones(2, 2)})
    for masks in (other, part):
        with pytest.raises(LotteryError, match="made for this network"):
            Ticket("lenet", 4, masks, found[0].init, {})
        with pytest.raises(LotteryError, match="made for this network"):
            lth.from_seed("lenet", 4, masks)
    with pytest.raises(LotteryError, match="-1 is no seed"):
        Ticket("lenet", -1, found[0].masks, found[0].init, {})


# --- saved, and read again -----------------------------------------------------


def test_a_ticket_comes_back_to_the_same_bits(found, tmp_path):
    found[1].save(tmp_path / "t")
    back = Ticket.load(tmp_path / "t")
    assert back.masks == found[1].masks
    assert same(back.init, found[1].init)
    assert (back.network, back.seed, back.made) == (
        "lenet",
        4,
        {"arm": "ticket", "round": 2, "rewind": 0},
    )
    assert same(back.build().state_dict(), found[1].build().state_dict())


@settings(max_examples=10)
@given(seed=st.integers(0, 50), density=st.floats(0.01, 1))
def test_round_trip(tmp_path_factory, seed, density):
    net = lth.masked(tiny_net(seed))
    masks = lth.keep(
        lth.magnitudes(net),
        lth.masks_of(net),
        {(name,): round(density * n) for name, n in lth.masks_of(net).counts().items()},
    )
    ticket = Ticket("tiny", seed, masks, lth.snapshot(net), {"density": density})
    folder = tmp_path_factory.mktemp("ticket")
    ticket.save(folder)
    back = Ticket.load(folder)
    assert back.masks == masks
    assert same(back.init, ticket.init)
    assert back.made == {"density": density}


def test_seed_and_masks_alone_rebuild_it(found):
    again = lth.from_seed("lenet", 4, found[2].masks)
    assert same(again.build().state_dict(), found[2].build().state_dict())


def test_saving_over_an_older_ticket(found, tmp_path):
    found[0].save(tmp_path / "t")
    found[1].save(tmp_path / "t")
    assert Ticket.load(tmp_path / "t").masks == found[1].masks
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


@pytest.mark.parametrize("scope", ["layer-wise", "global"])
def test_oneshot_goes_as_deep_as_the_ladder(scope):
    net = lth.masked(lth.ResNet20() if scope == "global" else lth.LeNet())
    rates = {"conv": 0.2} if scope == "global" else RATES
    masks = oneshot_masks(net, rates, scope, rounds=6)
    assert masks.density == lth.densities(net, rates, scope, 6)[6]
    weights = lth.snapshot(net)
    for name, mask in masks.items():
        if scope == "layer-wise":
            assert weights[name][mask].abs().min() >= weights[name][~mask].abs().max()


def damage(folder):
    yield (
        "half a file",
        lambda: (folder / "tensors.safetensors").write_bytes(
            (folder / "tensors.safetensors").read_bytes()[:1000]
        ),
    )
    yield "no page", lambda: (folder / "ticket.json").unlink()
    yield "no JSON", lambda: (folder / "ticket.json").write_text("{")
    yield "foreign", lambda: (folder / "ticket.json").write_text("[1, 2]")
    yield "flipped bit", lambda: flip(folder / "tensors.safetensors")
    yield "no seed", lambda: drop(folder / "ticket.json", "seed")


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def drop(path, key):
    page = json.loads(path.read_text())
    del page[key]
    path.write_text(json.dumps(page))


@pytest.mark.parametrize("number", range(6))
def test_a_damaged_or_foreign_ticket(found, tmp_path, number):
    found[0].save(tmp_path / "t")
    _, harm = list(damage(tmp_path / "t"))[number]
    harm()
    with pytest.raises(LotteryError, match=r"is no whole ticket.*(copy|Delete)"):
        Ticket.load(tmp_path / "t")


def test_a_missing_ticket(tmp_path):
    with pytest.raises(LotteryError, match="is no whole ticket"):
        Ticket.load(tmp_path / "nowhere")


# --- what is known before, and what is kept after --------------------------------

MISTAKES = [
    ({"rates": {"fc": 1.2}}, "at least 0 and below 1"),
    ({"rates": 20}, "fraction is 20: expected .* such as 0.2 for 20 %"),
    ({"rates": {"conv": 0.2}}, "for 'conv', but this network's .* kinds fc, output"),
    ({"rates": {"conv": 0.2, "fc": 0.2}}, "for 'conv', but this network's"),
    ({"scope": "global"}, "Global pruning has one rate"),
    ({"rates": {}}, "Round 1 of 3 would prune nothing"),
    ({"rates": 1e-9}, "Round 1 of 3 would prune nothing.* Raise the fraction.$"),
    ({"rounds": 52}, "Round 52 of 52 would prune nothing.* prune at most 51 rounds"),
    ({"rounds": 0}, "number of rounds is 0: expected an integer of at least 1"),
    ({"rounds": -3}, "number of rounds is -3"),
    ({"rounds": 3.0}, r"number of rounds is 3\.0"),
    ({"rewind_to": 20}, "iteration to rewind to is 20: expected .* from 0 to 19"),
    ({"rewind_to": -1}, "iteration to rewind to is -1"),
    ({"rewind_to": 2.5}, r"iteration to rewind to is 2\.5"),
    ({"seed": True}, "True is no seed"),
    ({"maker": lth.LeNet()}, "LeNet is a network: expected what makes one"),
]


@pytest.mark.parametrize(("change", "sentence"), MISTAKES)
def test_mistakes_are_said_before_training(digits, monkeypatch, change, sentence):
    monkeypatch.setattr("lth_utils.tickets.train", None)  # training would fail
    right = {"maker": "lenet", "rates": RATES, "rounds": 3}
    with pytest.raises(LotteryError, match=sentence):
        lth.find_ticket(data=digits, recipe=SHORT, **right | change)


def test_numpys_numbers_are_numbers(digits, found):
    one, four = np.array([1, 4])
    rates = {kind: np.float64(rate) for kind, rate in RATES.items()}
    (again,) = lth.find_ticket("lenet", digits, SHORT, rates, one, seed=four)
    assert again.masks == found[0].masks
    assert json.dumps([again.seed, again.made]) == json.dumps([4, found[0].made])


@pytest.mark.parametrize(
    "error", [LotteryError("Training diverged."), KeyboardInterrupt(), OSError(5, "a")]
)
def test_what_ends_a_search_carries_what_was_found(digits, found, monkeypatch, error):
    def stopped(net, data, recipe, seed, round, **more):
        if round == 2:
            raise error
        return lth.train(net, data, recipe, seed, round, **more)

    monkeypatch.setattr("lth_utils.tickets.train", stopped)
    with pytest.raises(type(error)) as caught:
        lth.find_ticket("lenet", digits, SHORT, RATES, rounds=3, seed=4)
    kept = caught.value.tickets
    assert [ticket.masks for ticket in kept] == [found[0].masks, found[1].masks]
    told = " ".join(map(str, caught.value.args))
    assert re.match(r"(.*\. |.*a )?The tickets of rounds 1 to 2 are found", told)


def test_a_search_without_a_ticket_ends_as_it_is(digits):
    wild = Recipe(optimizer="sgd", lr=1e8, iterations=20)
    with pytest.raises(LotteryError, match=r"Lower the learning rate \(1e\+08\)\.$"):
        lth.find_ticket("lenet", digits, wild, RATES, rounds=3)
