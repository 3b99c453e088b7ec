"""Which curves are whole: what a plan asks for, and what the store holds."""

import json
from dataclasses import asdict, replace

import pandas as pd
import pytest
from helpers import tiny_experiment

import lth_utils as lth
from lth_utils import LotteryError, Recipe, Study
from lth_utils.cli import main
from lth_utils.experiments.jobs import Job, jobs_of, merged, with_ancestors
from lth_utils.experiments.plans import narrowed
from lth_utils.experiments.runs import stored
from lth_utils.experiments.workers import _ready

# So hot, and so short, that the least validation loss is not at the end.
TINY = tiny_experiment(
    arms=("dense", "ticket", "random"),
    rounds=2,
    control_rounds=(2,),
    recipe=Recipe(0.2, 60, "sgd", evaluate_every=10, momentum=0.9),
    curve_rounds=(1,),
    curve_arms=("ticket",),
)
WORLD = {"source": "s"}


@pytest.fixture(scope="module")
def lean(tmp_path_factory):
    """The tiny experiment, with the curves that its plan names."""
    folder = tmp_path_factory.mktemp("lean")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LTH_RUNS", str(folder))
        return lth.run(TINY, workers=1)


@pytest.fixture(scope="module")
def store_of_all(tmp_path_factory):
    """A store, and the table, of the tiny experiment with all curves."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LTH_RUNS", str(folder))
        return folder, lth.run(TINY, workers=1, curves=True)


def points(table, **training):
    """How often each split of one training was measured."""
    for name, value in training.items():
        table = table[table[name] == value]
    return table["split"].value_counts().to_dict()


def test_a_run_measures_what_its_plan_shows(lean, store_of_all):
    _, whole = store_of_all
    every = {"train": 6, "validation": 6, "test": 6}
    assert points(lean, arm="ticket", round=1) == every
    for arm, round in (("dense", 0), ("ticket", 2), ("random", 2)):
        assert points(whole, arm=arm, round=round) == every
        found = points(lean, arm=arm, round=round)
        assert found["validation"] == 6
        assert found["train"] == found["test"] in (1, 2)
    stops = lth.early_stop(lean)
    assert (stops["iteration"] < 60).any()
    pd.testing.assert_frame_equal(stops, lth.early_stop(whole))
    pd.testing.assert_frame_equal(lth.summary(lean), lth.summary(whole))
    columns = list(lean.columns)
    assert len(lean.merge(whole, on=columns)) == len(lean) < len(whole)


def test_more_than_is_asked_serves_less(lean, store_of_all, monkeypatch):
    folder, whole = store_of_all
    monkeypatch.setenv("LTH_RUNS", str(folder))
    monkeypatch.setattr("lth_utils.experiments.runs.work", None)  # training would fail
    pd.testing.assert_frame_equal(lth.run(TINY), lean)
    pd.testing.assert_frame_equal(lth.run(TINY, curves=True), whole)
    assert stored(jobs_of(narrowed(TINY, None, None, curves=True)))[1].keys()


def test_less_than_is_asked_is_trained_again_and_replaced(
    lean, store_of_all, tmp_path, monkeypatch
):
    monkeypatch.setenv("LTH_RUNS", str(tmp_path))
    lth.run(TINY, workers=1)
    trained = []
    work = lth.experiments.runs.work

    def watched(jobs, *others):
        trained.extend((job.arm, job.round) for job in jobs)
        work(jobs, *others)

    monkeypatch.setattr("lth_utils.experiments.runs.work", watched)
    whole = store_of_all[1]
    two = lth.run(TINY, arms=["dense", "random"], curves=True, workers=1)
    assert trained == [("dense", 0), ("random", 2)]  # not the tickets between them
    expected = whole[whole["arm"] != "ticket"].reset_index(drop=True)
    pd.testing.assert_frame_equal(two, expected)
    pd.testing.assert_frame_equal(lth.run(TINY), lean)
    assert len(trained) == 2
    pages = [json.loads(p.read_text()) for p in tmp_path.glob("*/training.json")]
    assert sorted((p["job"]["arm"], p["curves"]) for p in pages) == [
        ("dense", True),
        ("random", True),
        ("ticket", False),
        ("ticket", True),
    ]


def test_curves_are_never_lost_to_a_writer_who_has_none(
    lean, store_of_all, tmp_path, monkeypatch
):
    monkeypatch.setenv("LTH_RUNS", str(store_of_all[0]))
    store, results = stored(jobs_of(TINY))
    dense = jobs_of(TINY)[0]
    result = results[dense]
    ends = lth.Training(result.curve).ends()
    mine = replace(store, folder=tmp_path)
    asking = replace(dense, curves=True)
    for curve, held in ((ends, False), (result.curve, True), (ends, True)):
        mine.write(dense, replace(result, curve=curve))
        assert mine.has(dense)
        assert mine.has(asking) == held
    assert mine.read(dense).curve == result.curve


def test_curves_are_no_part_of_what_a_job_is():
    job = jobs_of(TINY)[0]
    asking = replace(job, curves=True)
    assert job == asking
    assert job.key(WORLD) == asking.key(WORLD)
    assert Job.from_json(json.loads(json.dumps(asdict(asking)))).curves


def test_a_training_is_asked_for_once_with_the_most_that_anybody_wants():
    plain, asking = (
        replace(TINY, name=n, curve_rounds=r)
        for n, r in (("plain", ()), ("asking", (2,)))
    )
    for parts in ((plain, asking), (asking, plain)):
        jobs = jobs_of(Study("both", "quick", parts))
        once = merged(jobs)
        assert len(once) == len(jobs) / 2
        assert [(j.arm, j.round) for j in once if j.curves] == [("ticket", 2)]
        assert [(j.arm, j.round) for j in with_ancestors(jobs) if j.curves] == [
            ("ticket", 2)
        ]
    control = [job for job in jobs_of(TINY) if job.arm == "random"]
    asked = [replace(job, curves=True) for job in control]
    assert [(j.arm, j.curves) for j in with_ancestors(asked)] == [
        ("dense", False),
        ("ticket", False),
        ("ticket", False),
        ("random", True),
    ]


def test_a_parent_that_is_trained_again_is_waited_for(store_of_all, monkeypatch):
    monkeypatch.setenv("LTH_RUNS", str(store_of_all[0]))
    dense, first, *_ = with_ancestors(jobs_of(TINY))
    store, _ = stored([dense])
    assert _ready([first], [], store, 1, together=False) == [[first]]
    assert _ready([first], [[dense]], store, 1, together=False) == []
    assert _ready([dense, first], [], store, 2, together=False) == [[dense]]


def test_curves_of_all_that_is_left_of_a_plan():
    wide = narrowed(TINY, 2, ["dense", "random"], curves=True)
    assert all(job.curves for job in jobs_of(wide))
    assert [job.arm for job in jobs_of(TINY) if job.curves] == ["ticket"]
    study = narrowed(lth.experiment("lenet-width"), None, None, curves=True)
    assert all(job.curves for job in jobs_of(study))


@pytest.mark.parametrize(
    ("arms", "sentence"),
    [(("tickets",), "Unknown arm 'tickets'"), ((), "The curve_arms are none")],
)
def test_mistaken_curve_arms(arms, sentence):
    with pytest.raises(LotteryError, match=sentence):
        replace(TINY, curve_arms=arms)


def test_the_command_line_asks_for_curves(store_of_all, monkeypatch, capsys):
    folder, whole = store_of_all
    monkeypatch.setenv("LTH_RUNS", str(folder))
    monkeypatch.setattr("lth_utils.experiments.runs.work", None)  # training would fail
    monkeypatch.setattr("lth_utils.commands.experiment", lambda *_: TINY)
    assert main(["run", "lenet-mnist", "--curves", "--csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(whole)
    assert main(["run", "lenet-mnist", "--curves", "--record"]) == 2
    assert "expected --record without --curves" in capsys.readouterr().err
