"""MNIST and Fashion-MNIST: a packaged subset, and files found or fetched whole.

LeCun, Cortes and Burges' handwritten digits, and Xiao, Rasul and Vollgraf's
pieces of clothing (2017) in the same form: 60,000 training and 10,000 test
images of 28 x 28 grey pixels. The files lie as torchvision lays them out,
such as `MNIST/raw/` under one folder, so one download serves both.
"""

import hashlib
import io
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lth_utils.data.idx import read_idx
from lth_utils.errors import LotteryError
from lth_utils.files.atomic import temporary_folder
from lth_utils.files.places import writing


class Source(NamedTuple):
    """Where the four files of a data set of MNIST's form come from.

    Attributes:
        name: What sentences call it.
        folder: Torchvision's class, and the folder that it puts them in.
        files: The uncompressed files' names and sha256.
    """

    name: str
    folder: str
    files: dict[str, str]

    def raw(self, folder: Path) -> Path:
        """Return where under `folder` the files lie."""
        return folder / self.folder / "raw"


MNIST = Source(
    "MNIST",
    "MNIST",
    {
        "train-images-idx3-ubyte": (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
        ),
        "train-labels-idx1-ubyte": (
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
        ),
        "t10k-images-idx3-ubyte": (
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
        ),
        "t10k-labels-idx1-ubyte": (
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
        ),
    },
)
FASHION = Source(
    "Fashion-MNIST",
    "FashionMNIST",
    {
        "train-images-idx3-ubyte": (
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
        ),
        "train-labels-idx1-ubyte": (
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
        ),
        "t10k-images-idx3-ubyte": (
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
        ),
        "t10k-labels-idx1-ubyte": (
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
        ),
    },
)
SMALL = Path(__file__).parent / "packaged" / "mnist-small.npz"
SMALL_SHA256 = "2a770ec37461c7121fc3ca3cb1bb9f17b9e6a5ec20b851424c09adadf2e6a091"

_LISTED = 8  # names of what is found in place of the files
_INSTEAD = 'use load("mnist-small"), digits that need no download'


def read_small() -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Read the packaged subset.

    Returns:
        Images (N, 28, 28) and labels (N,) of train, validation and test.

    Raises:
        LotteryError: If the packaged file is missing or damaged.
    """
    content = SMALL.read_bytes() if SMALL.is_file() else b""
    if hashlib.sha256(content).hexdigest() != SMALL_SHA256:
        raise LotteryError(
            f"The packaged data file {SMALL} is missing or damaged (its sha256"
            " differs): install lth_utils anew (pip install --force-reinstall)."
        )
    with np.load(io.BytesIO(content)) as file:
        return [
            (file[f"{split}_images"], file[f"{split}_labels"])
            for split in ("train", "validation", "test")
        ]


def read_files(source: Source, folder: Path) -> list[NDArray[np.uint8]]:
    """Read the four checked files, downloading what `folder` lacks.

    They may be packed, be called `train-images.idx3-ubyte` and so on, and lie a
    level too high or too deep. Nothing is written when all four are there.

    Args:
        source: MNIST or FASHION.
        folder: The folder with, say, `MNIST/raw/` in it.

    Returns:
        Training images (N, 28, 28) and labels (N,), test images and labels.

    Raises:
        LotteryError: If a file is damaged, or is missing and cannot be
            downloaded or stored.
    """
    found = {name: _read(source, folder, name) for name in source.files}
    if any(array is None for array in found.values()):
        _download(source, folder)
    raw = source.raw(folder)
    return [
        read_idx(raw / name, source.files[name], source.name)
        if array is None
        else array
        for name, array in found.items()
    ]


def _read(source: Source, folder: Path, name: str) -> NDArray[np.uint8] | None:
    """Return a file's array, wherever it lies; None if it lies nowhere."""
    damaged = None
    # Path.is_file would raise where a folder may not be looked into.
    for path in filter(os.path.isfile, _candidates(source, folder, name)):
        try:
            return read_idx(path, source.files[name], source.name)
        except LotteryError as error:
            # Elsewhere it may be another data set's file of the same name.
            if source.folder in path.parts:
                damaged = damaged or error
    if damaged:
        raise damaged
    return None


