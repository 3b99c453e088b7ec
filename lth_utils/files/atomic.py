"""Write whole or not at all, and never at the cost of anything else.

Everything is written beside its place under a temporary name and renamed
when it is complete, so that a reader never meets half a file, whenever the
writer was stopped. A folder is replaced by one of its own kind only, and is
not removed before the new one stands.
"""

import errno
import math
import os
import secrets
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from lth_utils.errors import LotteryError
from lth_utils.files.places import check_writable, writing

# Names that nobody else gives: what bears another is not ours to remove.
_NEW, _OLD = ".lth-new-", ".lth-old-"
_NUMBER = "[0-9a-f]" * 8


class Kind(NamedTuple):
    """A kind of folder that this library writes, and may replace.

    Attributes:
        name: What sentences call it ("ticket").
        known: Whether a folder holds a whole one, and nothing else.
    """

    name: str
    known: Callable[[Path], bool]


@contextmanager
def atomic_file(path: str | Path, remedy: str = "") -> Iterator[Path]:
    """Yield a temporary file's path that takes `path`'s place at the end.

    An older file's mode is kept. A link stays: what it points to is replaced.

    Raises:
        LotteryError: If the file cannot be written, or something that is no
            file, or is write-protected, has its name; nothing is left behind.
    """
    place = _followed(path)
    with writing(Path(path), remedy):
        replaced = place.is_file() and os.access(place, os.W_OK)
        if os.path.lexists(place) and not replaced:
            raise LotteryError(
                f"{path} is there and cannot be replaced: expected the name of a new"
                " file, or of one that you may write to. Choose another."
            )
        place.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(place.parent) as folder:
            temporary = folder / place.name
            temporary.touch()
            yield temporary
            with suppress(FileNotFoundError):
                shutil.copymode(place, temporary)
            temporary.replace(place)


@contextmanager
def atomic_folder(path: str | Path, kind: Kind, remedy: str = "") -> Iterator[Path]:
    """Yield a temporary folder that takes `path`'s place at the end.

    An older folder's mode is kept. A link stays: what it points to is replaced.

    Args:
        path: A folder that is absent or empty, or holds one of the kind.
        kind: What is written.
        remedy: The last words of the sentence if the disk refuses.

    Raises:
        LotteryError: If anything else is there, before anything is written, or
            the folder cannot be written; nothing is left behind, and what was
            there is unharmed.
    """
    place = _followed(path)
    with writing(Path(path), remedy):
        _check_free(place, kind)
        place.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(place.parent) as folder:
            yield folder
            _check_free(place, kind)
            with suppress(FileNotFoundError):
                shutil.copymode(place, folder)
            _take_place(folder, place)


def check_folder(path: str | Path, kind: Kind, remedy: str = "") -> None:
    """Find out before any work whether `atomic_folder` can write; nothing is made.

    Raises:
        LotteryError: As `atomic_folder` would.
    """
    place = _followed(path)
    with writing(Path(path), remedy):
        _check_free(place, kind)
    check_writable(place.parent, remedy)


def holds(folder: Path, names: Collection[str]) -> bool:
    """Whether a folder holds files of these names, and nothing else."""
    found = list(folder.iterdir())
    plain = all(entry.is_file() and not entry.is_symlink() for entry in found)
    return plain and {entry.name for entry in found} == set(names)


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Yield a new folder in `parent`, which is gone at the end.

    What killed processes left there is cleared up, too.
    """
    sweep(parent)
    folder = parent / f"{_NEW}{secrets.token_hex(4)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(folder: Path, older_than: float = 3600.0) -> None:
    """Clear up what killed processes of this library left in `folder`.

    What they had not finished is removed. What they had moved aside goes back
    if nothing took its place.

    Args:
        folder: Where this library wrote; whatever else lies in it stays.
        older_than: Seconds; what changed since may still be written.
    """
    before = time.time() - older_than
    for left in folder.glob(f"{_NEW}{_NUMBER}"):
        if _changed(left) < before:
            shutil.rmtree(left, ignore_errors=True)
    for left in folder.glob(f"{_OLD}{_NUMBER}"):
        if _changed(left) < before:
            _settle(left)


def restore(path: Path) -> None:
    """Put back what a killed process had moved aside from `path`, if it did."""
    if not path.exists():
        for aside in path.parent.glob(f"{_OLD}{_NUMBER}"):
            if (aside / path.name).exists():
                _settle(aside)


def _followed(path: str | Path) -> Path:
    """Return the place that a path names, through all links."""
    return Path(os.path.realpath(path))


def _check_free(place: Path, kind: Kind) -> None:
    """Refuse a place at which something would be lost."""
    while (seen := _identity(place)) is not None:
        with suppress(FileNotFoundError):
            if not any(place.iterdir()) or kind.known(place):
                break
        if seen == _identity(place):  # else another writer was replacing it
            raise LotteryError(
                f"{place} holds something that would be lost: expected a folder that"
                f" is absent or empty, or holds a whole {kind.name} and nothing else."
                " Choose another, such as a new one in there."
            )
    else:
        return
    # Unless another writer has just replaced it, which looks the same.
    if not os.access(place, os.W_OK) and seen == _identity(place):
        raise PermissionError(errno.EACCES, "Permission denied")
    with suppress(FileNotFoundError):  # where the working folder was removed
        if Path.cwd().is_relative_to(place):
            raise LotteryError(
                f"{place} is the folder you are in, or holds it, and cannot be"
                " replaced: expected another. Choose one, such as a new one in there."
            )


def _identity(place: Path) -> tuple[int, int] | None:
    """Return what tells a folder from its successor; None if nothing is there."""
    try:
        about = place.stat()
    except FileNotFoundError:
        return None
    return about.st_ino, about.st_ctime_ns


def _take_place(folder: Path, place: Path) -> None:
    """Rename; an older folder is moved aside before and removed afterwards."""
    asides: list[Path] = []
    try:
        while not _renamed(folder, place):  # again where another writer was quicker
            asides.append(place.parent / f"{_OLD}{secrets.token_hex(4)}")
            asides[-1].mkdir()
            with suppress(FileNotFoundError):
                place.replace(asides[-1] / place.name)
    finally:
        for aside in asides:
            _settle(aside)


def _renamed(folder: Path, place: Path) -> bool:
    """Rename, unless a folder is in the way."""
    try:
        folder.replace(place)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) and not place.is_dir():
            raise
        return False
    return True


def _settle(aside: Path) -> None:
    """Put what was moved aside back where nothing took its place; remove the rest."""
    with suppress(OSError):
        for old in aside.iterdir():
            _renamed(old, aside.parent / old.name)
        # Under the other name, half of it would not be put back.
        rest = aside.with_name(aside.name.replace(_OLD, _NEW))
        aside.replace(rest)
        shutil.rmtree(rest)


def _changed(folder: Path) -> float:
    """Return when anything in a folder was last changed, in seconds."""
    with suppress(OSError):  # another process removes it
        return max(p.lstat().st_mtime for p in (folder, *folder.rglob("*")))
    return math.inf
