"""Data sets by their words: found, fetched or computed."""

import hashlib
from collections.abc import Callable
from functools import cache, lru_cache, partial

import numpy as np
import torch
from numpy.typing import NDArray

from lth_utils.data.datasets import Dataset, dataset, digest_of
from lth_utils.data.digits import colour_digits
from lth_utils.data.mnist import (
    FASHION,
    MNIST,
    SMALL_SHA256,
    Source,
    data_folder,
    read_files,
    read_small,
)
from lth_utils.data.signals import read_signals
from lth_utils.data.splits import Split
from lth_utils.errors import choose
from lth_utils.words import DATASETS, SCALINGS

_VALIDATION = 5_000  # of the 60,000 training images, as in the paper's Figure 2


def load(name: str, scaling: str = "standardize") -> Dataset:
    """Load a data set: resident tensors in three splits.

    Args:
        name: `mnist-small` (in the package: 12,000 train, 2,000 validation,
            10,000 test images); `mnist` and `fashion-mnist` (55,000 / 5,000 /
            10,000; downloaded once into the folder that `LTH_DATA` names, or
            the user's cache folder); `mnist-1d` (4,000 / 1,000 / 1,000
            computed signals of 40 points) and `mnist-1d-shuffled` (their
            points in another order); or `colour-digits` (32 x 32 colour
            pictures computed from `mnist-small`).
        scaling: `standardize`, `unit` or `l2`; see `Dataset.scale`.

    Raises:
        LotteryError: If a word is unknown, or if the files are damaged, or
            missing and not to be had.
    """
    choose("data set", name, DATASETS)
    choose("scaling", scaling, SCALINGS)
    train, validation, test, digest = LOADERS[name]()
    return dataset(name, train, validation, test, scaling, digest)


def digest(name: str) -> str:
    """Return the hash that names a data set's content; nothing is downloaded.

    Args:
        name: As for `load`.

    Raises:
        LotteryError: If the word is unknown.
    """
    choose("data set", name, DATASETS)
    return _DIGESTS.get(name) or _computed_digest(name)


@cache
def _computed_digest(name: str) -> str:
    """The hash of what is computed: the same each time, and it takes seconds."""
    return load(name).digest


@lru_cache(maxsize=1)
def resident(name: str, scaling: str, device: torch.device) -> Dataset:
    """Return the data set on `device`; one is kept for who asks next."""
    return load(name, scaling).to(device)


def _split(images: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Split:
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
    content = "/".join([*source.files.values(), str(_VALIDATION)])
    return hashlib.sha256(content.encode()).hexdigest()


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
}
# A new data set is one more word in words.IMAGES and one more line here.
LOADERS: dict[str, Callable[[], tuple[Split, Split, Split, str]]] = {
    "mnist-small": _mnist_small,
    "mnist": _mnist,
    "fashion-mnist": _fashion_mnist,
    "mnist-1d": _mnist_1d,
    "mnist-1d-shuffled": partial(_mnist_1d, shuffled=True),
    "colour-digits": _colour_digits,
}
