"""A device that is not there is a sentence, wherever one can be named."""

import pytest
import torch
from helpers import few_digits

import lth_utils as lth
from lth_utils import LotteryError, Recipe
from lth_utils.devices import device_of

HERE = torch.cuda.device_count()
SHORT = Recipe(iterations=1)
ABSENT = ["gpu", "CPU", "", "cuda:x", f"cuda:{HERE}", torch.device("cuda", HERE)]
ABSENT += ["meta", "xpu:99", 3.5, True, *([] if HERE else ["cuda", 0])]


@pytest.mark.parametrize("device", ABSENT)
def test_an_absent_device_is_a_sentence(device):
    with pytest.raises(LotteryError, match=r"cannot be used: expected .cpu., or .cuda"):
        device_of(device)


def test_a_device_that_is_there():
    assert device_of("cpu") == device_of(torch.device("cpu")) == torch.device("cpu")
    assert device_of(None) == lth.best_device()


def test_every_door_asks(monkeypatch):
    data, net = few_digits(), lth.LeNet()
    before = lth.snapshot(net)
    for call in (
        lambda: data.to("gpu"),
        lambda: lth.train(net, data, SHORT, device="gpu"),
        lambda: lth.train_together([net], data, SHORT, [(0, 0)], device="gpu"),
    ):
        with pytest.raises(LotteryError, match="The device 'gpu' cannot be used"):
            call()
    assert all(torch.equal(before[n], t) for n, t in net.state_dict().items())
