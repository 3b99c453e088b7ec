"""Exercises of chapter 9b: The border pixels and MNIST-1D."""

from typing import Any

import numpy as np
import torch

from lth_utils.exercises.checks import (
    array,
    demand,
    exercise,
    grid,
    near,
    number,
    returned,
)


@exercise(
    "9b.A",
    expects="a function of (weight, bias, constant, value)",
    right="All these connections were one bias, and the layer already has one.",
)
def _(answer: Any) -> None:
    weight = torch.arange(12.0).view(3, 4).cos()
    bias = torch.tensor([0.1, -0.2, 0.3])
    for at, value in (([1, 0, 0, 1], -0.5), ([0, 1, 0, 0], 2.0)):
        constant = torch.tensor(at) > 0
        # Only copies are handed out: an answer may change what it is given.
        given = (weight.clone(), bias.clone(), constant.clone(), value)
        found = returned(answer, *given)
        new_weight, new_bias = (grid(each) for each in found)
        demand(new_weight.shape == weight.shape, "The weight keeps its shape.")
        left = np.count_nonzero(new_weight[:, array(constant)])
        demand(not left, "There are still connections to constant inputs.")
        images = torch.arange(20.0).view(5, 4).sin()
        images[:, constant] = value
        wanted = array(images @ weight.T + bias)
        computed = array(images) @ new_weight.T + new_bias
        other = f"For a value of {value:g} the output is another than before."
        hint = f"{other} What did the constant inputs add to each unit?"
        demand(np.allclose(computed, wanted, atol=1e-5), hint)


@exercise(
    "9b.B",
    expects="a function of (mask, order) that returns a mask",
    right="What a ticket of shuffled signals found can be read in the original order.",
)
def _(answer: Any) -> None:
    order = torch.tensor([3, 0, 4, 1, 2])
    mask = torch.tensor([[1, 1, 0, 0, 1], [0, 1, 1, 0, 0], [1, 0, 0, 0, 0]]) > 0
    found = grid(returned(answer, mask[:, order].clone(), order.clone()), (3, 5)) != 0
    hint = "This shuffles once more, in the same order. It has to go the other way."
    demand((found != array(mask[:, order][:, order])).any(), hint)
    demand((found != array(mask[:, order])).any(), "Nothing has moved.")
    hint = "These are not the original columns. Where in `order` does point 0 stand?"
    demand((found == array(mask)).all(), hint)


@exercise(
    "9b.1",
    expects="a number",
    right="Fewer than one unit in three has a pair of neighbours by chance.",
)
def _(answer: Any) -> None:
    hint = "Of 39 neighbouring pairs, each is kept with the same probability."
    near(number(answer), 0.3, hint, within=0.01)


@exercise(
    "9b.2",
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
    four = torch.zeros(1, 784, dtype=torch.bool)
    four[0, 2:6] = True  # three pairs, in a unit with more pixels
    chance, of_four = (2 * 27 * 28 * pairs / (784 * 783) for pairs in (2, 12))
    alone, none, below, both = (
        number(returned(answer, mask.clone()))
        for mask in (side, apart, column, torch.cat([side, four]))
    )
    demand(none == 0, "The end of a line is no neighbour of the next one's beginning.")
    demand(alone > 0 and below > 0, "Count pairs side by side and pairs of two lines.")
    hint = "At how many places can a pair lie, and how often does a unit that draws"
    hint += " its k pixels, none of them twice, draw both of one?"
    near(round(alone * chance, 6), 1, hint, within=0.005)
    near(round(below * chance, 6), 1, hint, within=0.005)
    near(
        round(both * (chance + of_four), 6),
        4,
        "Add up all units first, then divide.",
        within=0.02,
    )


@exercise(
    "9b.3",
    expects="a function of (first, bias, second, order) that returns three tensors",
    right="The same function, with its units in another order: a twin.",
)
def _(answer: Any) -> None:
    first, bias = torch.arange(12.0).view(4, 3).cos(), torch.arange(4.0).sin()
    second, order = torch.arange(8.0).view(2, 4).sin(), torch.tensor([2, 0, 3, 1])
    given = (first, bias, second, order)
    found = returned(answer, *(each.clone() for each in given))
    demand(len(found) == 3, "Return three things: (first, bias, second).")
    rows, offset, columns = (
        grid(each, tuple(like.shape))
        for each, like in zip(found, given[:3], strict=True)
    )
    right = np.allclose(rows, array(first[order]))
    hint = "The first weight's row j has to be that of the unit order[j]."
    demand(right, hint)
    hint = "A unit owns its bias, too: it has stayed behind."
    demand(np.allclose(offset, array(bias[order])), hint)
    hint = "The next layer reads the units in the old order."
    demand(np.allclose(columns, array(second[:, order])), hint)
