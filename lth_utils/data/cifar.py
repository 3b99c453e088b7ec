"""CIFAR-10 (Krizhevsky, 2009): 60,000 colour pictures of 32 x 32, ten classes.

Its binary version is read with NumPy, so nothing is unpickled. The archive stays
as it is fetched, and is checked each time; what a broken line has left of it is
gone on with.
"""

import hashlib
import os
import sys
import tarfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lth_utils.errors import LotteryError
from lth_utils.files.places import writing

ARCHIVE = "cifar-10-binary.tar.gz"
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
SIZE = 170_052_171  # bytes
URL = f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}"

_BATCHES = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")
_PICTURE = 3 * 32 * 32
_PIECE = 2**20
_PATIENCE = 30  # seconds without a byte
_INSTEAD = (
    'use load("colour-digits"), pictures of the same size that need no download, or a'
    " folder of your own: lth.load_folder"
)

_Arrays = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def read_cifar(folder: Path) -> tuple[_Arrays, _Arrays]:
    """Read CIFAR-10, downloading what `folder` lacks of its archive.

    Args:
        folder: Where `cifar-10-binary.tar.gz` lies, or shall lie.

    Returns:
        Images (N, 32, 32, 3) and labels (N,): 50,000 for training, 10,000 for tests.

    Raises:
        LotteryError: If the archive is damaged, or missing and not to be had.
    """
    path = folder / ARCHIVE
    try:
        if not path.is_file():
            fetch(folder)
        digest = _sha256(path)
    except OSError as error:
        raise LotteryError(
            f"Cannot read {path}: the system says: {error.strerror}. Make the file"
            f" readable, or {_INSTEAD}."
        ) from error
    if digest != SHA256:
        raise LotteryError(
            f"{path} is damaged (its sha256 differs): expected CIFAR-10's binary"
            f" version. Delete it and load again, or {_INSTEAD}."
        )
    rows = _rows(path)
    training = np.concatenate([rows[name] for name in _BATCHES[:-1]])
    return _arrays(training), _arrays(rows[_BATCHES[-1]])


def _rows(path: Path) -> dict[str, NDArray[np.uint8]]:
    """Return the archive's batches, a picture a row: (N, 1 + 3072)."""
    rows = {}
    with tarfile.open(path) as archive:
        for member in archive:  # in its order: to go back is to unpack it again
            name, file = Path(member.name).name, archive.extractfile(member)
            if file is not None and name in _BATCHES:
                content = np.frombuffer(file.read(), np.uint8)
                rows[name] = content.reshape(-1, 1 + _PICTURE)
    return rows


def _arrays(rows: NDArray[np.uint8]) -> _Arrays:
    """Return pictures and labels: a row is a label, then three planes of colour."""
    planes = rows[:, 1:].reshape(-1, 3, 32, 32)
    return planes.transpose(0, 2, 3, 1), rows[:, 0]


def fetch(folder: Path) -> None:
    """Download the archive beside its place, and move it there when it is whole.

    Raises:
        LotteryError: If it is not to be had, is another file, or cannot be written.
    """
    place, part = folder / ARCHIVE, folder / f"{ARCHIVE}.part"
    otherwise = f"put {ARCHIVE} into {folder} yourself, or {_INSTEAD}"
    with writing(place, f", or {otherwise}"):
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder):
            if place.is_file():  # another process has fetched it meanwhile
                return
            _go_on(part, otherwise)
            if _sha256(part) != SHA256:
                part.unlink()
                raise LotteryError(
                    "What was downloaded is not CIFAR-10's archive (its sha256"
                    " differs), so nothing was kept. Load again later, or"
                    f" {otherwise}."
                )
            part.replace(place)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until no other process downloads into a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(ImportError, OSError):  # some systems and disks have no locks
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _go_on(part: Path, otherwise: str) -> None:
    """Fetch what a file still lacks of the archive."""
    there = part.stat().st_size if part.exists() else 0
    with tqdm(
        total=SIZE,
        initial=there,
        desc="CIFAR-10",
        unit="B",
        unit_scale=True,
        disable=sys.stderr is None,  # closed, as under a window without a terminal
    ) as bar:
        for piece in _rest(there, otherwise):
            with part.open("ab") as file:
                file.write(piece)
            bar.update(len(piece))


def _rest(there: int, otherwise: str) -> Iterator[bytes]:
    """Yield the archive's bytes behind those that are there.

    Raises:
        LotteryError: If the line breaks, or another file is offered.
    """
    if there >= SIZE:
        return
    request = urllib.request.Request(URL, headers={"Range": f"bytes={there}-"})
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
            # Some servers know no ranges: of the whole, what is there is left out.
            known = 0 if answer.status == HTTPStatus.PARTIAL_CONTENT else there
            if answer.length != SIZE - there + known:
                raise HTTPException(f"a file of another length is at {URL}")
            while read := answer.read(_PIECE):
                piece, known = read[known:], max(0, known - len(read))
                there += len(piece)
                yield piece
        if there < SIZE:
            raise ConnectionError("the line closed")
    except (OSError, HTTPException) as error:
        raise LotteryError(
            f"Cannot download CIFAR-10 ({type(error).__name__}: {error}); {there:,} of"
            f" its {SIZE:,} bytes are kept. Load again to go on from there, or"
            f" {otherwise}."
        ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
