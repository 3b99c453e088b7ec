"""Controls: each changes one thing of a ticket, and draws it by numbers alone."""

import numpy as np
import pytest
import torch

import lth_utils as lth
from lth_utils import LotteryError, controls
from lth_utils.words import CONTROLS, DRAWN, NOISES


@pytest.fixture(scope="module")
def ticket():
    net = lth.masked(lth.LeNet(seed=4))
    masks = lth.prune(net, {"fc": 0.5, "output": 0.3}, "random", seed=1)
    return lth.from_seed("lenet", 4, masks)


def test_reinit_draws_anew_from_the_same_gaussians(ticket):
    seeds = {
        lth.reinit_seed(4, round, control) for round in (1, 2) for control in (0, 1)
    }
    assert len(seeds) == 4
    fresh = lth.from_seed("lenet", seeds.pop(), ticket.masks)
    assert fresh.masks == ticket.masks
    old, new = ticket.init["fc1.weight"], fresh.init["fc1.weight"]
    assert torch.corrcoef(torch.stack([old.flatten(), new.flatten()]))[0, 1] < 0.02
    assert new.std() == pytest.approx(old.std().item(), rel=0.02)


def test_random_masks_keep_the_layer_counts(ticket):
    masks = ticket.masks
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
def test_a_control_changes_one_thing(ticket, arm):
    control = lth.control(ticket, arm, 2, 0)
    fresh_masks, fresh_init = CHANGES[arm]
    kept = all(torch.equal(control.init[n], t) for n, t in ticket.init.items())
    assert (control.masks != ticket.masks, not kept) == (fresh_masks, fresh_init)
    assert control.masks.counts() == ticket.masks.counts()
    again = lth.control(ticket, arm, 2, 0)
    assert again.masks == control.masks
    assert all(torch.equal(again.init[n], t) for n, t in control.init.items())
    other = lth.control(ticket, arm, 2, 1)
    differs = other.masks != control.masks or any(
        not torch.equal(other.init[n], t) for n, t in control.init.items()
    )
    assert differs == (arm in DRAWN)


def test_a_reinit_that_would_be_the_ticket_again():
    one = lth.LeNet(4)
    fixed = lth.from_seed(lambda seed: one, 4)
    with pytest.raises(LotteryError, match="makes the same weights from the seeds"):
        lth.control(fixed, "reinit", 1, 0)
    assert lth.control(fixed, "noise-1", 1, 0).masks == fixed.masks


def test_an_unknown_control(ticket):
    with pytest.raises(LotteryError, match=r"control 'reinti'.*reinit"):
        lth.control(ticket, "reinti", 2, 0)


@pytest.mark.parametrize("arm", ["reinit", "random", "initial", "noise-1"])
@pytest.mark.parametrize(
    ("round", "number", "sentence"),
    [
        (-1, 0, "The round is -1: expected an integer of at least 0"),
        (1.0, 0, r"The round is 1\.0"),
        (True, 0, "The round is True"),
        (1, -1, "The number of the control is -1"),
        (1, 0.5, r"The number of the control is 0\.5"),
    ],
)
def test_a_number_that_would_name_another_stream(ticket, arm, round, number, sentence):
    with pytest.raises(LotteryError, match=sentence):
        lth.control(ticket, arm, round, number)
    with pytest.raises(LotteryError, match=sentence):
        lth.reinit_seed(4, round, number)
    with pytest.raises(LotteryError, match=sentence):
        lth.random_masks(ticket.masks, 4, round, number)


def test_numpys_whole_numbers_name_the_same_stream(ticket):
    four, two, zero = np.array([4, 2, 0])
    assert lth.reinit_seed(four, two, zero) == lth.reinit_seed(4, 2, 0)
    ours, theirs = (
        lth.control(ticket, "random", *numbers) for numbers in ((2, 0), (two, zero))
    )
    assert ours.masks == theirs.masks
    assert theirs.made == ours.made
    assert [type(value) for value in theirs.made.values()] == [str, int, int]


@pytest.mark.parametrize(("arm", "kept", "other"), [("in", 1, 0), ("out", 0, 1)])
def test_shuffled_masks_keep_each_line(ticket, arm, kept, other):
    masks = ticket.masks
    shuffled = lth.control(ticket, f"same-fan-{arm}", 2, 0).masks
    for name, mask in masks.items():
        assert torch.equal(shuffled[name].sum(kept), mask.sum(kept))
    assert not torch.equal(
        shuffled["fc1.weight"].sum(other), masks["fc1.weight"].sum(other)
    )


def test_shuffled_masks_of_convolutions():
    net = lth.masked(lth.Conv2(filters=(4, 5), units=(6, 7)))
    masks = lth.prune(net, 0.7)
    by_filter = controls.shuffled_masks(masks, 0, 1)["conv2.weight"]
    assert torch.equal(by_filter.sum((1, 2, 3)), masks["conv2.weight"].sum((1, 2, 3)))
    by_channel = controls.shuffled_masks(masks, 1, 1)["conv2.weight"]
    assert torch.equal(by_channel.sum((0, 2, 3)), masks["conv2.weight"].sum((0, 2, 3)))


def test_resampled_values_are_the_survivors(ticket):
    drawn = lth.control(ticket, "resample", 2, 0).init
    for name, mask in ticket.masks.items():
        survivors = set(ticket.init[name][mask].tolist())
        assert set(drawn[name][mask].tolist()) <= survivors
        assert not torch.equal(drawn[name][mask], ticket.init[name][mask])


def test_resampling_an_empty_layer_changes_nothing():
    net = lth.masked(lth.LeNet())
    masks = lth.Masks({n: torch.zeros_like(m) for n, m in lth.masks_of(net).items()})
    init = lth.snapshot(net)
    drawn = controls.resampled(init, masks, 0)
    assert all(torch.equal(drawn[name], value) for name, value in init.items())


def test_noise_has_the_asked_size_and_one_direction(ticket):
    weight = ticket.init["fc1.weight"]
    half, three = (
        lth.control(ticket, arm, 2, 0).init["fc1.weight"] - weight
        for arm in ("noise-0.5", "noise-3")
    )
    assert half.std().item() == pytest.approx(0.5 * weight.std().item(), rel=0.02)
    assert torch.allclose(6 * half, three, atol=1e-5)


def test_the_largest_initial_values_need_no_training(ticket):
    masks = lth.control(ticket, "initial", 2, 0).masks
    for name, mask in masks.items():
        size = ticket.init[name].abs()
        assert size[mask].min() >= size[~mask].max()
