"""Exercises of chapter 11: More weights, more tickets."""

from typing import Any

import numpy as np

from lth_utils.exercises.checks import (
    called,
    demand,
    exercise,
    near,
    number,
    returned,
    whole,
)
from lth_utils.experiments.records import recorded
from lth_utils.experiments.tables import early_stop


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
