"""What a chapter says before anything is trained."""

import platform
from dataclasses import replace

import pytest
import torch

import lth_utils as lth
from lth_utils.figures import beginning


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Return an experiment of three short trainings, and an empty store."""
    monkeypatch.setenv("LTH_RUNS", str(tmp_path))
    return replace(
        lth.experiment("lenet-mnist"),
        name="small",
        network="lenet-20-10",
        recipe=lth.Recipe(iterations=20, evaluate_every=20),
        rounds=2,
        seeds=(0,),
        arms=("dense", "ticket"),
        control_rounds=None,
        controls={},
    )


def test_it_says_where_it_runs(capsys, monkeypatch):
    monkeypatch.setattr(beginning, "cores", lambda: 1)
    lth.begin()
    said = " ".join(capsys.readouterr().out.split())
    version = f"torch {torch.__version__}, Python {platform.python_version()}"
    assert version in said
    if lth.best_device().type == "cpu":
        assert said.endswith("on 1 processor core, without a GPU.")


def test_a_gpu_is_named(capsys, monkeypatch):
    monkeypatch.setattr(beginning, "best_device", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla T4")
    lth.begin()
    assert "on one GPU, Tesla T4." in " ".join(capsys.readouterr().out.split())


def test_what_is_stored_is_counted(capsys, small):
    def said(plan):
        lth.begin(plan)
        return " ".join(capsys.readouterr().out.split())

    text = " trainings of lenet-20-10 on mnist-small, 20 iterations each, of which "
    assert said(small).endswith(f"small, quick: 3{text}none is stored.")
    lth.trained(small, arm="ticket", round=1)
    assert said(small).endswith(f"small, quick: 3{text}2 are stored.")
    first = replace(small, rounds=1)
    assert said(first).endswith(f"small, quick: 2{text}all are stored.")


def test_a_studys_parts_are_added_up(capsys, small):
    longer = replace(small, name="longer", recipe=replace(small.recipe, iterations=40))
    wider = replace(longer, name="wider", network="lenet-30-10", arms=("dense",))
    lth.begin(lth.Study("lengths", "quick", (small, longer, replace(wider, rounds=0))))
    assert " ".join(capsys.readouterr().out.split()).endswith(
        "lengths, quick: 7 trainings of lenet-20-10, lenet-30-10 on mnist-small,"
        " 20 to 40 iterations each, of which none is stored."
    )


def test_an_unknown_experiment_is_refused_before_anything_is_said(capsys):
    with pytest.raises(lth.LotteryError, match="lenet-mist"):
        lth.begin("lenet-mnist", "lenet-mist")
    assert not capsys.readouterr().out
