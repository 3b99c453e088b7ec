"""The order of the images: a permutation an epoch, by (seed, round) alone."""

from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from lth_utils.seeds import seed_of
from lth_utils.training.recipes import Recipe


def epochs(images: int, seed: int, round: int, views: int = 1) -> Iterator[Tensor]:
    """Yield a permutation of the images (images,) for each epoch, for ever.

    Of several views, each image's is drawn: `Dataset.batch` knows these numbers.
    """
    generator = torch.Generator().manual_seed(seed_of("order", seed, round))
    drawn = torch.Generator().manual_seed(seed_of("views", seed, round))
    while True:
        order = torch.randperm(images, generator=generator)
        if views > 1:
            order += images * torch.randint(views, (images,), generator=drawn)
        yield order


def batches(
    images: int, recipe: Recipe, seed: int, round: int, views: int = 1
) -> Iterator[Tensor]:
    """Yield each step's indices (batch_size,): one permutation an epoch.

    Raises:
        LotteryError: If a batch is larger than the number of images.
    """
    steps = recipe.steps_per_epoch(images)
    whole = (
        batch
        for order in epochs(images, seed, round, views)
        for batch in order.split(recipe.batch_size)[:steps]
    )
    return islice(whole, recipe.iterations)
