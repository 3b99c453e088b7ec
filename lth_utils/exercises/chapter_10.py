"""Exercises of chapter 10: Generalization."""

from typing import Any

import numpy as np

from lth_utils.exercises.checks import (
    demand,
    exercise,
    near,
    number,
)
from lth_utils.experiments.records import recorded


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
