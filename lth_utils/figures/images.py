"""Masks and weights as pictures."""

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lth_utils.errors import LotteryError
from lth_utils.figures.drawing import panel, percent


def mask_image(mask: Any, ax: Axes | None = None) -> Figure:
    """Show a mask as a picture: dark where a weight remains.

    Args:
        mask: Shape (outputs, inputs), or (outputs, inputs, height, width) of
            a convolution, drawn as (outputs, all the rest).
        ax: Axes to draw into; else those of a new figure.

    Raises:
        LotteryError: If the mask has fewer than two dimensions.
    """
    array = _alive(mask)
    if array.ndim < 2:
        raise LotteryError(
            f"A mask of shape {array.shape} is no picture: expected the mask of a"
            " weight matrix, such as masks['fc1.weight']."
        )
    flat = array.reshape(len(array), -1)
    figure, axis = panel(ax, (9, 4))
    # A pixel a weight, neither mixed nor dropped: an SVG holds them as they are.
    axis.imshow(flat, "binary", aspect="auto", interpolation="none", vmin=0, vmax=1)
    share = percent(flat.mean())
    axis.set_title(f"{flat.sum():,} of {flat.size:,} weights remain ({share})")
    axis.set(xlabel="input", ylabel="output")
    return figure


def input_image(mask: Any, ax: Axes | None = None) -> Figure:
    """Show how many weights each input pixel keeps.

    Args:
        mask: A first layer's, shape (outputs, side * side): LeNet's fc1.weight,
            (300, 784), gives a picture of 28 x 28 pixels.
        ax: Axes to draw into; else those of a new figure.

    Raises:
        LotteryError: If the inputs are not the pixels of a square image.
    """
    array = _alive(mask)
    side = _side(array)
    figure, axis = panel(ax, (4.6, 3.8))
    counts = array.sum(axis=0).reshape(side, side)
    shown = axis.imshow(counts, "viridis", interpolation="none", vmin=0)
    axis.set(xticks=[], yticks=[], title="weights that remain at each pixel")
    figure.colorbar(shown, ax=axis, ticks=MaxNLocator(integer=True))
    return figure


def unit_images(
    weight: Any, mask: Any, ax: Axes | None = None, grid: tuple[int, int] = (3, 4)
) -> Figure:
    """Show the weights that reach the first units, as pictures of the input.

    Orange is above zero, purple below, grey is pruned.

    Args:
        weight: A first layer's, shape (outputs, side * side). The colours
            span its values, pruned or not, so that masks can be compared.
        mask: Of the same shape.
        ax: Axes to draw into; else those of a new figure.
        grid: How many rows and columns of units.

    Raises:
        LotteryError: If the inputs are not the pixels of a square image.
    """
    values, alive = _numbers(weight), _alive(mask)
    side = _side(alive)
    figure, axis = panel(ax, (4.6, 3.8))
    most = np.quantile(abs(values), 0.99)
    paint = colormaps["PuOr_r"](Normalize(-most, most)(values))
    paint[~alive] = to_rgba("#dddddd")
    tiles = paint[: grid[0] * grid[1]].reshape(*grid, side, side, 4)
    # A white line around each unit.
    tiles = np.pad(tiles, [(0, 0)] * 2 + [(1, 1)] * 2 + [(0, 0)], constant_values=1)
    height, width = (n * (side + 2) for n in grid)
    axis.imshow(tiles.transpose(0, 2, 1, 3, 4).reshape(height, width, 4))
    axis.set(xticks=[], yticks=[], title="weights of the first units")
    return figure


def _side(array: Any) -> int:
    """Return the side of the square image that a first layer's inputs are."""
    side = round(array.shape[1] ** 0.5) if array.ndim == 2 else 0
    if array.ndim != 2 or side * side != array.shape[1]:
        raise LotteryError(
            f"A mask of shape {array.shape} has no input image: expected (outputs,"
            " side x side), such as LeNet's masks['fc1.weight'], (300, 784)."
        )
    return side


def _alive(mask: Any) -> np.ndarray:
    """Return a mask (a tensor, on any device, or an array) as bools."""
    found: np.ndarray = _numbers(mask) != 0
    return found


def _numbers(values: Any) -> np.ndarray:
    """Return a tensor, on any device, or an array as an array."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.asarray(values)
