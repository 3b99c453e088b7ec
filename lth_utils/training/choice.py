"""Which engine takes a network's steps: the fastest that there is for it here."""

from importlib import import_module

from torch import nn

from lth_utils.data.datasets import Dataset
from lth_utils.masks import weights_and_masks
from lth_utils.training.engines import Autograd, Engine
from lth_utils.training.lenet import sparse
from lth_utils.training.lenet.mlp import MLP, linear_layers
from lth_utils.training.lenet.pixels import SHARE, Pixels, share_of
from lth_utils.training.plain import convolutional, mask_of
from lth_utils.training.recipes import Recipe


def engine_for(
    net: nn.Module, recipe: Recipe, data: Dataset, key: tuple[int, int] = (0, 0)
) -> Engine:
    """Return the fastest engine for `net`, where it is now.

    Args:
        net: Any network that `train` takes.
        recipe: How it is trained.
        data: On what.
        key: The training's (seed, round).

    Raises:
        LotteryError: If the network has no place for the recipe's dropout.
    """
    layers = linear_layers(net)
    if layers is None:
        lanes = _lanes(net, recipe, data, key)
        return lanes or Autograd(net, recipe, data, key)
    recipe.check_places(type(net).__name__, there=False)
    if data.views > 1:  # the others list each image's pixels once
        return MLP(layers, recipe, data)
    masks = [mask_of(layer) for layer in layers]
    alive = sum(int(mask.sum()) for mask in masks)
    density = alive / sum(mask.numel() for mask in masks)
    on_cpu = layers[0].weight.device.type == "cpu"
    if not on_cpu or not sparse.numba_version():
        return MLP(layers, recipe, data)
    if density < sparse.CROSSOVER:
        return sparse.Sparse(layers, recipe, data)
    if share_of(data) < SHARE:
        return Pixels(layers, recipe, data)
    if density < sparse.CROSSOVER_FULL:
        return sparse.Sparse(layers, recipe, data)
    return MLP(layers, recipe, data)


def _lanes(
    net: nn.Module, recipe: Recipe, data: Dataset, key: tuple[int, int]
) -> Engine | None:
    """Return the engine of a sparse convolutional network, if it pays."""
    if data.device.type != "cpu" or not convolutional(net):
        return None
    masks = [mask for _, mask in weights_and_masks(net).values()]
    alive = sum(int(mask.sum()) for mask in masks)
    if alive >= 0.8 * sum(mask.numel() for mask in masks) or not sparse.numba_version():
        return None  # so dense that it need not be asked
    lanes = import_module("lth_utils.training.convs.lanes")
    engine: Engine | None = lanes.lanes_for(net, recipe, data, key)
    return engine
