"""Pictures of one's own: read as they look, whatever form their file has."""

import warnings
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from lth_utils.data.folders import Labelled, labelled
from lth_utils.errors import LotteryError

Shape = tuple[int, int, int]
Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]

RESIZED = "Pictures of other sizes"  # how the warning about them begins

# Whatever a file is called, it is one of these: others could start a program.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
_BITS, _WHITE = 258, 262  # a TIFF's tags: bits a pixel, and which end is white
_NAMED = 3  # of the pictures that cannot be read


def read_pictures(folder: Path, shape: Shape) -> list[Arrays]:
    """Read a folder of pictures; warn where their sizes were changed.

    Args:
        folder: Has `train/` and `test/`, and perhaps `validation/`; in each of
            them, a sub-folder a class (see `folders.py`).
        shape: (channels, height, width) to bring them to. Of another size, they
            are scaled until they cover it, and cut around their middle.

    Returns:
        Images (N, H, W) of 1 channel or (N, H, W, 3), and labels (N,) in the
        order of the classes' names, of train, validation and test. Of several
        frames, the first.

    Raises:
        LotteryError: If a folder or a class is missing or empty, or a picture
            cannot be read; names the first of them.
    """
    sizes, failed = Counter[tuple[int, int]](), list[str]()
    read = [_read(part, shape, sizes, failed) for part in labelled(folder)]
    if failed:
        more = f", and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
        raise LotteryError(
            f"Pictures that cannot be read: {'; '.join(failed[:_NAMED])}{more}."
            " Expected each to open in an image viewer. Mend them, or take them out."
        )
    _, height, width = shape
    if others := sizes.total() - sizes[width, height]:
        warnings.warn(
            f"{RESIZED}: {others:,} of the {sizes.total():,} in {folder} are not"
            f" {width} x {height}. Scaled to cover that, and cut around their middle.",
            stacklevel=3,  # who called `load_folder`
        )
    return read


def _read(
    part: Labelled, shape: Shape, sizes: Counter[tuple[int, int]], failed: list[str]
) -> Arrays:
    """Return pictures and labels; count the sizes, and note what cannot be read."""
    channels, height, width = shape
    form = (height, width) if channels == 1 else (height, width, channels)
    images = np.empty((len(part), *form), np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, which name no file
        for image, (path, _) in zip(images, part, strict=True):
            try:
                size, image[:] = _picture(path, shape)
                sizes[size] += 1
            except Exception as error:  # Pillow raises what a damaged file brings up
                failed.append(f"{path} ({_why(error)})")
    return images, np.array([label for _, label in part])


def _why(error: Exception) -> str:
    """Return why a picture cannot be read, on one line and without its path."""
    if isinstance(error, UnidentifiedImageError):
        return "no picture of a known kind"
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(said.split()).rstrip(" .")


def _picture(path: str, shape: Shape) -> tuple[tuple[int, int], NDArray[np.uint8]]:
    """Return a picture's size, and its grey levels or colours in that of `shape`."""
    channels, height, width = shape
    mode = "L" if channels == 1 else "RGB"
    with Image.open(path, formats=_FORMATS) as file:
        file.load()
        with suppress(Exception):  # other Exif data is spoilt at times
            ImageOps.exif_transpose(file, in_place=True)
        upright = _of_eight_bits(file)
    if upright.mode != mode:
        upright = upright.convert(mode)
    size = upright.size
    if size != (width, height):
        upright = ImageOps.fit(upright, (width, height))
    return size, np.asarray(upright)


def _of_eight_bits(picture: Image.Image) -> Image.Image:
    """Return a picture of any mode in one that converts without a loss of sense.

    Raises:
        ValueError: If its numbers may mean anything.
    """
    mode, kind = picture.mode, picture.format
    if mode.startswith("I;16") or (mode == "I" and kind in ("PNG", "PPM")):
        return Image.fromarray(_upper_bytes(picture))
    if mode in ("I", "F", "LAB"):
        raise ValueError(f"its mode is {mode}: save it as PNG or JPEG")
    if picture.has_transparency_data:
        clear = picture.convert("RGBA")  # what is transparent shall be black
        black = Image.new("RGBA", clear.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, clear)
    return picture


def _upper_bytes(picture: Image.Image) -> NDArray[np.uint8]:
    """Return the upper bytes of grey levels of 16 bits.

    Raises:
        ValueError: If they have fewer bits, or are negative: Pillow does not tell.
    """
    tags = getattr(picture, "tag_v2", {_BITS: (16,), _WHITE: 1})
    if (tags[_BITS], tags[_WHITE]) != ((16,), 1):
        raise ValueError("a TIFF of a rare kind: save it as PNG or JPEG")
    deep = np.array(picture)
    deep[deep == picture.info.get("transparency")] = 0
    return (deep >> 8).astype(np.uint8)
