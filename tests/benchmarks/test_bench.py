"""The benchmarks' arithmetic, their textbook loop, and the page that shows them.

Nothing here is timed: clocks are made up.
"""

import gzip
import json
from pathlib import Path
from types import SimpleNamespace

import lth_book  # noqa: F401  (book/ext is on the path, its parts import each other)
import page_parts
import pytest
import speed_page
import torch
from docutils import nodes
from helpers import few_digits
from torch.nn import functional as F

import lth_utils as lth
from benchmarks import bench, lenet, textbook, turns
from benchmarks.rivals import Rivals
from benchmarks.targets import TARGETS, missed
from lth_utils.training.lenet import sparse

# Arithmetic


def fake_clock(seconds: float, machine: list[float]):
    """Return a clock of a machine whose speed changes from round to round."""
    speeds = iter(machine)
    return lambda: seconds * next(speeds)


def test_a_machine_that_slows_down_changes_no_ratio():
    machine = [1.0, 7.0, 2.0, 0.5, 3.0, 90.0, 1.0]
    clocks = {"a": fake_clock(6.0, machine), "b": fake_clock(1.5, machine)}
    rounds = turns.take_turns(clocks, 7)
    assert turns.ratio(rounds, "a", "b") == pytest.approx(4)


def test_a_disturbed_round_changes_no_ratio():
    clocks = {
        "a": fake_clock(6.0, [1, 1, 1, 50, 1, 1, 1]),
        "b": fake_clock(2.0, [1, 30, 1, 1, 1, 1, 1]),
    }
    assert turns.ratio(turns.take_turns(clocks, 7), "a", "b") == pytest.approx(3)


def test_every_contender_takes_its_turn_in_every_round():
    taken = []
    clocks = {name: lambda name=name: taken.append(name) or 1.0 for name in "abc"}
    assert len(turns.take_turns(clocks, 3)) == 3
    assert "".join(taken) == "abcabcabc"


@pytest.mark.parametrize(
    ("ratios", "density"),
    [
        ({0.1: 5.0, 0.4: 1.5, 0.6: 0.5, 1.0: 0.3}, 0.5),
        ({0.1: 5.0, 0.5: 1.0, 1.0: 0.5}, 0.5),
        ({0.1: 5.0, 1.0: 1.1}, 1.0),  # the sparse step is always the faster one
        ({0.1: 0.9, 1.0: 0.2}, 0.1),  # never
    ],
)
def test_the_crossover_is_where_the_ratio_falls_through_1(ratios, density):
    assert turns.crossover(ratios) == pytest.approx(density)


ROWS = [
    (loop, 0, density, repeat, microseconds * (1 + repeat))
    for density, sparse_step in ((0.2, 50.0), (0.4, 100.0), (0.6, 150.0))
    for repeat in range(3)
    for loop, microseconds in {
        "mlp": 125.0,
        "pixels": 100.0,
        "sparse": sparse_step,
    }.items()
]


def test_the_crossovers_are_found_in_the_ladders_rows():
    found = lenet.crossings(ROWS)
    assert found["pixels"] == found["dense"] == pytest.approx(0.4)
    assert found["mlp"] == pytest.approx(0.52)


def test_a_ratio_of_who_did_not_take_part_is_left_out():
    rounds = [{"ours": 1.0, "today": 3.0}] * 7
    asked = {"over_today": ("today", "ours"), "over_peer": ("peer", "ours")}
    assert turns.ratios(rounds, asked) == {"over_today": 3}


def test_floors_and_aims_say_met_or_missed():
    targets = {target.key: target for target in TARGETS}
    sweep, memory = targets["sweep"], targets["memory_mb"]
    assert [sweep.verdict(v) for v in (69, 70, 105)] == ["missed", "met", "aim met"]
    assert [memory.verdict(v) for v in (251, 250, 170)] == ["missed", "met", "aim met"]
    assert targets["crossover"].verdict(0.5) == ""
    assert missed({"sweep": 69, "memory_mb": 100, "crossover": 0.1}) == ["sweep"]
    assert sweep.asked() == ("≥70", "≥105")
    assert memory.asked() == ("≤250", "≤170")


