"""Which way convolutional networks train together is chosen by what was measured."""

import pytest
import torch

from benchmarks import gpu_ways

CPU = torch.device("cpu")
SPEEDS = {"streams": 10.0, "grouped": 20.0, "mapped": 30.0}


@pytest.fixture
def chosen(monkeypatch):
    """A function that chooses for one network; `apart` says how wrong each way is."""

    def choose(apart, speed=lambda way, count: SPEEDS[way]):
        monkeypatch.setattr(gpu_ways, "apart", lambda *words: apart[words[2]])
        monkeypatch.setattr(
            gpu_ways,
            "_speed",
            lambda *words: {"replicas": words[-1], "steps": speed(*words[-2:])},
        )
        alone = {"way": "alone", "replicas": 1, "tf32": False, "steps": 99.0}
        monkeypatch.setattr(gpu_ways, "_alone", lambda *_: alone)
        return gpu_ways.ways(CPU, lambda _: 1.0, ("conv2",), (1, 8))

    return choose


def test_the_fastest_at_the_most_replicas_is_chosen(chosen):
    found = chosen(dict.fromkeys(SPEEDS, 0.0))
    assert found["fastest"] == {"conv2": "mapped"}
    assert len(found["rows"]) == 1 + 3 * len(SPEEDS)  # the most with TF32 too
    found = chosen(dict.fromkeys(SPEEDS, 0.0), lambda way, count: len(way) - count)
    assert found["fastest"] == {"conv2": "streams"}
    assert found["wrong"] == []


@pytest.mark.parametrize("apart", [1e-6, float("nan")])
def test_a_way_that_is_wrong_is_not_chosen_and_said(apart, chosen):
    found = chosen({"streams": 0.0, "grouped": 1e-12, "mapped": apart})
    assert found["fastest"] == {"conv2": "grouped"}
    (sentence,) = found["wrong"]
    assert sentence.startswith("conv2, mapped: weights differ by")


def test_a_way_that_fails_stops_no_other(chosen):
    def speed(way: str, count: int) -> float:
        if way == "streams" or (way, count) == ("mapped", 8):
            raise torch.OutOfMemoryError("CUDA out of memory\nand more")
        return SPEEDS[way]

    found = chosen(dict.fromkeys(SPEEDS, 0.0), speed)
    assert found["fastest"] == {"conv2": "grouped"}
    assert found["wrong"] == [
        "conv2, streams: CUDA out of memory",
        "conv2, mapped: CUDA out of memory",
    ]


def test_where_none_works_none_is_chosen(chosen):
    assert chosen(dict.fromkeys(SPEEDS, 1.0))["fastest"] == {}
