"""How an exercise's answer is checked: what is right, or wrong and a hint.

An exercise (the book's are in the files beside this one) is one small function,
registered under its number. It demands things of the answer, one after
another; the first that fails is what the reader is told. It may compute what
it expects, and its hints lead there without giving it away.

    @exercise("2.1", expects="a whole number", right="So many weights remain.")
    def _(answer: Any) -> None:
        near(whole(answer), 55_893, hint="Each round keeps four fifths.")
"""

import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from math import prod
from numbers import Real
from typing import Any

import numpy as np

from lth_utils.errors import LotteryError, choose
from lth_utils.figures.glue import say


class _Wrong(Exception):
    """Carries the sentence that tells what is wrong with an answer."""


_Demand = Callable[[Any], None]
_EXERCISES: dict[str, tuple[_Demand, str, str]] = {}


def check(which: str, answer: Any) -> bool:
    """Check an exercise's answer; say what is right, or wrong with a hint.

    Args:
        which: The exercise's number, such as "4.2".
        answer: What the exercise asks for.

    Returns:
        Whether it is right. A wrong answer, of whatever type, is no error.

    Raises:
        LotteryError: If there is no such exercise.
    """
    demands, expects, right = _EXERCISES[choose("exercise", which, _EXERCISES)]
    try:
        with _same_chance():
            demands(answer)
    except (_Wrong, LotteryError) as wrong:
        say(f"{which}: not yet. {wrong}")
        return False
    except Exception:  # whatever an unforeseen answer does to the check
        say(f"{which}: not yet. Expected {expects}, and got {_described(answer)}.")
        return False
    say(f"{which}: right. {right}")
    return True


def _same_chance() -> AbstractContextManager[Any]:
    """Leave torch's generator as it was: the reader's draws go on from there."""
    torch = sys.modules.get("torch")
    return torch.random.fork_rng(devices=[]) if torch else nullcontext()


def exercise(which: str, expects: str, right: str) -> Callable[[_Demand], _Demand]:
    """Register a function that demands things of an answer.

    Args:
        which: The exercise's number, such as "4.2".
        expects: What kind of answer, in words ("a number, in percent").
        right: What a reader with the right answer has seen, a sentence.
    """

    def register(demands: _Demand) -> _Demand:
        _EXERCISES[which] = (demands, expects, right)
        return demands

    return register


def demand(condition: Any, hint: str) -> None:
    """Go on only if the condition holds; else tell the reader `hint`."""
    if not condition:
        raise _Wrong(hint)


def number(answer: Any) -> float:
    """Read a finite number: Python's, NumPy's, or a tensor of one element."""
    value = _plain(answer)
    real = isinstance(value, Real) and not isinstance(value, bool)
    demand(real, f"Expected a number, and got {_described(answer)}.")
    demand(np.isfinite(float(value)), f"{value} is no finite number.")
    return float(value)


def whole(answer: Any) -> int:
    """Read a whole number; 3.0 is one too."""
    value = number(answer)
    demand(value == int(value), f"Expected a whole number, and got {value:g}.")
    return int(value)


def listed(answer: Any, what: str) -> list[Any]:
    """Read several things: any sequence, an array, a column, a dict's values."""
    demand(
        answer is not None and answer is not ..., f"Expected {what}, and got no answer."
    )
    demand(not isinstance(answer, str), f"Expected {what}, and got a text.")
    held = answer.values() if isinstance(answer, Mapping) else answer
    held = held.tolist() if hasattr(held, "tolist") else held
    demand(not isinstance(held, Real), f"That is one number. Expected {what}.")
    return list(held)


def several(answer: Any, count: int | None, what: str) -> list[float]:
    """Read so many finite numbers (None: any number of them), as `listed` does."""
    found = [number(each) for each in listed(answer, what)]
    right = count is None or len(found) == count
    demand(right, f"Expected {what}, and got {len(found)} of them.")
    return found


def near(value: float, expected: float, hint: str, within: float = 0.0) -> None:
    """Demand a number no farther than `within` from the expected one."""
    side = "small" if value < expected else "large"
    demand(abs(value - expected) <= within, f"{value:g} is too {side}. {hint}")


def array(answer: Any, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Read an array or a tensor, of a shape if one is given."""
    demand(
        hasattr(answer, "shape") and hasattr(answer, "__array__"),
        f"Expected an array or a tensor, and got {_described(answer)}.",
    )
    found = _numpy(answer)
    demand(
        shape is None or found.shape == shape,
        f"Expected the shape {shape}, and got {found.shape}.",
    )
    return found


def grid(answer: Any, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Read an array or a tensor as `array` does, or nested lists."""
    nested = isinstance(answer, list | tuple)
    return array(np.array([_numpy(row) for row in answer]) if nested else answer, shape)


def same_mask(answer: Any, expected: Any, hint: str) -> None:
    """Demand a mask of the same shape, of 0 and 1, equal everywhere."""
    wanted = _numpy(expected) != 0
    found = array(answer, wanted.shape)
    demand(np.isin(found, (0, 1)).all(), "A mask holds only 0 and 1 (or bools).")
    kept, right = int(found.sum()), int(wanted.sum())
    more = "more" if kept > right else "fewer"
    demand(kept == right, f"It keeps {abs(kept - right)} weights {more}. {hint}")
    differ = np.count_nonzero((found != 0) != wanted)
    demand(not differ, f"It keeps as many weights, but {differ} differ. {hint}")


def same_masks(answer: Any, expected: Mapping[str, Any], hint: str) -> None:
    """Demand masks as `lth.prune` returns them, equal layer by layer."""
    found = named(answer, expected, "masks, as lth.prune returns them")
    for name in expected:
        same_mask(found[name], expected[name], f"Look at {name}. {hint}")


def named(answer: Any, names: Collection[str], what: str) -> Mapping[str, Any]:
    """Read what has a value under each of the names, and under no other."""
    mapping = isinstance(answer, Mapping)
    demand(mapping, f"Expected {what}, and got {_described(answer)}.")
    each = f"Expected {what}, one for each of {', '.join(names)}."
    demand(set(answer) == set(names), each)
    return answer


def called(function: Any, *arguments: Any) -> Any:
    """Call the reader's function; its own failure is told, not raised."""
    demand(callable(function), f"Expected a function, and got {_described(function)}.")
    try:
        return function(*arguments)
    except Exception as error:
        raise _Wrong(
            f"Your function stopped with {type(error).__name__}: {error}"
        ) from error


def returned(function: Any, *arguments: Any) -> Any:
    """Call the reader's function, which has to return something."""
    found = called(function, *arguments)
    demand(found is not None, "The function returns nothing yet.")
    return found


def _plain(answer: Any) -> Any:
    """Take a NumPy or torch value of one element out of its wrapping."""
    single = hasattr(answer, "item") and prod(getattr(answer, "shape", (2,))) == 1
    return answer.item() if single else answer


def _numpy(answer: Any) -> np.ndarray:
    ready = answer.detach().cpu() if hasattr(answer, "detach") else answer
    found: np.ndarray = np.asarray(ready)
    return found


def _described(answer: Any) -> str:
    """Name an answer's type, and its value if that is short."""
    if answer is None or answer is ...:
        return "no answer"
    kind = type(answer).__name__
    try:
        text = repr(answer)
    except Exception:  # the reader's own class may fail at it
        return f"a value of type {kind}"
    return f"the {kind} {text}" if len(text) <= 30 else f"a value of type {kind}"
