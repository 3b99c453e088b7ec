"""Exercises of chapter 2: Why not train the small network from the start?"""

from typing import Any

from lth_utils.exercises.checks import (
    demand,
    exercise,
    near,
    number,
    whole,
)


@exercise(
    "2.1",
    expects="a whole number of units",
    right="A tenth of the weights buys a little more than a tenth of 300 units.",
)
def _(answer: Any) -> None:
    units = whole(answer)
    demand(units != 30, "A tenth of the units leaves less than a tenth of the weights.")
    hint = "Try every n: 784 n + n n + 10 n shall come nearest to 26,620."
    near(units, 32, hint)


@exercise(
    "2.2",
    expects="a pair such as (12, 4)",
    right="The second layer is cheap, and four units are too few for ten classes.",
)
def _(answer: Any) -> None:
    shape = tuple(whole(units) for units in answer)
    demand(shape in [(12, 12), (12, 4)], "Answer with (12, 12) or (12, 4).")
    hint = "Train both, and compare .at(training.early_stop).accuracy."
    demand(shape == (12, 12), hint)


@exercise(
    "2.3",
    expects="a number of connections",
    right="Most of what the first layer computes, such a unit never sees.",
)
def _(answer: Any) -> None:
    seen = number(answer)
    demand(seen < 300, "There are 300 units before it: count the living only.")
    demand(seen > 1, "Give a number of connections, not a density.")
    hint = "Divide the living weights of fc2.weight by its rows."
    near(seen, 4.32, hint, within=0.05)


@exercise(
    "2.4",
    expects="a pair of numbers, in points",
    right="Time closes a part of the gap. The rest is a matter of the values.",
)
def _(answer: Any) -> None:
    once, twice = (number(gap) for gap in answer)
    demand(once > 0, "Take fine-tuned minus newcomer.")
    demand(once > 0.1, "Give points, not fractions: 0.02 are 2 points.")
    hint = "Twice the iterations should help. Did both start from the same values?"
    demand(twice < once, hint)
