"""An experiment's words: which network takes which data set's images."""

from dataclasses import replace

import pytest
import torch

import lth_utils as lth
from lth_utils import LotteryError
from lth_utils.words import DATASETS, IMAGES, NETWORKS, TAKES

PLAN = lth.experiment("lenet-mnist")


@pytest.mark.parametrize("word", NETWORKS)
def test_each_network_takes_the_images_that_its_word_promises(word):
    with torch.no_grad():
        scores = lth.network(word).eval()(torch.zeros(2, *TAKES[word]))
    assert scores.shape == (2, 10)


@pytest.mark.parametrize(
    "word", [w for w in DATASETS if w not in ("mnist", "fashion-mnist")]
)
def test_each_data_set_has_the_images_that_its_word_promises(word):
    assert lth.load(word).shape == IMAGES[word]


@pytest.mark.parametrize(
    "network", [*NETWORKS, "lenet-50-17", "conv2@0.5", "lenet-1d@2"]
)
@pytest.mark.parametrize("data", DATASETS)
def test_a_network_and_a_data_set_match_or_it_is_a_sentence(network, data):
    base = "lenet" if network == "lenet-50-17" else network.partition("@")[0]
    if TAKES[base] == IMAGES[data]:
        assert replace(PLAN, network=network, data=data).network == network
        return
    with pytest.raises(LotteryError) as caught:
        replace(PLAN, network=network, data=data)
    sentence = str(caught.value)
    assert f"{network!r} takes images (C, H, W) of {TAKES[base]}" in sentence
    assert f"those of {data!r} are {IMAGES[data]}" in sentence


def test_the_sentence_names_what_would_match():
    with pytest.raises(
        LotteryError,
        match=r"that it takes \(colour-digits\), .* these \(lenet\)\.$",
    ):
        replace(PLAN, network="conv2-narrow", data="mnist-small")


def test_unknown_words_are_named_as_before():
    with pytest.raises(LotteryError, match=r"Unknown network 'lent'.*mean 'lenet'"):
        replace(PLAN, network="lent")
    with pytest.raises(LotteryError, match=r"Unknown data set 'mnits'.*mean 'mnist'"):
        replace(PLAN, data="mnits")
