"""Finished trainings travel, and another machine goes on where they ended."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch

import lth_utils as lth
from benchmarks import gpu_files
from benchmarks.gpu_files import files_of, go_on, keep, names, restore
from lth_utils import LotteryError
from lth_utils.experiments.jobs import Result, jobs_of, with_ancestors
from lth_utils.experiments.perform import start
from lth_utils.experiments.store import Store
from lth_utils.masking import masked, snapshot
from lth_utils.models import network
from lth_utils.training.evaluation import Point
from lth_utils.words import ARMS

SMALL = replace(
    lth.experiment("lenet-mnist"),
    network="lenet-20-10",
    seeds=(0, 1),
    rounds=3,
    control_rounds=(1, 3),
)
PLANS = {
    "figure 4": replace(SMALL, arms=("dense", "ticket", "oneshot", "reinit")),
    "every arm": replace(SMALL, arms=ARMS, seeds=(0,), controls={"reinit": 2}),
    "global": replace(
        SMALL,
        network="resnet8-narrow",
        data="colour-digits",
        pruning=lth.PRUNING["resnet20"],
        seeds=(0,),
        arms=("dense", "ticket", "reinit", "random"),
    ),
}


def outcome(job, parent) -> Result:
    """Return what a training might have come to: it hangs on its masks alone."""
    ticket = start(job, parent)
    generator = torch.Generator().manual_seed(
        int(hashlib.sha256(str(job.content()).encode()).hexdigest()[:8], 16)
    )
    state = {}
    if job.arm in ("dense", "ticket", "continuing"):
        for name, value in snapshot(masked(network(job.network))).items():
            drawn = torch.randn(value.shape, generator=generator)
            state[name] = drawn.to(value) * ticket.masks.get(name, torch.tensor(1))
    said = hash_of(ticket.masks) / 2**32
    curve = [Point(5, split, said, said) for split in ("train", "validation", "test")]
    return Result(ticket.masks, ticket.seed, curve, state, 1.0)


def hash_of(masks) -> int:
    text = b"".join(mask.numpy().tobytes() for _, mask in sorted(masks.items()))
    return int(hashlib.sha256(text).hexdigest()[:8], 16)


def store_at(folder: Path) -> Store:
    return Store(folder, {"device": "none"})


def train(store: Store, every, until: int) -> list:
    """Train what a store lacks of the first so many; return those."""
    for job in every[:until]:
        if not store.has(job):
            parent = store.read(job.parent()) if job.parent() else None
            store.write(job, outcome(job, parent))
    return every[:until]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Each plan's trainings, in a store where nothing was ever interrupted."""
    found = {}
    for name, plan in PLANS.items():
        store = store_at(tmp_path_factory.mktemp("whole"))
        every = with_ancestors(jobs_of(plan))
        train(store, every, len(every))
        found[name] = (every, store)
    return found


@pytest.mark.parametrize("step", [2, 5])
@pytest.mark.parametrize("name", PLANS)
def test_each_start_on_a_new_machine_goes_on_as_if_on_the_old_one(
    name, step, whole, tmp_path
):
    every, uninterrupted = whole[name]
    (out := tmp_path / "out").mkdir()
    for until in range(step, len(every) + step, step):
        store = store_at(tmp_path / f"machine-{until}")
        restore(out, "abc", store, every)
        there = [job for job in every if store.has(job)]
        assert there == every[: until - step]
        for job in there:
            was, now = uninterrupted.read(job), store.read(job)
            assert now.masks == was.masks
            assert replace(now, weights={}) == replace(was, weights={})
        keep(out, "abc", store, every, train(store, every, until))
        shutil.rmtree(store.folder)
    last = store_at(tmp_path / "last")
    restore(out, "abc", last, every)
    assert all(last.read(j).curve == uninterrupted.read(j).curve for j in every)
    assert all(last.read(j).weights == {} for j in every)  # nobody waits for any


def test_weights_travel_only_as_long_as_others_start_from_them(whole, tmp_path):
    every, store = whole["figure 4"]
    last = max(n for n, job in enumerate(every) if job.arm == "oneshot")
    keep(tmp_path, "abc", store, every, every[:last])
    live, *_ = files_of(tmp_path, "abc")
    dense = [job for job in every if job.arm == "dense"]
    assert names([live]) <= {store.place(job).name for job in dense}
    restore(tmp_path, "abc", again := store_at(tmp_path / "again"), every)
    parent = every[last].parent()
    for name, value in store.read(parent).weights.items():
        assert torch.equal(again.read(parent).weights[name], value)
    keep(tmp_path, "abc", store, every, every)
    assert live not in files_of(tmp_path, "abc")


