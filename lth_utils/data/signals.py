"""MNIST-1D: noisy signals of 40 points, computed and not downloaded.

Greydanus and Kobak's small stand-in for MNIST (ICML 2024), by its own
generator, the package `mnist1d`: ten templates, stretched, moved, sheared and
laid into correlated noise. Here they are bytes, like every other data set.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from lth_utils.errors import LotteryError

POINTS = 40
# The generator gives all its signals together mean 0 and deviation 1; they lie
# in -5.5 to 4.6. Steps of 12 / 255 err by 0.014 (standard deviation), and even
# the least noise, that of each point by itself, is 0.09 or more.
LEAST, MOST = -6.0, 6.0
_SEED = 42  # the generator's own, of the published 4,000 train and 1,000 test
_VALIDATION_SEED = 43
_ORDER_SEED = 0  # of the one order of points that the shuffled signals have

_Floats = NDArray[np.float64]
_Bytes = NDArray[np.uint8]


def read_signals(shuffled: bool = False) -> list[tuple[_Bytes, _Bytes]]:
    """Compute the signals; the global random state is as before.

    Train and test are the published draw. Validation is what would be the
    test split of a second draw.

    Args:
        shuffled: Whether every signal's points are put in one other order,
            which takes away what is next to what.

    Returns:
        Signals (N, 40) and labels (N,) of train, validation and test.

    Raises:
        LotteryError: If the package `mnist1d` cannot be imported.
    """
    train, test = _draw(_SEED)
    _, validation = _draw(_VALIDATION_SEED)
    order = np.arange(POINTS)
    if shuffled:
        order = np.random.RandomState(_ORDER_SEED).permutation(POINTS)
    return [
        (_levels(signals[:, order]), labels.astype(np.uint8))
        for signals, labels in (train, validation, test)
    ]


def _draw(seed: int) -> list[tuple[_Floats, NDArray[np.int64]]]:
    """Return train and test split of one draw, 4,000 and 1,000 signals."""
    try:
        from mnist1d.data import get_dataset_args, make_dataset  # slow: SciPy
    except Exception as error:
        raise LotteryError(
            f"Cannot import mnist1d, which computes MNIST-1D ({error}). Install it"
            ' (pip install mnist1d), or use load("mnist-small").'
        ) from error
    settings = get_dataset_args()
    settings.seed = seed
    with _unchanged_random_state():
        made = make_dataset(settings)
    return [(made["x"], made["y"]), (made["x_test"], made["y_test"])]


@contextmanager
def _unchanged_random_state() -> Iterator[None]:
    """Put back the global random states that the generator seeds."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def _levels(signals: _Floats) -> _Bytes:
    """Round to the nearest of 256 levels from LEAST to MOST."""
    steps = (signals - LEAST) * (255 / (MOST - LEAST))
    return np.rint(steps).clip(0, 255).astype(np.uint8)
