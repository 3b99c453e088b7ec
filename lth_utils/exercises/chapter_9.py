"""Exercises of chapter 9: Structure matters."""

from typing import Any

import numpy as np
import torch

from lth_utils.exercises.checks import (
    array,
    demand,
    exercise,
    near,
    number,
    returned,
)


@exercise(
    "9.1",
    expects="a number",
    right="Fewer than one unit in three has a pair of neighbours by chance.",
)
def _(answer: Any) -> None:
    hint = "Of 39 neighbouring pairs, each is kept with the same probability."
    near(number(answer), 0.3, hint, within=0.0005)


@exercise(
    "9.2",
    expects="a function of (weight, bias, constant, value)",
    right="All these connections were one bias, and the layer already has one.",
)
def _(answer: Any) -> None:
    weight = torch.arange(12.0).view(3, 4).cos()
    bias, constant = torch.tensor([0.1, -0.2, 0.3]), torch.tensor([1, 0, 0, 1]) > 0
    # Only copies are handed out: an answer may change what it is given.
    given = (weight.clone(), bias.clone(), constant.clone(), -0.5)
    found = returned(answer, *given)
    new_weight, new_bias = (array(each) for each in found)
    demand(new_weight.shape == weight.shape, "The weight keeps its shape.")
    left = np.count_nonzero(new_weight[:, array(constant)])
    demand(not left, "There are still connections to constant inputs.")
    images = torch.arange(20.0).view(5, 4).sin()
    images[:, constant] = -0.5
    wanted = array(images @ weight.T + bias)
    computed = array(images) @ new_weight.T + new_bias
    hint = "Another output than before. What did the constant inputs add to each unit?"
    demand(np.allclose(computed, wanted, atol=1e-5), hint)


@exercise(
    "9.3",
    expects="a function of a mask that returns a mask",
    right="The numbers of inputs are the ticket's, and the inputs are chance's.",
)
def _(answer: Any) -> None:
    mask = torch.arange(40).repeat(30, 1) < torch.arange(30)[:, None]
    first, second = (
        array(returned(answer, mask.clone()), (30, 40)) != 0 for _ in range(2)
    )
    kept = (first.sum(1) == array(mask).sum(1)).all()
    columns = (first.sum(0) == array(mask).sum(0)).all()
    demand(kept or not columns, "This keeps the columns' sums. A unit is a row.")
    demand(kept, "Some units have another number of inputs than before.")
    demand((first != array(mask)).any(), "This is the mask that was given.")
    demand((first != second).any(), "Two calls give the same mask: draw at random.")
    hint = "Some inputs are never drawn: every one should have the same chance."
    demand((first | second)[-5:].any(0).all(), hint)


@exercise(
    "9.4",
    expects="a function of a mask that returns a number",
    right="1 is chance; what the control has above it comes from which pixels are"
    " read, and the rest is pairing.",
)
def _(answer: Any) -> None:
    side = torch.zeros(1, 784, dtype=torch.bool)
    side[0, [0, 1]] = True  # a pair
    apart = torch.zeros(1, 784, dtype=torch.bool)
    apart[0, [27, 28]] = True  # the end of one line and the beginning of the next
    column = torch.zeros(1, 784, dtype=torch.bool)
    column[0, [5, 33]] = True  # one above the other
    chance = 2 * 27 * 28 * 2 / (784 * 783)
    alone, none, below, both = (
        number(returned(answer, mask.clone()))
        for mask in (side, apart, column, torch.cat([side, apart]))
    )
    demand(none == 0, "The end of a line is no neighbour of the next one's beginning.")
    demand(alone > 0 and below > 0, "Count pairs side by side and pairs of two lines.")
    hint = "There are 2 * 27 * 28 places for a pair; a unit with k pixels keeps one"
    hint += " with probability k / 784 * (k - 1) / 783."
    near(round(alone * chance, 6), 1, hint, within=0.005)
    near(round(below * chance, 6), 1, hint, within=0.005)
    near(round(both * chance, 6), 0.5, "Add up all units first, then divide.", 0.005)
