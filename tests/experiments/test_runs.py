"""The store: shared, resumable to the bit, and honest about what is wrong."""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import lay_pictures, tiny_experiment, two_convolutions

import lth_utils as lth
from lth_utils import LotteryError, Recipe
from lth_utils.experiments import environment, perform, tables, workers
from lth_utils.experiments.jobs import Job, jobs_of, with_ancestors
from lth_utils.experiments.plans import narrowed
from lth_utils.experiments.runs import stored
from lth_utils.experiments.store import Store
from lth_utils.experiments.workers import _ready
from lth_utils.words import ARMS, CONTROLS

# Every way to get a structure and values, but one of the controls for all.
ONE_OF_A_KIND = (*(arm for arm in ARMS if arm not in CONTROLS), "reinit", "random")
TINY = tiny_experiment(arms=ONE_OF_A_KIND)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The tiny experiment, run once without disturbance by two workers."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LTH_RUNS", str(folder))
        table = lth.run(TINY, workers=2)
    return folder, table


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """An empty store of this test's own."""
    monkeypatch.setenv("LTH_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def contents(folder: Path) -> dict[str, dict]:
    """Return each training's page but its duration; it holds the tensors' hash."""
    pages = {}
    for place in folder.iterdir():
        if not place.name.startswith("."):
            page = json.loads((place / "training.json").read_text())
            pages[place.name] = {k: v for k, v in page.items() if k != "seconds"}
    return pages


def use(monkeypatch, folder):
    monkeypatch.setenv("LTH_RUNS", str(folder))


# --- what a run returns -------------------------------------------------------


def test_the_table_is_tidy(undisturbed):
    table = undisturbed[1]
    assert tuple(table.columns) == tables.COLUMNS
    assert set(table["split"]) == {"train", "validation", "test"}
    assert table["accuracy"].between(0, 1).all()
    assert table.attrs["data"] == "mnist-small"
    counts = table.groupby("arm")["round"].agg(["nunique", "min", "max"])
    assert counts.loc["dense"].tolist() == [1, 0, 0]
    assert counts.loc["ticket"].tolist() == [3, 1, 3]
    assert counts.loc["reinit"].tolist() == [2, 2, 3]
    ladder = lth.densities(lth.masked(lth.LeNet()), TINY.pruning.rates, "layer-wise", 3)
    for round, density in enumerate(ladder):
        assert set(table.loc[table["round"] == round, "density"]) == {density}


def test_controls_share_mask_and_order(undisturbed, monkeypatch):
    use(monkeypatch, undisturbed[0])
    for round in (2, 3):
        ticket, reinit, shuffled, oneshot = (
            lth.ticket(TINY, arm=arm, round=round)
            for arm in ("ticket", "reinit", "random", "oneshot")
        )
        assert reinit.masks == ticket.masks
        assert not torch.equal(reinit.init["fc1.weight"], ticket.init["fc1.weight"])
        assert shuffled.masks != ticket.masks
        assert shuffled.masks.counts() == ticket.masks.counts()
        assert oneshot.masks.counts() == ticket.masks.counts()
        for control in (shuffled, oneshot):
            assert all(
                torch.equal(control.init[n], ticket.init[n]) for n in ticket.init
            )
        for name, mask in ticket.masks.items():
            before = lth.ticket(TINY, arm="ticket", round=round - 1).masks[name]
            assert torch.all(before[mask])


def test_every_arm_trains_on_the_same_batches(undisturbed, monkeypatch):
    use(monkeypatch, undisturbed[0])
    seen = []
    monkeypatch.setattr(
        perform,
        "train",
        lambda net, data, recipe, seed, round, device, curves: (
            seen.append((seed, round))
            or lth.Training([lth.Point(1, "validation", 0.0, 0.0)])
        ),
    )
    store, _ = stored(jobs_of(TINY))
    for job in jobs_of(TINY):
        if job.round == 3 and not job.arm.startswith("continu"):
            parent = job.parent()
            perform.perform([job], [store.read(parent)], torch.device("cpu"))
    assert seen == [(0, 3)] * 5


def test_on_a_gpu_all_that_is_ready_and_alike_trains_together(undisturbed, monkeypatch):
    use(monkeypatch, undisturbed[0])
    store, _ = stored(jobs_of(TINY))
    dense, *_, last = with_ancestors(jobs_of(TINY))
    other = replace(dense, recipe=Recipe(iterations=7))
    orphan = replace(last, seed=99)  # its ticket is not in the store
    waiting = [dense, last, orphan, other]
    assert _ready(waiting, [], store, 1, together=True) == [[dense, last]]
    assert _ready(waiting, [], store, 2, together=True) == [[dense, last], [other]]
    assert _ready(waiting, [], store, 2, together=False) == [[dense], [last]]


def test_strategy_2_prunes_what_was_trained_on_and_resets_once(
    undisturbed, monkeypatch
):
    use(monkeypatch, undisturbed[0])
    store, _ = stored(jobs_of(TINY))
    (twice,) = [j for j in jobs_of(TINY) if (j.arm, j.round) == ("continued", 2)]
    chain = twice.parent()
    assert (chain.arm, chain.round) == ("continuing", 1)
    assert chain.parent().arm == replace(twice, round=1).parent().arm == "dense"
    net = perform.trained(chain, store.read(chain))
    assert store.read(twice).masks == lth.prune(net, TINY.pruning.rates)
    start = lth.ticket(TINY, arm="continued", round=2).init
    assert all(torch.equal(start[k], v) for k, v in lth.snapshot(lth.LeNet(0)).items())


def test_kept_weights_give_the_kept_accuracy(undisturbed, monkeypatch):
    use(monkeypatch, undisturbed[0])
    net = lth.trained(TINY, arm="ticket", round=2)
    rows = undisturbed[1].query("arm == 'ticket' and round == 2 and split == 'test'")
    accuracy = lth.evaluate(net, lth.load("mnist-small"))[1]
    assert accuracy == pytest.approx(rows["accuracy"].iloc[-1], abs=2e-4)
    assert lth.masks_of(net) == lth.ticket(TINY, round=2).masks


def test_early_stop_and_summary_by_hand():
    rows = []
    for seed, losses in ((0, (0.3, 0.2, 0.2)), (1, (0.5, 0.4, 0.1))):
        for step, loss in enumerate(losses, start=1):
            for split in ("train", "validation", "test"):
                accuracy = 0.5 + step / 10 + seed / 100
                rows.append(
                    ("e", "ticket", seed, 0, 1, 0.8, step * 10, split, loss, accuracy)
                )
    table = pd.DataFrame(rows, columns=list(tables.COLUMNS))
    stop = lth.early_stop(table)
    assert stop["iteration"].tolist() == [20, 30]
    assert stop["test"].tolist() == [0.7, 0.81]
    assert stop["final_test"].tolist() == [0.8, 0.81]
    row = lth.summary(table).iloc[0]
    assert (row["n"], row["min"], row["max"], row["early_stop"]) == (2, 0.7, 0.81, 25)
    thin = tables.thin(table, (), ())
    assert sorted(set(thin.query("seed == 0")["iteration"])) == [20, 30]
    pd.testing.assert_frame_equal(lth.early_stop(thin), stop)
    assert len(tables.thin(table, (1,), ("ticket",))) == len(table)


# --- resuming -----------------------------------------------------------------


def test_nothing_is_trained_twice(undisturbed, monkeypatch):
    folder, table = undisturbed
    use(monkeypatch, folder)
    monkeypatch.setattr("lth_utils.experiments.runs.work", None)  # training would fail
    pd.testing.assert_frame_equal(lth.run(TINY), table)
    pd.testing.assert_frame_equal(
        lth.run(replace(TINY, arms=("reinit",))),
        table.query("arm == 'reinit'").reset_index(drop=True),
        check_like=True,
    )


def test_the_number_of_workers_changes_no_bit(undisturbed, runs):
    small = replace(TINY, arms=("dense", "ticket", "random"), control_rounds=(2,))
    lth.run(small, workers=1)
    expected = contents(undisturbed[0])
    mine = contents(runs)
    assert len(mine) == 5
    assert all(expected[key] == page for key, page in mine.items())


_SCRIPT = """
import json, sys
from lth_utils import Experiment, Pruning, Recipe, run
values = json.loads(sys.argv[1])
values["recipe"] = Recipe(**values["recipe"])
values["pruning"] = Pruning(**values["pruning"])
run(Experiment(**values), workers=2)
"""


def start(folder: Path, **options: object) -> subprocess.Popen:
    """Start the tiny experiment in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, json.dumps(asdict(TINY))],
        env=os.environ | {"LTH_RUNS": str(folder)},
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def listen() -> None:
    """Heed Ctrl-C, also where a shell has put the tests into the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A store, as Ctrl-C leaves it behind the first training, and what was said."""
    folder = tmp_path_factory.mktemp("interrupted")
    process = start(folder, preexec_fn=listen)
    while not contents(folder) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    return folder, errors


def test_after_ctrl_c_what_is_finished_is_kept(undisturbed, interrupted):
    folder, errors = interrupted
    assert "KeyboardInterrupt" in errors
    kept, expected = contents(folder), contents(undisturbed[0])
    assert 0 < len(kept) < len(expected)
    assert kept.items() <= expected.items()


def test_killed_at_any_moment_it_ends_with_the_same_bits(
    undisturbed, interrupted, tmp_path
):
    folder = shutil.copytree(interrupted[0], tmp_path / "killed")
    expected, finished = contents(undisturbed[0]), len(contents(folder))
    chance = random.Random(7)
    for _ in range(2):
        process = start(folder)
        # Wait for one more finished training, then a random moment longer.
        while len(contents(folder)) <= finished and process.poll() is None:
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.7))
        workers = children(process)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        for _ in range(100):
            if not (alive := [pid for pid in workers if running(pid)]):
                break
            time.sleep(0.1)
        assert not alive, "workers outlived their parent"
        after = contents(folder)  # every page that is there is whole
        assert finished < len(after) < len(expected)
        finished = len(after)
    process = start(folder)
    assert process.wait() == 0, process.stderr.read()
    process.communicate()
    assert contents(folder) == expected


def children(process: subprocess.Popen) -> list[str]:
    """Return the ids of a process's workers; none where there is no /proc."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not listed.parent.exists():
        return []
    found = listed.read_text().split()
    assert len(found) == 2
    return found


def running(pid: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


# --- keys ---------------------------------------------------------------------


def test_the_key_names_all_that_decides_the_bits():
    job = jobs_of(TINY)[0]
    world = {"data": "d", "torch": "t", "device": "cpu", "engine": "e", "source": "s"}
    keys = {job.key(world)}
    changes = {"arm": "ticket", "seed": 9, "control": 1, "round": 5, "scaling": "l2"}
    changes |= {"recipe": Recipe(lr=0.5), "data": "mnist", "network": "conv2"}
    keys |= {replace(job, **{k: v}).key(world) for k, v in changes.items()}
    keys |= {job.key(world | {name: "other"}) for name in world}
    assert len(keys) == 1 + len(changes) + len(world)
    assert Job.from_json(json.loads(json.dumps(asdict(job)))) == job


def test_comments_and_docstrings_retrain_nothing():
    code = 'def f(x):\n    """Old."""\n    return x  # why\n'
    same = 'def f(x):\n    """New words."""\n\n    return x\n'
    other = code.replace("return x", "return x + 1")
    assert (
        environment._code(code) == environment._code(same) != environment._code(other)
    )


def test_every_training_comes_after_what_it_starts_from():
    control = [job for job in jobs_of(TINY) if job.arm == "reinit" and job.round == 3]
    order = with_ancestors(control)
    assert [(job.arm, job.round) for job in order] == [
        ("dense", 0),
        ("ticket", 1),
        ("ticket", 2),
        ("ticket", 3),
        ("reinit", 3),
    ]


# --- what can go wrong ----------------------------------------------------------


def copy_of(undisturbed, runs):
    runs.mkdir()
    store, _ = stored(jobs_of(TINY))
    for place in undisturbed[0].iterdir():
        shutil.copytree(place, runs / place.name)
    return {job.arm: store.place(job) for job in jobs_of(TINY) if job.round in (0, 3)}


@pytest.mark.parametrize(
    "harm",
    [
        lambda place: (place / "training.json").unlink(),
        lambda place: (place / "training.json").write_text("{}"),
        lambda place: (place / "tensors.safetensors").write_bytes(b"half"),
        lambda place: (place / "training.json").write_text('{"kind": "ticket"}'),
    ],
)
def test_a_damaged_training_is_named_before_any_training(
    undisturbed, runs, monkeypatch, harm
):
    harm(copy_of(undisturbed, runs)["ticket"])
    monkeypatch.setattr("lth_utils.experiments.runs.work", None)  # training would fail
    with pytest.raises(LotteryError, match=r"is no whole training.*Delete it"):
        lth.run(TINY)


def test_a_training_under_anothers_name(undisturbed, runs):
    places = copy_of(undisturbed, runs)
    for file in ("training.json", "tensors.safetensors"):
        (places["ticket"] / file).write_bytes((places["random"] / file).read_bytes())
    with pytest.raises(LotteryError, match="another training than its name says"):
        lth.run(TINY)


def test_a_full_disk_keeps_what_was_finished(tmp_path):
    resource = pytest.importorskip("resource")
    run_dense = replace(TINY, arms=("dense",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LTH_RUNS", str(tmp_path))
        lth.run(run_dense, workers=1)
    before = contents(tmp_path)

    def limit() -> None:  # no file may pass 100 kB: the write fails half-way
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    process = start(tmp_path, preexec_fn=limit)
    _, errors = process.communicate()
    assert process.returncode == 1
    assert "the file would pass the size limit" in errors
    assert "finished rounds are kept" in errors
    assert contents(tmp_path) == before
    assert len(list(tmp_path.iterdir())) == len(before)  # no half-written rest


def test_a_store_that_cannot_be_written(runs, monkeypatch):
    runs.parent.mkdir(exist_ok=True)
    runs.write_text("a file, not a folder")
    monkeypatch.setattr("lth_utils.experiments.runs.work", None)  # training would fail
    with pytest.raises(LotteryError, match=r"Cannot write .*LTH_RUNS"):
        lth.run(TINY)


def test_a_read_only_store(runs, monkeypatch):
    def refuse(**_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    monkeypatch.setattr("lth_utils.experiments.runs.work", None)  # training would fail
    with pytest.raises(LotteryError, match=r"is read-only.*LTH_RUNS"):
        lth.run(TINY)


def test_mistaken_arguments(runs, monkeypatch):
    monkeypatch.setattr("lth_utils.experiments.runs.work", None)
    cases = {
        "Unknown experiment 'lenet'": lambda: lth.run("lenet"),
        "Unknown profile of mnist-1d": lambda: lth.run("mnist-1d", "laptop"),
        "Unknown arm of lenet-mnist": lambda: lth.run("lenet-mnist", arms=["x"]),
        "number of seeds is 0": lambda: lth.run("lenet-mnist", seeds=0),
        "number of seeds is 1.5": lambda: lth.run("lenet-mnist", seeds=1.5),
        "number of workers is 0": lambda: lth.run(TINY, workers=0),
        "no training of arm 'ticket'": lambda: lth.ticket(TINY, round=9),
        "Unknown arm with kept weights": lambda: lth.trained(TINY, arm="reinit"),
        "Unknown data set 'cifar'": lambda: replace(TINY, data="cifar"),
        "Unknown arm 'tickets'": lambda: replace(TINY, arms=("tickets",)),
        "The arms are 'ticket'": lambda: lth.run("lenet-mnist", arms="ticket"),
        "The arms are none": lambda: lth.run("lenet-mnist", arms=[]),
        "The arms name 'ticket' twice": lambda: lth.run(TINY, arms=["ticket"] * 2),
        "Unknown arm of tiny quick 'resample'": lambda: lth.run(
            TINY, arms=["resample"]
        ),
        "number of workers is 1.0": lambda: lth.run(TINY, workers=1.0),
        "Round 52 of 60 would": lambda: lth.run(replace(TINY, rounds=60)),
        "Round 52 of 61 would": lambda: lth.ticket(replace(TINY, rounds=61), round=1),
        "Round 1 of 3 would": lambda: lth.run(replace(TINY, pruning=lth.Pruning())),
        "for 'conv', but this": lambda: lth.run(
            replace(TINY, pruning=lth.Pruning(conv=0.2, fc=0.2))
        ),
    }
    for sentence, call in cases.items():
        with pytest.raises(LotteryError, match=sentence):
            call()


def test_a_diverging_worker_says_so(runs):
    wild = replace(
        TINY, recipe=Recipe(optimizer="sgd", lr=1e8, iterations=20), arms=("dense",)
    )
    where = r"dense of lenet, seed 0, round 0\. Finished rounds are kept"
    with pytest.raises(LotteryError, match=f"Training diverged.*{where}"):
        lth.run(wild, workers=1)
    assert not runs.exists() or contents(runs) == {}


def test_pictures_that_change_while_a_run_goes_on_end_it(runs, tmp_path, monkeypatch):
    monkeypatch.setenv("LTH_DATA", str(tmp_path))
    folder = lay_pictures(tmp_path / "pets")
    plan = two_convolutions(Recipe(iterations=1, batch_size=8))
    jobs = jobs_of(narrowed(plan, 1, None, data="pets"))
    store = stored(jobs)[0]
    order = {
        "folder": str(store.folder),
        "environment": dict(store.environment),
        "device": "cpu",
        "jobs": [asdict(job) for job in jobs],
    }
    shutil.copy(folder / "test" / "dog" / "00.png", folder / "test" / "cat" / "00.png")
    sentence = workers._answer(order)["sentence"]
    assert "The pictures of 'pets' were changed while the run went on" in sentence
    assert not runs.exists()


def test_what_fails_later_costs_nothing_that_is_finished(runs, monkeypatch):
    dense = replace(TINY, arms=("dense",))
    wild = replace(
        dense, name="wild", recipe=Recipe(optimizer="sgd", lr=1e8, iterations=20)
    )
    with pytest.raises(LotteryError, match="Training diverged"):
        lth.run(lth.Study("both", "quick", (dense, wild)), workers=1)
    assert len(contents(runs)) == 1
    monkeypatch.setattr("lth_utils.experiments.runs.work", None)  # training would fail
    assert lth.run(dense)["split"].value_counts()["validation"] == 2


def test_seeds_and_arms_narrow_an_experiment_of_ones_own(undisturbed, monkeypatch):
    use(monkeypatch, undisturbed[0])
    two = replace(TINY, seeds=(0, 1))
    table = lth.run(two, seeds=np.int64(1), arms=["dense", "reinit"])
    assert set(table["seed"]) == {0}
    assert list(table["arm"].unique()) == ["dense", "reinit"]


def test_a_dying_worker_says_so(runs, monkeypatch):
    monkeypatch.setattr("lth_utils.experiments.workers.sys.executable", "/bin/false")
    with pytest.raises(LotteryError, match=r"worker process died .* run again"):
        lth.run(TINY, workers=1)


def test_a_worker_has_one_thread_and_an_allocator_that_keeps(monkeypatch, tmp_path):
    seen = {}
    monkeypatch.setattr(workers.subprocess, "Popen", lambda *_, **how: seen.update(how))
    workers.Worker(Store(tmp_path, {}), "cpu")
    for library in ("OMP", "MKL", "NUMBA"):
        assert seen["env"][f"{library}_NUM_THREADS"] == "1"
    assert workers.ENVIRONMENT.items() <= seen["env"].items()
    assert int(seen["env"]["MALLOC_MMAP_THRESHOLD_"]) <= 2**25  # older glibcs' limit


def test_workers_need_no_error_stream(undisturbed, runs, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    lth.run(replace(TINY, arms=("dense",)), workers=1)
    dense = contents(runs)
    assert dense.items() <= contents(undisturbed[0]).items()
    assert len(dense) == 1


@pytest.mark.parametrize(("count", "expected"), [(None, 1), (3, 3)])
def test_cores_where_none_can_be_asked_for(monkeypatch, count, expected):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert workers.cores() == expected
