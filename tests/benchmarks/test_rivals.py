"""What the library is held against: found, or left out and named.

Nothing here is timed: processes answer at once.
"""

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import lth_utils as lth
from benchmarks import bench, layers, lenet, rivals, runs, tickets, whole
from benchmarks.processes import ROOT, Contender, Process
from benchmarks.rivals import Crew, Rivals
from benchmarks.targets import TARGETS

HELD_AGAINST = {
    "today": {"sweep_over_today", "quick_book", "dense_over_today"}
    | {f"sparse_over_today_{percent}" for percent in ("21", "8.7", "3.6", "1.2")}
    | {f"evaluate_{percent}" for percent in ("dense", "21", "3.6")}
    | {"conv2_r11", "conv4_r12", "conv6_r14", "resnet20_12", "vgg19_7"},
    "peer": {"over_sparseprop_21", "over_sparseprop_3.6", "conv_over_sparseprop_10"},
}


class Instant:
    """A process that answers at once; each contender has its own time."""

    def __init__(self, threads, environment=None, command=()):
        pass

    __enter__ = lambda self: self  # noqa: E731
    __exit__ = lambda self, *_: None  # noqa: E731
    order = lambda self, *_: None  # noqa: E731
    answer = lambda self: 0.5  # noqa: E731

    def seconds(self, contender, steps):
        slow = {"textbook": 8.0, "today": 3.0, "sparseprop": 7.0, "layer torch": 2.0}
        slow |= {"layer sparseprop over batch": 9, "layer sparseprop over width": 5}
        return steps * slow.get(contender.loop, 1.0)


@pytest.fixture
def instant(monkeypatch, tmp_path):
    """Make every part measure at once."""
    ticket = SimpleNamespace(masks=SimpleNamespace(density=0.5))
    for module in (rivals, lenet, runs):
        monkeypatch.setattr(module, "Process", Instant)
    monkeypatch.setattr(rivals.tickets, "folder", lambda: tmp_path)
    monkeypatch.setattr(lenet, "ticket", lambda _: ticket)
    monkeypatch.setattr(runs, "peak_memory", lambda *words, **_: 100.0 * len(words))
    monkeypatch.setattr(
        runs, "spent", lambda folder, *_: 2.0 if folder == ROOT else 6.0
    )
    monkeypatch.setattr(runs, "_chapters", lambda _: ["one.ipynb", "two.ipynb"])


@pytest.mark.parametrize(
    "absent", [(), ("today",), ("peer",), ("today", "peer")], ids="-".join
)
def test_rows_of_who_is_absent_are_left_out_and_no_others(instant, absent):
    here = {"today": ROOT / "bench", "peer": {}}
    here |= dict.fromkeys(absent)
    found, rows = bench.measure(list(bench.PARTS), 7, Rivals(**here))
    missing = set().union(*(HELD_AGAINST[word] for word in absent))
    assert found.keys() == {target.key for target in TARGETS} - missing
    assert len(rows) == len(lenet.ENGINES) * 7 * 21


def test_every_rival_is_timed_as_itself(instant):
    found, _ = bench.measure(list(bench.PARTS), 7, Rivals(ROOT / "bench", {}))
    assert found["dense_over_today"] == 3
    assert found["over_sparseprop_21"] == 7
    assert found["conv_over_sparseprop_10"] == 5  # the faster of two
    assert found["conv_64_10"] == 2
    assert found["sweep_over_today"] == found["quick_book"] == 3
    assert found["memory_mb"] == 200


# Whether they are here


def git(*words: str) -> None:
    name = ("-c", "user.name=n", "-c", "user.email=n@example.org")
    subprocess.run(["git", *name, *words], check=True, capture_output=True)


def test_a_commit_is_unpacked_from_the_checkouts_history(monkeypatch, tmp_path):
    git("init", str(tmp_path))
    (tmp_path / "lth_utils").mkdir()
    (tmp_path / "lth_utils" / "old.py").write_text("then = 1\n")
    git("-C", str(tmp_path), "add", ".")
    git("-C", str(tmp_path), "commit", "-m", "then")
    monkeypatch.setattr(rivals, "ROOT", tmp_path)
    monkeypatch.setattr(rivals, "COMMIT", "HEAD")
    place, why = rivals._today()
    assert why == ""
    assert (place / "lth_utils" / "old.py").read_text() == "then = 1\n"
    assert place.is_relative_to(tmp_path / "_build" / "bench")
    assert rivals._today() == (place, "")


def test_a_commit_that_is_not_there_is_named_and_nothing_is_left(monkeypatch, tmp_path):
    git("init", str(tmp_path))
    monkeypatch.setattr(rivals, "ROOT", tmp_path)
    place, why = rivals._today()
    assert place is None
    assert why.startswith("Commit c59cb3c is not in this checkout's history (fatal:")
    assert not (tmp_path / "_build").exists()


def test_a_command_that_is_not_there_is_no_traceback():
    assert "no-such-git" in rivals._failure(["no-such-git"])


def test_a_peer_is_found_in_the_folder_that_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("SPARSEPROP", str(tmp_path))
    peer, why = rivals._peer()
    assert peer is None
    assert f"SPARSEPROP={tmp_path}" in why
    assert "No module named 'sparseprop'" in why
    assert "benchmarks/README.md" in why
    (tmp_path / "sparseprop").mkdir()
    (tmp_path / "sparseprop" / "modules.py").touch()
    assert rivals._peer() == ({"PYTHONPATH": str(tmp_path)}, "")


