"""Exercises of chapter 9: Connections."""

from typing import Any

import numpy as np
import torch

from lth_utils.exercises.checks import array, demand, exercise, grid, number, returned


def _drawn(answer: Any, *given: torch.Tensor, times: int = 2) -> list[np.ndarray]:
    """Call a function that draws a mask; each call gets its own copies."""
    shape = tuple(given[0].shape)
    found = [
        grid(returned(answer, *(each.clone() for each in given)), shape) != 0
        for _ in range(times)
    ]
    demand((found[0] != array(given[0])).any(), "This is the mask that was given.")
    same = (found[0] == found[1]).all()
    demand(not same, "Two calls give the same mask: draw at random.")
    return found


@exercise(
    "9.A",
    expects="a function of a mask that returns a mask",
    right="The numbers of inputs are the ticket's, and the inputs are chance's.",
)
def _(answer: Any) -> None:
    mask = torch.arange(40).repeat(30, 1) < torch.arange(30)[:, None]
    masks = _drawn(answer, mask, times=3)
    first = masks[0]
    kept = (first.sum(1) == array(mask).sum(1)).all()
    columns = (first.sum(0) == array(mask).sum(0)).all()
    demand(kept or not columns, "This keeps the columns' sums. A unit is a row.")
    demand(kept, "Some units have another number of inputs than before.")
    hint = "Some inputs are never drawn: every one should have the same chance."
    demand(np.any(masks, axis=0)[-5:].any(0).all(), hint)
    # What was given: row k has its first k inputs. By chance, a row of k has about
    # k (40 - k) / 40 groups of neighbours, and lacks some of the row before it.
    groups = (first & ~np.roll(first, 1, axis=1)).sum()  # 227, by chance
    hint = "A row's inputs stay side by side: draw each of them by chance."
    demand(groups > 120, hint)
    lacks = (first[:-1] & ~first[1:]).sum()  # about as many
    demand(lacks > 120, "All rows are mixed in the same way: draw for each anew.")


@exercise(
    "9.B",
    expects="a function of the number of inputs and of a share from 0 to 1",
    right="A unit with 784 inputs is bound to keep a more even share of them than a"
    " pixel with 300 readers.",
)
def _(answer: Any) -> None:
    at = number(returned(answer, 400, 0.2))
    deviation = (400 * 0.2 * 0.8) ** 0.5  # 8 of 80 inputs
    hints = {
        deviation: "This counts inputs: put it in percent of how many are kept.",
        deviation**2: "This is a variance, in inputs: take its root, and a percentage.",
        deviation / 80: "Right as a fraction; in percent it is a hundred times that.",
        100 / 80**0.5: "If all inputs are kept, all units are alike: nothing is left.",
        100 * deviation / 400: "In percent of the inputs that are kept, not of all.",
    }
    for wrong, hint in hints.items():
        demand(abs(at - wrong) > 0.01 * wrong, f"{at:.3g} is not it. {hint}")
    demand(
        abs(at - 10) <= 0.1,
        f"{at:.3g} for 400 inputs and a share of 0.2 is not it."
        " How far do the heads of 400 coins, each with one chance in five, vary?",
    )
    other = number(returned(answer, 100, 0.5))
    hint = "It is right for one layer, and not for another. Use both arguments."
    demand(abs(other - 10) <= 0.1, hint)


@exercise(
    "9.1",
    expects="a function of a mask that returns a mask",
    right="Both counts are the ticket's, and who is connected with whom is chance's.",
)
def _(answer: Any) -> None:
    draw = torch.rand(40, 60, generator=torch.Generator().manual_seed(0))
    chances = torch.linspace(0.1, 0.9, 40)[:, None] * torch.linspace(0.3, 1, 60)
    mask = draw < chances
    first, _ = _drawn(answer, mask)
    given = array(mask)
    rows = (first.sum(1) == given.sum(1)).all()
    columns = (first.sum(0) == given.sum(0)).all()
    demand(rows or not columns, "Columns keep their sums, and some rows do not.")
    demand(columns or not rows, "Rows keep their sums, and some columns do not.")
    demand(rows and columns, "Neither rows nor columns keep their sums.")
    changed = (first != given).mean()
    demand(changed > 0.1, "Nearly the mask that was given: change it much further.")
    still = (first == given).all(1).sum()
    hint = f"{still} units with inputs to trade have still the ones that they had."
    demand(still <= 2, hint)


@exercise(
    "9.2",
    expects="a function of (mask, values) that returns a mask",
    right="Survivors of the same sizes, at places that are chance's.",
)
def _(answer: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(20, 50, generator=generator)
    # More of the large ones survive, and of these more of those above zero.
    chance = values.abs() / 3 * torch.where(values > 0, 1.0, 0.5)
    mask = torch.rand(20, 50, generator=generator) < chance
    first, _ = _drawn(answer, mask, values)
    given, sizes = array(mask), array(values.abs())
    demand(
        first.sum() == given.sum(), "There are more survivors, or fewer, than given."
    )
    found, wanted = (_by_part(sizes, each) for each in (first, given))
    signed = _by_part(array(values), first) == _by_part(array(values), given)
    hint = "These parts are sorted with the sign. A size has none: -2 is larger than 1."
    demand(not (signed and found != wanted), hint)
    demand(found == wanted, "Some of the ten parts have another number of survivors.")
    moved = _by_part(sizes, first & ~given)
    still = sum(not each for each, kept in zip(moved, wanted, strict=True) if kept > 3)
    hint = f"{still} of the ten parts have the survivors that they had: draw in each."
    demand(not still, hint)


def _by_part(order: np.ndarray, mask: np.ndarray) -> list[int]:
    """Count survivors in each tenth, from the least of `order` to the greatest."""
    return [int(mask.flat[part].sum()) for part in np.split(order.argsort(None), 10)]
