"""Exercises of chapter 1: What is pruning?"""

from typing import Any

import numpy as np

from lth_utils.exercises.checks import (
    array,
    demand,
    exercise,
    named,
    near,
    number,
    same_mask,
)


@exercise(
    "1.1",
    expects="a tensor of two rows and three columns",
    right="Magnitude asks how far a weight is from zero, on either side.",
)
def _(answer: Any) -> None:
    found = array(answer, (2, 3))
    signed = np.array_equal(found != 0, [[True, False, True], [False, True, False]])
    demand(not signed, "You kept the largest numbers: compare them without signs.")
    hint = "Half of six stay: the three that are farthest from zero."
    same_mask(answer, [[1, 0, 0], [1, 1, 0]], hint)


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
    expects="what layer_density() returns",
    right="With one threshold for all, the small layers keep most of their weights.",
)
def _(answer: Any) -> None:
    sizes = {"fc1.weight": 235_200, "fc2.weight": 30_000, "output.weight": 1_000}
    found = named(answer, sizes, "densities by layer")
    densities = {name: number(value) for name, value in found.items()}
    kept = sum(sizes[name] * density for name, density in densities.items())
    hint = "Of all weights together a fifth remains: prune a fraction of 0.8."
    near(round(kept / sum(sizes.values()), 4), 0.2, hint)
    alike = max(densities.values()) - min(densities.values()) < 0.01
    demand(not alike, 'Every layer keeps the same: say scope="global".')


@exercise(
    "1.4",
    expects="a number, in percent",
    right="Equally many weights are gone; which ones they are decides.",
)
def _(answer: Any) -> None:
    percent = number(answer)
    demand(1 < percent <= 100, f"{percent:g} is no accuracy in percent.")
    hint = "As good as before? Then the smallest went: turn the scores' signs."
    demand(percent < 90, hint)
    demand(percent > 25, "Only a tenth should go, and nine tenths stay.")