def test_a_convolutional_chain_never_carries_its_weights(whole, tmp_path):
    every, store = whole["global"]
    for until in range(1, len(every)):
        keep(tmp_path, "abc", store, every, every[:until])
        assert not [*tmp_path.glob("live-*")]


def test_what_is_there_stays_as_it_is(whole, tmp_path):
    every, store = whole["global"]
    keep(tmp_path, "abc", store, every, every[:2])
    before = {job: store.read(job).weights for job in every[:2]}
    restore(tmp_path, "abc", store, every)
    for job in every[:2]:
        after = store.read(job).weights
        assert after.keys() == before[job].keys() != set()
        assert all(torch.equal(after[name], w) for name, w in before[job].items())


def test_a_store_without_weights_can_be_kept_once_more(whole, tmp_path):
    """Elsewhere than where it was kept: the next masks are then the next ticket's."""
    every, store = whole["global"]
    for folder in ("one", "two", "three"):
        (tmp_path / folder).mkdir()
    keep(tmp_path / "one", "abc", store, every, every)
    restore(tmp_path / "one", "abc", bare := store_at(tmp_path / "bare"), every)
    keep(tmp_path / "two", "abc", bare, every, every)
    restore(tmp_path / "two", "abc", again := store_at(tmp_path / "again"), every)
    assert all(again.read(j).masks == store.read(j).masks for j in every)


def test_a_part_that_is_full_gets_a_neighbour(whole, tmp_path, monkeypatch):
    every, store = whole["every arm"]
    monkeypatch.setattr(gpu_files, "FULL", 20_000)
    for until in (3, 9, len(every)):
        keep(tmp_path, "abc", store, every, every[:until])
    parts = files_of(tmp_path, "abc")
    assert len(parts) > 2
    assert all(part.stat().st_size < 25_000 for part in parts)
    assert sum(len(names([part])) for part in parts) == len(every)
    assert names(parts) == {store.place(job).name for job in every}


def test_of_a_lost_part_only_what_follows_is_trained_again(
    whole, tmp_path, monkeypatch
):
    every, store = whole["global"]
    monkeypatch.setattr(gpu_files, "FULL", 1)
    keep(tmp_path, "abc", store, every, every)
    parts = files_of(tmp_path, "abc")
    assert len(parts) == len(every)
    ticket = next(job for job in every if (job.arm, job.round) == ("ticket", 2))
    parts[every.index(ticket)].unlink()
    restore(tmp_path, "abc", again := store_at(tmp_path / "again"), every)
    there = [job for job in every if again.has(job)]
    assert there == [job for job in every if job.round < 2]
    parent = again.read(ticket.parent())
    assert start(ticket, parent).masks == store.read(ticket).masks


def test_a_zip_of_other_things_is_refused(tmp_path):
    with ZipFile(tmp_path / "trainings-abc-01.zip", "w") as archive:
        archive.writestr("../outside.json", "{}")
    with pytest.raises(LotteryError, match="other things than trainings"):
        restore(tmp_path, "abc", store_at(tmp_path / "runs"), [])
    assert not (tmp_path.parent / "outside.json").exists()


def test_a_damaged_zip_is_a_sentence(whole, tmp_path):
    every, store = whole["global"]
    keep(tmp_path, "abc", store, every, every)
    (part,) = files_of(tmp_path, "abc")
    part.write_bytes(part.read_bytes()[:-500])
    with pytest.raises(LotteryError, match="is damaged: expected a zip"):
        restore(tmp_path, "abc", store_at(tmp_path / "again"), every)


def test_the_page_comes_when_all_else_is_there(tmp_path, monkeypatch):
    for folder in ("home", "out"):
        (tmp_path / folder).mkdir()
    files = ("record-abc.json", "trainings-abc-01.zip", "live-abc.zip")
    for name in (*files, "trainings-abcd-01.zip", "record-abcd.json"):
        (tmp_path / "home" / name).write_text(name)
    copied = []
    copy = shutil.copyfile
    monkeypatch.setattr(
        shutil, "copyfile", lambda a, b: (copied.append(a.name), copy(a, b))
    )
    go_on(tmp_path / "home", tmp_path / "out", "abc")
    assert sorted(copied) == sorted(files)
    assert copied[-1] == "record-abc.json"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(files)
