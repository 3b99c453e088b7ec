"""The order of the images: a permutation an epoch, by (seed, round) alone."""

from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from lth_utils.errors import LotteryError
from lth_utils.seeds import seed_of
from lth_utils.training.recipes import Recipe


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
