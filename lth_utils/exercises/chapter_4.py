"""Exercises of chapter 4: Fully connected networks."""

from typing import Any

import numpy as np

from lth_utils.exercises.checks import (
    demand,
    exercise,
    near,
    number,
    whole,
)
from lth_utils.experiments.records import recorded
from lth_utils.experiments.tables import early_stop


@exercise(
    "4.1",
    expects="a number, in points of accuracy",
    right="If it is positive, the structure alone is worth more than the first values"
    " alone; if negative, less. Hold it against the gap of either to the ticket.",
)
def _(answer: Any) -> None:
    value = number(answer)
    stops = early_stop(recorded("lenet-mnist"))
    means = stops[stops["round"] == 11].groupby("arm")["test"].mean()
    expected = 100 * (means["reinit"] - means["random"])
    fraction = abs(100 * value - expected) <= 0.005 < abs(value - expected)
    demand(not fraction, "That is a fraction, and 0.01 is one point.")
    hint = "Take both arms at round 11 of the recorded run: reinit minus random."
    near(value, expected, hint, within=0.005)


@exercise(
    "4.2",
    expects="two whole numbers, such as (5, 4)",
    right="That is the price that the rounds must be worth.",
)
def _(answer: Any) -> None:
    in_rounds, at_once = answer
    hint = "Count each network that a round prunes, and the ticket's own training."
    near(whole(in_rounds), 8, f"In rounds: {hint}")
    near(whole(at_once), 2, f"At once: {hint}")


@exercise(
    "4.3",
    expects="a function of two arrays that returns two numbers",
    right="One seed with a very early stop moves the second number most.",
)
def _(answer: Any) -> None:
    slow, fast = np.array([3000, 5000, 4000]), np.array([1000, 2500, 4000])
    found = answer(slow, fast)
    demand(found is not None, "The function returns nothing yet.")
    of_means, of_ratios = map(number, found)
    swapped = round(of_means, 6) == 2.0 and round(of_ratios, 6) == 1.6
    demand(not swapped, "The ratio of means comes first.")
    hint = "divide the mean of slow by the mean of fast."
    near(of_means, 1.6, f"Ratio of means: {hint}", within=1e-6)
    hint = "divide seed by seed, then average."
    near(of_ratios, 2.0, f"Mean of ratios: {hint}", within=1e-6)


@exercise(
    "4.4",
    expects="two shares between 0 and 1, such as (0.9, 0.95)",
    right='So a "95 % interval" of three seeds is wrong once in four times.',
)
def _(answer: Any) -> None:
    three, five = map(number, answer)
    demand(three <= 1 and five <= 1, "A share is at most 1: 75 % is 0.75.")
    demand(three < five, "More seeds are right more often: three come first.")
    hint = "An interval is right if its low end is below 0 and its high end above."
    near(three, 0.75, f"Three seeds: {hint}", within=0.08)
    near(five, 0.83, f"Five seeds: {hint}", within=0.07)
