"""The script for a GPU machine, tried on the CPU: killed, resumed, adopted.

It must do with what such a machine has: a Python without the book's tools, no
network, no git, no home.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import lth_utils as lth
from benchmarks import gpu, gpu_checks, gpu_files, gpu_plans, gpu_stages
from benchmarks.gpu_bench import FIGURE_4, SCALES, Bench, tf32
from benchmarks.gpu_stages import STAGES
from lth_utils.experiments import records, runs
from lth_utils.experiments.perform import perform
from lth_utils.training.probe import rounded

ROOT = Path(__file__).resolve().parents[2]
ABSENT = ("mnist1d", "ipywidgets", "papermill", "IPython", "nbformat", "nbclient")
BARE = f"""\
import sys
class Absent:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
def refuse(event, arguments):
    if event == "socket.connect":
        raise OSError("there is no network")
sys.meta_path.insert(0, Absent)
sys.addaudithook(refuse)
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory) -> Path:
    """A folder whose `bare/` makes a Python as poor as a GPU machine's."""
    folder = tmp_path_factory.mktemp("machine")
    (folder / "bare").mkdir()
    (folder / "bare" / "sitecustomize.py").write_text(BARE)
    return folder


def start(machine: Path, *words: str, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, ROOT / "benchmarks" / "gpu.py", *words],
        cwd=machine,
        env={
            "PATH": str(machine / "bare"),
            "PYTHONPATH": str(machine / "bare"),
            "LTH_RUNS": str(machine / "runs"),
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": "1",
            **more,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


TINY = ("--device", "cpu", "--scale", "tiny", "--out", "out")


def files_in(folder: Path) -> list[Path]:
    """Return the files that would travel; they must keep to the limits."""
    found = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    assert len(found) <= 8
    for path in found:
        assert len(path.parts) <= 3
        assert all(re.fullmatch(r"[\w.-]+", part, re.ASCII) for part in path.parts)
        assert (folder / path).stat().st_size < 16 * 2**20
    return found


@pytest.fixture(scope="module")
def killed(machine) -> set[str]:
    """Kill a run in the middle of figure F4; return what it had trained by then."""
    running = start(machine, *TINY)
    try:
        until = time.monotonic() + 300
        while not [*(machine / "out").glob("trainings-*.zip")]:
            assert running.poll() is None, running.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        running.send_signal(signal.SIGKILL)
        running.communicate()
    files_in(machine / "out")
    # On another machine there is no store, only what came back.
    shutil.rmtree(machine / "runs-gpu")
    (zipped,) = (machine / "out").glob("trainings-*.zip")
    return gpu_files.names([zipped])


@pytest.fixture(scope="module")
def resumed(machine, killed) -> str:
    """Let the killed run go on to its end; return what it printed."""
    running = start(machine, *TINY)
    printed, errors = running.communicate(timeout=300)
    assert running.returncode == 0, printed + errors
    return printed


def page_of(machine: Path) -> dict:
    (path,) = (machine / "out").glob("stages-*.json")
    return json.loads(path.read_text())


def test_a_killed_run_goes_on_where_it_was(machine, killed, resumed):
    before = len(STAGES) - 1  # all but figure F4
    assert resumed.count(": done before") == before
    first = re.search(r"(\d+) of 9 trainings", resumed)
    assert 0 < len(killed) < 9
    assert first is None or int(first[1]) > len(killed)
    page = page_of(machine)
    assert list(page["stages"]) == list(STAGES)
    assert page["stages"]["figure-4"]["left"] == 0
    checks = ("agreement", "masks", "recipes", "ways")
    assert all(page["stages"][name]["wrong"] == [] for name in checks)
    assert page["stages"]["recipes"]["apart"].keys() == {"lenet", "conv2-narrow"}
    assert {"torch", "device", "source", "data"} <= page["environment"].keys()
    assert len(page["ratios"]) == 4
    assert "times the textbook's" in resumed


def test_what_is_finished_is_a_record_and_few_files(machine, resumed):
    record = machine / "out" / "lenet-mnist" / "tiny"
    page = json.loads((record / records.PROVENANCE).read_text())
    assert page["device"] == "cpu"
    assert page["command"] == "make gpu"
    assert page["commit"] == "unknown"  # there is no git
    assert page["experiment"]["rounds"] == 2
    assert len(files_in(machine / "out")) == 4  # what trainings had to travel is gone


def test_a_run_that_is_done_does_nothing(machine, resumed, monkeypatch, capsys):
    monkeypatch.setenv("LTH_RUNS", str(machine / "runs"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(gpu, "START", time.monotonic())
    monkeypatch.chdir(machine)
    assert gpu.main(TINY) == 0
    assert capsys.readouterr().out.count(": done before") == len(STAGES)


def test_it_ends_by_itself_within_its_time(machine):
    running = start(machine, *TINY[:-1], "short", "--seconds", "0.5")
    printed, errors = running.communicate(timeout=300)
    assert running.returncode == 0, errors
    assert "Run again to go on" in printed
    assert not [*(machine / "short").glob("*/*")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["OUT=some-folder"], ' --out "some-folder"'),
        (["RECORD=conv2", "DATA=pics"], ' --record "conv2" --data "pics"'),
        ([], ""),
    ],
)
def test_make_gpu_sets_nothing_up(words, said):
    done = subprocess.run(
        ["make", "-n", "gpu", "PYTHON=some-python", *words],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"some-python benchmarks/gpu.py{said}\n"


# In this process


@pytest.fixture
def bench(tmp_path, monkeypatch) -> Bench:
    monkeypatch.setenv("LTH_RUNS", str(tmp_path / "runs"))
    (tmp_path / "out").mkdir()
    scale = replace_plan(SCALES["tiny"], profile="gpu")
    end = time.monotonic() + 1000
    return Bench(torch.device("cpu"), scale, tmp_path / "out", "0123abcd", end)


def replace_plan(scale, **changes):
    return scale._replace(plan=replace(scale.plan, **changes))


def test_without_a_gpu_it_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main(["--out", str(tmp_path / "out")]) == 2
    printed, errors = capsys.readouterr()
    assert printed == ""
    assert errors.count("\n") == 1
    assert "no GPU that this torch can use: expected one with CUDA" in errors
    assert not (tmp_path / "out").exists()


def test_figure_4_stops_between_two_stacks_and_keeps_what_it_has(bench, monkeypatch):
    place = bench.out.parent / "runs"
    monkeypatch.setattr(
        Bench, "left", property(lambda _: 0 if len([*place.glob("[!.]*")]) > 3 else 999)
    )
    found = gpu_stages.figure_4(bench)
    assert found["trainings"] == 4
    assert found["left"] == 5
    assert found["recorded"] == {
        "lenet-mnist": "dense, ticket to round 1; oneshot, oneshot-reinit at 1"
    }
    names = {path.name for path in gpu_files.files_of(bench.out, bench.label)}
    assert names == {"live-0123abcd.zip", "trainings-0123abcd-01.zip"}
    # The next start, on a machine that has only these files:
    shutil.rmtree(place)
    monkeypatch.undo()
    monkeypatch.setenv("LTH_RUNS", str(place))
    monkeypatch.setattr(gpu_plans, "perform", counted := Counted(perform))
    assert gpu_stages.figure_4(bench)["left"] == 0
    assert counted.jobs == 5
    assert {path.name for path in bench.out.iterdir()} == {"lenet-mnist"}


class Counted:
    """Count the jobs that are performed."""

    def __init__(self, perform):
        self.perform, self.jobs = perform, 0

    def __call__(self, batch, *rest):
        self.jobs += len(batch)
        return self.perform(batch, *rest)


def test_whole_rounds_are_recorded_before_all_are_trained(bench, monkeypatch):
    """The last job to come is a control of the last round."""
    place = bench.out.parent / "runs"
    monkeypatch.setattr(
        Bench, "left", property(lambda _: 0 if len([*place.glob("[!.]*")]) > 6 else 999)
    )
    found = gpu_stages.figure_4(bench)
    assert found["left"] > 0
    monkeypatch.setattr(records, "results_folder", lambda: bench.out)
    table = lth.recorded("lenet-mnist", "gpu")
    made = table.attrs["provenance"]["experiment"]
    assert (made["rounds"], made["control_rounds"]) == (2, [1])
    assert made["arms"] == list(FIGURE_4.arms)
    assert set(table["arm"]) == set(FIGURE_4.arms)
    assert set(table.loc[table["arm"] == "reinit", "round"]) == {1}
    assert gpu_files.files_of(bench.out, bench.label)


def test_a_stage_that_fails_stops_no_other(monkeypatch, tmp_path, capsys):
    def broken(_):
        raise RuntimeError("CUDA error: an illegal address")

    stages = {
        "broken": broken,
        "bad": lambda _: {"wrong": ["2 is not 3"]},
        "good": lambda _: {"answer": 1 / 3},
    }
    monkeypatch.setenv("LTH_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(gpu, "STAGES", stages)
    monkeypatch.setattr(gpu, "START", time.monotonic())
    words = [*TINY[:-1], str(tmp_path / "out")]
    assert gpu.main(words) == 1
    printed = capsys.readouterr().out
    assert "an illegal address" in printed
    assert "wrong: bad: 2 is not 3" in printed
    assert "Not finished: broken." in printed
    found = page_of(tmp_path)["stages"]
    assert found["good"]["answer"] == 0.3333
    stages["broken"] = lambda _: {}
    monkeypatch.setenv("LTH_RUNS", str(tmp_path / "runs"))
    assert gpu.main(words) == 1  # what was bad is still so
    assert "good: done before" in (printed := capsys.readouterr().out)
    assert "Not finished" not in printed


@pytest.mark.parametrize("seconds", ["0", "-3", "nan"])
def test_a_time_of_nothing_is_a_sentence(seconds, tmp_path, capsys):
    words = (*TINY[:-1], str(tmp_path / "out"), f"--seconds={seconds}")
    assert gpu.main(words) == 2
    assert "expected more than 0" in capsys.readouterr().err


def test_a_stack_that_is_wrong_is_found_out(bench, monkeypatch):
    # On the CPU, captured, again and plain; by Adam, and by SGD.
    weights = iter([1, 1 + 1e-6, 1 + 1e-6, 1, 1, 1, 1 + 1e-12, float("nan")])
    monkeypatch.setattr(
        gpu_checks,
        "_trained",
        lambda *_: torch.tensor(next(weights), dtype=torch.float64),
    )
    sentences = gpu_checks.agreement(bench)["wrong"]
    assert [each.partition(":")[0] for each in sentences] == [
        "adam, captured",
        "sgd, plain",
        "sgd, again",
    ]


STALE = [{"warmup": 0}, {"milestones": ()}, {"flip": False}, {"crop": 0}]


@pytest.mark.parametrize(
    ("word", "stale"),
    [
        *(("lenet", each) for each in STALE),
        *(("conv2-narrow", each) for each in [*STALE, {"dropout": 0.0}]),
    ],
)
def test_a_graph_that_reads_nothing_anew_is_found_out(word, stale, bench, monkeypatch):
    """On the GPU one thing stays what it was, though it should change each step."""
    together = lth.train_together

    def stuck(nets, data, recipe, keys, device, **more):
        asked = isinstance(nets[0], lth.LeNet) == (word == "lenet")
        if asked and device is bench.device:  # the CPU's side has another one
            recipe = replace(recipe, **stale)
        return together(nets, data, recipe, keys, device, **more)

    monkeypatch.setattr(gpu_checks.lth, "train_together", stuck)
    if word == "lenet":  # which is always held; the others are not, where none is named
        bench = replace(bench, scale=bench.scale._replace(networks=()))
    (sentence,) = gpu_checks.recipes(bench)["wrong"]
    assert sentence.startswith(f"{word}, schedule and views: weights differ by")


def test_what_is_read_anew_is_right(bench):
    found = gpu_checks.recipes(bench)
    assert found["wrong"] == []
    assert all(apart < 1e-12 for apart in found["apart"].values())


def test_the_roofline_is_the_slower_of_products_and_copies():
    weights = 784 * 300 + 300 * 100 + 100 * 10
    operations = 2 * 60 * (3 * weights - 784 * 300)
    moved = 4 * 10 * (weights + 410)
    rows = [{"replicas": 2, "tf32": on, "steps": 50.0} for on in (False, True)]
    found = {
        "ceilings": {"float32": operations * 25, "tf32": 1e30, "copy": moved * 100},
        "textbook": {"steps": 10.0},
        "stacks": {"rows": rows},
    }
    exact, fast = gpu_stages.ratios(found)
    assert exact["over_textbook"] == 5
    assert exact["share"] == pytest.approx(2)  # 1/25 s each; 50 of them a second
    assert fast["share"] == pytest.approx(0.5)
    assert gpu_stages.ratios({**found, "textbook": {"failed": "…"}}) == []


def test_tf32_is_on_for_a_while_only():
    before = torch.get_float32_matmul_precision()
    with gpu_stages.tf32(True):
        assert torch.get_float32_matmul_precision() == "high"
    assert torch.get_float32_matmul_precision() == before


# An experiment in place of the stages


def make_pictures(place: Path) -> None:
    drawn = np.random.default_rng(0)
    for part, count in (("train", 40), ("test", 5)):
        for name in ("cat", "dog"):
            (folder := place / part / name).mkdir(parents=True)
            for number in range(count):
                pixels = drawn.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")


def test_a_killed_experiment_goes_on_where_it_was(machine, tmp_path):
    make_pictures(tmp_path / "pics")
    words = [*TINY[:-1], str(tmp_path / "out"), "--record", "conv2", "--data", "pics"]
    more = {"LTH_DATA": str(tmp_path), "LTH_RUNS": str(tmp_path / "runs")}
    running = start(machine, *words, **more)
    until = time.monotonic() + 300
    while not [*(tmp_path / "out").glob("trainings-*.zip")]:
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    shutil.rmtree(tmp_path / "runs-gpu")
    kept = gpu_files.names([*files_in_zips(tmp_path / "out")])
    printed, errors = (running := start(machine, *words, **more)).communicate(None, 300)
    assert running.returncode == 0, printed + errors
    first = re.search(r"(\d+) of 14 trainings", printed)
    assert first is None or len(kept) < int(first[1]) <= len(kept) + 2
    assert '"left": 0' in printed
    assert len(files_in(tmp_path / "out")) == 4


def files_in_zips(folder: Path) -> list[Path]:
    return [folder / path for path in files_in(folder) if path.suffix == ".zip"]


@pytest.fixture
def pics(tmp_path, monkeypatch) -> tuple[str, ...]:
    """Pictures, as a data set of their own; the words that train on them."""
    make_pictures(tmp_path / "data" / "pics")
    monkeypatch.setenv("LTH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LTH_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(gpu, "START", time.monotonic())
    monkeypatch.setattr(gpu_files, "ROOT", tmp_path / "there")
    monkeypatch.setattr(gpu_files, "HOME", tmp_path / "home")
    out = ("--out", str(tmp_path / "out"))
    return *TINY[:-2], *out, "--record", "conv2", "--data", "pics"


def test_an_experiment_is_trained_in_place_of_the_stages(
    pics, tmp_path, monkeypatch, capsys
):
    assert gpu.main(pics) == 0
    printed = capsys.readouterr().out
    assert "s a training" in printed
    assert not any(f"{stage} …" in printed for stage in STAGES)
    record = tmp_path / "out" / "conv2" / "tiny"
    page = json.loads((record / records.PROVENANCE).read_text())
    assert page["command"] == "make gpu RECORD=conv2 DATA=pics"
    assert page["data"] == "pics"
    assert page["experiment"]["arms"] == ["dense", "ticket", "reinit", "random"]
    assert len(files_in(tmp_path / "out")) == 4
    (about,) = (tmp_path / "out").glob("record-conv2-*.json")
    assert json.loads(about.read_text())["stages"]["conv2"]["left"] == 0
    # What others take for trained is elsewhere.
    assert not (tmp_path / "runs").exists()
    assert len([*(tmp_path / "runs-gpu" / "conv2").glob("[!.]*")]) == 14
    # On another machine there is nothing but the page, and nothing to do.
    shutil.rmtree(tmp_path / "runs-gpu")
    shutil.copytree(tmp_path / "out", tmp_path / "home")
    shutil.rmtree(tmp_path / "out")
    monkeypatch.setenv("LTH_RUNS", str(tmp_path / "runs"))
    assert gpu.main(pics) == 0
    assert "conv2: done before" in capsys.readouterr().out


def test_an_experiment_goes_on_from_what_was_adopted(
    pics, tmp_path, monkeypatch, capsys
):
    stores = tmp_path / "runs-gpu" / "conv2"
    with monkeypatch.context() as patch:
        left = property(lambda _: 999 * (len([*stores.glob("[!.]*")]) < 4))
        patch.setattr(Bench, "left", left)
        patch.setattr(gpu, "_guard", lambda _: SimpleNamespace(cancel=lambda: None))
        assert gpu.main(pics) == 0
    printed = capsys.readouterr().out
    assert "Not finished: conv2. Run again to go on." in printed
    names = {path.name for path in files_in(tmp_path / "out")}
    assert [name for name in names if name.startswith("trainings-conv2-")]
    assert not [name for name in names if name.startswith("live-")]
    # Adopted on the machine at home, and brought along to another one.
    (tmp_path / "out").rename(tmp_path / "home")
    shutil.rmtree(tmp_path / "runs-gpu")
    monkeypatch.setenv("LTH_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(gpu_plans, "perform", counted := Counted(perform))
    assert gpu.main(pics) == 0
    assert counted.jobs == 14 - 4
    assert '"left": 0' in capsys.readouterr().out


def test_another_profile_and_rounded_products_are_asked_for_and_recorded(
    pics, tmp_path, monkeypatch
):
    asked = []

    def train(bench, plan, command):
        asked.append((plan.parts[0].network, rounded(), command))
        return {"left": 0}

    monkeypatch.setattr(gpu_plans, "train", train)
    with tf32(False):  # afterwards it is as it was
        assert gpu.main([*pics, "--profile", "laptop", "--tf32"]) == 0
        assert gpu.main(pics) == 0
    command = "make gpu RECORD=conv2 DATA=pics"
    assert asked == [
        ("conv2", True, f"{command} PROFILE=laptop TF32=1"),
        ("conv2-narrow", False, command),
    ]


def test_the_ranks_in_a_store_are_not_found_by_others(pics, tmp_path, monkeypatch):
    """`lth.trained` looks into LTH_RUNS, and trains."""
    gpu.main(pics)
    monkeypatch.setenv("LTH_RUNS", str(tmp_path / "runs"))
    plan = gpu.plan_of("conv2", "pics", SCALES["tiny"])
    table, held = runs.finished(plan)
    assert table is None
    assert held.startswith("0 of the 14 trainings")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--record", "conv3"], "Unknown experiment 'conv3'"),
        (
            ["--record", "lenet-adam", "--scale", "full"],
            "Unknown profile of lenet-adam 'paper'",
        ),
        (["--record", "conv2", "--data", "dogs"], "Unknown data set 'dogs'"),
        (["--data", "pics"], "expected it with --record or --pack"),
        (["--profile", "laptop"], "of an experiment: expected --record"),
        (["--tf32"], "of an experiment: expected --record"),
        (["--record", "conv2", "--seconds", "0"], "expected more than 0"),
    ],
)
def test_a_wrong_word_is_a_sentence(words, said, pics, tmp_path, capsys):
    assert gpu.main([*pics[:-4], *words]) == 2
    printed, errors = capsys.readouterr()
    assert printed == ""
    assert said in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "out").exists()
