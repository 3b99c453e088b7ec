"""Exercises of chapter 8: Initialization matters."""

from typing import Any

import numpy as np
import torch

from lth_utils.evidence.pairs import paired
from lth_utils.exercises.checks import (
    array,
    demand,
    exercise,
    near,
    number,
    returned,
)
from lth_utils.experiments.records import recorded
from lth_utils.experiments.tables import early_stop


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
