"""One training run: resident data, a fixed order, evaluations on the way.

Training never stops early. The early-stop iteration is read off afterwards:
where the validation loss was least (paper, section 2).
"""

from collections.abc import Sequence
from contextlib import ExitStack
from itertools import islice

import torch
from torch import nn

from lth_utils.arguments import whole
from lth_utils.data.datasets import Dataset
from lth_utils.data.splits import Split
from lth_utils.devices import device_of
from lth_utils.errors import LotteryError
from lth_utils.masking import obey, snapshot
from lth_utils.seeds import check_seed
from lth_utils.training.best import Best, BestRows
from lth_utils.training.choice import engine_for
from lth_utils.training.evaluation import Point, Training, evaluations, in_order
from lth_utils.training.gpu.replicas import WAYS, Replicas, together
from lth_utils.training.order import batches, epochs
from lth_utils.training.probe import (
    check_match,
    check_trainable,
    ordinary,
    own_modes,
    placed,
)
from lth_utils.training.recipes import Recipe
from lth_utils.words import SPLITS

# What is measured at early stop when the rest is over.
_SKIPPED = tuple(split for split in SPLITS if split != "validation")


def train(
    net: nn.Module,
    data: Dataset,
    recipe: Recipe,
    seed: int = 0,
    round: int = 0,
    device: str | torch.device | None = None,
    keep_at: int | None = None,
    curves: bool = True,
) -> Training:
    """Train `net` in place and evaluate it on the way.

    The order of the batches depends on (seed, round) alone, so that every arm
    of a comparison sees the same ones. The optimizer starts afresh. The
    arithmetic is in the dtype of the network's parameters: `net.double()`
    before gives float64, and an autocast around changes nothing. Modules that
    evaluate within a network that trains keep doing so, such as a frozen
    BatchNorm; afterwards every module's mode is what it was.

    Args:
        net: A network that maps (N, C, H, W) to (N, classes); masked or not.
        data: The data set; trained on its train split.
        recipe: Optimizer, iterations, batch size, evaluations.
        seed: With `round`, names the order of the batches, the views of the
            images and what is dropped.
        round: The pruning round; 0 for a dense network.
        device: Where to train; None chooses the GPU if there is one.
        keep_at: Also keep the weights after this iteration (0: at the start).
        curves: Whether to measure all splits at every evaluation, which takes
            longer than to train. If not, test and train are measured at early
            stop and at the end alone; what is measured is the same to the bit.

    Returns:
        The losses and accuracies at every `evaluate_every`-th and the last
        iteration: validation, test, and 5,000 fixed training images.

    Raises:
        LotteryError: If a number is out of range, there is no such device, the
            network cannot be trained, does not take the data set's images, has
            fewer outputs than there are classes or no place for the recipe's
            dropout, a batch is larger than the train split, or a crop than the
            images, before any step; or if the loss is no longer a finite number.
    """
    seed, round = check_seed(seed), whole("The round", round, 0)
    if keep_at is not None:
        keep_at = whole("The iteration keep_at", keep_at, 0, recipe.iterations)
    check_trainable(net)
    place = device_of(device)
    with ordinary(place), own_modes(net):
        data = placed(data, place)
        check_match(net.to(place), data)
        return _train(net, data, recipe, (seed, round), keep_at, curves)


def _train(
    net: nn.Module,
    data: Dataset,
    recipe: Recipe,
    key: tuple[int, int],
    keep_at: int | None,
    curves: bool,
) -> Training:
    """Train a network that fits the data set, where both are."""
    obey(net)
    data = data.augmented(recipe.flip, recipe.crop)
    kept = snapshot(net) if keep_at == 0 else {}
    engine = engine_for(net, recipe, data, key)
    best, curve = Best(net, engine), list[Point]()

    def measure(sample: Split) -> list[tuple[float, float]]:
        return [engine.measure(sample)]

    order, done = batches(data.train.size, recipe, *key, data.views), 0
    for iteration in _stops(recipe, keep_at):
        rows = torch.stack(list(islice(order, iteration - done)))
        engine.steps(rows.to(data.device))
        done = iteration
        if iteration == keep_at:
            engine.write()
            kept = snapshot(net)
            engine.read()  # lest the layout that it is measured in depend on it
        if _evaluated(recipe, iteration):
            splits = _splits(recipe, iteration, curves)
            (points,) = evaluations(measure, data, recipe, [iteration], splits)
            curve += points
            if not curves:
                best.see(points)
    if not curves and best.iteration < recipe.iterations:
        with best.put_in():
            at = [best.iteration]
            (points,) = evaluations(measure, data, recipe, at, _SKIPPED)
            curve += points
    engine.write()
    return Training(in_order(curve), kept)


