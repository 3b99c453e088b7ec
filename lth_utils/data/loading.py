"""Data sets by their words: found, fetched or computed."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lth_utils.arguments import several, whole
from lth_utils.data.cifar import SHA256, read_cifar
from lth_utils.data.datasets import Dataset, dataset, digest_of
from lth_utils.data.digits import colour_digits
from lth_utils.data.folders import listing
from lth_utils.data.mnist import (
    FASHION,
    MNIST,
    SMALL_SHA256,
    Source,
    read_files,
    read_small,
)
from lth_utils.data.pictures import Shape, read_pictures
from lth_utils.data.signals import read_signals
from lth_utils.data.splits import Split
from lth_utils.errors import LotteryError, choose
from lth_utils.files.places import data_folder
from lth_utils.words import PICTURES, SCALINGS, check_data, pictures

_VALIDATION = 5_000  # of the 60,000 training images, as in the paper's Figure 2


def load(name: str, scaling: str = "standardize") -> Dataset:
    """Load a data set: resident tensors in three splits.

    Args:
        name: `mnist-small` (in the package: 12,000 train, 2,000 validation,
            10,000 test images); `mnist` and `fashion-mnist` (55,000 / 5,000 /
            10,000; downloaded once into the folder that `LTH_DATA` names, or
            the user's cache folder); `mnist-1d` (4,000 / 1,000 / 1,000
            computed signals of 40 points) and `mnist-1d-shuffled` (their
            points in another order); `colour-digits` (32 x 32 colour pictures
            computed from `mnist-small`); `cifar10` (45,000 / 5,000 / 10,000
            photographs of 32 x 32, downloaded as the others are); or the name
            of a folder in `LTH_DATA` that `load_folder` can read.
        scaling: `standardize`, `unit` or `l2`; see `Dataset.scale`.

    Raises:
        LotteryError: If a word is unknown, or if the files are damaged, or
            missing and not to be had.
    """
    choose("scaling", scaling, SCALINGS)
    if folder := pictures(check_data(name)):
        return load_folder(folder, scaling)
    train, validation, test, digest = LOADERS[name]()
    return dataset(name, train, validation, test, scaling, digest)


def load_folder(
    path: str | Path, scaling: str = "standardize", shape: Shape = PICTURES
) -> Dataset:
    """Load pictures of your own: a folder of them, one sub-folder a class.

    Args:
        path: Has `train/` and `test/`, and perhaps `validation/` or `val/`, each
            with the same sub-folders. Without `validation/` it is a tenth of each
            class of `train/`. The data set has the folder's name.
        scaling: `standardize`, `unit` or `l2`; see `Dataset.scale`.
        shape: (channels, height, width) to bring the pictures to; 1 channel is
            grey. A warning says how many were of another size. Those are scaled
            until they cover it, and cut around their middle.

    Raises:
        LotteryError: If a folder or a class is missing or empty, or a picture
            cannot be read; names it.
    """
    folder = Path(path).absolute()
    with suppress(RuntimeError):  # a "~" that stands for nothing is a name
        folder = Path(path).expanduser().absolute()
    if folder.name == "..":
        folder = folder.resolve()
    read = read_pictures(folder, _checked(shape))
    train, validation, test = (_split(*arrays) for arrays in read)
    return dataset(folder.name, train, validation, test, scaling)


def _checked(shape: Shape) -> Shape:
    """Return a shape of pictures, checked."""
    given = several("The numbers of the pictures' shape", shape, str(PICTURES))
    sizes = tuple(whole("A number of the pictures' shape", n, 1) for n in given)
    if len(sizes) != 3 or sizes[0] not in (1, 3):
        raise LotteryError(
            f"The pictures' shape is {sizes}: expected (channels, height, width) with 1"
            f" channel for grey levels or 3 for colours, such as {PICTURES}."
        )
    return sizes


def digest(name: str) -> str:
    """Return the hash that names a data set's content; nothing is downloaded.

    Args:
        name: As for `load`.

    Raises:
        LotteryError: As `load`, but for what would be downloaded.
    """
    return _DIGESTS.get(check_data(name)) or _loaded(name, _stamp(name)).digest


def resident(name: str, scaling: str, device: torch.device) -> Dataset:
    """Return the data set on `device`; one is kept for who asks next.

    Raises:
        LotteryError: As `load`.
    """
    return _resident(check_data(name), _stamp(name), scaling, device)


@lru_cache(maxsize=len(SCALINGS))
def _resident(name: str, stamp: str, scaling: str, device: torch.device) -> Dataset:
    """The kept ones differ in their scaling, and share their images."""
    return replace(_loaded(name, stamp).to(device), scaling=scaling)


@lru_cache(maxsize=1)
def _loaded(name: str, stamp: str) -> Dataset:
    """What was read or computed once: that takes seconds."""
    return load(name)


def _stamp(name: str) -> str:
    """What changes when somebody changes a picture; "" of what nobody does."""
    folder = pictures(name)
    return listing(folder) if folder else ""


def _split(images: NDArray[np.uint8], labels: NDArray[Any]) -> Split:
    """Return tensors of images (N, H, W) or (N, H, W, C) and their labels."""
    picture = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    return Split(
        torch.from_numpy(picture.copy(order="C")),
        torch.from_numpy(labels.astype(np.int64)),
    )


def _mnist_small() -> tuple[Split, Split, Split, str]:
    """The packaged subset of MNIST."""
    train, validation, test = (_split(*arrays) for arrays in read_small())
    return train, validation, test, SMALL_SHA256


def _mnist() -> tuple[Split, Split, Split, str]:
    """The full MNIST."""
    return _from_files(MNIST)


def _fashion_mnist() -> tuple[Split, Split, Split, str]:
    """Clothes in place of MNIST's digits."""
    return _from_files(FASHION)


