"""On a GPU that was measured, the library takes the way that was fastest there."""

import json

import pytest
import torch
from helpers import two_convolutions

import lth_utils as lth
from benchmarks.gpu_bench import tf32
from lth_utils.experiments import perform, records
from lth_utils.experiments.environment import environment
from lth_utils.experiments.jobs import jobs_of
from lth_utils.experiments.ways import speeds_file, way_for
from lth_utils.training.recipes import Recipe
from lth_utils.words import NETWORKS

GPU = torch.device("cuda")
CARD = "NVIDIA H100 80GB HBM3"


@pytest.fixture
def record(tmp_path, monkeypatch):
    """A function that writes what was found fastest on this card."""

    def write(text: str) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    monkeypatch.setattr(records, "results_folder", lambda: tmp_path)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: CARD)
    path = speeds_file(tmp_path, CARD)
    assert path.name == "nvidia-h100-80gb-hbm3.json"
    return write


def found(fastest: object) -> str:
    return json.dumps({"stages": {"ways": {"fastest": fastest}}})


def test_every_network_goes_as_the_one_like_it(record):
    record(found({"conv2": "mapped", "resnet20": "grouped"}))
    ways = {word: way_for(word, GPU) for word in NETWORKS}
    assert ways == {
        **dict.fromkeys(("conv2", "conv4", "conv6"), "mapped"),
        **dict.fromkeys(("conv2-narrow", "conv4-narrow", "conv6-narrow"), "mapped"),
        **dict.fromkeys(("resnet20", "vgg19"), "grouped"),
        **dict.fromkeys(("resnet8-narrow", "vgg19-narrow"), "grouped"),
        **dict.fromkeys(("lenet", "lenet-1d"), "streams"),  # a stack, as ever
    }
    assert way_for("conv2@0.5", GPU) == "mapped"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"stages": {}}',
        found([]),
        found({}),
        found({"conv2": "abreast"}),
    ],
)
def test_where_the_record_says_none_it_is_the_default(text, record):
    assert way_for("conv2", GPU) == "streams"  # there is no record
    record(text)
    assert way_for("conv2", GPU) == "streams"


def test_the_way_is_a_part_of_what_decides_the_bits(record):
    record(found({"conv2": "grouped", "resnet20": "mapped"}))
    words = ("lenet", "conv4", "resnet20")
    engines = {word: environment("data", GPU, word)["engine"] for word in words}
    assert engines == {
        "lenet": "autograd, mlp, stack",
        "conv4": "grouped, streams",  # the latter with dropout
        "resnet20": "mapped",
    }
    record(found({"conv2": "streams"}))
    assert environment("data", GPU, "conv4")["engine"] == "streams"
    assert "grouped" not in environment("data", torch.device("cpu"), "conv4")["engine"]


def test_rounded_products_decide_the_bits_too(record):
    with tf32(True):
        engines = [environment("data", GPU, w)["engine"] for w in ("lenet", "conv4")]
        assert engines == ["autograd, mlp, stack, TF32", "streams, TF32"]
        assert "TF32" not in environment("data", torch.device("cpu"), "conv4")["engine"]
    assert environment("data", GPU, "conv4")["engine"] == "streams"


def test_jobs_of_convolutions_train_together_on_a_gpu_that_way(record, monkeypatch):
    record(found({"conv2": "mapped"}))
    plan = two_convolutions(Recipe(iterations=1, batch_size=2, evaluate_every=1))
    told = []

    def together(nets, data, recipe, keys, device, curves, way):
        told.append((len(nets), keys, device.type, way))
        return [None for _ in nets]

    monkeypatch.setattr(perform, "train_together", together)
    starts = [lth.from_seed("conv2-narrow", seed) for seed in (0, 1)]
    perform._train(starts, None, jobs_of(plan), GPU)
    assert told == [(2, [(0, 0), (1, 0)], "cuda", "mapped")]
