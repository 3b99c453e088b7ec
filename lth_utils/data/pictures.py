"""Pictures of one's own: a folder of them, one sub-folder a class.

The layout is that of torchvision's ImageFolder, under `train/` and `test/`.
Pictures come out as they look, whatever form their file has.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from warnings import warn

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from lth_utils.errors import LotteryError
from lth_utils.seeds import seed_of

Shape = tuple[int, int, int]
Labelled = list[tuple[Path, int]]
Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]

# What torchvision takes for pictures; of several frames, the first.
_ENDINGS = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff"}
_ENDINGS |= {".webp"}
_DEEP = ("I", "I;16", "I;16B", "I;16L", "I;16N")  # grey, more than 8 bits
_VALIDATION = 10  # of a class's training pictures, one in so many
_NAMED = 3  # of the pictures that cannot be read


def read_pictures(folder: Path, shape: Shape) -> list[Arrays]:
    """Read a folder of pictures.

    Args:
        folder: Has `train/` and `test/`, and perhaps `validation/`; in each of
            them, a sub-folder a class.
        shape: (channels, height, width) to bring them to. Of another size, they
            are scaled until they cover it, and cut around their middle.

    Returns:
        Images (N, H, W) of 1 channel or (N, H, W, 3), and labels (N,) in the
        order of the classes' names, of train, validation and test. Without a
        `validation/`, it is a tenth of each class of `train/`, the same each time.

    Raises:
        LotteryError: If a folder or a class is missing or empty, or a picture
            cannot be read.
    """
    kept = [part for part in _PARTS if (folder / part).is_dir()]
    for part in ("train", "test"):
        if part not in kept:
            raise LotteryError(
                f"{folder} has no folder {part}/, but {_names(folder)}: expected"
                " train/ and test/, and in each of them a sub-folder a class. Move"
                " the pictures so."
            )
    classes = _classes(folder, kept)
    found = {part: _pictures(folder / part, classes) for part in kept}
    if "validation" not in found:
        found |= _divided(folder, classes, found["train"])
    return _read(folder, [found[part] for part in _PARTS], shape)


def listing(folder: Path) -> str:
    """Return names, sizes and times of all files: another text once one changes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    about = ((path, path.stat()) for path in files)
    return "\n".join(f"{path} {s.st_size} {s.st_mtime_ns}" for path, s in about)


_PARTS = ("train", "validation", "test")


def _names(folder: Path) -> str:
    """Return what a folder has, for a sentence."""
    names = sorted(path.name for path in folder.iterdir())
    listed = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return listed or "nothing"


def _classes(folder: Path, parts: Sequence[str]) -> list[str]:
    """Return the classes, which all parts must have.

    Raises:
        LotteryError: If one lacks a class of another, or there are not two.
    """
    names = {
        part: {
            path.name
            for path in (folder / part).iterdir()
            if path.is_dir() and not path.name.startswith(".")
        }
        for part in parts
    }
    every = set().union(*names.values())
    for part in parts:
        if lacks := sorted(every - names[part]):
            raise LotteryError(
                f"{folder / part} lacks the classes {', '.join(lacks)}, which others"
                f" ({', '.join(parts)}) have: expected the same sub-folders in each"
                " of them. Add these, or take the classes out everywhere."
            )
    if len(every) < 2:
        raise LotteryError(
            f"{folder / 'train'} has sub-folders for {len(every)} classes"
            f" ({', '.join(every) or 'none'}): expected at least two, since a network"
            " learns to tell them apart. Sort the pictures into sub-folders."
        )
    return sorted(every)


def _pictures(folder: Path, classes: Sequence[str]) -> Labelled:
    """Return the pictures of a part, in the order of classes and names.

    Raises:
        LotteryError: If a class has none.
    """
    found: Labelled = []
    for label, name in enumerate(classes):
        files = (path for path in (folder / name).rglob("*") if path.is_file())
        mine = sorted(path for path in files if _is_picture(path))
        if not mine:
            raise LotteryError(
                f"{folder / name} has no pictures, but {_names(folder / name)}:"
                f" expected files ending in {', '.join(sorted(_ENDINGS))}. Add some, or"
                " take the class out everywhere."
            )
        found += [(path, label) for path in mine]
    return found


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in _ENDINGS and not path.name.startswith(".")