def _candidates(source: Source, folder: Path, name: str) -> Iterator[Path]:
    """Yield where a file may lie, the place that torchvision gives it first."""
    dotted = name.replace("-idx", ".idx")
    for place in _places(source, folder):
        for spelling in (name, dotted, f"{name}.gz", f"{dotted}.gz"):
            yield place / spelling


def _places(source: Source, folder: Path) -> Iterator[Path]:
    """Yield the folders that may have the files, the right one first."""
    raw = source.raw(folder)
    yield from (raw, raw.parent, folder / "raw", folder)
    yield from _within(folder, f"*/{source.folder}/raw")


def _within(folder: Path, pattern: str) -> list[Path]:
    """Return what matches within a folder; nothing if it may not be read."""
    return sorted(folder.glob(pattern)) if os.access(folder, os.R_OK | os.X_OK) else []


def _download(source: Source, folder: Path) -> None:
    """Fetch all four files beside their place, check them, move them in."""
    raw, otherwise = source.raw(folder), f"{_lacking(source, folder)}, or {_INSTEAD}"
    with writing(raw, f", or {otherwise}"):
        if folder.is_file():
            raise LotteryError(
                f"LTH_DATA names {folder}, which is a file: expected the folder that"
                f" has, or shall get, {source.folder}/raw. Name that folder, or"
                f" {_INSTEAD}."
            )
        folder.mkdir(parents=True, exist_ok=True)
        with temporary_folder(folder) as temporary:
            _fetch(source, temporary, otherwise)
            _check_fetched(source, temporary)
            raw.mkdir(parents=True, exist_ok=True)
            for name in source.files:
                if not os.path.lexists(raw / name):
                    (source.raw(temporary) / name).replace(raw / name)


def _lacking(source: Source, folder: Path) -> str:
    """Say what to do where nothing can be downloaded, and what is there."""
    if not os.environ.get("LTH_DATA"):
        return f"set LTH_DATA to a folder that has {source.folder}/raw"
    there = [path.name for path in _within(folder, "[!.]*")]
    listed = ", ".join(there[:_LISTED]) + (", …" if len(there) > _LISTED else "")
    return (
        f"put the four files ({', '.join(source.files)}, or each as .gz) into"
        f" {source.raw(folder)} (LTH_DATA names {folder}, where there is"
        f" {listed or 'nothing'})"
    )


def _fetch(source: Source, folder: Path, otherwise: str) -> None:
    """Let torchvision download all four files into `folder`."""
    try:
        from torchvision import datasets  # slow, and broken in places
    except Exception as error:  # RuntimeError where the wheels do not match
        raise LotteryError(
            f"Cannot import torchvision, which downloads {source.name}"
            f" ({_line(error)}). Install the torchvision that belongs to your torch"
            f" (pip install --upgrade torch torchvision), or {otherwise}."
        ) from error
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(30)  # seconds; else a dead line hangs for ever
    try:
        getattr(datasets, source.folder)(str(folder), train=True, download=True)
    except Exception as error:
        if isinstance(error, OSError) and error.errno and not _network(error):
            raise  # a full disk: `writing` has the words
        raise LotteryError(
            f"Cannot download {source.name} ({_line(error)}). Check the network and"
            f" load again, or {otherwise}."
        ) from error
    finally:
        socket.setdefaulttimeout(patience)


def _network(error: OSError) -> bool:
    """Whether the system's error came from the line, not from the disk."""
    return isinstance(error, (ConnectionError, TimeoutError))


def _check_fetched(source: Source, folder: Path) -> None:
    """Refuse a download that has not the files' hashes."""
    for name, digest in source.files.items():
        path = source.raw(folder) / name
        content = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(content).hexdigest() != digest:
            raise LotteryError(
                f"The downloaded {name} is not {source.name}'s (its sha256 differs),"
                " so nothing was kept. Load again later, or from another network,"
                f" or {_INSTEAD}."
            )


def _line(error: Exception) -> str:
    """Return an error's kind and its first line."""
    first = (str(error).splitlines() or [""])[0].rstrip(" .:")
    return f"{type(error).__name__}: {first}"
