"""One training run: resident data, a fixed order, evaluations on the way.

Training never stops early. The early-stop iteration is read off afterwards:
where the validation loss was least (paper, section 2).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lth_utils import sparse
from lth_utils.data import Dataset, Split
from lth_utils.engines import Autograd, Engine
from lth_utils.errors import LotteryError, choose
from lth_utils.masks import State, snapshot
from lth_utils.mlp import MLP, linear_layers, mask_of
from lth_utils.recipes import Recipe
from lth_utils.seeds import check_seed, seed_of
from lth_utils.stack import Stack
from lth_utils.words import SPLITS

TRAIN_SAMPLE = 5000  # training images evaluated; all of them cost more than training
EVALUATION_BATCH = 250  # its activations fit a core's cache; a GPU takes 4 times that


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
    kept = snapshot(net) if keep_at == 0 else {}
    engine = engine_for(net, recipe)
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
        if _evaluated(recipe, iteration):
            (points,) = _evaluations(engine, data, dtype, iteration, recipe)
            curve += points
    engine.write()
    return Training(curve, kept)


def train_together(
    nets: Sequence[nn.Module],
    data: Dataset,
    recipe: Recipe,
    keys: Sequence[tuple[int, int]],
    device: str | torch.device | None = None,
) -> list[Training]:
    """Train LeNets of one shape in place, as one stack: for a GPU.

    Args:
        nets: The networks, masked or not.
        data: The data set.
        recipe: How all of them are trained.
        keys: Each network's (seed, round), which names its order of batches.
        device: Where to train; None chooses the GPU if there is one.

    Returns:
        What `train` would return for each, but for the rounding of sums.

    Raises:
        LotteryError: As `train`, or if the networks cannot be stacked.
    """
    place = torch.device(device) if device is not None else best_device()
    data = data.to(place)
    stack = Stack([net.to(place) for net in nets], data, recipe)
    dtype = stack.parameter.dtype
    images, size = len(data.train.labels), recipe.batch_size
    steps = steps_per_epoch(images, recipe)
    orders = [epochs(images, seed, round) for seed, round in keys]
    curves: list[list[Point]] = [[] for _ in nets]
    for iteration in range(1, recipe.iterations + 1):
        position = (iteration - 1) % steps
        if position == 0:
            order = torch.stack([next(each) for each in orders]).to(place)
        stack.step(order[:, position * size : (position + 1) * size])
        if _evaluated(recipe, iteration):
            found = _evaluations(stack, data, dtype, iteration, recipe)
            for curve, points in zip(curves, found, strict=True):
                curve += points
    stack.write()
    return [Training(curve) for curve in curves]


def _evaluated(recipe: Recipe, iteration: int) -> bool:
    return iteration % recipe.evaluate_every == 0 or iteration == recipe.iterations


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


def epochs(images: int, seed: int, round: int) -> Iterator[Tensor]:
    """Yield a permutation of the images (images,) for each epoch, for ever."""
    generator = torch.Generator().manual_seed(seed_of("order", seed, round))
    while True:
        yield torch.randperm(images, generator=generator)


def steps_per_epoch(images: int, recipe: Recipe) -> int:
    """Return the number of whole batches.

    Raises:
        LotteryError: If there is none.
    """
    if images < recipe.batch_size:
        raise LotteryError(
            f"A batch of {recipe.batch_size} is more than the {images} training"
            " images: expected a smaller one; lower the recipe's batch_size."
        )
    return images // recipe.batch_size


def batches(images: int, recipe: Recipe, seed: int, round: int) -> Iterator[Tensor]:
    """Yield each step's indices (batch_size,): one permutation an epoch.

    Raises:
        LotteryError: If a batch is larger than the number of images.
    """
    steps = steps_per_epoch(images, recipe)
    whole = (
        batch
        for order in epochs(images, seed, round)
        for batch in order.split(recipe.batch_size)[:steps]
    )
    return islice(whole, recipe.iterations)


def _evaluations(
    engine: Engine | Stack,
    data: Dataset,
    dtype: torch.dtype,
    iteration: int,
    recipe: Recipe,
) -> list[list[Point]]:
    """Return each replica's points at an iteration; an engine has one."""
    found = [
        [Point(iteration, split, *measured) for measured in replicas]
        for split in SPLITS
        for replicas in [_measure(engine.scores, data, dtype, split)]
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
    uses its running statistics; the network's mode is restored afterwards.
    """
    parameter = next(net.parameters())
    was_training = net.training
    net.eval()
    (measured,) = _measure(net, data.to(parameter.device), parameter.dtype, split)
    net.train(was_training)
    return measured


@torch.no_grad()
def _measure(
    scores: Callable[[Tensor], Tensor], data: Dataset, dtype: torch.dtype, split: str
) -> list[tuple[float, float]]:
    """Return mean loss and accuracy of what maps a scaled batch to scores.

    Scores are (N, classes), or (replicas, N, classes): one pair a replica.
    """
    sample = _sample(data, split)
    loss, right = torch.zeros((2, 1), dtype=torch.float64, device=data.device)
    size = EVALUATION_BATCH if data.device.type == "cpu" else 4 * EVALUATION_BATCH
    for x, y in zip(sample.images.split(size), sample.labels.split(size), strict=True):
        outputs = scores(data.scale(x, dtype))
        outputs = outputs.view(-1, *outputs.shape[-2:])
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