def test_it_is_said_where_the_library_changes_engines():
    lines = bench.crossings({"conv_crossover": 0.613}, ROWS)
    assert "0.40 and of whole products at 0.52" in lines[0]
    assert f"LeNet changes at {sparse.CROSSOVER:g}." in lines[0]
    assert "0.61 of the weights in the worst shape" in lines[1]
    assert bench.crossings({}, []) == []


def test_a_run_prints_and_writes_what_was_measured(monkeypatch, tmp_path, capsys):
    rows = [(loop, 0, 1.0, 0, 1000.0) for loop in ("mlp", "pixels", "sparse")]
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    monkeypatch.setattr(bench.rivals, "find", lambda: Rivals(tmp_path, {}))
    monkeypatch.setattr(bench, "measure", lambda *_: ({"sweep": 80.0}, rows))
    assert bench.main([]) == 0
    assert "≥70" in capsys.readouterr().out
    assert json.loads((tmp_path / "_build" / "bench.json").read_text()) == {"sweep": 80}
    assert not (tmp_path / "results").exists()
    monkeypatch.setattr(bench, "measure", lambda *_: ({"sweep": 10.0}, rows))
    assert bench.main(["--record"]) == 1
    record = tmp_path / "results" / "bench"
    assert {path.name for path in record.iterdir()} == set(speed_page.FILES)
    assert gzip.decompress((record / "steps.csv.gz").read_bytes()).decode() == (
        "contender,round,density,repeat,microseconds\n"
        "mlp,0,1,0,1000\npixels,0,1,0,1000\nsparse,0,1,0,1000\n"
    )
    page = json.loads((record / "provenance.json").read_text())
    assert {"commit", "made", "machine", "rounds", "versions"} <= page.keys()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("--rounds 3", "fewer than 7 rounds"),
        ("--record --skip sweep", "leave out --skip"),
        ("--record", "both rivals must be here"),
    ],
)
def test_a_record_is_whole_and_has_enough_rounds(words, why, monkeypatch, capsys):
    monkeypatch.setattr(bench.rivals, "find", lambda: Rivals(absent=("No peer.",)))
    monkeypatch.setattr(bench, "measure", None)  # nothing is measured before
    with pytest.raises(SystemExit):
        bench.main(words.split())
    assert why in capsys.readouterr().err


