"""What travels to a GPU machine and back, as a few files.

There: MNIST in one zip. Back: what was measured, the record of a figure, and
the trainings that are finished, so that another machine goes on from them.
"""

import json
import os
import re
import shutil
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

from lth_utils.data.mnist import MNIST, Source, read_files
from lth_utils.errors import LotteryError
from lth_utils.experiments.environment import source_hash
from lth_utils.experiments.jobs import Job
from lth_utils.experiments.recording import commit
from lth_utils.experiments.records import PROVENANCE, is_record
from lth_utils.experiments.store import Store
from lth_utils.experiments.ways import speeds_file
from lth_utils.files.atomic import Kind, atomic_file, atomic_folder, check_folder
from lth_utils.files.places import data_folder
from lth_utils.words import CONTROLS

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / "_build" / "gpu"
FULL = 14 * 2**20  # bytes: with one more training, of at most 2 MB, a part is small
_TRAINING = Kind("training", lambda _: False)  # none is replaced
_RECORD = Kind("record", is_record)
_ENTRY = re.compile(r"[0-9a-f]{24}/[a-z]+\.[a-z]+")


@contextmanager
def _reading(path: Path) -> Iterator[ZipFile]:
    """Open a zip; turn what is wrong with it into a sentence."""
    try:
        with ZipFile(path) as archive:
            yield archive
    except (OSError, BadZipFile, KeyError, EOFError, zlib.error) as error:
        raise LotteryError(
            f"{path} is damaged: expected a zip as this script writes it. Take an"
            " undamaged copy, or delete it: what it held is then made anew."
        ) from error


# --- there: MNIST ---------------------------------------------------------------


def pack_mnist(target: Path, source: Source = MNIST) -> None:
    """Write a data set's four files, found and checked by the library, as one zip."""
    arrays = read_files(source, data_folder())
    with (
        atomic_file(target) as temporary,
        ZipFile(temporary, "w", ZIP_DEFLATED) as archive,
    ):
        for name, array in zip(source.files, arrays, strict=True):
            head = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            archive.writestr(name, head + array.tobytes())


def find_mnist(packed: Path, source: Source = MNIST) -> None:
    """Let the library find what was packed; without it, it looks where it always does.

    The library checks each file's hash.

    Raises:
        LotteryError: If the zip is damaged.
    """
    if packed.is_file():
        folder = ROOT / "_build" / "data"
        with _reading(packed) as archive:
            for name in source.files:
                with atomic_file(source.raw(folder) / name) as temporary:
                    temporary.write_bytes(archive.read(name))
        os.environ["LTH_DATA"] = str(folder)


# --- back: trainings --------------------------------------------------------------


def files_of(folder: Path, label: str) -> list[Path]:
    """Return a run's zips of trainings; the one with weights first."""
    return [*folder.glob(f"live-{label}.zip"), *_parts(folder, label)]


def keep(
    out: Path, label: str, store: Store, done: Iterable[Job], waiting: Iterable[Job]
) -> None:
    """Write finished trainings down, for a machine that has no store.

    Those whose weights others still start from go into one zip, as they are;
    the rest go into parts that only grow, without weights (a control starts
    from masks alone).

    Args:
        out: Where.
        label: The run's.
        store: Has them.
        done: What is finished.
        waiting: What is not.
    """
    parents = {job.parent() for job in waiting if job.arm not in CONTROLS}
    there = {name for part in _parts(out, label) for name in _names(part)}
    retired = [j for j in done if j not in parents and store.place(j).name not in there]
    with TemporaryDirectory() as folder:
        lean = replace(store, folder=Path(folder))
        for job in retired:
            lean.write(job, replace(store.read(job), weights={}))
        _add(out, label, [lean.place(job) for job in retired])
    with (
        atomic_file(out / f"live-{label}.zip") as temporary,
        ZipFile(temporary, "w") as archive,  # weights would hardly get shorter
    ):
        for job in done:
            if job in parents:
                _put(archive, store.place(job))


def _parts(folder: Path, label: str) -> list[Path]:
    return sorted(folder.glob(f"trainings-{label}-*.zip"))


def _add(out: Path, label: str, places: list[Path]) -> None:
    """Add trainings to the newest part, and to new ones."""
    while places:
        parts = _parts(out, label)
        if not parts or parts[-1].stat().st_size >= FULL:
            parts.append(out / f"trainings-{label}-{len(parts) + 1:02}.zip")
        places = _fill(parts[-1], places)


