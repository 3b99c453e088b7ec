"""Exercises of chapter 2: Why not train the small network from the start?"""

from typing import Any

import numpy as np

from lth_utils.exercises.checks import (
    called,
    demand,
    exercise,
    grid,
    near,
    number,
    returned,
    several,
    whole,
)


@exercise(
    "2.A",
    expects="a function of (shape, count, seed)",
    right="Exactly so many, anywhere, and for ever the same for a seed.",
)
def _(answer: Any) -> None:
    def drawn(seed: int, shape: tuple[int, int] = (4, 5), count: int = 6) -> np.ndarray:
        found = grid(returned(answer, shape, count, seed), shape)
        demand(np.isin(found, (0, 1)).all(), "A mask holds only 0 and 1 (or bools).")
        return found != 0

    masks = [drawn(seed) for seed in range(200)]
    counts = {int(mask.sum()) for mask in masks}
    several = "Not always the same number: chance should decide where, not how many."
    demand(len(counts) == 1, several)
    demand(counts != {14}, "It keeps all but `count`: turn it around.")
    near(counts.pop(), 6, "That is how many it keeps where 6 should stay.")
    again = np.array_equal(masks[0], drawn(0))
    demand(again, "The same seed gives two masks: use no other chance than the seed's.")
    alike = all(np.array_equal(mask, masks[0]) for mask in masks)
    demand(not alike, "Every seed gives the same mask.")
    often = np.mean(masks, axis=0)  # 0.3 expected, with a deviation of 0.03
    everywhere = "Some places are drawn more often than others: shuffle all of them."
    demand(often.min() > 0.15 and often.max() < 0.45, everywhere)
    ways = len({mask.tobytes() for mask in masks})  # nearly all of 200, by chance
    together = f"200 seeds give {ways} masks: who stays with whom is no chance."
    demand(ways > 150, together)
    left = int(drawn(0, shape=(3, 7), count=5).sum())
    near(left, 5, "That is how many of (3, 7) it keeps where 5 should stay.")


def _curve(order: list[int]) -> Any:
    """Make up the rows of a training, in some order."""
    import pandas as pd

    steps = (50, 100, 150, 200, 250)
    found = {
        "validation": (0.70, 0.82, 0.91, 0.89, 0.93),
        "test": (0.60, 0.91, 0.92, 0.93, 0.95),
        "train": (0.92, 0.93, 0.94, 0.95, 0.96),
    }
    rows = [
        (step, split, 1 - value, value)
        for split, values in found.items()
        for step, value in zip(steps, values, strict=True)
    ]
    table = pd.DataFrame(rows, columns=["iteration", "split", "loss", "accuracy"])
    return table.assign(arm="random", seed=0, round=15).iloc[order]


@exercise(
    "2.B",
    expects="a function of (rows, level) that returns an iteration",
    right="It is read off the validation images, and off the first time.",
)
def _(answer: Any) -> None:
    there = number(returned(answer, _curve([*range(15)]), 0.9))
    demand(there != 50, "The training images were there at 50: take the validation's.")
    demand(there != 100, "The test images were there at 100: take the validation's.")
    demand(there not in (2, 3), "That counts rows. Return what `iteration` says.")
    demand(there != 250, "It gets there sooner, and falls back for a while.")
    near(there, 150, "The validation accuracy is 0.91 there, on a made-up curve.")
    exact = number(returned(answer, _curve([*range(15)]), 0.82))
    near(exact, 100, "At least the level: just as high is high enough.")
    mixed = number(called(answer, _curve([*range(14, -1, -1)]), 0.9))
    near(mixed, 150, "The rows may come in any order.")


@exercise(
    "2.1",
    expects="a pair of numbers, in percent: (by layer, from one pot)",
    right="How many weights each layer gets is already a piece of structure.",
)
def _(answer: Any) -> None:
    layers, pot = several(answer, 2, "a pair of numbers, in percent")
    demand(max(layers, pot) > 1, "Give percent: 0.5 are 50 %.")
    near_it = 'So near? Is the scope "global", or is the size wrong (19 rounds)?'
    demand(abs(layers - pot) > 5, near_it)
    demand(layers > pot, "By layer comes first. Are both of the smallest size?")


@exercise(
    "2.2",
    expects="a pair such as (12, 4)",
    right="The second layer is cheap, and four units are too few for ten classes.",
)
def _(answer: Any) -> None:
    shape = tuple(whole(n) for n in several(answer, 2, "a pair such as (12, 4)"))
    demand(shape in [(12, 12), (12, 4)], "Answer with (12, 12) or (12, 4).")
    demand(shape == (12, 12), "Train it for each seed, and compare the means.")


@exercise(
    "2.3",
    expects="a number of weights",
    right="They count as weights, and nothing that they do can be noticed.",
)
def _(answer: Any) -> None:
    import torch

    from lth_utils.masking import masked
    from lth_utils.models import LeNet
    from lth_utils.pruning import prune

    gone = {"fc": 1 - 0.8**19, "output": 1 - 0.9**19}
    masks = prune(masked(LeNet()), gone, score="random", seed=0)
    first, second = masks["fc1.weight"], masks["fc2.weight"]
    deaf = ~second.any(dim=0)
    wasted = int(first[deaf].sum())
    found = number(answer)
    units = "That counts the units. How many weights lead to them?"
    demand(found != int(deaf.sum()), units)
    demand(found >= 1, "Give a number of weights, not a share.")
    used = "Those lead to units that do pass something on."
    demand(found != int(first[~deaf].sum()), used)
    every = "That counts all weights of those units: the living are fewer."
    demand(found != int(deaf.sum()) * 784, every)
    blind = torch.cat([first.sum(dim=1), second.sum(dim=1)]).eq(0).sum()
    demand(found != int(blind), "A unit that sees nothing is another kind of waste.")
    hint = "Which columns of fc2.weight hold no True? Sum those rows of fc1.weight."
    near(found, wasted, hint)


@exercise(
    "2.4",
    expects="a pair of numbers, in points",
    right="In an equal time a part of the gap closes: trained values are a head start.",
)
def _(answer: Any) -> None:
    once, twice = several(answer, 2, "a pair of numbers, in points")
    demand(once > 0, "Take fine-tuned minus newcomer.")
    demand(once > 0.1, "Give points, not fractions: 0.02 are 2 points.")
    demand(once < 10, "Give the gaps in points, not the accuracies.")
    hint = "Twice the iterations should help. Did both start from the same values?"
    demand(twice < once, hint)
