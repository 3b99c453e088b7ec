"""Evaluations: loss and accuracy on the three splits, and what they showed."""

import math
from collections.abc import Callable, Sequence
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
        curve: Every evaluation, by iteration, then in the order of words.SPLITS.
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

    @property
    def whole(self) -> bool:
        """Whether every evaluation was of all splits."""
        iterations = {point.iteration for point in self.curve}
        return len(self.curve) == len(SPLITS) * len(iterations)

    def ends(self) -> list[Point]:
        """Return what `curves=False` measures of a training.

        That is the validation split at every evaluation, and all splits at
        early stop and at the end.
        """
        both = (self.early_stop, self.last)
        return [p for p in self.curve if p.split == "validation" or p.iteration in both]

    def at(self, iteration: int, split: str = "test") -> Point:
        """Return the evaluation of `split` at `iteration`.

        Raises:
            LotteryError: If there was none.
        """
        choose("split", split, SPLITS)
        for point in self.curve:
            if (point.iteration, point.split) == (iteration, split):
                return point
        if any(point.iteration == iteration for point in self.curve):
            raise LotteryError(
                f"The {split} split was not measured at iteration {iteration}:"
                f" expected .early_stop = {self.early_stop} or .last = {self.last},"
                " since this training was without its curves. Train with curves=True"
                " to have all splits at every evaluation."
            )
        raise LotteryError(
            f"Nothing was evaluated at iteration {iteration}: expected one of the"
            f" recipe's evaluations, such as .early_stop = {self.early_stop}."
        )


def evaluations(
    measure: Measure,
    data: Dataset,
    recipe: Recipe,
    iterations: Sequence[int],
    splits: Sequence[str] = SPLITS,
) -> list[list[Point]]:
    """Return each replica's points, a split each; an engine has one replica.

    Args:
        measure: What measures all replicas.
        data: What it measures them on.
        recipe: How they are trained.
        iterations: Where each of the replicas is.
        splits: What is measured.

    Raises:
        LotteryError: If a loss is no finite number.
    """
    found = [
        [
            Point(iteration, split, *each)
            for iteration, each in zip(
                iterations, measure(sample_of(data, split)), strict=True
            )
        ]
        for split in splits
    ]
    for point in (point for points in found for point in points):
        if not math.isfinite(point.loss):
            raise LotteryError(
                f"Training diverged: the loss at iteration {point.iteration} is no"
                " finite number; expected it to fall. Lower the learning rate"
                f" ({recipe.lr:g})."
            )
    return [list(points) for points in zip(*found, strict=True)]


def validation_loss(points: Sequence[Point]) -> float:
    """Return the loss on the validation split, which every evaluation has."""
    return next(point.loss for point in points if point.split == "validation")


def in_order(curve: Sequence[Point]) -> list[Point]:
    """Return evaluations by iteration, then in the order of SPLITS."""
    return sorted(curve, key=lambda p: (p.iteration, SPLITS.index(p.split)))


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
