"""The exercises of chapters 8 to 11: what each answer must be, and the hints."""

from typing import Any

import numpy as np
import torch

from lth_utils.checks import (
    array,
    called,
    demand,
    exercise,
    near,
    number,
    returned,
    whole,
)
from lth_utils.pairs import paired
from lth_utils.records import recorded
from lth_utils.tables import early_stop

# ---- Chapter 8: Initialization matters


@exercise(
    "8.1",
    expects="a fraction",
    right="So much of the ticket's lead is left under all that noise.",
)
def _(answer: Any) -> None:
    stops = early_stop(recorded("lenet-inits"))
    above = 100 * paired(stops, "noise-3", "reinit", 18).mean()
    whole = 100 * paired(stops, "ticket", "reinit", 18).mean()
    value = number(answer)
    demand(abs(value - above) > 0.005, "Those are points: divide by the whole gap.")
    percent = abs(value - 100 * above / whole) < 0.5
    demand(not percent, "That is a percentage: give a fraction.")
    rest = abs(value - (1 - above / whole)) < 0.005
    demand(not rest, "That is the share that the noise takes away.")
    hint = "Divide noise-3 minus reinit by ticket minus reinit, at round 18."
    near(value, above / whole, hint, within=0.005)


@exercise(
    "8.2",
    expects="a function of (values, mask, generator)",
    right="The histogram is the ticket's, and the places are not.",
)
def _(answer: Any) -> None:
    draw = torch.Generator().manual_seed(0)
    values = torch.randn(20, 30, generator=draw)
    mask = values.abs() > 0.9
    found = returned(
        answer, values.clone(), mask.clone(), torch.Generator().manual_seed(1)
    )
    fresh = array(found, (20, 30))
    alive, own = array(mask), array(values[mask])
    demand(not fresh[~alive].any(), "A weight that was pruned has to be 0.")
    demand(np.isin(fresh[alive], own).all(), "Draw from the survivors' values only.")
    same = (fresh[alive] == own).mean()
    demand(same < 0.5, "Each survivor has kept its own value: draw them at random.")
    again = answer(values.clone(), mask.clone(), torch.Generator().manual_seed(2))
    differs = not np.array_equal(array(again), fresh)
    demand(differs, "Another generator gives the same draw: use the one given.")


@exercise(
    "8.3",
    expects="a function of one number",
    right="Harmless noise turns few signs, and even the strongest leaves a majority.",
)
def _(answer: Any) -> None:
    for size in (0.5, 1.0, 3.0):
        found = returned(answer, size)
        expected = 1 - np.arctan(size) / np.pi
        value = number(found)
        demand(value <= 1, "Return a probability, not a percentage.")
        turned = abs(value - (1 - expected)) < 0.005 < abs(value - expected)
        demand(not turned, "That is the probability that the sign turns.")
        hint = f"That is for size {size:g}. In doubt, draw a million pairs and count."
        near(round(value, 4), expected, hint, within=0.005)


@exercise(
    "8.4",
    expects="a function of (start, change, keep)",
    right="Now deal the changes at random, and compare.",
)
def _(answer: Any) -> None:
    start = torch.tensor([0.1, -2.0, 0.5, -0.3, 1.0, 0.0])
    change = torch.tensor([0.3, 1.9, -0.7, -0.6, 0.5, -0.2])
    found = returned(answer, start.clone(), change.clone(), 2)
    value = number(found)
    # Largest at the end: 1.5 and -0.9, which moved by 0.5 and 0.6.
    before = (1.9 + 0.5) / 2 / ((0.3 + 0.7 + 0.6 + 0.2) / 4)
    demand(abs(value - before) > 1e-3, "Those are the largest at the start.")
    signed = (0.5 + 0.3) / 2 / ((1.9 - 0.7 - 0.6 - 0.2) / 4)
    demand(abs(value - signed) > 1e-3, "Compare the ends without their signs.")
    hint = "Sort by |start + change|, and average |change| on both sides."
    near(round(value, 4), 0.55 / 0.775, hint, within=1e-3)


# ---- Chapter 9: Structure matters


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


# ---- Chapter 10: Generalization


@exercise(
    "10.1",
    expects="a number, in points of accuracy",
    right="The network with the larger gap is the better one: a small gap alone is no"
    " virtue.",
)
def _(answer: Any) -> None:
    value = number(answer)
    parts = abs(value - 0.3) > 0.005 and abs(value - 0.9) > 0.005
    demand(parts, "That is one of the two parts: take off the gap of each network.")
    hint = "Test accuracy is training accuracy minus gap, for each network."
    near(value, 0.6, hint, within=0.005)


