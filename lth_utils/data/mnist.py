"""MNIST and Fashion-MNIST: a packaged subset, and files found or fetched whole.

LeCun, Cortes and Burges' handwritten digits, and Xiao, Rasul and Vollgraf's
pieces of clothing (2017) in the same form: 60,000 training and 10,000 test
images of 28 x 28 grey pixels. The files lie as torchvision lays them out,
such as `MNIST/raw/` under one folder, so one download serves both.
"""

import hashlib
import io
import os
import shutil
import socket
import struct
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lth_utils.errors import LotteryError
from lth_utils.files.atomic import writing


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

_INSTEAD = 'use load("mnist-small"), digits that need no download'


def data_folder() -> Path:
    """Return the folder that holds downloaded data sets.

    The environment variable `LTH_DATA` names it; without one it is
    `lth/data` in the user's cache folder.
    """
    named = os.environ.get("LTH_DATA")
    if named:
        return Path(named).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "lth" / "data"


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

    Nothing is written when all four are there.

    Args:
        source: MNIST or FASHION.
        folder: The folder with, say, `MNIST/raw/` in it.

    Returns:
        Training images (N, 28, 28) and labels (N,), test images and labels.

    Raises:
        LotteryError: If a file is damaged, or is missing and cannot be
            downloaded or stored.
    """
    raw = source.raw(folder)
    if not all(os.access(raw / name, os.R_OK) for name in source.files):
        _download(source, folder)
    return [
        read_idx(raw / name, digest, source.name)
        for name, digest in source.files.items()
    ]


def read_idx(
    path: Path, digest: str | None = None, of: str = "MNIST"
) -> NDArray[np.uint8]:
    """Read an idx file of bytes (the format of MNIST's home page).

    Args:
        path: The uncompressed file.
        digest: The sha256 it must have; None trusts the file.
        of: The data set that it belongs to, for the message.

    Returns:
        The file's array, of one dimension (labels) or three (images).

    Raises:
        LotteryError: If the file is unreadable, is cut short, is no idx file
            or has another sha256.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LotteryError(
            f"Cannot read {path}: the system says: {error.strerror}. Make the"
            " file readable, or delete it and load again."
        ) from error
    dimensions = content[3] if content[:3] == b"\0\0\x08" and content[3:] else 0
    start = 4 + 4 * dimensions
    shape = struct.unpack_from(f">{dimensions}I", content.ljust(start), 4)
    whole = dimensions > 0 and len(content) == start + int(np.prod(shape))
    if not whole or digest not in (None, hashlib.sha256(content).hexdigest()):
        raise LotteryError(
            f"The file {path} is damaged: it is not the {of} file of that"
            " name (its sha256 or its length differs). Delete it and load again."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _download(source: Source, folder: Path) -> None:
    """Fetch all four files beside their place, check them, move them in."""
    raw, own = source.raw(folder), f"{source.folder}/raw"
    remedy = f", or set LTH_DATA to a folder that has {own}, or {_INSTEAD}"
    with writing(raw, remedy):
        folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".mnist-", dir=folder))
        try:
            _fetch(source, temporary)
            _check_fetched(source, temporary)
            raw.mkdir(parents=True, exist_ok=True)
            for name in source.files:
                if not (raw / name).exists():
                    (source.raw(temporary) / name).replace(raw / name)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _fetch(source: Source, folder: Path) -> None:
    """Let torchvision download all four files into `folder`."""
    try:
        from torchvision import datasets  # slow, and broken in places
    except Exception as error:  # RuntimeError where the wheels do not match
        raise LotteryError(
            f"Cannot import torchvision, which downloads {source.name}"
            f" ({_line(error)}). Install the torchvision that belongs to your torch"
            f" (pip install --upgrade torch torchvision), or {_INSTEAD}."
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
            f" load again, or set LTH_DATA to a folder that has {source.folder}/raw,"
            f" or {_INSTEAD}."
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