def _from_files(source: Source) -> tuple[Split, Split, Split, str]:
    """Four files; the last 5,000 training images are for validation."""
    images, labels, *test = read_files(source, data_folder())
    return (
        _split(images[:-_VALIDATION], labels[:-_VALIDATION]),
        _split(images[-_VALIDATION:], labels[-_VALIDATION:]),
        _split(*test),
        _digest_of_files(source),
    )


def _digest_of_files(source: Source) -> str:
    """What the files hold is known before they are there: by their own hashes."""
    return _hashed(*source.files.values(), _VALIDATION)


def _cifar10() -> tuple[Split, Split, Split, str]:
    """Photographs of ten things; the last 5,000 training images are for validation."""
    (images, labels), test = read_cifar(data_folder())
    return (
        _split(images[:-_VALIDATION], labels[:-_VALIDATION]),
        _split(images[-_VALIDATION:], labels[-_VALIDATION:]),
        _split(*test),
        _DIGESTS["cifar10"],
    )


def _hashed(*parts: object) -> str:
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()


def _mnist_1d(shuffled: bool = False) -> tuple[Split, Split, Split, str]:
    """Signals of 40 points, as images of one row."""
    train, validation, test = (
        _split(signals[:, None], labels) for signals, labels in read_signals(shuffled)
    )
    return train, validation, test, digest_of(train, validation, test)


def _colour_digits() -> tuple[Split, Split, Split, str]:
    """Coloured digits in clutter, each split from the subset's own split."""
    train, validation, test = (
        _split(colour_digits(images, seed), labels)
        for seed, (images, labels) in enumerate(read_small())
    )
    return train, validation, test, digest_of(train, validation, test)


# Digests that are known without the images.
_DIGESTS = {
    "mnist-small": SMALL_SHA256,
    "mnist": _digest_of_files(MNIST),
    "fashion-mnist": _digest_of_files(FASHION),
    "cifar10": _hashed(SHA256, _VALIDATION),
}
# A new data set is one more word in words.IMAGES and one more line here.
LOADERS: dict[str, Callable[[], tuple[Split, Split, Split, str]]] = {
    "mnist-small": _mnist_small,
    "mnist": _mnist,
    "fashion-mnist": _fashion_mnist,
    "mnist-1d": _mnist_1d,
    "mnist-1d-shuffled": partial(_mnist_1d, shuffled=True),
    "colour-digits": _colour_digits,
    "cifar10": _cifar10,
}