def test_who_is_absent_is_named_before_and_after(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    monkeypatch.setattr(bench.rivals, "find", lambda: Rivals(absent=("No peer.",)))
    monkeypatch.setattr(bench, "measure", lambda *_: ({"two_processes": 1.5}, []))
    assert bench.main(["--skip", "sweep"]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith("No peer.\n")
    assert printed.out.endswith("\nNo peer.\n")


# The textbook loop


def test_the_textbook_trains_as_plain_torch_does():
    data = few_digits()
    ticket = lth.from_seed("lenet", 0)
    masks = {name: torch.rand(m.shape) < 0.5 for name, m in ticket.masks.items()}
    ticket = lth.Ticket("lenet", 0, lth.Masks(masks), ticket.init, {})
    net = textbook.pruned(ticket)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    batches = textbook.loader(data, data.train, 60, shuffle=False)
    losses = [textbook.train(net, [batch], optimizer, 1) for batch in batches]

    plain = ticket.build()
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-3)
    for index, loss in enumerate(losses):
        part = slice(60 * index, 60 * (index + 1))
        scores = plain(data.scale(data.train.images[part]))
        expected = F.cross_entropy(scores, data.train.labels[part])
        optimizer.zero_grad()
        expected.backward()
        optimizer.step()
        assert loss == pytest.approx(expected.item(), rel=1e-4)
    assert len(losses) == 5
    assert losses[-1] < losses[0]
    loader = textbook.loader(data, data.test, 1000, shuffle=False)
    theirs = textbook.evaluate(net, loader)
    assert theirs == pytest.approx(lth.evaluate(plain, data), rel=1e-3)


# The page


@pytest.fixture
def root(tmp_path) -> Path:
    """A book with a record: the sparse step takes 50 µs + 1,000 µs × density."""
    rows = [
        (loop, number, density, repeat, microseconds)
        for number, density in enumerate((1.0, 0.5, 0.1, 0.01))
        for repeat in range(3)
        for loop, microseconds in {
            "textbook": 8000.0,
            "autograd": 1600.0,
            "mlp": 800.0,
            "pixels": 500.0,
            "sparse": 50 + 1000 * density,
        }.items()
    ]
    record = tmp_path / "results" / "bench"
    record.mkdir(parents=True)
    ratios = dict.fromkeys((target.key for target in TARGETS), 6.54321)
    (record / "bench.json").write_text(bench.as_json(ratios | {"sweep": 1234.5}))
    (record / "steps.csv.gz").write_bytes(bench.as_csv(rows))
    page = {"made": "2026-01-02", "machine": "x, 2 cores", "rounds": 9}
    (record / "provenance.json").write_text(json.dumps(page))
    return tmp_path


def environment(root: Path) -> SimpleNamespace:
    return SimpleNamespace(srcdir=root, note_dependency=lambda _: None)


def test_the_page_cites_numbers_of_the_record(root):
    found = speed_page.numbers(root / "results" / "bench")
    assert found["constant_us"] == pytest.approx(50)
    assert found["percent_us"] == pytest.approx(10)
    assert found["made"] == "2026-01-02"
    assert speed_page.people(found["sweep"]) == "1,234"
    assert speed_page.people(found["sparse_21"]) == "6.54"


@pytest.mark.parametrize("which", ["steps", "ratios"])
def test_a_picture_is_the_same_bytes_each_time(root, which, tmp_path):
    record, path = root / "results" / "bench", tmp_path / f"{which}.svg"
    speed_page.save(speed_page.draw(record, which), path)
    first = path.read_bytes(), path.stat().st_mtime_ns
    speed_page.save(speed_page.draw(record, which), path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == first
    assert b"<svg" in first[0]


def test_the_ratios_are_the_textbooks_time_over_each_engines(root):
    record = root / "results" / "bench"
    ratios = speed_page.medians(record, "mlp", lambda t: t["textbook"] / t["mlp"])
    assert ratios == {0.01: 10, 0.1: 10, 0.5: 10, 1.0: 10}


def test_the_table_says_floor_aim_and_verdict(root, monkeypatch):
    monkeypatch.setattr(
        speed_page.SpeedTable, "env", property(lambda _: environment(root))
    )
    (table,) = speed_page.SpeedTable.run(object.__new__(speed_page.SpeedTable))
    rows = [
        [cell.astext() for cell in row.findall(nodes.entry)]
        for row in table.findall(nodes.row)
    ]
    assert rows[0] == ["What is compared", "Ratio", "Floor", "Aim", ""]
    assert len(rows) == 1 + len(TARGETS)
    assert rows[1][1:] == ["1,234", "≥70", "≥105", "aim met"]
    assert rows[2][1:] == ["6.54", "≥2.5", "≥3.9", "aim met"]


def test_a_row_that_was_not_recorded_is_not_shown(root, monkeypatch):
    (root / "results" / "bench" / "bench.json").write_text(
        bench.as_json({"crossover": 0.5, "sweep": 71, "gone": 1})
    )
    monkeypatch.setattr(
        speed_page.SpeedTable, "env", property(lambda _: environment(root))
    )
    (table,) = speed_page.SpeedTable.run(object.__new__(speed_page.SpeedTable))
    assert len(list(table.findall(nodes.row))) == 1 + 2


@pytest.mark.parametrize("name", speed_page.FILES)
def test_without_a_record_the_build_ends_with_a_sentence(root, name):
    (root / "results" / "bench" / name).unlink()
    with pytest.raises(SystemExit, match=rf"{name}, which is missing: make bench REC"):
        speed_page.folder(environment(root))


def test_an_unknown_number_ends_the_build_with_a_sentence():
    with pytest.raises(SystemExit, match=r"cannot be built\. Because\."):
        page_parts.stop("Because.")
