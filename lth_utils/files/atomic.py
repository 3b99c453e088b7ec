"""Write whole or not at all.

Everything is written beside its place under a temporary name and renamed
when it is complete, so that a reader never meets half a file, whenever the
writer was stopped.
"""

import errno
import os
import shutil
import tempfile
import time
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


@contextmanager
def atomic_file(path: str | Path, remedy: str = "") -> Iterator[Path]:
    """Yield a temporary file's path that takes `path`'s place at the end.

    Raises:
        LotteryError: If the file cannot be written; nothing is left behind.
    """
    path = Path(path)
    with writing(path, remedy):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path, remedy: str = "") -> Iterator[Path]:
    """Yield a temporary folder that takes `path`'s place at the end.

    An older folder at `path` is replaced.

    Raises:
        LotteryError: If it cannot be written; nothing is left behind.
    """
    path = Path(path)
    with writing(path, remedy):
        path.parent.mkdir(parents=True, exist_ok=True)
        name = tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o755)
            _take_place(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def sweep(folder: Path, older_than: float = 3600.0) -> None:
    """Remove temporaries that a killed process left in `folder`.

    Args:
        folder: Where `atomic_folder` wrote.
        older_than: Seconds; a younger one may still be written.
    """
    before = time.time() - older_than
    for left in folder.glob(".*-*"):
        if left.stat().st_mtime < before:
            shutil.rmtree(left, ignore_errors=True)


def _take_place(temporary: Path, path: Path) -> None:
    """Rename; a folder that stands there is moved aside first."""
    try:
        temporary.replace(path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        path.replace(aside / "old")
        temporary.replace(path)
        shutil.rmtree(aside, ignore_errors=True)


def user_folder(variable: str, name: str) -> Path:
    """Return the folder that an environment variable names.

    Args:
        variable: "LTH_DATA" or "LTH_RUNS".
        name: Its name in the user's cache folder, if the variable is not set.
    """
    if chosen := os.environ.get(variable):
        return Path(chosen).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "lottery-ticket-book" / name
