"""Where pictures of one's own lie: `train/` and `test/`, one sub-folder a class.

The layout is that of torchvision's ImageFolder. What begins with a dot is left
out, as file managers and Jupyter put such files and folders anywhere.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from lth_utils.errors import LotteryError
from lth_utils.seeds import seed_of
from lth_utils.words import SPLITS

Labelled = list[tuple[str, int]]  # paths of pictures, and their classes' numbers

# What torchvision takes for pictures.
_ENDINGS = (
    *(".bmp", ".gif", ".jpeg", ".jpg", ".pgm"),
    *(".png", ".ppm", ".tif", ".tiff", ".webp"),
)
_VALIDATION = 10  # of a class's training pictures, one in so many
_LISTED = 8  # of the names that a folder has


def labelled(folder: Path) -> list[Labelled]:
    """Return the pictures of train, validation and test, by classes and names.

    Without a `validation/`, or `val/`, it is a tenth of each class of `train/`,
    the same each time.

    Raises:
        LotteryError: If a folder or a class is missing, empty or cannot be read.
    """
    with _looking():
        places = _places(folder)
        classes = _classes(places)
        found = {part: _pictures(place, classes) for part, place in places.items()}
    if "validation" not in found:
        found |= _divided(places["train"], classes, found["train"])
    return [found[part] for part in SPLITS]


def listing(folder: Path) -> str:
    """Return names, sizes and times of all files: another text once one changes.

    Raises:
        LotteryError: If a folder in it cannot be read.
    """
    lines = []
    with _looking():
        for path in sorted(_files(folder)):
            with suppress(FileNotFoundError):  # a link to nothing, or just taken out
                s = Path(path).stat()
                lines.append(f"{path} {s.st_size} {s.st_mtime_ns} {s.st_ctime_ns}")
    return "\n".join(lines)


@contextmanager
def _looking() -> Iterator[None]:
    """Turn the system's refusal to show a folder into a sentence."""
    try:
        yield
    except OSError as error:
        raise LotteryError(
            f"Cannot look into {error.filename}: the system says: {error.strerror}."
            " Expected a folder that you may read: make it one, or take it out."
        ) from error


def _files(folder: Path) -> Iterator[str]:
    """Yield the files below a folder, also behind links."""

    def refuse(error: OSError) -> None:
        raise error

    seen = set()
    for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if name[0] != ".")
        yield from (f"{place}{os.sep}{name}" for name in names if name[0] != ".")


def _places(folder: Path) -> dict[str, Path]:
    """Return the folder of each part that there is.

    Raises:
        LotteryError: If there is none to train on, or none to test on.
    """
    if not folder.is_dir():
        raise LotteryError(
            f"There is no folder {folder}: expected one with train/ and test/, and in"
            " each of them a sub-folder a class. Name that."
        )
    places = {part: folder / part for part in SPLITS if (folder / part).is_dir()}
    if "validation" not in places and (folder / "val").is_dir():
        places["validation"] = folder / "val"
    for part in ("train", "test"):
        if part not in places:
            raise LotteryError(
                f"{folder} has no folder {part}/, but {_names(folder)}: expected"
                " train/ and test/, and in each of them a sub-folder a class. Move"
                " the pictures so."
            )
    return places


def _names(folder: Path) -> str:
    """Return what a folder has, for a sentence."""
    return _listed(path.name for path in folder.iterdir()) or "nothing"


def _listed(names: Iterable[str]) -> str:
    """Return some names, for a sentence; as Python writes them if they are odd."""
    every = sorted(name if name.isprintable() else ascii(name) for name in names)
    return ", ".join(every[:_LISTED]) + (", …" if len(every) > _LISTED else "")


def _classes(places: Mapping[str, Path]) -> list[str]:
    """Return the classes, which all parts must have.

    Raises:
        LotteryError: If one lacks a class of another, there are not two, or one
            has a name that no line can hold.
    """
    names = {
        part: {path.name for path in place.iterdir() if path.is_dir()}
        for part, place in places.items()
    }
    every = {name for found in names.values() for name in found if name[0] != "."}
    for part, place in places.items():
        if lacks := every - names[part]:
            others = ", ".join(other for other in places if other != part)
            raise LotteryError(
                f"{place} lacks the classes {_listed(lacks)}, which are in {others}:"
                " expected the same sub-folders in each of them. Add these, or take"
                " the classes out everywhere."
            )
    if len(every) < 2:
        raise LotteryError(
            f"{places['train']} has sub-folders for {len(every)} classes"
            f" ({_listed(every) or 'none'}): expected at least two, since a network"
            " learns to tell them apart. Sort the pictures into sub-folders."
        )
    if odd := [name for name in every if not name.isprintable()]:
        raise LotteryError(
            f"{places['train']} has classes whose names cannot be printed"
            f" ({_listed(odd)}): expected names of one line. Rename these sub-folders"
            " everywhere."
        )
    return sorted(every)


def _pictures(place: Path, classes: Sequence[str]) -> Labelled:
    """Return the pictures of a part.

    Raises:
        LotteryError: If a class has none.
    """
    found: Labelled = []
    for label, name in enumerate(classes):
        files = _files(place / name)
        mine = sorted(path for path in files if path.lower().endswith(_ENDINGS))
        if not mine:
            raise LotteryError(
                f"{place / name} has no pictures, but {_names(place / name)}: expected"
                f" files ending in {', '.join(_ENDINGS)}. Add some, or take the class"
                " out everywhere."
            )
        found += [(path, label) for path in mine]
    return found


def _divided(
    place: Path, classes: Sequence[str], pictures: Labelled
) -> dict[str, Labelled]:
    """Return training pictures without a tenth of each class, and that tenth.

    Raises:
        LotteryError: If a class has a single picture.
    """
    parts: dict[str, Labelled] = {"train": [], "validation": []}
    of_classes: list[Labelled] = [[] for _ in classes]
    for each in pictures:
        of_classes[each[1]].append(each)
    for name, mine in zip(classes, of_classes, strict=True):
        if len(mine) < 2:
            raise LotteryError(
                f"{place / name} has one picture: expected at least two, one to train"
                " on and one for validation. Add some."
            )
        count = max(1, len(mine) // _VALIDATION)
        seed = seed_of("validation", name) % 2**32
        drawn = set(np.random.RandomState(seed).permutation(len(mine))[:count].tolist())
        for number, each in enumerate(mine):
            parts["validation" if number in drawn else "train"].append(each)
    return parts
