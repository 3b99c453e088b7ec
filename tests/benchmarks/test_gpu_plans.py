"""An experiment trained piece by piece: in which order, until when, what is recorded.

What a training comes to is invented here from its masks, but where it says so.
"""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import lth_utils as lth
from benchmarks import gpu_files, gpu_plans
from benchmarks.gpu_bench import SCALES, Bench, plan_of
from lth_utils import LotteryError
from lth_utils.experiments import records
from lth_utils.experiments.jobs import Result, jobs_of
from lth_utils.experiments.perform import start
from lth_utils.experiments.plans import Study
from lth_utils.masking import masked, snapshot
from lth_utils.models import network
from lth_utils.training.evaluation import Point
from lth_utils.words import SPLITS

TINY = SCALES["tiny"]


@pytest.fixture(autouse=True)
def pictures(tmp_path, monkeypatch) -> None:
    """Few pictures, as a data set of their own."""
    monkeypatch.setenv("LTH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LTH_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    make_pictures(tmp_path / "data" / "pics")


def make_pictures(folder: Path) -> None:
    drawn = np.random.default_rng(0)
    for part, count in (("train", 40), ("test", 5)):
        for name in ("cat", "dog"):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = drawn.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                file = folder / part / name / f"{number}.png"
                Image.fromarray(pixels).save(file)


class Watch(Bench):
    """A bench whose time is told by what is trained."""

    left = 1000.0


@pytest.fixture
def bench(tmp_path) -> Watch:
    (tmp_path / "out").mkdir()
    return Watch(torch.device("cpu"), TINY, tmp_path / "out", "0123abcd", 0.0)


@pytest.fixture
def invented(monkeypatch) -> list:
    """Invent what trainings come to; each takes 10 seconds. Returns the batches."""
    seen = []

    def perform(batch, parents, device):
        seen.append(batch)
        Watch.left -= 10 * len(batch)
        return [outcome(*each) for each in zip(batch, parents, strict=True)]

    monkeypatch.setattr(Watch, "left", 1000.0)
    monkeypatch.setattr(gpu_plans, "perform", perform)
    monkeypatch.setattr(gpu_plans, "UNSURE", 1)
    monkeypatch.setattr(gpu_plans, "estimate", lambda _, batch: 10 * len(batch))
    monkeypatch.setattr(gpu_plans.Clock, "stop", lambda _: None)
    return seen


def outcome(job, parent) -> Result:
    ticket = start(job, parent)
    text = b"".join(mask.numpy().tobytes() for _, mask in sorted(ticket.masks.items()))
    seed = int(hashlib.sha256(text).hexdigest()[:8], 16) + job.seed
    state = {}
    if job.arm in ("dense", "ticket"):
        generator = torch.Generator().manual_seed(seed)
        for name, value in snapshot(masked(network(job.network))).items():
            state[name] = torch.randn(value.shape, generator=generator).to(value)
    said = seed % 10**6 / 10**6
    curve = [Point(5, split, said, said) for split in ("train", "validation", "test")]
    return Result(ticket.masks, ticket.seed, curve, state, 10.0)


def content(folder: Path) -> dict[str, bytes]:
    return {
        file.name: file.read_bytes()
        for file in folder.iterdir()
        if file.name != records.PROVENANCE
    }


# --- in which order -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["conv2", "conv2-dropout", "resnet20"])
def test_chains_come_first_and_batches_are_of_one_kind(name, bench, invented):
    plan = plan_of(name, "pics", TINY)
    found = gpu_plans.train(bench, plan, "make gpu")
    assert found["left"] == 0
    assert found["trainings"] == len(set(jobs_of(plan)))
    assert sum(map(len, invented)) == found["trainings"]
    assert all(len(batch) <= 2 for batch in invented)
    assert all(len({job.recipe for job in batch}) == 1 for batch in invented)
    arms = [arm for batch in invented for arm in dict.fromkeys(j.arm for j in batch)]
    ordered = [arm for arm in ("dense", "ticket", "reinit", "random") if arm in arms]
    assert arms == sorted(arms, key=ordered.index)
    rounds = [job.round for batch in invented for job in batch if job.arm == "ticket"]
    assert rounds == sorted(rounds)


def test_a_stack_of_lenets_is_filled_with_whatever_is_ready(bench, invented):
    gpu_plans.train(bench, TINY.plan, "make gpu")
    assert [[job.arm for job in batch] for batch in invented[:2]] == [
        ["dense"],
        ["ticket", "oneshot", "oneshot-reinit"],
    ]


def test_at_full_scale_as_many_train_as_were_timed_and_all_seeds_of_a_round():
    plan = lth.experiment("conv2", "paper", data="pics")
    every = gpu_plans.in_order(plan)
    first = gpu_plans.next_batch(every, [], SCALES["full"])
    assert [(job.arm, job.seed) for job in first] == [("dense", s) for s in range(5)]
    chain = [job for job in every if job.arm in ("dense", "ticket")]
    assert every[: len(chain)] == chain
    controls = gpu_plans.next_batch(every, chain, SCALES["full"])
    assert [job.arm for job in controls] == ["reinit"] * 8


# --- until when ---------------------------------------------------------------------


def test_no_batch_begins_that_would_not_end_in_time(bench, invented, monkeypatch):
    monkeypatch.setattr(Watch, "left", 20 + 20 + 10 + TINY.record + 7)
    plan = plan_of("conv2", "pics", TINY)
    found = gpu_plans.train(bench, plan, "make gpu")
    assert [len(batch) for batch in invented] == [2, 2, 1]
    assert Watch.left == TINY.record + 7
    assert found["left"] == 14 - 5
    invented.clear()
    assert gpu_plans.train(bench, plan, "make gpu")["left"] == 14 - 5
    assert invented == []


def test_what_is_left_over_goes_on_with_the_others(bench, invented, monkeypatch):
    """One seed is a round ahead: its next round waits for nobody's."""
    plan = plan_of("conv2", "pics", TINY)
    monkeypatch.setattr(Watch, "left", 20 + TINY.record + 15)
    gpu_plans.train(bench, plan, "make gpu")
    monkeypatch.setattr(Watch, "left", 1000.0)
    assert gpu_plans.train(bench, plan, "make gpu")["left"] == 0
    assert [(job.round, job.seed) for job in invented[2]] == [(1, 1), (2, 0)]


def test_how_long_a_batch_takes_is_learned_from_the_last(bench, monkeypatch):
    every = gpu_plans.in_order(plan_of("conv2", "pics", TINY))
    asked, clock = [], gpu_plans.Clock(bench)

    def estimate(_, batch):
        asked.append(len(batch))
        return 100 * len(batch)

    monkeypatch.setattr(gpu_plans, "estimate", estimate)
    moments = iter([1000.0, 1030.0])
    monkeypatch.setattr(gpu_plans.time, "monotonic", lambda: next(moments))
    assert clock.affordable(every[:2]) == every[:2]
    assert clock.seconds(every[:2]) == gpu_plans.UNSURE * 200
    clock.start(every[:2])
    clock.stop()
    assert clock.seconds(every[2:4]) == 30  # of another round, and alike
    assert clock.seconds(every[:1]) == 30  # fewer take no longer
    assert asked == [2]
    monkeypatch.setattr(Watch, "left", 25.0)
    assert clock.affordable(every[:2]) == []
    assert asked == [2, 1]  # but where that is too long, one is asked of its own


def test_where_there_is_no_time_nothing_is_measured(bench, monkeypatch):
    every = gpu_plans.in_order(plan_of("conv2", "pics", TINY))
    monkeypatch.setattr(Watch, "left", 4.0)
    monkeypatch.setattr(gpu_plans, "estimate", lambda *_: pytest.fail("measured"))
    assert gpu_plans.Clock(bench).affordable(every[:2]) == []


@pytest.mark.parametrize("curves", [False, True])
def test_an_estimate_is_of_all_steps_and_looks(curves, bench, monkeypatch):
    plan = plan_of("conv2", "pics", TINY)
    recipe = replace(plan.recipe, iterations=20_000, evaluate_every=100)
    batch = [
        replace(job, recipe=recipe, curves=curves)
        for job in gpu_plans.in_order(plan)[:2]
    ]
    looked = []
    now = iter(range(0, 1000, 3))
    monkeypatch.setattr(Bench, "seconds", lambda _, call: (call(), 0.01)[1])
    monkeypatch.setattr(gpu_plans.time, "monotonic", lambda: next(now))
    sample_of = gpu_plans.sample_of
    monkeypatch.setattr(
        gpu_plans,
        "sample_of",
        lambda data, split: looked.append(split) or sample_of(data, split),
    )
    found = gpu_plans.estimate(bench, batch)
    assert found == pytest.approx(20_000 * 0.01 + 200 * 3)
    assert set(looked) == ({*SPLITS} if curves else {"validation"})


def test_what_diverges_ends_it_and_the_rest_is_recorded(bench, invented, monkeypatch):
    perform = gpu_plans.perform

    def diverging(batch, *rest):
        if batch[0].round == 2:
            raise LotteryError("Training diverged: the loss is no number.")
        return perform(batch, *rest)

    monkeypatch.setattr(gpu_plans, "perform", diverging)
    found = gpu_plans.train(bench, plan_of("conv2", "pics", TINY), "make gpu")
    (sentence,) = found["wrong"]
    assert sentence.startswith("ticket of seed 0, round 2, or one that was trained")
    assert (found["trainings"], found["left"]) == (4, 10)
    assert found["recorded"] == {"conv2": "dense, ticket to round 1"}


# --- from machine to machine ----------------------------------------------------------


@pytest.mark.parametrize("name", ["conv2", "resnet20", "conv2-dropout"])
def test_pieces_on_new_machines_make_the_same_record(
    name, bench, invented, monkeypatch, tmp_path
):
    plan = plan_of(name, "pics", TINY)
    gpu_plans.train(bench, plan, "make gpu")
    at_once = content(bench.out / name / "tiny")
    shutil.rmtree(bench.out / name)
    shutil.rmtree(tmp_path / "runs")
    invented.clear()
    left = 1
    while left:
        monkeypatch.setattr(Watch, "left", 65.0)
        before = len(invented)
        left = gpu_plans.train(bench, plan, "make gpu")["left"]
        assert 0 < len(invented) - before <= 4
        shutil.rmtree(tmp_path / "runs")
    assert sum(map(len, invented)) == len(set(jobs_of(plan)))  # and none twice
    assert content(bench.out / name / "tiny") == at_once
    assert [path.name for path in bench.out.iterdir()] == [name]


def test_true_trainings_go_on_to_the_same_record(bench, monkeypatch, tmp_path):
    """Nothing is invented here."""
    monkeypatch.setattr(gpu_plans, "estimate", lambda *_: 1.0)
    plan = replace(
        plan_of("conv2", "pics", TINY), arms=("dense", "ticket", "reinit"), seeds=(0,)
    )
    gpu_plans.train(bench, plan, "make gpu")
    at_once = content(bench.out / "conv2" / "tiny")
    shutil.rmtree(bench.out / "conv2")
    shutil.rmtree(tmp_path / "runs")
    stores = tmp_path / "runs"
    for most in (3, 100):
        monkeypatch.setattr(
            Watch,
            "left",
            property(lambda _, most=most: 999 * (len([*stores.glob("[!.]*")]) < most)),
        )
        left = gpu_plans.train(bench, plan, "make gpu")["left"]
        shutil.rmtree(stores)
    assert left == 0
    assert content(bench.out / "conv2" / "tiny") == at_once


# --- what is recorded -----------------------------------------------------------------


def test_a_chain_is_a_record_before_its_controls(bench, invented, monkeypatch):
    monkeypatch.setattr(Watch, "left", 40 + TINY.record + 1)
    plan = plan_of("conv2", "pics", TINY)
    found = gpu_plans.train(bench, plan, "make gpu RECORD=conv2")
    assert found["recorded"] == {"conv2": "dense, ticket to round 1"}
    table = recorded(bench.out, "conv2")
    assert set(table["arm"]) == {"dense", "ticket"}
    assert set(table["round"]) == {0, 1}


def recorded(out: Path, name: str):
    import pandas as pd

    return pd.read_csv(out / name / "tiny" / records.TABLE)


PLAN = replace(
    lth.experiment("conv2", "laptop", data="colour-digits"),
    controls={"reinit": 3},
    seeds=(0, 1),
    curve_rounds=(0, 17),
)


def lacking(*words, plan=PLAN):
    """Return the jobs of which one of these functions says that they are lacking."""
    return {job for job in jobs_of(plan) if any(word(job) for word in words)}


def test_what_lacks_nothing_is_itself():
    assert gpu_plans.whole_part(PLAN, set()) is PLAN


def test_a_part_says_what_it_has():
    deep = lacking(lambda job: job.arm == "ticket" and job.round > 9 and job.seed)
    controls = lacking(lambda job: job.arm in ("reinit", "random") and job.round > 6)
    part = gpu_plans.whole_part(PLAN, deep | controls)
    assert (part.rounds, part.control_rounds, part.arms) == (9, (3, 6), PLAN.arms)
    assert part.controls == {"reinit": 3}
    assert part.curve_rounds == (0,)
    assert set(jobs_of(part)) == {
        job
        for job in set(jobs_of(PLAN)) - deep - controls
        if job.arm == "dense" or job.round <= 9
    }
    said = "dense, ticket to round 9; reinit, random at 3, 6"
    assert gpu_plans.in_words(part) == said


def test_of_the_controls_most_trainings_count():
    """All rounds of one arm, rather than one round of both."""
    lacks = lacking(lambda job: job.arm == "random" and job.round > 3)
    part = gpu_plans.whole_part(PLAN, lacks)
    assert part.arms == ("dense", "ticket", "reinit")
    assert part.control_rounds == PLAN.control_rounds
    lacks |= lacking(lambda job: (job.arm, job.control) == ("reinit", 2))
    part = gpu_plans.whole_part(PLAN, lacks)
    assert part.arms == ("dense", "ticket", "random")
    assert part.control_rounds == (3,)
    assert part.controls == {}


def test_without_all_dense_networks_there_is_no_part():
    assert gpu_plans.whole_part(PLAN, lacking(lambda job: job.arm != "dense")) == (
        replace(
            PLAN,
            arms=("dense",),
            rounds=0,
            control_rounds=None,
            controls={},
            curve_rounds=(0,),
        )
    )
    one = lacking(lambda job: job.arm == "dense" and job.seed == 1)
    assert gpu_plans.whole_part(PLAN, one) is None


def test_of_a_study_each_part_has_what_it_has(bench, invented, monkeypatch):
    plan = plan_of("conv2-dropout", "pics", TINY)
    monkeypatch.setattr(Watch, "left", 60 + TINY.record + 1)
    found = gpu_plans.train(bench, plan, "make gpu")
    assert isinstance(plan, Study)
    assert found["recorded"] == {
        "plain": "dense, ticket to round 1",
        "dropout": "dense to round 0",
    }
    table = recorded(bench.out, "conv2-dropout")
    rows = table[["experiment", "arm", "round"]].drop_duplicates()
    assert len(rows) == 3


def test_nothing_whole_is_no_record(bench, invented, monkeypatch):
    monkeypatch.setattr(Watch, "left", 10 + TINY.record + 1)
    found = gpu_plans.train(bench, plan_of("conv2", "pics", TINY), "make gpu")
    assert (found["trainings"], found["recorded"]) == (1, {})
    assert [path.suffix for path in bench.out.iterdir()] == [".zip"]
    assert gpu_files.files_of(bench.out, bench.label)