def _fill(part: Path, places: list[Path]) -> list[Path]:
    """Add trainings to a part until it is full; return the others."""
    with atomic_file(part) as temporary:
        if part.exists():
            shutil.copyfile(part, temporary)
        with ZipFile(temporary, "a", ZIP_DEFLATED, compresslevel=1) as archive:
            for number, place in enumerate(places):
                if sum(entry.compress_size for entry in archive.infolist()) >= FULL:
                    return places[number:]
                _put(archive, place)
    return []


def _put(archive: ZipFile, place: Path) -> None:
    for file in sorted(place.iterdir()):
        archive.write(file, f"{place.name}/{file.name}")


def _names(path: Path) -> set[str]:
    """Return the trainings that a zip holds: their folders' names in a store."""
    with _reading(path) as archive:
        entries = archive.namelist()
    if not all(_ENTRY.fullmatch(entry) for entry in entries):
        raise LotteryError(f"{path} holds other things than trainings: delete it.")
    return {entry.partition("/")[0] for entry in entries}


def restore(out: Path, label: str, store: Store) -> None:
    """Put the trainings of all zips into a store, where it lacks them."""
    for path in files_of(out, label):
        for name in _names(path):
            place = store.folder / name
            if not place.exists():
                with (
                    _reading(path) as archive,
                    atomic_folder(place, _TRAINING) as temporary,
                ):
                    for entry in archive.namelist():
                        folder, _, file = entry.partition("/")
                        if folder == name:
                            (temporary / file).write_bytes(archive.read(entry))


def drop(folder: Path, label: str) -> None:
    """Remove the zips, when a record holds all that they are for."""
    for path in files_of(folder, label):
        path.unlink()


def go_on(source: Path, target: Path, label: str) -> None:
    """Let a run in `target` go on where one in `source` ended."""
    for path in (source / f"stages-{label}.json", *files_of(source, label)):
        if path.exists():
            with atomic_file(target / path.name) as temporary:
                shutil.copyfile(path, temporary)


# --- back: into results/ ------------------------------------------------------------


def adopt(folder: Path, results: Path, home: Path = HOME) -> list[Path]:
    """Take in what a run of full scale wrote.

    Args:
        folder: What it wrote.
        results: Gets what was measured, as `gpu/DEVICE.json`, and the record.
        home: Gets what the next start goes on from.

    Returns:
        What was written into `results`.

    Raises:
        LotteryError: If there is nothing, a file is damaged, or what stands
            there goes further; before anything is written.
    """
    pages = {path: read_page(path) for path in sorted(folder.glob("stages-*.json"))}
    if not pages or any(page.get("scale") != "full" for page in pages.values()):
        raise LotteryError(
            f"{folder} holds nothing to adopt: expected the stages-….json of a run"
            " with --scale full, as it is written under --out."
        )
    made = {
        path.parent: _checked(path, results)
        for path in sorted(folder.glob(f"*/gpu/{PROVENANCE}"))
    }
    written = []
    for path, page in sorted(pages.items(), key=lambda each: each[1]["made"]):
        written.append(speeds_file(results, page["environment"]["device"]))
        with atomic_file(written[-1]) as temporary:
            shutil.copyfile(path, temporary)
        if folder.resolve() != home.resolve():
            label = path.stem.removeprefix("stages-")
            drop(home, label)
            go_on(folder, home, label)
    for source, page in made.items():
        written.append(results / source.parent.name / source.name)
        with atomic_folder(written[-1], _RECORD) as temporary:
            for file in page["sha256"]:
                shutil.copyfile(source / file, temporary / file)
            text = json.dumps(page, indent=1) + "\n"
            (temporary / PROVENANCE).write_text(text, "utf-8")
    return written


def _checked(path: Path, results: Path) -> dict[str, Any]:
    """Return a record's page if it is whole, and no less than what stands there."""
    page, folder = read_page(path), path.parent
    if not is_record(folder):
        raise LotteryError(f"The record in {folder} is damaged: take it anew.")
    place = results / folder.parent.name / folder.name
    if place.exists():
        there = read_page(place / PROVENANCE)["experiment"]["rounds"]
        if there > page["experiment"]["rounds"]:
            raise LotteryError(
                f"{place} holds {there} rounds and {folder} fewer: expected as many at"
                " least. Adopt a later run, or remove the former."
            )
    check_folder(place, _RECORD)
    # Where the stages ran there may be no git; here the same sources are known.
    if page["commit"] == "unknown" and page["versions"]["source"] == source_hash():
        page["commit"] = commit()
    return page


def read_page(path: Path) -> dict[str, Any]:
    """Return what a file of JSON holds.

    Raises:
        LotteryError: If it is damaged.
    """
    try:
        return dict(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise LotteryError(f"{path} is damaged: take it anew, or delete it.") from error
