"""Plans: what is wrong with an experiment is said when it is made."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from helpers import lay_pictures, tiny_experiment

import lth_utils as lth
from lth_utils import EXPERIMENTS, LotteryError, Pruning, Recipe, Study
from lth_utils.experiments.plans import narrowed
from lth_utils.words import DATASETS, IMAGES, NETWORKS, TAKES, TRAIN_IMAGES

PLAN = lth.experiment("lenet-mnist")
TINY = tiny_experiment()
DENSE = {"arms": ("dense",), "control_rounds": None}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        *(({"rounds": r}, "number of rounds is .* at least 1") for r in (0, -1, 3.0)),
        *(
            ({"rounds": r, **DENSE}, "number of rounds is .* least 0")
            for r in (-1, 1.0)
        ),
        *(({"seeds": s}, "The seeds are .* such as") for s in (3, "012", None)),
        ({"seeds": ()}, "The seeds are none: expected at least one"),
        ({"seeds": (0, 1, 0)}, "The seeds name 0 twice"),
        ({"seeds": (0, np.int64(0))}, "The seeds name 0 twice"),
        *(({"seeds": (0, s)}, "is no seed") for s in (-1, 1.5, True, "1")),
        *(({"arms": a}, "The arms are .* such as") for a in ("dense", 1, None)),
        ({"arms": ()}, "The arms are none"),
        ({"arms": ("dense", "ticket", "dense")}, "The arms name 'dense' twice"),
        ({"arms": ("dense", "tiket")}, "Did you mean 'ticket'"),
        *(({"control_rounds": (r,)}, "from 1 to 3") for r in (0, -1, 4, 2.0, True)),
        ({"control_rounds": (2, 2)}, "The control_rounds name 2 twice"),
        ({"control_rounds": 2}, "The control_rounds are 2: expected several"),
        ({"control_rounds": ()}, "The control_rounds are none"),
        *(({"curve_rounds": (r,)}, "from 0 to 3") for r in (-1, 4, 2.0)),
        *(({"curve_rounds": r}, "The curve_rounds are .* such as") for r in (0, None)),
        *(({"controls": c}, "repeats of each arm") for c in (2.5, None, ["reinit"])),
        *(
            ({"controls": {"reinit": n}}, "'reinit' is .* least 1")
            for n in (0, 2.5, -1)
        ),
        ({"controls": {"reinti": 2}}, "Did you mean 'reinit'"),
        ({"controls": {"resample": 2}}, "'resample', which is none of the arms"),
        ({"controls": {"ticket": 2}}, "Repeats of 'ticket' would be the same training"),
        *(({"name": n}, "experiment's name .* a word") for n in ("", " ", "a/b", 0.5)),
        *(({"profile": n}, "profile's name .* word") for n in ("", "../x", "a\nb")),
        (
            {"recipe": Recipe(batch_size=12_001)},
            "12001 is more than the 12000 training",
        ),
        ({"recipe": {"lr": 0.1}}, r"The recipe is \{.*expected an lth\.Recipe"),
        ({"pruning": {"fc": 0.2}}, r"The pruning is \{.*expected an lth\.Pruning"),
    ],
)
def test_a_mistaken_experiment(change, sentence):
    with pytest.raises(LotteryError, match=sentence):
        replace(TINY, **change)


def test_lists_and_numpys_numbers_make_the_same_experiment():
    other = replace(
        TINY,
        rounds=np.int64(3),
        seeds=np.arange(1),
        arms=list(TINY.arms),
        control_rounds=[np.int64(2), 3],
        curve_rounds=range(2),
        pruning=Pruning(fc=np.float64(0.2), output=0.1),
    )
    assert other == replace(TINY, curve_rounds=(0, 1))
    assert json.dumps(asdict(other))
    assert Pruning(fc=np.float32(0.5)) == Pruning(fc=0.5)


def test_what_an_experiment_does_not_use_is_not_judged():
    assert replace(TINY, rounds=0, **DENSE).rounds == 0
    assert replace(TINY, rounds=1, arms=("dense", "ticket")).control_rounds == (2, 3)
    assert replace(TINY, controls={"reinit": 2, "ticket": 1}).controls["reinit"] == 2


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        *(({"fc": rate}, "at least 0 and below 1") for rate in (20, -0.1, True, "0.2")),
        ({"conv": 0.2, "fc": 0.1, "scope": "global"}, "Global pruning has one rate"),
        ({"conv": 0.2, "scope": "globl"}, "Unknown scope 'globl'.*Did you mean"),
    ],
)
def test_mistaken_rates(values, sentence):
    with pytest.raises(LotteryError, match=sentence):
        Pruning(**values)


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ((), "parts of the study s are none"),
        (TINY, "parts of the study s are .*: expected several"),
        ((TINY, replace(TINY, seeds=(1,))), "study s name 'tiny' twice"),
        ((TINY, replace(TINY, name="b", data="mnist")), "several data sets"),
    ],
)
def test_a_mistaken_study(parts, sentence):
    with pytest.raises(LotteryError, match=sentence):
        Study("s", "quick", parts)


def test_a_study_may_have_parts_of_several_lengths():
    short = replace(TINY, name="short", rounds=2, control_rounds=(2,))
    assert Study("s", "quick", [TINY, short]).parts == (TINY, short)


def test_fewer_arms_take_their_controls_along():
    paper = lth.experiment("lenet-mnist", "paper", arms=["dense", "reinit"])
    assert (paper.arms, paper.controls) == (("dense", "reinit"), {"reinit": 3})
    assert lth.experiment("lenet-mnist", "paper", arms=["dense"]).controls == {}


def test_other_data_is_checked_in_every_part(tmp_path, monkeypatch):
    monkeypatch.setenv("LTH_DATA", str(tmp_path))
    lay_pictures(tmp_path / "pets")
    for data in ("pets", "colour-digits"):
        study = lth.experiment("conv2-scaling", "laptop", data=data)
        assert {part.data for part in study.parts} == {study.data} == {data}
        assert [p.recipe for p in study.parts] == [
            p.recipe for p in lth.experiment("conv2-scaling", "laptop").parts
        ]
    for name, data in {"conv2-scaling": "mnist", "lenet-gain": "pets"}.items():
        with pytest.raises(LotteryError, match=r"takes images \(C, H, W\) of"):
            lth.experiment(name, "laptop", data=data)
    with pytest.raises(LotteryError, match=r"set 'cifar-10'.*mean 'cifar10'"):
        lth.experiment("conv2", data="cifar-10")


def test_a_batch_may_not_be_larger_than_what_is_known_of_the_data():
    large = replace(TINY, recipe=Recipe(batch_size=12_001), data="mnist")
    with pytest.raises(LotteryError, match="12001 is more than the 12000 training"):
        narrowed(large, None, None, data="mnist-small")


def test_every_experiment_of_the_catalogue_passes_the_check_before_training():
    from lth_utils.experiments.runs import chosen_experiment

    for name, profiles in EXPERIMENTS.items():
        for profile, plan in profiles.items():
            assert chosen_experiment(name, profile) == plan


# --- which network takes which data set's images ---------------------------------


@pytest.mark.parametrize("word", NETWORKS)
def test_each_network_takes_the_images_that_its_word_promises(word):
    with torch.no_grad():
        scores = lth.network(word).eval()(torch.zeros(2, *TAKES[word]))
    assert scores.shape == (2, 10)


@pytest.mark.parametrize(
    "word", [w for w in DATASETS if w not in ("mnist", "fashion-mnist", "cifar10")]
)
def test_each_data_set_has_the_images_that_its_word_promises(word):
    data = lth.load(word)
    assert (data.shape, data.train.size) == (IMAGES[word], TRAIN_IMAGES[word])


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
        match=r"that it takes \(colour-digits, cifar10\), .* these \(lenet\)\.$",
    ):
        replace(PLAN, network="conv2-narrow", data="mnist-small")


def test_unknown_words_are_named_as_before():
    with pytest.raises(LotteryError, match=r"Unknown network 'lent'.*mean 'lenet'"):
        replace(PLAN, network="lent")
    with pytest.raises(LotteryError, match=r"Unknown data set 'mnits'.*mean 'mnist'"):
        replace(PLAN, data="mnits")