def train_together(
    nets: Sequence[nn.Module],
    data: Dataset,
    recipe: Recipe,
    keys: Sequence[tuple[int, int]],
    device: str | torch.device | None = None,
    curves: bool = True,
    way: str = WAYS[0],
) -> list[Training]:
    """Train networks of one shape in place and together: for a GPU.

    Args:
        nets: LeNets, which become one stack, or convolutional networks of this
            library; masked or not.
        data: The data set.
        recipe: How all of them are trained.
        keys: Each network's (seed, round), which names its order of batches.
        device: Where to train; None chooses the GPU if there is one.
        curves: As in `train`; each network has an early stop of its own.
        way: How convolutional networks share it: each step on a stream of its own
            ("streams"), as one network of grouped convolutions ("grouped"), or by
            `torch.func.vmap` ("mapped"). `make gpu` measures which is fastest.

    Returns:
        What `train` would return for each, but for the rounding of sums.

    Raises:
        LotteryError: As `train`, or if the networks cannot be stacked.
    """
    if not nets or len(keys) != len(nets):
        raise LotteryError(
            f"{len(nets)} networks and {len(keys)} keys cannot be trained together:"
            " expected at least one network, and a (seed, round) for each."
        )
    keys = [(check_seed(seed), whole("The round", round, 0)) for seed, round in keys]
    place = device_of(device)
    for net in nets:
        check_trainable(net)
        obey(net)
    with ordinary(place), ExitStack() as modes:
        for net in nets:
            modes.enter_context(own_modes(net))
        data = placed(data, place)
        data = data.augmented(recipe.flip, recipe.crop)
        nets = [net.to(place) for net in nets]
        stack = together(nets, data, recipe, keys, way)
        return _train_together(stack, data, recipe, keys, curves)


def _train_together(
    stack: Replicas,
    data: Dataset,
    recipe: Recipe,
    keys: Sequence[tuple[int, int]],
    curves: bool,
) -> list[Training]:
    """Train a stack on its data set."""
    place = data.device
    images, size = data.train.size, recipe.batch_size
    steps = recipe.steps_per_epoch(images)
    orders = [epochs(images, *key, data.views) for key in keys]
    best, seen = BestRows(stack), [list[Point]() for _ in keys]
    for iteration in range(1, recipe.iterations + 1):
        position = (iteration - 1) % steps
        if position == 0:
            order = torch.stack([next(each) for each in orders]).to(place)
        stack.step(order[:, position * size : (position + 1) * size])
        if _evaluated(recipe, iteration):
            at, splits = [iteration] * len(keys), _splits(recipe, iteration, curves)
            found = evaluations(stack.measure, data, recipe, at, splits)
            for curve, points in zip(seen, found, strict=True):
                curve += points
            if not curves:
                best.see(found)
    if not curves:
        with best.put_in():
            at = best.iterations
            found = evaluations(stack.measure, data, recipe, at, _SKIPPED)
        for curve, points in zip(seen, found, strict=True):
            if points[0].iteration < recipe.iterations:  # else they are there
                curve += points
    stack.write()
    return [Training(in_order(curve)) for curve in seen]


def _evaluated(recipe: Recipe, iteration: int) -> bool:
    return iteration % recipe.evaluate_every == 0 or iteration == recipe.iterations


def _splits(recipe: Recipe, iteration: int, curves: bool) -> Sequence[str]:
    """Return the splits that are measured at once."""
    now = curves or iteration == recipe.iterations
    return SPLITS if now else ("validation",)


def _stops(recipe: Recipe, keep_at: int | None) -> list[int]:
    """Return the iterations after which something is looked at."""
    every = range(recipe.evaluate_every, recipe.iterations, recipe.evaluate_every)
    return sorted({*every, recipe.iterations, keep_at or recipe.iterations})
