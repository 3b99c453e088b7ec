"""Evaluations: loss and accuracy on the three splits, and what they showed."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import nn

from lth_utils.data.datasets import Dataset
from lth_utils.data.splits import Split
from lth_utils.errors import LotteryError, choose
from lth_utils.masking import obey
from lth_utils.masks import State
from lth_utils.training.measuring import measured, sample_of
from lth_utils.training.probe import (
    check_match,
    check_whole,
    dtype_of,
    ordinary,
    own_modes,
    placed,
)
from lth_utils.training.recipes import Recipe
from lth_utils.words import SPLITS

# Returns each replica's loss and accuracy; an engine has one.
Measure = Callable[[Split], list[tuple[float, float]]]


class Point(NamedTuple):
    """One evaluation: loss in nats an image, accuracy as a fraction."""

    iteration: int
    split: str
    loss: float
    accuracy: float


@dataclass(frozen=True)
class Training:
    """What one training run showed.

    Args:
        curve: Every evaluation, in the order in which it was made.
        kept: The weights at the iteration that was asked for, if one was.
    """

    curve: list[Point]
    kept: State = field(default_factory=dict, repr=False)

    @property
    def early_stop(self) -> int:
        """The iteration of least validation loss, the first on ties."""
        points = [point for point in self.curve if point.split == "validation"]
        return min(points, key=lambda point: point.loss).iteration

    @property
    def last(self) -> int:
        """The last iteration, which is always evaluated."""
        return self.curve[-1].iteration

    def at(self, iteration: int, split: str = "test") -> Point:
        """Return the evaluation of `split` at `iteration`.

        Raises:
            LotteryError: If there was none.
        """
        choose("split", split, SPLITS)
        for point in self.curve:
            if (point.iteration, point.split) == (iteration, split):
                return point
        raise LotteryError(
            f"Nothing was evaluated at iteration {iteration}: expected one of the"
            f" recipe's evaluations, such as .early_stop = {self.early_stop}."
        )


def evaluations(
    measure: Measure, data: Dataset, iteration: int, recipe: Recipe
) -> list[list[Point]]:
    """Return each replica's points at an iteration; an engine has one.

    Raises:
        LotteryError: If a loss is no finite number.
    """
    found = [
        [Point(iteration, split, *each) for each in measure(sample_of(data, split))]
        for split in SPLITS
    ]
    if not all(math.isfinite(point.loss) for points in found for point in points):
        raise LotteryError(
            f"Training diverged: the loss at iteration {iteration} is no finite"
            f" number; expected it to fall. Lower the learning rate ({recipe.lr:g})."
        )
    return [list(points) for points in zip(*found, strict=True)]


def evaluate(net: nn.Module, data: Dataset, split: str = "test") -> tuple[float, float]:
    """Return the mean loss (nats) and the accuracy (a fraction) on a split.

    Of the train split, the same 5,000 images are used every time. BatchNorm
    uses its running statistics; every module's mode is restored afterwards. As
    in `train`, the arithmetic is in the dtype of the network's parameters.

    Raises:
        LotteryError: If the network does not take the data set's images, or
            has fewer outputs than there are classes.
    """
    check_whole(net)
    obey(net)
    first = next(net.parameters(), None)
    place = torch.device("cpu") if first is None else first.device
    with ordinary(place), own_modes(net):
        data = placed(data, place)
        check_match(net, data)
        net.eval()
        (found,) = measured(net, data, dtype_of(net), sample_of(data, split))
    return found
