"""Exercises of chapter 1: What is pruning?"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from lth_utils.exercises.checks import (
    array,
    demand,
    exercise,
    named,
    near,
    number,
    returned,
    same_mask,
    several,
)

_SIZES = {"fc1.weight": 235_200, "fc2.weight": 30_000, "output.weight": 1_000}


@exercise(
    "1.A",
    expects="a tensor of two rows and three columns",
    right="Magnitude asks how far a weight is from zero, on either side.",
)
def _(answer: Any) -> None:
    mask = np.asarray(answer) if isinstance(answer, list | tuple) else answer
    found = array(mask, (2, 3))
    signed = np.array_equal(found != 0, [[True, False, True], [False, True, False]])
    demand(not signed, "You kept the largest numbers: compare them without signs.")
    gone = np.array_equal(found != 0, [[False, True, True], [False, False, True]])
    demand(not gone, "1 is for the weights that stay, and yours marks those that go.")
    hint = "Half of six stay: the three that are farthest from zero."
    same_mask(mask, [[1, 0, 0], [1, 1, 0]], hint)


@exercise(
    "1.B",
    expects="a density for each layer",
    right="With one threshold for all, the small layers keep most of their weights.",
)
def _(answer: Any) -> None:
    if hasattr(answer, "to_dict"):
        answer = answer.to_dict()
    elif hasattr(answer, "tolist"):
        answer = answer.tolist()
    if isinstance(answer, list | tuple):
        answer = dict(zip(_SIZES, answer, strict=True))
    found = named(answer, _SIZES, "densities by layer")
    densities = {name: number(value) for name, value in found.items()}
    most = max(densities.values())
    demand(most <= 1, f"{most:g} is no density: give fractions, not percent.")
    least = min(densities.values())
    demand(least >= 0, f"{least:g} is no density: it is at least 0.")
    alike = most - least < 0.01
    demand(not alike, "Every layer keeps the same: did each have its own threshold?")
    kept = sum(size * densities[name] for name, size in _SIZES.items())
    share = round(kept / sum(_SIZES.values()), 3)
    demand(abs(share - 0.8) > 0.01, "Four fifths remain: which side of it stays?")
    near(share, 0.2, "That is what remains of all weights; a fifth should.", 0.001)


def _measured(validation: Mapping[float, tuple[float, ...]], test: list[float]) -> Any:
    """Make up a table as the chapter measures it."""
    import pandas as pd

    rows = [
        ("made up", density, seed, value, level)
        for (density, values), level in zip(validation.items(), test, strict=True)
        for seed, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["how", "density", "seed", "validation", "test"])


@exercise(
    "1.C",
    expects="a function of a table that returns a density",
    right="It is chosen by validation accuracy alone; now the test accuracy may speak.",
)
def _(answer: Any) -> None:
    found = {1.0: (97.0, 98.0), 0.5: (97.2, 97.6), 0.2: (97.4, 96.0), 0.1: (94.0, 95.0)}
    table = _measured(found, [95.0, 93.0, 93.5, 94.5])
    chosen = number(returned(answer, table.copy()))
    demand(chosen <= 1, f"{chosen:g} is no density: return a fraction, not percent.")
    demand(chosen != 0.1, "On a made-up table it chose what only the test likes.")
    demand(chosen != 1, "On a made-up table it pruned nothing: a point may be lost.")
    hint = "Average over the seeds first, and then look for the lowest that passes."
    near(chosen, 0.2, hint)
    # At another level, and in another order: neither may matter.
    other = {0.1: (97.4,), 0.2: (97.7,), 1.0: (98.6,), 0.5: (98.2,)}
    again = number(returned(answer, _measured(other, [90.0, 90.0, 90.0, 90.0])))
    near(again, 0.2, "A point below the dense networks of the same table.")
    # One that is pruned may be the best, and a level may fail between two that pass.
    better = {1.0: (96.0,), 0.5: (97.6,), 0.2: (95.4,), 0.1: (94.0,)}
    lowest = number(returned(answer, _measured(better, [90.0, 90.0, 90.0, 90.0])))
    near(lowest, 0.2, "A point below the dense networks, and not below the best ones.")
    dips = {1.0: (97.0,), 0.5: (95.0,), 0.2: (96.5,), 0.1: (94.0,)}
    beyond = number(returned(answer, _measured(dips, [90.0, 90.0, 90.0, 90.0])))
    near(beyond, 0.2, "The lowest that passes, no matter that one above fails.")


@exercise(
    "1.1",
    expects="a number for each seed",
    right="The larger weights are the better choice, also for those who may train.",
)
def _(answer: Any) -> None:
    gaps = several(answer, None, "several numbers, a number for each seed")
    demand(len(gaps) > 1, "There is a gap for each seed: give all of them.")
    demand(min(gaps) > 0, "Take magnitude minus lot, seed by seed.")
    demand(max(gaps) > 0.2, "Give points, not fractions: 0.02 are 2 points.")
    demand(max(gaps) < 20, "So much only before retraining: train those of the lot.")


@exercise(
    "1.2",
    expects="a number between 0 and 1",
    right="Below it, an address for each survivor is cheaper than a bit for all.",
)
def _(answer: Any) -> None:
    density = number(answer)
    demand(density < 1, f"{density:g} is no density: give a fraction, not percent.")
    dense = abs(density - 0.5) < 0.01
    demand(not dense, "There CSR meets the dense file, of 32 bits a weight.")
    hint = "CSR writes 64 bits for each survivor. And the bitmask, for any weight?"
    near(density, 1 / 32, hint, within=0.0005)


@exercise(
    "1.3",
    expects="a pair of numbers, in percent: (layer-wise, global)",
    right="It costs the first layer a little, and spares the output layer a lot.",
)
def _(answer: Any) -> None:
    layers, one = several(answer, 2, "a pair of numbers")
    demand(max(layers, one) > 1, "Give percent: 0.5 are 50 %.")
    demand(abs(layers - one) > 1, 'The two are alike: did you say scope="global"?')
    demand(layers < 93, "So good only after retraining: prune and test at once.")
    demand(one > layers, "Layer-wise first, then global. Does a tenth remain in both?")


@exercise(
    "1.4",
    expects="a number, in percent",
    right="Equally many weights are gone; which ones they are decides.",
)
def _(answer: Any) -> None:
    percent = number(answer)
    demand(1 < percent <= 100, f"{percent:g} is no accuracy in percent.")
    hint = "As good as before? Then the smallest went, not the largest."
    demand(percent < 90, hint)
    demand(percent > 25, "Only a tenth should go, and nine tenths stay.")
