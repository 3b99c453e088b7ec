"""What a training needs there, brought along as one file: MNIST, or pictures.

A GPU machine has no network, and what travels to it is 64 MB at most. Pictures
travel as the files they are: 60,000 JPEGs are 18 MB so, their pixels 141 MB.
"""

import io
import json
import lzma
import os
import struct
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from benchmarks import gpu_files
from lth_utils.data.loading import digest
from lth_utils.data.mnist import MNIST, Source, read_files
from lth_utils.errors import LotteryError
from lth_utils.files.atomic import Kind, atomic_file, atomic_folder
from lth_utils.files.places import data_folder
from lth_utils.words import pictures

PAGE = "packed.json"  # says what was packed, in the archive and where it is unpacked
_PARTS = ("train", "validation", "test")
_DAMAGED = (
    tarfile.TarError,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    TypeError,
)
_UNPACKED = Kind("folder of unpacked pictures", lambda f: (f / PAGE).is_file())


def pack(name: str) -> Path:
    """Write a data set as one file into `_build/gpu`, and return that.

    Raises:
        LotteryError: If it is not to be had, or nothing that this script packs.
    """
    if name == "mnist":
        target = gpu_files.HOME / "mnist.zip"
        pack_mnist(target)
    elif folder := pictures(name):
        target = _packed(name)
        pack_pictures(folder, target)
    else:
        raise LotteryError(
            f"The data set {name!r} is not packed: expected mnist, or the name of a"
            f" folder of pictures in {data_folder()}. Set LTH_DATA to where it lies;"
            " what the library computes needs no packing."
        )
    return target


def find(name: str) -> None:
    """Let the library find what was packed; without it, it looks where it always does.

    Raises:
        LotteryError: If what was packed is damaged.
    """
    if name == "mnist":
        find_mnist(gpu_files.HOME / "mnist.zip")
    elif Path(name).name == name:
        find_pictures(name, _packed(name))


def _packed(name: str) -> Path:
    return gpu_files.HOME / f"{name}.tar.xz"


def _unpacked() -> Path:
    return gpu_files.ROOT / "_build" / "data"


# --- MNIST --------------------------------------------------------------------------


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
    """Let the library find the four files; it checks each one's hash.

    Raises:
        LotteryError: If the zip is damaged.
    """
    if packed.is_file():
        with gpu_files.reading(packed) as archive:
            for name in source.files:
                with atomic_file(source.raw(_unpacked()) / name) as temporary:
                    temporary.write_bytes(archive.read(name))
        os.environ["LTH_DATA"] = str(_unpacked())


# --- pictures -----------------------------------------------------------------------


def pack_pictures(folder: Path, target: Path) -> None:
    """Write a folder of pictures as one archive, with the hash of what they show."""
    page = {"name": folder.name, "digest": digest(folder.name)}
    files = [f for part in _PARTS for f in sorted((folder / part).rglob("*"))]
    with atomic_file(target) as temporary, tarfile.open(temporary, "w:xz") as archive:
        _put(archive, PAGE, json.dumps(page).encode())
        for file in files:
            if file.is_file():
                name = file.relative_to(folder).as_posix()
                _put(archive, name, file.read_bytes())


def _put(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    about = tarfile.TarInfo(name)  # nobody's, and of no time: the same bytes again
    about.size = len(content)
    archive.addfile(about, io.BytesIO(content))


def find_pictures(name: str, packed: Path) -> None:
    """Unpack pictures where that is not done yet, and let the library find them.

    Raises:
        LotteryError: If the archive is damaged, or the pictures show something else
            than those that were packed.
    """
    if not packed.is_file():
        return
    place = _unpacked() / name
    with _reading(packed) as archive:
        page = _page(archive)
        if not _is_from(place, page):
            with atomic_folder(place, _UNPACKED) as temporary:
                for file in archive:  # in one pass: to go back is to unpack again
                    archive.extract(file, temporary, filter="data")
                (temporary / PAGE).write_text(page, "utf-8")
    os.environ["LTH_DATA"] = str(_unpacked())
    if digest(name) != json.loads(page)["digest"]:
        raise LotteryError(
            f"The pictures in {place} are not those that were packed: expected the"
            f" sha256 that {packed} says. Remove that folder, to have it unpacked"
            " anew; if it stays so, this Pillow decodes them otherwise: install the"
            " version that they were packed with."
        )


@contextmanager
def _reading(path: Path) -> Iterator[tarfile.TarFile]:
    """Open an archive of pictures; turn what is wrong with it into a sentence."""
    try:
        with tarfile.open(path, "r:xz") as archive:
            yield archive
    except LotteryError:
        raise
    except _DAMAGED as error:
        raise LotteryError(
            f"{path} is damaged: expected an archive as --pack --data writes it. Take"
            " an undamaged copy, or pack it anew."
        ) from error


def _page(archive: tarfile.TarFile) -> str:
    """Return what an archive says first, of what it holds."""
    first = archive.next()
    file = archive.extractfile(first) if first and first.name == PAGE else None
    text = file.read().decode() if file else ""
    if not {"name", "digest"} <= dict(json.loads(text)).keys():
        raise ValueError("there is no page")
    return text


def _is_from(place: Path, page: str) -> bool:
    """Whether a folder holds what an archive with that page does."""
    file = place / PAGE
    return file.is_file() and file.read_text("utf-8") == page