@exercise(
    "10.2",
    expects="a number: the later loss minus the earlier one",
    right="The network got surer of everything, and the few mistakes outweigh it.",
)
def _(answer: Any) -> None:
    before = -(0.9 * np.log(0.9) + 0.1 * np.log(0.05))
    later = -(0.9 * np.log(0.99) + 0.1 * np.log(0.001))
    value = number(answer)
    demand(abs(value + later - before) > 0.005, "Take later minus before.")
    hint = "Average -log p over the 100 images, 90 of one kind and 10 of the other."
    near(value, later - before, hint, within=0.005)


@exercise(
    "10.3",
    expects="a number, in points of accuracy",
    right="By loss as by accuracy: at an equal point of the road, the ticket is ahead.",
)
def _(answer: Any) -> None:
    value, expected = number(answer), _ahead_at_equal_loss()
    fraction = abs(100 * value - expected) <= 0.02 < abs(value - expected)
    demand(not fraction, "That is a fraction, and 0.01 is one point.")
    hint = "Ticket at round 7 minus dense, in the recorded run, at a loss of 0.05."
    near(value, expected, hint, within=0.02)


def _ahead_at_equal_loss() -> float:
    """Return ticket minus dense where the training loss first falls to 0.05."""
    table = recorded("lenet-mnist")
    ends = {}
    for arm, at in (("dense", 0), ("ticket", 7)):
        rows = table[(table["arm"] == arm) & (table["round"] == at)]
        found = []
        for _, mine in rows.groupby("seed"):
            points = mine.pivot(index="iteration", columns="split")
            loss, test = points["loss", "train"], points["accuracy", "test"]
            new = loss < loss.cummin().shift(fill_value=np.inf)
            found.append(np.interp(0.05, loss[new][::-1], test[new][::-1]))
        ends[arm] = np.mean(found)
    return float(100 * (ends["ticket"] - ends["dense"]))


# ---- Chapter 11: More weights, more tickets


@exercise(
    "11.1",
    expects="a whole number of units",
    right="Real pairs share units, and with them their luck: it takes more.",
)
def _(answer: Any) -> None:
    units = whole(answer)
    demand(units != 24, "24 pairs are enough. How many units have so many?")
    hint = "n units have n (n - 1) / 2 pairs; all of them fail with 0.82 to that power."
    near(units, 8, hint)


@exercise(
    "11.2",
    expects="a function of two lists that returns a number",
    right="Fewer by a few digits in thousands: the layers hardly limit the choice.",
)
def _(answer: Any) -> None:
    found = returned(answer, [4, 5], [2, 1])  # 6 * 5 ways
    value = number(found)
    demand(round(value, 6) != 30, "That is the number itself: give its log10.")
    added = round(value, 6) == round(float(np.log10(11)), 6)
    demand(not added, "Each choice in one layer goes with each in the other.")
    near(value, float(np.log10(30)), "Four give 6 pairs, five give 5: 30 ways.", 1e-6)
    large = number(returned(answer, [235_200, 1_000], [9_000, 100]))
    near(large, 16_725.1, "Add the logarithms of the layers.", within=0.5)


@exercise(
    "11.3",
    expects="a function of (weights, lead, tolerance)",
    right="A line that dips and returns has not fallen for good.",
)
def _(answer: Any) -> None:
    weights = np.array([1000, 800, 640, 512, 410])
    dips = np.array([0.0, -0.5, 0.1, -0.2, -0.9])
    found = returned(answer, weights, dips, 0.3)
    demand(number(found) != 1000, "It stops at the first dip: the line comes back.")
    near(number(found), 512, "0.2 points below is still within a tolerance of 0.3.")
    never = called(answer, weights, dips - 5, 0.3)
    demand(never is None, "If no round holds, the answer is None.")


@exercise(
    "11.4",
    expects="a number, in points of accuracy",
    right="The same number of weights, and only one side was chosen from many.",
)
def _(answer: Any) -> None:
    value = number(answer)
    stops = early_stop(recorded("lenet-width"))
    wide = stops[stops["experiment"] == "600-200"]
    # Dense networks: 784 * 600 + 600 * 200 + 10 * 200, and 40,220 weights.
    small = wide[(wide["density"] * 592_400).round() <= 40_220]
    first = small[small["round"] == small["round"].min()]
    narrow = stops[(stops["experiment"] == "50-17") & (stops["arm"] == "dense")]
    expected = 100 * (first["test"].mean() - narrow["test"].mean())
    fraction = abs(100 * value - expected) <= 0.005 < abs(value - expected)
    demand(not fraction, "That is a fraction, and 0.01 is one point.")
    hint = "Take 600-200 at the first round with at most 40,220 weights."
    near(value, expected, hint, within=0.005)