def _divided(
    folder: Path, classes: Sequence[str], pictures: Labelled
) -> dict[str, Labelled]:
    """Return training pictures without a tenth of each class, and that tenth.

    Raises:
        LotteryError: If a class has a single picture.
    """
    parts: dict[str, Labelled] = {"train": [], "validation": []}
    for label, name in enumerate(classes):
        mine = [each for each in pictures if each[1] == label]
        if len(mine) < 2:
            raise LotteryError(
                f"{folder / 'train' / name} has one picture: expected at least two, one"
                " to train on and one for validation. Add some."
            )
        count = max(1, len(mine) // _VALIDATION)
        seed = seed_of("validation", name) % 2**32
        drawn = set(np.random.RandomState(seed).permutation(len(mine))[:count].tolist())
        for number, each in enumerate(mine):
            parts["validation" if number in drawn else "train"].append(each)
    return parts


def _read(folder: Path, parts: Sequence[Labelled], shape: Shape) -> list[Arrays]:
    """Return the pictures and labels of each part; warn where sizes were changed.

    Raises:
        LotteryError: If one cannot be read; names the first of them.
    """
    channels, height, width = shape
    form = (height, width) if channels == 1 else (height, width, channels)
    sizes, failed, read = Counter[tuple[int, int]](), list[str](), list[Arrays]()
    for part in parts:
        images = np.empty((len(part), *form), np.uint8)
        for image, (path, _) in zip(images, part, strict=True):
            try:
                with Image.open(path) as picture:
                    sizes[picture.size] += 1
                    image[:] = _fitted(picture, shape)
            except (
                OSError,
                ValueError,
                SyntaxError,
                Image.DecompressionBombError,
            ) as e:
                failed.append(f"{path} ({_line(e)})")
        read.append((images, np.array([label for _, label in part])))
    if failed:
        more = f", and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
        raise LotteryError(
            f"Pictures that cannot be read: {'; '.join(failed[:_NAMED])}{more}."
            " Expected each to open in an image viewer. Mend them, or take them out."
        )
    if others := sizes.total() - sizes[width, height]:
        warn(
            f"{others:,} of the {sizes.total():,} pictures in {folder} are not {width}"
            f" x {height}: scaled to cover that, and cut around their middle.",
            stacklevel=5,
        )
    return read


def _fitted(picture: Image.Image, shape: Shape) -> NDArray[np.uint8]:
    """Return a picture's grey levels or colours, of the size of `shape`."""
    channels, height, width = shape
    mode = "L" if channels == 1 else "RGB"
    upright = ImageOps.exif_transpose(_of_eight_bits(picture)).convert(mode)
    if upright.size != (width, height):
        upright = ImageOps.fit(upright, (width, height))
    return np.asarray(upright)


def _of_eight_bits(picture: Image.Image) -> Image.Image:
    """Return a picture of any mode in one that converts without a loss of sense.

    Raises:
        ValueError: If its numbers may mean anything.
    """
    if picture.mode in _DEEP:
        deep = np.asarray(picture.convert("I"))
        if not 0 <= deep.min() <= deep.max() < 2**16:
            raise ValueError(f"its grey levels go from {deep.min()} to {deep.max()}")
        eight = Image.fromarray((deep >> 8).astype(np.uint8))
        eight.info = picture.info
        return eight
    if picture.mode in ("F", "LAB"):
        raise ValueError(f"its mode is {picture.mode}: save it as PNG or JPEG")
    if picture.has_transparency_data:
        clear = picture.convert("RGBA")  # what is transparent shall be black
        return Image.alpha_composite(
            Image.new("RGBA", clear.size, (0, 0, 0, 255)), clear
        )
    return picture


def _line(error: Exception) -> str:
    """Return an error's first line, or its kind."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(" .")
