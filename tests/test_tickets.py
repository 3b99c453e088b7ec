"""Tickets: found, saved, rebuilt; the controls differ in one thing only."""

import json
from itertools import pairwise

import pytest
import torch
from helpers import RATES, few_digits, tiny_net
from hypothesis import given, settings
from hypothesis import strategies as st

import lth_utils as lth
from lth_utils import LotteryError, Recipe, Ticket, tickets
from lth_utils.tickets import oneshot_masks
from lth_utils.words import CONTROLS, NOISES

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
    with pytest.raises(LotteryError, match="Cannot rewind to iteration 20"):
        lth.find_ticket("lenet", digits, SHORT, RATES, rounds=1, rewind_to=20)


def test_any_module_can_be_a_ticket(digits):
    def small(seed):
        torch.manual_seed(seed)
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))

    with torch.random.fork_rng():
        ticket = lth.find_ticket(small, digits, SHORT, 0.5, rounds=2)[1]
        net = ticket.build(small)
    assert ticket.masks.remaining == 1960
    assert same(lth.masks_of(net), ticket.masks)


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


def test_reinit_draws_anew_from_the_same_gaussians(found):
    seeds = {
        lth.reinit_seed(4, round, control) for round in (1, 2) for control in (0, 1)
    }
    assert len(seeds) == 4
    fresh = lth.from_seed("lenet", seeds.pop(), found[2].masks)
    assert fresh.masks == found[2].masks
    old, new = found[2].init["fc1.weight"], fresh.init["fc1.weight"]
    assert torch.corrcoef(torch.stack([old.flatten(), new.flatten()]))[0, 1] < 0.02
    assert new.std() == pytest.approx(old.std().item(), rel=0.02)


def test_random_masks_keep_the_layer_counts(found):
    masks = found[2].masks
    random = lth.random_masks(masks, seed=4, round=3, control=0)
    assert random.counts() == masks.counts()
    overlap = (random["fc1.weight"] & masks["fc1.weight"]).sum() / masks.counts()[
        "fc1.weight"
    ]
    assert overlap < masks.layer_density()["fc1.weight"] + 0.02
    assert random != lth.random_masks(masks, seed=4, round=3, control=1)


CHANGES = {  # what each control changes: the masks, the initial weights
    "reinit": (False, True),
    "resample": (False, True),
    **dict.fromkeys(NOISES, (False, True)),
    "random": (True, False),
    "same-fan-in": (True, False),
    "same-fan-out": (True, False),
    "initial": (True, False),
}


@pytest.mark.parametrize("arm", CONTROLS)
def test_a_control_changes_one_thing(found, arm):
    ticket = found[-1]
    control = tickets.control(ticket, arm, 2, 0)
    fresh_masks, fresh_init = CHANGES[arm]
    kept = all(torch.equal(control.init[n], t) for n, t in ticket.init.items())
    assert (control.masks != ticket.masks, not kept) == (fresh_masks, fresh_init)
    assert control.masks.counts() == ticket.masks.counts()
    again = tickets.control(ticket, arm, 2, 0)
    assert again.masks == control.masks
    assert all(torch.equal(again.init[n], t) for n, t in control.init.items())
    if arm != "initial":  # which has nothing to draw
        other = tickets.control(ticket, arm, 2, 1)
        assert other.masks != control.masks or any(
            not torch.equal(other.init[n], t) for n, t in control.init.items()
        )


def test_an_unknown_control(found):
    with pytest.raises(lth.LotteryError, match=r"control 'reinti'.*reinit"):
        tickets.control(found[-1], "reinti", 2, 0)


@pytest.mark.parametrize(("arm", "kept", "other"), [("in", 1, 0), ("out", 0, 1)])
def test_shuffled_masks_keep_each_line(found, arm, kept, other):
    masks = found[-1].masks
    shuffled = tickets.control(found[-1], f"same-fan-{arm}", 2, 0).masks
    for name, mask in masks.items():
        assert torch.equal(shuffled[name].sum(kept), mask.sum(kept))
    assert not torch.equal(
        shuffled["fc1.weight"].sum(other), masks["fc1.weight"].sum(other)
    )


def test_shuffled_masks_of_convolutions():
    net = lth.masked(lth.Conv2(filters=(4, 5), units=(6, 7)))
    masks = lth.prune(net, 0.7)
    by_filter = tickets.shuffled_masks(masks, 0, 1)["conv2.weight"]
    assert torch.equal(by_filter.sum((1, 2, 3)), masks["conv2.weight"].sum((1, 2, 3)))
    by_channel = tickets.shuffled_masks(masks, 1, 1)["conv2.weight"]
    assert torch.equal(by_channel.sum((0, 2, 3)), masks["conv2.weight"].sum((0, 2, 3)))


def test_resampled_values_are_the_survivors(found):
    ticket = found[-1]
    drawn = tickets.control(ticket, "resample", 2, 0).init
    for name, mask in ticket.masks.items():
        survivors = set(ticket.init[name][mask].tolist())
        assert set(drawn[name][mask].tolist()) <= survivors
        assert not torch.equal(drawn[name][mask], ticket.init[name][mask])


def test_resampling_an_empty_layer_changes_nothing():
    net = lth.masked(lth.LeNet())
    masks = lth.Masks({n: torch.zeros_like(m) for n, m in lth.masks_of(net).items()})
    init = lth.snapshot(net)
    drawn = tickets.resampled(init, masks, 0)
    assert all(torch.equal(drawn[name], value) for name, value in init.items())


def test_noise_has_the_asked_size_and_one_direction(found):
    ticket = found[-1]
    weight = ticket.init["fc1.weight"]
    half, three = (
        tickets.control(ticket, arm, 2, 0).init["fc1.weight"] - weight
        for arm in ("noise-0.5", "noise-3")
    )
    assert half.std().item() == pytest.approx(0.5 * weight.std().item(), rel=0.02)
    assert torch.allclose(6 * half, three, atol=1e-5)


def test_the_largest_initial_values_need_no_training(found):
    ticket = found[-1]
    masks = tickets.control(ticket, "initial", 2, 0).masks
    for name, mask in masks.items():
        size = ticket.init[name].abs()
        assert size[mask].min() >= size[~mask].max()


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


def test_wrong_rates_stop_before_training(digits, monkeypatch):
    monkeypatch.setattr("lth_utils.tickets.train", None)  # training would fail
    with pytest.raises(LotteryError, match="at least 0 and below 1"):
        lth.find_ticket("lenet", digits, SHORT, {"fc": 1.2}, rounds=1)
