"""Where the user's files lie, and whether they can be written there."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lth_utils.errors import LotteryError

_CAUSES = {
    errno.ENOSPC: "the disk is full; free some space",
    errno.EDQUOT: "your disk quota is used up; free some space",
    errno.EFBIG: "the file would pass the size limit; raise the limit",
    errno.EROFS: "the folder is read-only; choose one that you may write to",
    errno.EACCES: "the folder is read-only; choose one that you may write to",
    errno.EPERM: "the folder is read-only; choose one that you may write to",
    errno.ENOTDIR: "part of that path is a file, not a folder; choose another",
    errno.EEXIST: "part of that path is a file, not a folder; choose another",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
}


@contextmanager
def writing(path: Path, remedy: str = "") -> Iterator[None]:
    """Turn the system's refusal to write `path` into a sentence.

    Args:
        path: What is being written, named in the sentence.
        remedy: What else the user can do, as the sentence's last words.

    Raises:
        LotteryError: If the system refused.
    """
    try:
        yield
    except OSError as error:
        cause = _CAUSES.get(error.errno or 0, f"the system says: {error.strerror}")
        message = f"Cannot write {path}: {cause}{remedy}, then run again."
        raise LotteryError(message) from error


def check_writable(folder: Path, remedy: str = "") -> None:
    """Find out before any work whether `folder` can be made and written to.

    Args:
        folder: Nothing is made of it: what it would lie in is tried.
        remedy: As for `writing`.

    Raises:
        LotteryError: If it cannot.
    """
    with writing(folder, remedy):
        there = Path(os.path.realpath(folder))
        while not os.path.lexists(there):
            there = there.parent
        tempfile.TemporaryFile(dir=there).close()


def cache_folder() -> Path | None:
    """Return the user's cache folder, or None where no home folder is known."""
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if named.is_absolute():  # its standard says that another is to be ignored
        return named
    try:
        home = Path.home()
    except RuntimeError:  # neither HOME nor a user of that number
        return None
    return home / ".cache" if home.is_absolute() else None


def user_folder(variable: str, name: str) -> Path:
    """Return the folder that an environment variable names.

    Args:
        variable: "LTH_DATA" or "LTH_RUNS".
        name: Its name in the user's cache folder, if the variable is not set.

    Raises:
        LotteryError: If no home folder is known, and one is needed.
    """
    try:
        if chosen := os.environ.get(variable):
            return Path(chosen).expanduser().absolute()
        if cache := cache_folder():
            return cache / "lottery-ticket-book" / name
    except RuntimeError:  # a "~" that stands for nothing
        pass
    raise LotteryError(
        f"No home folder is known here, in which {name} could be kept: expected the"
        f" environment variable {variable} to name a folder in full, one that you may"
        " write to. Set it, then run again."
    )


def data_folder() -> Path:
    """Return the folder of data sets: LTH_DATA, or one in the cache.

    Raises:
        LotteryError: If no home folder is known, and one is needed.
    """
    folder = user_folder("LTH_DATA", "data")
    if os.environ.get("LTH_DATA") or folder.exists():
        return folder
    earlier = folder.parents[1] / "lth" / "data"  # as it was called at first
    return earlier if earlier.is_dir() else folder
