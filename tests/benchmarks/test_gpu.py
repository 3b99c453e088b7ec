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
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import lth_utils as lth
from benchmarks import gpu, gpu_files, gpu_stages
from benchmarks.gpu_stages import SCALES, STAGES, Bench
from lth_utils import LotteryError
from lth_utils.data.loading import digest
from lth_utils.data.mnist import Source
from lth_utils.experiments import recording, records
from lth_utils.experiments.environment import environment
from lth_utils.experiments.jobs import jobs_of, with_ancestors
from lth_utils.experiments.perform import perform
from lth_utils.experiments.store import Store

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


def start(machine: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, ROOT / "benchmarks" / "gpu.py", *words],
        cwd=machine,
        env={
            "PATH": str(machine / "bare"),
            "PYTHONPATH": str(machine / "bare"),
            "LTH_RUNS": str(machine / "runs"),
            "CUDA_VISIBLE_DEVICES": "",
            "OMP_NUM_THREADS": "1",
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
    return gpu_files._names(zipped)


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
    assert all(page["stages"][name]["wrong"] == [] for name in ("agreement", "masks"))
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


def test_make_gpu_sets_nothing_up():
    done = subprocess.run(
        ["make", "-n", "gpu", "PYTHON=some-python", "OUT=some-folder"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == 'some-python benchmarks/gpu.py --out "some-folder"\n'


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
    assert found["recorded_rounds"] == 0
    names = {path.name for path in gpu_files.files_of(bench.out, bench.label)}
    assert names == {"live-0123abcd.zip", "trainings-0123abcd-01.zip"}
    # The next start, on a machine that has only these files:
    shutil.rmtree(place)
    monkeypatch.undo()
    monkeypatch.setenv("LTH_RUNS", str(place))
    monkeypatch.setattr(gpu_stages, "perform", counted := Counted(perform))
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
    assert found["recorded_rounds"] == 1
    monkeypatch.setattr(records, "results_folder", lambda: bench.out)
    table = lth.recorded("lenet-mnist", "gpu")
    assert table.attrs["provenance"]["experiment"]["rounds"] == 1
    assert set(table["arm"]) == set(gpu_stages.FIGURE_4.arms)
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
        gpu_stages,
        "_trained",
        lambda *_: torch.tensor(next(weights), dtype=torch.float64),
    )
    sentences = gpu_stages.agreement(bench)["wrong"]
    assert [each.partition(":")[0] for each in sentences] == [
        "adam, captured",
        "sgd, plain",
        "sgd, again",
    ]


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


# What travels


@pytest.fixture
def source(tmp_path, monkeypatch) -> Source:
    """A data set of MNIST's form, where LTH_DATA says."""
    contents = {
        "images": b"\0\0\x08\x01\0\0\0\x02ab",
        "labels": b"\0\0\x08\x01\0\0\0\x01c",
    }
    digests = {name: sha256(text).hexdigest() for name, text in contents.items()}
    found = Source("MNIST", "MNIST", digests)
    found.raw(tmp_path / "data").mkdir(parents=True)
    for name, text in contents.items():
        (found.raw(tmp_path / "data") / name).write_bytes(text)
    monkeypatch.setenv("LTH_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(gpu_files, "ROOT", tmp_path / "there")
    return found


def test_mnist_travels_as_one_file(source, tmp_path, monkeypatch):
    packed = tmp_path / "mnist.zip"
    gpu_files.pack_mnist(packed, source)
    monkeypatch.setenv("LTH_DATA", str(tmp_path / "elsewhere"))
    gpu_files.find_mnist(packed, source)
    there = source.raw(Path(os.environ["LTH_DATA"]))
    assert {path.name: path.read_bytes() for path in there.iterdir()} == {
        path.name: path.read_bytes() for path in source.raw(tmp_path / "data").iterdir()
    }


@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_a_damaged_mnist_is_a_sentence(content, source, tmp_path):
    packed = tmp_path / "mnist.zip"
    gpu_files.pack_mnist(packed, source)
    whole = packed.read_bytes()
    packed.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(LotteryError, match="is damaged: expected a zip"):
        gpu_files.find_mnist(packed, source)
    assert os.environ["LTH_DATA"] == str(tmp_path / "data")


def test_without_a_packed_mnist_the_library_looks_itself(source, tmp_path):
    gpu_files.find_mnist(tmp_path / "nowhere.zip", source)
    assert os.environ["LTH_DATA"] == str(tmp_path / "data")


def test_a_part_that_is_full_gets_a_neighbour(bench, monkeypatch, tmp_path):
    gpu_stages.figure_4(bench)
    every = with_ancestors(jobs_of(bench.scale.plan))
    content = digest("mnist-small")
    store = Store(tmp_path / "runs", environment(content, bench.device, "lenet"))
    monkeypatch.setattr(gpu_files, "FULL", 100_000)
    for count in (3, 6, 9):
        gpu_files.keep(bench.out, "abc", store, every[:count], every[count:])
    live, *parts = gpu_files.files_of(bench.out, "abc")
    assert len(parts) > 2
    assert all(part.stat().st_size < 2e6 for part in parts)
    packed = [name for part in parts for name in gpu_files._names(part)]
    assert sorted(packed) == sorted(store.place(job).name for job in every)
    assert gpu_files._names(live) == set()
    again = replace(store, folder=tmp_path / "again")
    gpu_files.restore(bench.out, "abc", again)
    for job in every:
        assert again.read(job) == replace(store.read(job), weights={})


def test_a_zip_of_other_things_is_refused(bench, tmp_path):
    from zipfile import ZipFile

    with ZipFile(bench.out / f"trainings-{bench.label}-01.zip", "w") as archive:
        archive.writestr("../outside.json", "{}")
    store = SimpleNamespace(folder=tmp_path / "runs")
    with pytest.raises(LotteryError, match="other things than trainings"):
        gpu_files.restore(bench.out, bench.label, store)
    assert not (tmp_path / "outside.json").exists()


# Into results/


@pytest.fixture
def came_back(machine, resumed, tmp_path) -> Path:
    """What a run of full scale would bring back."""
    folder = tmp_path / "back"
    shutil.copytree(machine / "out", folder)
    (folder / "lenet-mnist" / "tiny").rename(folder / "lenet-mnist" / "gpu")
    (stages,) = folder.glob("stages-*.json")
    page = json.loads(stages.read_text()) | {"scale": "full"}
    page["environment"]["device"] = "NVIDIA H100 80GB HBM3"
    stages.write_text(json.dumps(page))
    return folder


def test_what_came_back_is_adopted(came_back, tmp_path):
    results, home = tmp_path / "results", tmp_path / "home"
    paper = results / "lenet-mnist" / "paper" / "table.csv.gz"
    paper.parent.mkdir(parents=True)
    paper.write_bytes(b"hours")
    written = gpu_files.adopt(came_back, results, home)
    speeds, record = written
    assert speeds == results / "gpu" / "nvidia-h100-80gb-hbm3.json"
    assert record == results / "lenet-mnist" / "gpu"
    page = json.loads((record / records.PROVENANCE).read_text())
    assert page["commit"] == recording.commit() != "unknown"
    assert paper.read_bytes() == b"hours"
    assert [path.name for path in home.iterdir()] == [
        path.name for path in came_back.glob("stages-*.json")
    ]


def test_the_newest_of_a_card_is_kept_and_an_unfinished_run_goes_on(
    came_back, tmp_path
):
    (stages,) = came_back.glob("stages-*.json")
    page = json.loads(stages.read_text()) | {"made": "2001-01-01T00:00:00+00:00"}
    (came_back / "stages-ffffffff.json").write_text(json.dumps(page))
    trainings = came_back / "trainings-ffffffff-01.zip"
    trainings.write_bytes(b"hours")
    for home in (came_back, tmp_path / "home"):
        (speeds, _, _) = gpu_files.adopt(came_back, tmp_path / "results", home)
        assert speeds.read_bytes() == stages.read_bytes()
        assert (home / trainings.name).read_bytes() == b"hours"


@pytest.mark.parametrize(
    "how", ["empty", "tiny", "damaged", "cut", "gone", "fewer", "foreign"]
)
def test_what_cannot_be_adopted_changes_nothing(how, came_back, tmp_path):
    results, home = tmp_path / "results", tmp_path / "home"
    (stages,) = came_back.glob("stages-*.json")
    record = came_back / "lenet-mnist" / "gpu"
    there = results / "lenet-mnist" / "gpu" / records.PROVENANCE
    there.parent.mkdir(parents=True)
    there.write_text(
        json.dumps({"experiment": {"rounds": 20 if how == "fewer" else 1}})
    )
    if how == "empty":
        stages.unlink()
    elif how == "tiny":
        stages.write_text(stages.read_text().replace('"full"', '"tiny"'))
    elif how == "damaged":
        stages.write_text("{")
    elif how == "cut":
        (record / records.TABLE).write_bytes(b"")
    elif how == "gone":
        (record / records.TABLE).unlink()
    before = there.read_text()
    words = "nothing to adopt|is damaged|holds 20 rounds and .* fewer|would be lost"
    with pytest.raises(LotteryError, match=words):
        gpu_files.adopt(came_back, results, home)
    assert there.read_text() == before
    assert not home.exists()
    assert not (results / "gpu").exists()
