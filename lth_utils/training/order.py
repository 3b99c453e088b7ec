"""The order of the images: a permutation an epoch, by (seed, round) alone."""

from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from lth_utils.seeds import seed_of
from lth_utils.training.recipes import Recipe


def epochs(images: int, seed: int, round: int) -> Iterator[Tensor]:
    """Yield a permutation of the images (images,) for each epoch, for ever."""
    generator = torch.Generator().manual_seed(seed_of("order", seed, round))
    while True:
        yield torch.randperm(images, generator=generator)


def batches(images: int, recipe: Recipe, seed: int, round: int) -> Iterator[Tensor]:
    """Yield each step's indices (batch_size,): one permutation an epoch.

    Raises:
        LotteryError: If a batch is larger than the number of images.
    """
    steps = recipe.steps_per_epoch(images)
    whole = (
        batch
        for order in epochs(images, seed, round)
        for batch in order.split(recipe.batch_size)[:steps]
    )
    return islice(whole, recipe.iterations)