def test_a_crew_has_no_process_for_who_is_absent(instant):
    with Crew(Rivals()) as crew:
        assert crew.get("today") is crew.get("peer") is None
        assert crew.get("ours") is crew.get("ours") is not None


# Processes


def test_a_process_takes_orders_and_says_when_it_died(tmp_path, capfd):
    (tmp_path / "waiter.py").write_text(
        "from benchmarks.processes import serve\n"
        "def build(contender):\n"
        "    assert contender == ('wait', 'lenet-0', 'mnist-small')\n"
        "    return lambda steps: None\n"
        "serve({'wait': build})\n"
    )
    with Process(1, {"PYTHONPATH": str(tmp_path)}, ("waiter",)) as process:
        assert process.seconds(Contender("wait"), 3) >= 0
        with pytest.raises(RuntimeError, match="traceback is above"):
            process.seconds(Contender("run"), 3)
    assert "KeyError: 'run'" in capfd.readouterr().err


LIBRARY = """\
import time
now = [0.0]
time.perf_counter = lambda: now[0]
def train():
    now[0] += 5
def draw():
    now[0] += 100
run = find_ticket = ticket = trained = explore = draw
"""


def a_chapter(folder: Path, *cells: str) -> str:
    path = folder / "chapter.ipynb"
    found = [{"cell_type": "code", "source": [cell]} for cell in cells]
    text = {"cell_type": "markdown", "source": ["# Words"]}
    path.write_text(json.dumps({"cells": [text, *found]}))
    return str(path)


def test_only_what_a_chapter_trains_counts_by_its_own_library(tmp_path):
    (tmp_path / "lth_utils").mkdir()
    (tmp_path / "lth_utils" / "__init__.py").write_text(LIBRARY)
    imports = "import lth_utils as lth"
    chapter = a_chapter(tmp_path, imports, "lth.train()", "lth.draw();", "lth.train()")
    assert runs.spent(tmp_path, str(tmp_path), "chapter", chapter) == 10
    chapter = a_chapter(tmp_path, imports, "lth.train()\nlth.show()")
    with pytest.raises(RuntimeError, match=r"(?s)failed:.*no attribute 'show'"):
        runs.spent(tmp_path, str(tmp_path), "chapter", chapter)


def test_what_trains_side_by_side_counts_once(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(whole.time, "perf_counter", lambda: now[0])
    clock = whole.Clock()

    def train(*others):
        now[0] += 2
        for other in others:
            clock.over(other)()
        now[0] += 2

    clock.over(train)(train, train)
    now[0] += 100
    clock.over(train)()
    assert clock.spent == 4 + 2 * 4 + 4


def test_only_chapters_that_every_checkout_has_are_compared(tmp_path):
    for build, names in {"a": ("1", "2", "3"), "b": ("3", "1")}.items():
        (tmp_path / build / "notebooks").mkdir(parents=True)
        for name in names:
            (tmp_path / build / "notebooks" / f"{name}.ipynb").touch()
    found = runs._chapters([tmp_path / "a", tmp_path / "b"])
    assert found == ["1.ipynb", "3.ipynb"]


def test_the_experiment_is_the_laptops_one_seed_at_a_time():
    plan = whole.plan(lth, 2)
    assert plan.seeds == (2,)
    assert plan.rounds == 20
    assert len(list(plan.trainings())) == 1 + 3 * 20


# What is timed


def test_a_layer_is_as_its_name_says():
    layer = layers.Layer("8x6-25")
    assert layer.weight.shape == (8, 8, 3, 3)
    assert layer.x.shape == layer.above.shape == (64, 8, 6, 6)
    assert torch.equal(layer.weight != 0, layer.alive)
    assert layer.alive.float().mean() == pytest.approx(0.25, abs=0.05)


def test_what_computes_something_else_is_not_timed(monkeypatch):
    class Wrong(layers.Torch):
        def results(self):
            out, *gradients = super().results()
            return out + 0.1 * (torch.arange(64) == 63).view(-1, 1, 1, 1), *gradients

    monkeypatch.setitem(layers.KINDS, "wrong", Wrong)
    layers._layer(Contender("layer torch", "8x6-25"))(1)
    with pytest.raises(RuntimeError, match="wrong, 8x6-25 is off by"):
        layers._layer(Contender("wrong", "8x6-25"))


def test_deep_tickets_keep_what_their_rounds_leave():
    found = tickets._deep("conv2-11").masks
    net = lth.masked(lth.network("conv2", 0))
    ladder = lth.densities(net, lth.PRUNING["conv2"].rates, "layer-wise", 11)
    assert found.density == pytest.approx(ladder[11])


@pytest.mark.parametrize("name", ["resnet20-12", "vgg19-7"])
def test_global_ones_keep_so_many_percent_of_all_convolutions(name):
    masks = tickets._deep(name).masks
    whole = {name for name, mask in masks.items() if mask.all()}
    assert whole == {"output.weight"} | {n for n in masks if "shortcut" in n}
    pruned = [mask for name, mask in masks.items() if name not in whole]
    kept = sum(int(mask.sum()) for mask in pruned) / sum(m.numel() for m in pruned)
    assert kept == pytest.approx(int(name.split("-")[1]) / 100, abs=1e-4)
