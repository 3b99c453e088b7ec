"""The numbers and lists that a user gives, in one place that needs no torch.

Each is looked at before any work, and comes back as plain Python's own: what
is kept, hashed or written as JSON is the same for 3 and for NumPy's 3.
"""

import math
import operator
import reprlib
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any, TypeVar

from lth_utils.errors import LotteryError

_Item = TypeVar("_Item")


def integer(value: Any) -> int | None:
    """Return `value` as an int, NumPy's too; None for True, 3.0 and all else."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def whole(what: str, value: object, least: int, most: int | None = None) -> int:
    """Return `value` as an int if it is a whole number in a range.

    Args:
        what: What it is, for the message ("The number of rounds").
        value: What the user gave.
        least: The smallest that is right.
        most: The largest; None for no end.

    Raises:
        LotteryError: If it is anything else.
    """
    number = integer(value)
    if number is None or number < least or (most is not None and number > most):
        span = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise LotteryError(f"{what} is {value!r}: expected an integer {span}.")
    return number


def real(value: object) -> float:
    """Return `value` as a float, NumPy's too; NaN for True, "1" and all else.

    NaN lies in no range, so that one comparison refuses both.
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    return float(value) if is_number else math.nan  # type: ignore[arg-type]


def several(
    what: str, values: Iterable[_Item], example: str, may_be_empty: bool = False
) -> tuple[_Item, ...]:
    """Return `values` as a tuple.

    Args:
        what: What they are, for the message ("The seeds").
        values: What the user gave: a tuple, a list, a range.
        example: What would have been right.
        may_be_empty: Whether there may be none.

    Raises:
        LotteryError: If they are a single word or number, or none.
    """
    try:
        found = None if isinstance(values, str) else tuple(values)
    except TypeError:  # one number, or NumPy's array of it
        found = None
    if found is None:
        raise LotteryError(
            f"{what} are {reprlib.repr(values)}: expected several in a tuple, such as"
            f" {example}."
        )
    if not found and not may_be_empty:
        raise LotteryError(f"{what} are none: expected at least one, as in {example}.")
    return found


def distinct(what: str, values: tuple[_Item, ...]) -> tuple[_Item, ...]:
    """Return `values` if none is there twice.

    Raises:
        LotteryError: If one is.
    """
    for value in values:
        if values.count(value) > 1:
            raise LotteryError(
                f"{what} name {value!r} twice: expected each once; leave one out."
            )
    return values


def check_fraction(fraction: float, what: str = "pruning fraction") -> float:
    """Return `fraction` as a float if it lies in [0, 1).

    Raises:
        LotteryError: If it does not.
    """
    if not 0 <= real(fraction) < 1:
        raise LotteryError(
            f"The {what} is {fraction!r}: expected a number of at least 0 and below"
            " 1, such as 0.2 for 20 %."
        )
    return real(fraction)


def check_crop(crop: object, name: str, shape: tuple[int, ...]) -> int:
    """Return a border's width as an int, if every window within shows the image.

    Args:
        crop: What the user gave.
        name: The data set's.
        shape: Of its images, (channels, height, width).

    Raises:
        LotteryError: If it is none, or a window could miss the image.
    """
    width = whole("The crop", crop, 0)
    if width >= min(shape[1:]):
        raise LotteryError(
            f"The crop is {width}, but the images of {name!r} have {shape[1]} x"
            f" {shape[2]} pixels: expected an integer from 0 to {min(shape[1:]) - 1},"
            " so that no window misses the image. Choose another."
        )
    return width


def check_rates(rates: Mapping[str, float], scope: str) -> dict[str, float]:
    """Return the fraction of each kind of layer, checked.

    Raises:
        LotteryError: If one is out of range, or several are meant for the one
            group of global pruning.
    """
    checked = {
        kind: check_fraction(rate, f"pruning fraction of {kind!r}")
        for kind, rate in rates.items()
    }
    if scope == "global" and len(set(checked.values()) - {0.0}) > 1:
        raise LotteryError(
            f"Global pruning has one rate, but the fractions are {checked}:"
            " expected the same number for every kind that is pruned; leave a"
            " kind out to keep it whole."
        )
    return checked
