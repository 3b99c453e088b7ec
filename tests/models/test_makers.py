"""Makers: any function from a seed to a network, and none that only looks so."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

import lth_utils as lth
from lth_utils import LotteryError
from lth_utils.models.makers import check_draws, check_redraws, draw


class Net(nn.Module):
    """An ordinary module, whose weights torch draws."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(784, 10)

    def forward(self, images):
        return self.layer(images.flatten(1))


class Seeded(Net):
    def __init__(self, seed):
        torch.manual_seed(seed)
        super().__init__()


class Width(nn.Linear):
    def __init__(self, width=30):
        super().__init__(784, width)


class Factory:
    def make(self, seed):
        return Net()

    def __call__(self, seed):
        return Net()


def lenet(seed):
    return Net()


def by_numpy(seed):
    net = Net()
    net.layer.weight.data = torch.from_numpy(np.random.randn(10, 784)).float()
    return net


ONE, KEPT, TABLE = Net(), torch.Generator(), [Net(), Net(), Net()]


def by_a_kept_generator(seed):
    net = Net()
    nn.init.normal_(net.layer.weight, generator=KEPT)
    return net


def drawn_in_place(seed):
    ONE.layer.reset_parameters()
    return ONE


MAKERS = [
    *(lth.LeNet, Seeded, lenet, drawn_in_place, Factory(), Factory().make),
    *(partial(lth.LeNet, hidden=(30, 10)), lambda seed: Net(), lambda *seed: Net()),
    *(lambda seed=0: Net().double(), lambda seed: lth.masked(lth.LeNet(seed))),
    lambda seed: TABLE[seed],  # which has no network of another seed
]


@pytest.mark.parametrize("maker", MAKERS)
def test_a_maker_draws_by_the_seed_and_leaves_torchs_generator_alone(maker):
    before = torch.get_rng_state()
    check_redraws(maker, 2)
    one, again = (copy.deepcopy(draw(maker, 2)).state_dict() for _ in range(2))
    assert all(torch.equal(again[name], tensor) for name, tensor in one.items())
    assert torch.equal(torch.get_rng_state(), before)


def test_an_ordinary_module_is_as_torch_would_draw_it():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        by_hand = Net()
    assert torch.equal(draw(lambda _: Net(), 3).layer.weight, by_hand.layer.weight)
    assert draw(lambda _: Net(), 2**70) is not None  # more than torch's seed takes


def test_a_word_is_a_maker():
    assert torch.equal(draw("lenet", 3).fc1.weight, lth.LeNet(3).fc1.weight)


@pytest.mark.parametrize(
    ("maker", "sentence"),
    [
        (lth.LeNet(), "LeNet is a network: expected what makes one.*lambda seed: Net"),
        (None, "NoneType is no function"),
        (3, "int is no function"),
        (Net, r"Net cannot be called with a seed alone \(too many.*lambda seed"),
        (lambda: Net(), "cannot be called with a seed alone"),
        (lambda *, seed: Net(), "cannot be called with a seed alone"),
        (nn.Linear, "cannot be called with a seed alone.*out_features"),
        (lambda seed: None, "returns NoneType from a seed: expected a network"),
        (lambda seed: Net().state_dict(), "returns OrderedDict"),
        (lambda seed: Net, "returns type"),
        (lambda seed: nn.LazyLinear(10), "'weight' has no values yet"),
        (lambda seed: Net().to("meta"), r"'layer\.weight' has no values yet"),
        ("lenett", "Unknown network 'lenett'"),
    ],
)
def test_what_is_no_maker(maker, sentence):
    with pytest.raises(LotteryError, match=sentence):
        draw(maker, 0)


@pytest.mark.parametrize(
    ("maker", "sentence"),
    [
        (by_numpy, "by_numpy draws other weights each time from the seed 3"),
        (by_a_kept_generator, "draws other weights each time"),
        (Width, "Width makes networks of two shapes from the seeds 3 and 4"),
    ],
)
def test_a_maker_that_does_not_draw_by_its_seed(maker, sentence):
    with pytest.raises(LotteryError, match=sentence):
        check_draws(maker, 3)


@pytest.mark.parametrize("maker", [lambda _: copy.deepcopy(ONE), lambda _: Seeded(0)])
def test_a_network_that_was_trained_before_makes_tickets_but_no_reinit(maker):
    check_draws(maker, 3)
    with pytest.raises(LotteryError, match="makes the same weights from the seeds 3"):
        check_redraws(maker, 3)


def test_an_error_of_the_makers_own_stays_its_own():
    def broken(seed):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine") as caught:
        draw(broken, 3)
    assert caught.value.__notes__ == ["broken was called with the seed 3."]
