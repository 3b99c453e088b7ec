"""One training run: resident data, a fixed order, evaluations on the way.

Training never stops early. The early-stop iteration is read off afterwards:
where the validation loss was least (paper, section 2).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lth_utils import sparse
from lth_utils.data import Dataset, Split
from lth_utils.engines import Autograd, Engine
from lth_utils.errors import LotteryError, choose
from lth_utils.masks import State, snapshot
from lth_utils.mlp import MLP, linear_layers, mask_of
from lth_utils.recipes import Recipe
from lth_utils.seeds import check_seed, seed_of
from lth_utils.words import SPLITS

TRAIN_SAMPLE = 5000  # training images evaluated; all of them cost more than training
EVALUATION_BATCH = 250  # its activations fit a core's cache, a convolution's too


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


def best_device() -> torch.device:
    """Return the GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def train(
    net: nn.Module,
    data: Dataset,
    recipe: Recipe,
    seed: int = 0,
    round: int = 0,
    device: str | torch.device | None = None,
    keep_at: int | None = None,
) -> Training:
    """Train `net` in place and evaluate it on the way.

    The order of the batches depends on (seed, round) alone, so that every arm
    of a comparison sees the same ones. The optimizer starts afresh. The
    arithmetic is in the dtype of the network's parameters: `net.double()`
    before gives float64.

    Args:
        net: A network that maps (N, C, H, W) to (N, classes); masked or not.
        data: The data set; trained on its train split.
        recipe: Optimizer, iterations, batch size, evaluations.
        seed: With `round`, names the order of the batches.
        round: The pruning round; 0 for a dense network.
        device: Where to train; None chooses the GPU if there is one.
        keep_at: Also keep the weights after this iteration (0: at the start).

    Returns:
        The losses and accuracies at every `evaluate_every`-th and the last
        iteration: validation, test, and 5,000 fixed training images.

    Raises:
        LotteryError: If a batch is larger than the train split, or the loss
            is no longer a finite number.
    """
    check_seed(seed)
    place = torch.device(device) if device is not None else best_device()
    net.to(place)
    data = data.to(place)
    dtype = next(net.parameters()).dtype
    engine = engine_for(net, recipe)
    kept = snapshot(net) if keep_at == 0 else {}
    curve: list[Point] = []
    order = batches(len(data.train.labels), recipe, seed, round)
    for iteration, batch in enumerate(order, start=1):
        index = batch.to(place)
        images = data.train.images.index_select(0, index)  # 10 times as fast as [index]
        labels = data.train.labels.index_select(0, index)
        engine.step(data.scale(images, dtype), labels)
        if iteration == keep_at:
            engine.write()
            kept = snapshot(net)
        if iteration % recipe.evaluate_every == 0 or iteration == recipe.iterations:
            curve += _evaluations(engine, data, dtype, iteration, recipe)
    engine.write()
    return Training(curve, kept)


def engine_for(net: nn.Module, recipe: Recipe) -> Engine:
    """Return the fastest engine for `net`, where it is now."""
    layers = linear_layers(net)
    if layers is None:
        return Autograd(net, recipe)
    masks = [mask_of(layer) for layer in layers]
    alive = sum(int(mask.sum()) for mask in masks)
    density = alive / sum(mask.numel() for mask in masks)
    on_cpu = layers[0].weight.device.type == "cpu"
    if on_cpu and density < sparse.CROSSOVER and sparse.numba_version():
        return sparse.Sparse(layers, recipe)
    return MLP(layers, recipe)


def batches(images: int, recipe: Recipe, seed: int, round: int) -> Iterator[Tensor]:
    """Yield each step's indices (batch_size,): one permutation an epoch.

    Raises:
        LotteryError: If a batch is larger than the number of images.
    """
    per_epoch = images // recipe.batch_size
    if not per_epoch:
        raise LotteryError(
            f"A batch of {recipe.batch_size} is more than the {images} training"
            " images: expected a smaller one; lower the recipe's batch_size."
        )
    generator = torch.Generator().manual_seed(seed_of("order", seed, round))
    for iteration in range(recipe.iterations):
        position = iteration % per_epoch
        if position == 0:
            order = torch.randperm(images, generator=generator)
        yield order[position * recipe.batch_size :][: recipe.batch_size]


def _evaluations(
    engine: Engine, data: Dataset, dtype: torch.dtype, iteration: int, recipe: Recipe
) -> list[Point]:
    points = [
        Point(iteration, split, *_measure(engine.scores, data, dtype, split))
        for split in SPLITS
    ]
    if not all(math.isfinite(point.loss) for point in points):
        raise LotteryError(
            f"Training diverged: the loss at iteration {iteration} is no finite"
            f" number; expected it to fall. Lower the learning rate ({recipe.lr:g})."
        )
    return points


def evaluate(net: nn.Module, data: Dataset, split: str = "test") -> tuple[float, float]:
    """Return the mean loss (nats) and the accuracy (a fraction) on a split.

    Of the train split, the same 5,000 images are used every time. BatchNorm
    uses its running statistics; the network's mode is restored afterwards.
    """
    parameter = next(net.parameters())
    was_training = net.training
    net.eval()
    measured = _measure(net, data.to(parameter.device), parameter.dtype, split)
    net.train(was_training)
    return measured


@torch.no_grad()
def _measure(
    scores: Callable[[Tensor], Tensor], data: Dataset, dtype: torch.dtype, split: str
) -> tuple[float, float]:
    """Return mean loss and accuracy of what maps a scaled batch to scores."""
    sample = _sample(data, split)
    loss = torch.zeros((), dtype=torch.float64, device=data.device)
    right = torch.zeros((), dtype=torch.int64, device=data.device)
    for x, y in zip(
        sample.images.split(EVALUATION_BATCH),
        sample.labels.split(EVALUATION_BATCH),
        strict=True,
    ):
        outputs = scores(data.scale(x, dtype))
        loss += F.cross_entropy(outputs, y, reduction="sum")
        right += (outputs.argmax(1) == y).sum()
    images = len(sample.labels)
    return loss.item() / images, right.item() / images


def _sample(data: Dataset, split: str) -> Split:
    """Return a split, thinned evenly to 5,000 images if it is the train split."""
    chosen: Split = getattr(data, choose("split", split, SPLITS))
    if split != "train" or len(chosen.labels) <= TRAIN_SAMPLE:
        return chosen
    last = len(chosen.labels) - 1
    index = torch.linspace(0, last, TRAIN_SAMPLE, dtype=torch.float64).long()
    index = index.to(chosen.labels.device)
    return Split(chosen.images[index], chosen.labels[index])
