"""Take what came back from a GPU machine into results/, or else refuse it whole."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.gpu_files import HOME, PAGES, drop, files_of, go_on, names
from lth_utils.errors import LotteryError
from lth_utils.experiments.environment import source_hash
from lth_utils.experiments.recording import commit
from lth_utils.experiments.records import PROVENANCE, TABLE, is_record
from lth_utils.experiments.tables import TRAINING
from lth_utils.experiments.ways import speeds_file
from lth_utils.files.atomic import Kind, atomic_file, atomic_folder, check_folder

PROFILES = ("gpu", "laptop", "paper")  # of the records that come back
_RECORD = Kind("record", is_record)


def adopt(folder: Path, results: Path, home: Path = HOME) -> list[Path]:
    """Take in what a run of full scale wrote.

    Args:
        folder: What it wrote.
        results: Gets what was measured, as `gpu/DEVICE.json`, and the records.
        home: Gets what the next start goes on from.

    Returns:
        What was written into `results`.

    Raises:
        LotteryError: If there is nothing, a file is damaged, or what stands
            there goes further; before anything is written.
    """
    pages = _pages(folder)
    made = {
        path.parent: _checked(path.parent, results)
        for profile in PROFILES
        for path in sorted(folder.glob(f"*/{profile}/{PROVENANCE}"))
    }
    for label in pages:
        _check_further(folder, home, label)
    written = _measured(folder, pages, results)
    if folder.resolve() != home.resolve():
        for label in pages:
            drop(home, label)
            go_on(folder, home, label)
    for record, page in made.items():
        place = _place(record, results)
        if place.resolve() != record.resolve():
            _copy(record, page, place)
        written.append(place)
    return written


def _measured(folder: Path, pages: Mapping[str, Any], results: Path) -> list[Path]:
    """Take in what stages measured, the newest of a card last."""
    written = []
    for label, page in sorted(pages.items(), key=lambda each: each[1]["made"]):
        measured = folder / f"stages-{label}.json"
        if measured.exists():
            written.append(speeds_file(results, page["environment"]["device"]))
            with atomic_file(written[-1]) as temporary:
                shutil.copyfile(measured, temporary)
    return written


def _pages(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what the runs said of themselves, by their labels."""
    found = {
        path.stem.removeprefix(f"{kind}-"): read_page(path)
        for kind in PAGES
        for path in sorted(folder.glob(f"{kind}-*.json"))
    }
    if not found or any(page.get("scale") != "full" for page in found.values()):
        raise LotteryError(
            f"{folder} holds nothing to adopt: expected the stages-….json or"
            " record-….json of a run with --scale full, as it is written under --out."
        )
    return found


def _place(record: Path, where: Path) -> Path:
    return where / record.parent.name / record.name


def _copy(record: Path, page: dict[str, Any], place: Path) -> None:
    with atomic_folder(place, _RECORD) as temporary:
        for file in page["sha256"]:
            shutil.copyfile(record / file, temporary / file)
        text = json.dumps(page, indent=1) + "\n"
        (temporary / PROVENANCE).write_text(text, "utf-8")


def _checked(record: Path, results: Path) -> dict[str, Any]:
    """Return a record's page if it is whole, and no less than what stands there."""
    page = read_page(record / PROVENANCE)
    if not is_record(record):
        raise LotteryError(f"The record in {record} is damaged: take it anew.")
    place = _place(record, results)
    check_folder(place, _RECORD)
    if place.exists():
        _check_replaced(place, record, page)
    # Where the stages ran there may be no git; here the same sources are known.
    if page["commit"] == "unknown" and page["versions"]["source"] == source_hash():
        page["commit"] = commit()
    return page


def _check_replaced(place: Path, record: Path, page: dict[str, Any]) -> None:
    """Refuse to lose trainings, or a record that is another thing."""
    there = read_page(place / PROVENANCE)
    keys = [(each["data_sha256"], each["device"] == "cpu") for each in (there, page)]
    if keys[0] != keys[1]:
        raise LotteryError(
            f"{place} is of {there['data']} on {there['device']}, and {record} of"
            f" {page['data']} on {page['device']}: expected the same, or another GPU."
            " Move the former away first if this one shall take its place."
        )
    before = _trainings(place)
    if lost := before - _trainings(record):
        raise LotteryError(
            f"{place} holds {len(before)} trainings, of which {record} lacks"
            f" {len(lost)}: expected all of them. Adopt a later run, or remove the"
            " former."
        )


def _trainings(record: Path) -> set[tuple[Any, ...]]:
    """Return what names each training of a record: no densities, which are rounded."""
    import pandas as pd

    columns = TRAINING[:-1]
    text = {"experiment": str, "arm": str}  # names, also NA, are no numbers
    table = pd.read_csv(
        record / TABLE, usecols=columns, dtype=text, keep_default_na=False
    )
    return set(table[columns].itertuples(index=False, name=None))


def _check_further(folder: Path, home: Path, label: str) -> None:
    """Refuse to lose trainings that the next start would have gone on from."""
    kept, came = names(files_of(home, label)), names(files_of(folder, label))
    if came and kept - came:  # where none came, the record has all of them
        raise LotteryError(
            f"{home} holds {len(kept)} trainings of {label}, of which {folder} lacks"
            f" {len(kept - came)}: expected all of them. Adopt what came back last."
        )


def read_page(path: Path) -> dict[str, Any]:
    """Return what a file of JSON holds.

    Raises:
        LotteryError: If it is damaged.
    """
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise LotteryError(f"{path} is damaged: take it anew, or delete it.") from error
