"""What came back from a GPU machine goes into results/, or is refused whole."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import lth_utils as lth
from benchmarks.gpu_adopt import adopt
from lth_utils import LotteryError
from lth_utils.experiments import ledger, recording, records
from lth_utils.experiments.environment import source_hash
from lth_utils.experiments.jobs import Result, jobs_of
from lth_utils.experiments.runs import table_of
from lth_utils.experiments.store import Store
from lth_utils.masks import Masks, masks_of
from lth_utils.training.evaluation import Point

CARD = "NVIDIA H100 80GB HBM3"
CONV2 = replace(
    lth.experiment("conv2"), profile="paper", rounds=3, control_rounds=(2, 3)
)
CHAIN = replace(CONV2, arms=("dense", "ticket"), control_rounds=None)
DROPOUT = replace(lth.experiment("conv2-dropout"), profile="paper")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("LTH_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def write(out: Path, plan, device: str = CARD, accuracy: float = 0.5) -> Path:
    """Record a plan whose trainings are all alike."""
    masks = Masks.ones(masks_of(lth.masked(lth.network("lenet-20-10"))))
    curve = [
        Point(at, split, 1.0 / at, accuracy)
        for at in (100, 200)
        for split in ("train", "validation", "test")
    ]
    results = {job: Result(masks, 0, curve, {}, 1.0) for job in jobs_of(plan)}
    made_by = {"device": device, "data": "0" * 64, "engine": "streams"}
    table = table_of(plan, results, Store(out, made_by))
    place = recording.write_record(plan, table, "make gpu", out)
    page = json.loads((place / records.PROVENANCE).read_text())
    (place / records.PROVENANCE).write_text(json.dumps(page | {"commit": "unknown"}))
    return place


def say(out: Path, kind: str, label: str, **more) -> Path:
    page = {
        "scale": "full",
        "made": "2026-01-01T00:00:00+00:00",
        "environment": {"device": CARD},
    }
    path = out / f"{kind}-{label}.json"
    path.write_text(json.dumps(page | more))
    return path


@pytest.fixture
def back(tmp_path) -> Path:
    """A folder with a finished run of the stages, and a record begun."""
    out = tmp_path / "back"
    out.mkdir()
    say(out, "stages", "01234567")
    say(out, "record", "conv2-89abcdef")
    write(out, replace(lth.experiment("lenet-mnist"), profile="gpu"))
    write(out, CHAIN)
    return out


def zipped(folder: Path, label: str, *names: str) -> Path:
    """Write a zip that holds trainings of these names."""
    from zipfile import ZipFile

    folder.mkdir(exist_ok=True)
    with ZipFile(folder / f"trainings-{label}-01.zip", "w") as archive:
        for name in names:
            archive.writestr(f"{name * 24}/training.json", "{}")
    return folder / f"trainings-{label}-01.zip"


def test_what_came_back_is_adopted(back, tmp_path):
    results, home = tmp_path / "results", tmp_path / "home"
    other = results / "lenet-mnist" / "paper" / "table.csv.gz"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"hours")
    part = zipped(back, "conv2-89abcdef", "a", "b")
    written = adopt(back, results, home)
    assert written == [
        results / "gpu" / "nvidia-h100-80gb-hbm3.json",
        results / "lenet-mnist" / "gpu",
        results / "conv2" / "paper",
    ]
    for record in written[1:]:
        assert records.is_record(record)
        page = json.loads((record / records.PROVENANCE).read_text())
        assert page["commit"] == recording.commit() != "unknown"
        assert page["versions"]["source"] == source_hash()
    assert other.read_bytes() == b"hours"
    assert sorted(path.name for path in home.iterdir()) == [
        "record-conv2-89abcdef.json",
        "stages-01234567.json",
        part.name,
    ]


def test_a_record_alone_measures_nothing(back, tmp_path):
    (back / "stages-01234567.json").unlink()
    adopt(back, tmp_path / "results", tmp_path / "home")
    assert not (tmp_path / "results" / "gpu").exists()


def test_the_newest_of_a_card_is_kept_and_an_unfinished_run_goes_on(back, tmp_path):
    old = say(back, "stages", "ffffffff", made="2001-01-01T00:00:00+00:00")
    trainings = zipped(back, "ffffffff", "a")
    for home in (back, tmp_path / "home"):
        (_, speeds, *_) = adopt(back, tmp_path / "results", home)
        assert speeds.read_bytes() == (back / "stages-01234567.json").read_bytes()
        assert (home / trainings.name).read_bytes() == trainings.read_bytes()
        assert (home / old.name).exists()


def test_a_later_record_takes_an_earlier_ones_place(back, tmp_path):
    results, home = tmp_path / "results", tmp_path / "home"
    adopt(back, results, home)
    write(back, CONV2)
    adopt(back, results, home)
    page = json.loads((results / "conv2" / "paper" / records.PROVENANCE).read_text())
    assert page["experiment"]["arms"] == list(CONV2.arms)
    before = page["sha256"]
    write(back, CHAIN)
    with pytest.raises(LotteryError, match=r"holds 24 trainings, .* lacks 12"):
        adopt(back, results, home)
    page = json.loads((results / "conv2" / "paper" / records.PROVENANCE).read_text())
    assert page["sha256"] == before


def test_a_study_is_adopted_part_by_part(back, tmp_path):
    results, home = tmp_path / "results", tmp_path / "home"
    one = replace(DROPOUT, parts=DROPOUT.parts[:1])
    for plan in (one, DROPOUT, DROPOUT):
        write(back, plan)
        adopt(back, results, home)
    write(back, one)
    with pytest.raises(LotteryError, match=r"of which .* lacks 9"):
        adopt(back, results, home)


@pytest.mark.parametrize("how", ["cpu", "data"])
def test_a_record_of_another_thing_stays(how, back, tmp_path):
    results = tmp_path / "results"
    place = write(results, CONV2, "cpu" if how == "cpu" else CARD)
    if how == "data":
        path = place / records.PROVENANCE
        path.write_text(path.read_text().replace("0" * 64, "1" * 64))
    before = (place / records.PROVENANCE).read_text()
    with pytest.raises(LotteryError, match="expected the same, or another GPU"):
        adopt(back, results, tmp_path / "home")
    assert (place / records.PROVENANCE).read_text() == before
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("how", ["empty", "tiny", "damaged", "cut", "gone", "foreign"])
def test_what_cannot_be_adopted_changes_nothing(how, back, tmp_path):
    results, home = tmp_path / "results", tmp_path / "home"
    stages, record = back / "stages-01234567.json", back / "lenet-mnist" / "gpu"
    if how == "empty":
        stages.unlink()
        (back / "record-conv2-89abcdef.json").unlink()
    elif how == "tiny":
        stages.write_text(stages.read_text().replace('"full"', '"tiny"'))
    elif how == "damaged":
        stages.write_text("{")
    elif how == "cut":
        (record / records.TABLE).write_bytes(b"")
    elif how == "gone":
        (record / records.TABLE).unlink()
    elif how == "foreign":
        (results / "lenet-mnist" / "gpu").mkdir(parents=True)
        (results / "lenet-mnist" / "gpu" / "mine.txt").write_text("hours")
    words = r"nothing to adopt|is damaged|would be lost"
    with pytest.raises(LotteryError, match=words):
        adopt(back, results, home)
    assert not home.exists()
    assert not (results / "gpu").exists()
    assert not (results / "conv2").exists()


def test_trainings_that_would_be_lost_are_not(back, tmp_path):
    home, label = tmp_path / "home", "conv2-89abcdef"
    kept = zipped(home, label, "a", "b", "c").read_bytes()
    zipped(back, label, "a", "d")
    with pytest.raises(LotteryError, match=r"holds 3 trainings of .* lacks 2"):
        adopt(back, tmp_path / "results", home)
    part = zipped(back, label, "a", "b", "c", "d")
    adopt(back, tmp_path / "results", home)
    assert (home / part.name).read_bytes() == part.read_bytes() != kept
    part.unlink()  # it is finished: the record has all of them
    adopt(back, tmp_path / "results", home)
    assert not (home / part.name).exists()


# --- what claims ask for --------------------------------------------------------------

CLAIM = """
[X]
chapter = "6"
source = "section 3"
says = "Tickets are better than {other}."
measure = "better"
one = "ticket"
other = "{other}"
rounds = [{round}]
registered = 2026-11-27
records = ["conv2/paper"]
"""


def register(results: Path, monkeypatch, other: str, round: int) -> None:
    results.mkdir()
    (results / ledger.FILE).write_text(CLAIM.format(other=other, round=round))
    monkeypatch.setattr(records, "results_folder", lambda: results)


def test_a_record_is_judged_where_it_has_the_arms_and_rounds(
    back, tmp_path, monkeypatch, capsys
):
    results = tmp_path / "results"
    register(results, monkeypatch, "dense", 3)
    adopt(back, results, tmp_path / "home")
    assert capsys.readouterr().err == ""
    assert lth.claims()["record"].tolist() == ["conv2/paper"]
    assert lth.claims()["verdict"].tolist() == ["too few seeds"]


@pytest.mark.parametrize(("other", "round"), [("reinit", 3), ("dense", 9)])
def test_a_claim_about_what_a_part_lacks_is_not_run_yet(
    other, round, back, tmp_path, monkeypatch
):
    results = tmp_path / "results"
    register(results, monkeypatch, other, round)
    assert results / "conv2" / "paper" in adopt(back, results, tmp_path / "home")
    assert lth.claims()["record"].tolist() == ["conv2/paper"]
    assert lth.claims()["verdict"].tolist() == ["not run yet"]


def test_a_claim_that_no_plan_trains_is_wrong(back, tmp_path, monkeypatch):
    register(tmp_path / "results", monkeypatch, "oneshot", 3)
    adopt(back, tmp_path / "results", tmp_path / "home")
    with pytest.raises(lth.LotteryError, match="has no pair of ticket and oneshot"):
        lth.claims()
