"""How finished trainings travel to another machine, which goes on from them.

Conv-2's weights are 17 MB a network, and all that comes back from a GPU machine is
8 files of 16 MB. So parts that only grow hold what `gpu_packed.py` leaves of each
training: for Conv-2, 2 MB for 18 rounds of a seed. Where others start from the
weights themselves (one-shot pruning, training continued), these go along.
"""

import re
import shutil
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

from benchmarks.gpu_packed import complete, packed, unpacked
from lth_utils.errors import LotteryError
from lth_utils.experiments.jobs import Job, Result
from lth_utils.experiments.perform import start
from lth_utils.experiments.store import Store
from lth_utils.files.atomic import atomic_file
from lth_utils.masks import Masks
from lth_utils.words import CONTROLS

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / "_build" / "gpu"
FULL = 15 * 2**20  # bytes
PAGES = ("stages", "record")  # what a run says of itself, PAGE-LABEL.json
_ENTRY = re.compile(r"[0-9a-f]{24}/[a-z]+\.[a-z]+")


@contextmanager
def reading(path: Path) -> Iterator[ZipFile]:
    """Open a zip; turn what is wrong with it into a sentence."""
    try:
        with ZipFile(path) as archive:
            yield archive
    except (OSError, BadZipFile, KeyError, EOFError, zlib.error) as error:
        raise LotteryError(
            f"{path} is damaged: expected a zip as this script writes it. Take an"
            " undamaged copy, or delete it: what it held is then made anew."
        ) from error


# --- into the files -----------------------------------------------------------------


def files_of(folder: Path, label: str) -> list[Path]:
    """Return a run's zips of trainings; the one with weights first."""
    return [*folder.glob(f"live-{label}.zip"), *_parts(folder, label)]


def keep(
    out: Path, label: str, store: Store, every: Sequence[Job], done: Collection[Job]
) -> None:
    """Write finished trainings down, for a machine that has no store.

    All of them go into parts that only grow. Those whose weights others still start
    from also go into one zip, as they are.

    Args:
        out: Where.
        label: The run's.
        store: Has them.
        every: All trainings, parents first.
        done: Which of them are finished.
    """
    there = names(_parts(out, label))
    heirs = _heirs(every)
    with TemporaryDirectory() as folder:
        small = replace(store, folder=Path(folder))
        new = [job for job in done if store.place(job).name not in there]
        for job in new:
            result, heir = store.read(job), heirs.get(job)
            small.write(job, packed(job, result, _after(result, heir, store)))
        _add(out, label, [small.place(job) for job in new])
    needed = {
        job.parent()
        for job in every
        if job not in done and job.arm != "ticket" and job.arm not in CONTROLS
    }
    _keep_whole(
        out / f"live-{label}.zip", [store.place(j) for j in done if j in needed]
    )


def _heirs(every: Sequence[Job]) -> dict[Job | None, Job]:
    """Return each training's ticket of the next round, where the plan has it."""
    return {job.parent(): job for job in every if job.arm == "ticket"}


def _after(result: Result, heir: Job | None, store: Store) -> Masks | None:
    """Return the masks of a ticket, which may wait to be trained."""
    if heir is None:
        return None
    return (store.read(heir) if store.has(heir) else start(heir, result)).masks


def _keep_whole(target: Path, places: list[Path]) -> None:
    if not places:
        target.unlink(missing_ok=True)
        return
    # Weights would hardly get shorter.
    with atomic_file(target) as temporary, ZipFile(temporary, "w") as archive:
        for place in places:
            _put(archive, place)


def _parts(folder: Path, label: str) -> list[Path]:
    return sorted(folder.glob(f"trainings-{label}-[0-9][0-9].zip"))


def _add(out: Path, label: str, places: list[Path]) -> None:
    """Add trainings to the newest part, and to new ones."""
    parts = _parts(out, label)
    while places:
        rest = _fill(parts[-1], places) if parts else places
        if rest == places:
            parts.append(out / f"trainings-{label}-{len(parts) + 1:02}.zip")
            rest = _fill(parts[-1], places)
        places = rest


def _fill(part: Path, places: list[Path]) -> list[Path]:
    """Add trainings to a part until it is full; return the others."""
    with atomic_file(part) as temporary:
        if part.exists():
            shutil.copyfile(part, temporary)
        with ZipFile(temporary, "a", ZIP_DEFLATED) as archive:
            for number, place in enumerate(places):
                used = sum(entry.compress_size for entry in archive.infolist())
                more = sum(file.stat().st_size for file in place.iterdir())
                if used and used + more > FULL:
                    return places[number:]
                _put(archive, place)
    return []


def _put(archive: ZipFile, place: Path) -> None:
    for file in sorted(place.iterdir()):
        archive.write(file, f"{place.name}/{file.name}")


# --- and out of them ------------------------------------------------------------------


def names(paths: Sequence[Path]) -> set[str]:
    """Return the trainings that zips hold: their folders' names in a store.

    Raises:
        LotteryError: If one is damaged, or holds other things.
    """
    return {entry.partition("/")[0] for path in paths for entry in _entries(path)}


def _entries(path: Path) -> list[str]:
    with reading(path) as archive:
        entries = archive.namelist()
    if not all(_ENTRY.fullmatch(entry) for entry in entries):
        raise LotteryError(f"{path} holds other things than trainings: delete it.")
    return entries


def restore(out: Path, label: str, store: Store, every: Sequence[Job]) -> None:
    """Put the trainings of all zips into a store, where it lacks them.

    In place of weights a network gets its `ranks`, if a ticket still starts from
    it. So the store must be a private one: nobody else may take these for trained.

    Args:
        out: Has the zips.
        label: The run's.
        store: Gets them.
        every: All trainings, parents first.
    """
    heirs = _heirs(every)
    with TemporaryDirectory() as folder:
        small, live = (replace(store, folder=Path(folder) / n) for n in ("s", "l"))
        for path in files_of(out, label):
            _unzip(path, (live if path.name.startswith("live-") else small).folder)
        for job in every:
            if store.has(job) or not small.has(job):
                continue
            if live.has(job):
                store.write(job, live.read(job))
            elif complete(job, small, store):
                heir = heirs.get(job)
                waits = heir is not None and not small.has(heir)
                store.write(job, unpacked(job, small, store, waits))


def _unzip(path: Path, folder: Path) -> None:
    entries = _entries(path)
    with reading(path) as archive:
        for entry in entries:
            place = folder / entry
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(archive.read(entry))


def drop(folder: Path, label: str) -> None:
    """Remove the zips, when a record holds all that they are for."""
    for path in files_of(folder, label):
        path.unlink()


def go_on(source: Path, target: Path, label: str) -> None:
    """Let a run in `target` go on where one in `source` ended.

    The page comes last: where it is, all is there.
    """
    pages = [source / f"{page}-{label}.json" for page in PAGES]
    for path in (*files_of(source, label), *pages):
        if path.exists():
            with atomic_file(target / path.name) as temporary:
                shutil.copyfile(path, temporary)
