"""Bundles: what replaces what, and what never does."""

import json

import pytest
import torch

from lth_utils import LotteryError, Ticket, from_seed
from lth_utils.files.bundles import TENSORS, read_bundle, write_bundle


def write(folder, kind="ticket", number=1.0):
    write_bundle(folder, kind, {"number": number}, {"x": torch.tensor(number)})


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_bundle_is_replaced_by_one_of_its_kind(tmp_path):
    for number in (1.0, 2.0):
        write(tmp_path / "b", number=number)
    page, tensors = read_bundle(tmp_path / "b", "ticket")
    assert page["number"] == tensors["x"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def edit(page):
    page.write_text(json.dumps(json.loads(page.read_text()) | {"kind": "support"}))


@pytest.mark.parametrize(
    "change",
    [
        lambda place: (place / "thesis.tex").write_text("years of work"),
        lambda place: write(place / "another"),
        lambda place: (place / TENSORS).write_bytes(b"somebody else's"),
        lambda place: (place / TENSORS).unlink(),
        lambda place: (place / "ticket.json").write_text("{}"),
        lambda place: edit(place / "ticket.json"),
        lambda place: (place / "ticket.json").unlink(),
    ],
)
def test_what_is_no_whole_bundle_is_untouched(tmp_path, change):
    write(tmp_path / "b")
    change(tmp_path / "b")
    before = contents(tmp_path)
    with pytest.raises(LotteryError, match=r"would be lost.*whole ticket"):
        write(tmp_path / "b")
    assert contents(tmp_path) == before


def test_a_bundle_of_another_kind_is_untouched(tmp_path):
    write(tmp_path / "b", "training")
    before = contents(tmp_path)
    with pytest.raises(LotteryError, match=r"would be lost.*whole ticket"):
        from_seed("lenet", 0).save(tmp_path / "b")
    assert contents(tmp_path) == before


def test_a_folder_of_tickets_is_no_ticket(tmp_path):
    tickets = [from_seed("lenet", seed) for seed in (0, 1)]
    for ticket in tickets:
        ticket.save(tmp_path / "found" / str(ticket.seed))
    with pytest.raises(LotteryError, match="a new one in there"):
        tickets[0].save(tmp_path / "found")
    assert Ticket.load(tmp_path / "found" / "1").seed == 1


def test_reading_finds_what_a_killed_writer_moved_aside(tmp_path):
    write(tmp_path / ".lth-old-01234567" / "b")
    assert read_bundle(tmp_path / "b", "ticket")[0]["number"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
