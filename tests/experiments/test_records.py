"""Records: what a run leaves for readers, the same bytes each time, and whole."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import tiny_experiment

import lth_utils as lth
from lth_utils import EXPERIMENTS, LotteryError
from lth_utils.experiments import recording, records

ARMS = ("dense", "ticket", "reinit")
TINY = tiny_experiment(arms=ARMS, seeds=(0, 1), rounds=2, control_rounds=(2,))
WORDS = ("tiny", "quick")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def folder(store, tmp_path, monkeypatch):
    """Where the record of a tiny experiment lies."""
    monkeypatch.setenv("LTH_RUNS", str(store))
    monkeypatch.setitem(EXPERIMENTS, "tiny", {"quick": TINY})
    monkeypatch.setattr(records, "results_folder", lambda: tmp_path)
    return lth.record(*WORDS)


def page_of(folder) -> dict:
    return json.loads((folder / records.PROVENANCE).read_text())


def test_a_record_says_how_it_was_made(folder):
    page = page_of(folder)
    assert page["command"] == "lth run tiny --profile quick --record"
    assert page["experiment"]["seeds"] == list(TINY.seeds)
    assert {"commit", "made", "data_sha256", "engine", "versions"} <= set(page)
    assert set(page["sha256"]) == {records.TABLE, records.TICKETS}


def test_a_record_made_twice_has_the_same_bytes(folder, tmp_path):
    again = lth.record(*WORDS, folder=tmp_path / "again")
    for file in (records.TABLE, records.TICKETS):
        assert (again / file).read_bytes() == (folder / file).read_bytes()


def test_another_engines_record_lies_beside_the_first(folder):
    again = lth.record(*WORDS, again=True)
    assert again == folder.parent / "quick-again"
    assert page_of(again)["command"].endswith("--record --again")
    assert records.is_record(folder)
    assert lth.recorded("tiny", "quick-again").equals(lth.recorded(*WORDS))
    found = lth.recorded_tickets("tiny", "quick-again", 1)
    assert [t.masks for t in found] == [
        t.masks for t in lth.recorded_tickets(*WORDS, round=1)
    ]
    again.rename(again.with_name("moved"))
    with pytest.raises(LotteryError, match=r"--profile quick --record --again$"):
        lth.recorded("tiny", "quick-again")


def test_a_tables_parts_share_the_records_page(folder):
    """pandas copies what hangs on a table with each part that is taken of it."""
    table = lth.recorded(*WORDS)
    part = table[table["round"] == 0].assign(mine=1)
    assert part.attrs["provenance"] is table.attrs["provenance"]
    assert part.attrs["provenance"] == page_of(folder)


def test_a_record_keeps_early_stop_and_end(folder):
    stops, whole = (
        lth.early_stop(table) for table in (lth.recorded(*WORDS), lth.run(TINY))
    )
    assert stops["iteration"].tolist() == whole["iteration"].tolist()
    assert np.allclose(stops["final_test"], whole["final_test"])


def test_recorded_tickets_are_the_runs_own(folder):
    for round in range(1, TINY.rounds + 1):
        found = lth.recorded_tickets(*WORDS, round)
        assert tuple(ticket.seed for ticket in found) == TINY.seeds
        for mine in found:
            own = lth.ticket(TINY, seed=mine.seed, round=round)
            assert mine.made["arm"] == "ticket"
            for name, mask in own.masks.items():
                assert torch.equal(mine.masks[name], mask)
                assert torch.equal(mine.init[name], own.init[name])


def test_of_a_large_network_the_first_seeds_tickets_are_kept(
    folder, tmp_path, monkeypatch
):
    whole = lth.recorded_tickets(*WORDS, round=1)
    monkeypatch.setattr(recording, "LARGE", whole[0].masks.total - 1)
    lth.record(*WORDS, folder=tmp_path / "large")
    monkeypatch.setattr(records, "results_folder", lambda: tmp_path / "large")
    (found,) = lth.recorded_tickets(*WORDS, round=1)
    assert found.seed == whole[0].seed
    assert found.masks == whole[0].masks
    assert sorted(lth.recorded(*WORDS)["seed"].unique()) == list(TINY.seeds)


def test_round_0_is_the_dense_network(folder):
    found = lth.recorded_tickets(*WORDS, round=0)
    about = [(dense.masks.density, dense.made["arm"]) for dense in found]
    assert about == [(1, "dense")] * len(TINY.seeds)


@pytest.mark.parametrize("round", [3, -1, True, 2.0])
def test_a_round_that_is_not_there_is_a_sentence(folder, round):
    with pytest.raises(LotteryError, match="expected an integer from 0 to 2"):
        lth.recorded_tickets(*WORDS, round)


def test_a_record_of_fewer_seeds_says_so(folder, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    page = page_of(lth.record(*WORDS, seeds=1, folder=elsewhere))
    assert page["experiment"]["seeds"] == [0]
    assert page["command"].endswith("--profile quick --seeds 1 --record")
    monkeypatch.setattr(records, "results_folder", lambda: elsewhere)
    assert set(lth.recorded(*WORDS)["seed"]) == {0}


def test_a_record_never_gives_way_to_one_of_fewer_seeds(folder, monkeypatch):
    monkeypatch.setattr("lth_utils.experiments.runs.run", None)  # would fail
    before = page_of(folder)
    with pytest.raises(LotteryError, match="2 seeds, and one of 1 would take its"):
        lth.record(*WORDS, seeds=1)
    assert page_of(folder) == before


@pytest.mark.parametrize("word", ["1", "0.50", "none", "NA", "1e3"])
def test_names_are_read_as_they_were_written(folder, tmp_path, monkeypatch, word):
    study = lth.Study("tiny", "quick", (replace(TINY, name=word),))
    monkeypatch.setitem(EXPERIMENTS, "tiny", {"quick": study})
    lth.record(*WORDS, folder=tmp_path)
    for column in ("experiment", "arm"):
        assert set(lth.recorded(*WORDS)[column]) == set(lth.run(study)[column])


def test_each_part_of_a_study_keeps_its_own_curves(folder, tmp_path, monkeypatch):
    parts = tuple(
        replace(
            TINY,
            name=f"r{r}",
            curve_rounds=(r,),
            curve_arms=("dense", "ticket"),
            recipe=lth.Recipe(iterations=40, evaluate_every=10),
        )
        for r in (0, 1)
    )
    study = lth.Study("tiny", "quick", parts)
    monkeypatch.setitem(EXPERIMENTS, "tiny", {"quick": study})
    lth.record(*WORDS, folder=tmp_path)
    table = lth.recorded(*WORDS).query(
        "split == 'train' and arm in ['dense', 'ticket']"
    )
    points = table.groupby(["experiment", "round"])["iteration"].nunique()
    assert points["r0", 0] == points["r1", 1] == 4
    assert points["r0", 1] <= 2
    assert points["r1", 0] <= 2


def test_a_study_keeps_no_tickets():
    with pytest.raises(LotteryError, match=r"keeps no tickets\.npz: expected"):
        lth.recorded_tickets("lenet-width")


@pytest.mark.parametrize("file", [records.TABLE, records.TICKETS, records.PROVENANCE])
@pytest.mark.parametrize("how", ["gone", "cut"])
def test_a_damaged_record_is_a_sentence(folder, file, how):
    path = folder / file
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-9])
    read = lth.recorded if file == records.TABLE else lth.recorded_tickets
    with pytest.raises(LotteryError, match=r"is damaged: expected .* that prov"):
        read(*WORDS)


def test_what_was_never_recorded_says_how_to(folder):
    with pytest.raises(LotteryError, match="lth run lenet-mnist --profile laptop"):
        lth.recorded("lenet-mnist", "laptop")


def test_an_experiment_without_tickets_keeps_a_table_alone(folder, monkeypatch):
    alone = replace(TINY, arms=("dense",))
    monkeypatch.setitem(EXPERIMENTS, "tiny", {"quick": alone})
    assert set(page_of(lth.record(*WORDS))["sha256"]) == {records.TABLE}


# What a record replaces


def test_only_a_record_is_replaced_and_that_is_known_before(folder, monkeypatch):
    lth.record(*WORDS)  # an older record is no hindrance
    monkeypatch.setattr("lth_utils.experiments.runs.run", None)  # would fail
    (folder / "notes.txt").write_text("mine")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(LotteryError, match=r"would be lost.*a whole record"):
        lth.record(*WORDS)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    with pytest.raises(LotteryError, match="is a file, not a folder"):
        lth.record(*WORDS, folder=folder / "notes.txt")
    with pytest.raises(LotteryError, match="Cannot write"):
        lth.record(*WORDS, folder="/proc/nothing-can-be-made-here")


def test_every_recorded_run_is_known_as_one():
    pages = list(records.results_folder().glob(f"*/*/{records.PROVENANCE}"))
    assert len(pages) > 10
    assert all(records.is_record(page.parent) for page in pages)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"sha256": 1}', '{"sha256": [1]}'])
def test_a_page_of_something_else_makes_no_record(tmp_path, text):
    (tmp_path / records.PROVENANCE).write_text(text)
    assert not records.is_record(tmp_path)
    assert not records.is_record(tmp_path / "nowhere")
