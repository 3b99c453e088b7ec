"""Exercises of chapter 11: More weights, more tickets."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, Any

import numpy as np

from lth_utils.evidence.study_measures import HELD, fewest, size
from lth_utils.exercises.checks import (
    called,
    demand,
    exercise,
    near,
    number,
    returned,
    several,
    whole,
)
from lth_utils.experiments.records import recorded
from lth_utils.experiments.tables import early_stop

if TYPE_CHECKING:
    import pandas as pd

SEEN = 0.18  # of the barren networks learn when an unlucky pair is put in
CLOSE = 0.0051  # points: an answer may be rounded
FALLEN = ("25-8", "50-17", "100-33")  # the widths whose recorded lines fall


def _widths() -> pd.DataFrame:
    """Return the recorded widths at early stop, with the number of weights."""
    stops = early_stop(recorded("lenet-width", "laptop"))
    weights = (stops["density"] * stops["experiment"].map(size)).round()
    return stops.assign(weights=weights)


@exercise(
    "11.A",
    expects="a share, from 0 to 1",
    right="Any new pair helps a few networks. The luck of the pair does the rest.",
)
def _(answer: Any) -> None:
    share = number(answer)
    demand(0 <= share <= 1, "A share lies between 0 and 1.")
    untouched = "That many learn if nothing is exchanged: the control must do it, too."
    demand(share > 0.07, untouched)
    demand(share < 0.85, "So many learn with lucky pairs: the control leaves out luck.")
    mixed = "Are some of your pairs lucky? Take pairs that are known not to be."
    near(share, SEEN, mixed, within=0.09)


@exercise(
    "11.B",
    expects="two whole numbers, by validation and by test accuracy",
    right="A count that is 0 by construction says nothing of the tickets.",
)
def _(answer: Any) -> None:
    first, second = several(answer, 2, "two counts")
    below = 0
    stops = _widths()
    for width in FALLEN:
        rows = stops[(stops["experiment"] == width) & (stops["arm"] == "dense")]
        dense = rows.set_index("seed")["test"]
        lead = 100 * (fewest(stops, f"{width}:ticket")["test"] - dense)
        below += int((lead.round(6) < -HELD).sum())
    swapped = (first, second) == (0, below)
    demand(not swapped, "The count by validation comes first.")
    chosen = 'The same choice twice? Give by="test" for the second.'
    demand(second != first, chosen)
    near(second, 0, "All of these held on the test images, or were not chosen.")
    near(first, below, "Count the test leads below -0.3 points, of 3 widths x 5 seeds.")


@exercise(
    "11.1",
    expects="a whole number of units",
    right="Real pairs share units, and with them their luck: it takes more.",
)
def _(answer: Any) -> None:
    units = whole(answer)
    demand(units != 24, "24 pairs are enough. How many units have so many?")
    hint = "How many pairs have so many units, and how likely do all of them fail?"
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
    for tolerance, lead, held, hint in (
        (0.25, -0.25, 410, "Just as far below as the tolerance is still within it."),
        (0.3, 0.6, 410, "A round that is ahead holds, however far it is ahead."),
        (0.5, -0.9, 512, "With a tolerance of 0.5, the round at -0.4 holds."),
    ):
        line = np.array([0.0, -0.6, 0.1, -0.4, lead])
        again = number(returned(answer, weights, line, tolerance))
        near(again, held, hint)


@exercise(
    "11.4",
    expects="five numbers, one a seed, in points of accuracy",
    right="At equal numbers of weights the widths are not equally good.",
)
def _(answer: Any) -> None:
    found = np.array(several(answer, 5, "five numbers, one for each seed"))
    stops = _widths()

    def read(width: str) -> np.ndarray:
        rows = stops[stops["experiment"] == width].sort_values("weights")
        return np.array(
            [
                100 * np.interp(log(12_000), np.log(each["weights"]), each["test"])
                for _, each in rows.groupby("seed")
            ]
        )

    expected = read("300-100") - read("50-17")
    close = np.abs(found - expected) <= CLOSE
    demand(not (np.abs(found + expected) <= CLOSE).all(), "300-100 comes first.")
    small = (np.abs(100 * found - expected) <= CLOSE).all() and not close.all()
    demand(not small, "These are fractions, and 0.01 is one point.")
    other = "Sorted otherwise? The numbers are right, and the seeds run from 0 to 4."
    same = np.abs(np.sort(found) - np.sort(expected)) <= CLOSE
    demand(close.all() or not same.all(), other)
    for seed, each in enumerate(found):
        hint = f"Seed {seed}: sort by weights, and interpolate over their logarithm."
        near(float(each), float(expected[seed]), hint, within=CLOSE)
