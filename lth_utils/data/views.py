"""Augmentation: a picture mirrored, or moved within a black border.

A view is a number that says both: where the window lies, row by row, and then, for
the mirrored ones, the same again.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def count(flip: bool, crop: int) -> int:
    """Return how many views a picture has."""
    return (2 if flip else 1) * (2 * crop + 1) ** 2


def seen(images: Tensor, view: Tensor, crop: int) -> Tensor:
    """Return each picture in a view of its own.

    Args:
        images: (N, C, H, W).
        view: Numbers from 0, (N,).
        crop: The width of the border.
    """
    side = 2 * crop + 1
    place, mirrored = view % side**2, view >= side**2
    height, width = images.shape[2:]
    down = torch.arange(height, device=images.device)
    across = torch.arange(width, device=images.device)
    columns = torch.where(mirrored[:, None], across.flip(0), across)
    rows = (place // side)[:, None] + down
    columns = (place % side)[:, None] + columns
    places = (rows[:, :, None] * (width + 2 * crop) + columns[:, None]).flatten(1)
    wide = F.pad(images, (crop,) * 4).flatten(2)
    every = places[:, None].expand(-1, images.shape[1], -1)
    return wide.gather(2, every).view(images.shape)
