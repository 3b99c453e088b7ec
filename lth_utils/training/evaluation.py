"""Evaluations: loss and accuracy on the three splits, and what they showed."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lth_utils.data.datasets import Dataset
from lth_utils.data.splits import Split
from lth_utils.errors import LotteryError, choose
from lth_utils.masking import obey
from lth_utils.masks import State
from lth_utils.training.engines import exact
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

TRAIN_SAMPLE = 5000  # training images evaluated; all of them cost more than training
EVALUATION_BATCH = 250  # its activations fit a core's cache; a GPU takes 4 times that

Scores = Callable[[Tensor], Tensor]


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
    scores: Scores,
    data: Dataset,
    dtype: torch.dtype,
    iteration: int,
    recipe: Recipe,
) -> list[list[Point]]:
    """Return each replica's points at an iteration; an engine has one.

    Raises:
        LotteryError: If a loss is no finite number.
    """
    found = [
        [Point(iteration, split, *measured) for measured in replicas]
        for split in SPLITS
        for replicas in [_measure(scores, data, dtype, split)]
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
        (measured,) = _measure(net, data, dtype_of(net), split)
    return measured


@torch.no_grad()
def _measure(
    scores: Scores, data: Dataset, dtype: torch.dtype, split: str
) -> list[tuple[float, float]]:
    """Return mean loss and accuracy of what maps a scaled batch to scores.

    Scores are (N, classes), or (replicas, N, classes): one pair a replica.
    """
    sample = _sample(data, split)
    loss, right = torch.zeros((2, 1), dtype=torch.float64, device=data.device)
    size = EVALUATION_BATCH if data.device.type == "cpu" else 4 * EVALUATION_BATCH
    for x, y in zip(sample.images.split(size), sample.labels.split(size), strict=True):
        outputs = scores(data.scale(x, dtype))
        outputs = exact(outputs.view(-1, *outputs.shape[-2:]))
        chances = outputs.log_softmax(2)
        labels = y.expand(len(outputs), -1)[..., None]
        loss = loss - chances.gather(2, labels).sum((1, 2), dtype=torch.float64)
        right = right + (outputs.argmax(2) == y).sum(1)
    images = len(sample.labels)
    return [
        (a / images, b / images)
        for a, b in zip(loss.tolist(), right.tolist(), strict=True)
    ]


def _sample(data: Dataset, split: str) -> Split:
    """Return a split, thinned evenly to 5,000 images if it is the train split."""
    chosen: Split = getattr(data, choose("split", split, SPLITS))
    if split != "train" or len(chosen.labels) <= TRAIN_SAMPLE:
        return chosen
    last = len(chosen.labels) - 1
    index = torch.linspace(0, last, TRAIN_SAMPLE, dtype=torch.float64).long()
    index = index.to(chosen.labels.device)
    return Split(*(tensor.index_select(0, index) for tensor in chosen))
