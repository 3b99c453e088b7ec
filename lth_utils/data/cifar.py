"""CIFAR-10 (Krizhevsky, 2009): 60,000 colour pictures of 32 x 32, ten classes.

Its binary version is read with NumPy, so nothing is unpickled. The archive stays
as it is fetched, and is checked each time; what a broken line has left of it is
gone on with.
"""

import hashlib
import tarfile
import urllib.error
import urllib.request
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
    if not path.is_file():
        fetch(folder, URL)
    if _sha256(path) != SHA256:
        raise LotteryError(
            f"{path} is damaged (its sha256 differs): expected CIFAR-10's binary"
            f" version. Delete it and load again, or {_INSTEAD}."
        )
    with tarfile.open(path) as archive:
        members = {Path(each.name).name: each for each in archive.getmembers()}
        read = [archive.extractfile(members[name]) for name in _BATCHES]
        rows = [
            np.frombuffer(file.read(), np.uint8).reshape(-1, 1 + _PICTURE)
            for file in read
            if file is not None
        ]
    return _arrays(np.concatenate(rows[:-1])), _arrays(rows[-1])


def _arrays(rows: NDArray[np.uint8]) -> _Arrays:
    """Return pictures and labels: a row is a label, then three planes of colour."""
    planes = rows[:, 1:].reshape(-1, 3, 32, 32)
    return planes.transpose(0, 2, 3, 1), rows[:, 0]


def fetch(folder: Path, url: str = URL, size: int = SIZE, sha256: str = SHA256) -> None:
    """Download the archive beside its place, and move it there when it is whole.

    Args:
        folder: Where it shall lie.
        url: Where it is.
        size: Its bytes.
        sha256: Its hash.

    Raises:
        LotteryError: If it is not to be had, or is another file.
    """
    place, part = folder / ARCHIVE, folder / f"{ARCHIVE}.part"
    otherwise = f"put {ARCHIVE} into {folder} yourself, or {_INSTEAD}"
    with writing(place, f", or {otherwise}"):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            _go_on(part, url, size)
        except (
            urllib.error.URLError,
            HTTPException,
            TimeoutError,
            ConnectionError,
        ) as e:
            there = part.stat().st_size if part.exists() else 0
            raise LotteryError(
                f"Cannot download CIFAR-10 ({type(e).__name__}: {e}); {there:,} of its"
                f" {size:,} bytes are kept. Load again to go on from there, or"
                f" {otherwise}."
            ) from e
        if _sha256(part) != sha256:
            part.unlink()
            raise LotteryError(
                "What was downloaded is not CIFAR-10's archive (its sha256 differs), so"
                f" nothing was kept. Load again later, or {otherwise}."
            )
        part.replace(place)


def _go_on(part: Path, url: str, size: int) -> None:
    """Fetch what a file still lacks."""
    there = part.stat().st_size if part.exists() else 0
    if there >= size:
        return
    request = urllib.request.Request(url, headers={"Range": f"bytes={there}-"})
    with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
        if answer.status != HTTPStatus.PARTIAL_CONTENT:
            there = 0  # a server that sends all of it again
        with (
            part.open("ab" if there else "wb") as file,
            tqdm(
                total=size, initial=there, desc="CIFAR-10", unit="B", unit_scale=True
            ) as bar,
        ):
            while piece := answer.read(_PIECE):
                file.write(piece)
                bar.update(len(piece))
    if (there := part.stat().st_size) < size:
        raise ConnectionError(f"the line closed after {there:,} bytes")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
