"""Every way to train networks, for tests that ask the same of all; and torch's own."""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, MultiStepLR, SequentialLR

import lth_utils as lth
from lth_utils.training.convs.graph import Graph
from lth_utils.training.convs.lanes import Lanes
from lth_utils.training.engines import Autograd, Engine
from lth_utils.training.gpu.replicas import WAYS, together
from lth_utils.training.lenet.mlp import MLP, linear_layers
from lth_utils.training.lenet.pixels import Pixels
from lth_utils.training.lenet.sparse import Sparse
from lth_utils.training.order import batches
from lth_utils.training.recipes import Recipe

Key = tuple[int, int]  # (seed, round)
Make = Callable[[nn.Module, Recipe, lth.Dataset, Key], Engine]


def _of_layers(kind: type) -> Make:
    def make(net: nn.Module, recipe: Recipe, data: lth.Dataset, _: Key) -> Engine:
        return kind(linear_layers(net), recipe, data)

    return make


def lanes(net: nn.Module, recipe: Recipe, data: lth.Dataset, key: Key) -> Engine:
    tiles = 4 * -(-recipe.batch_size // 64)
    return Lanes(Graph(net, data.shape, tiles), recipe, data, key)


ENGINES: dict[str, Make] = {
    "autograd": Autograd,
    "mlp": _of_layers(MLP),
    "sparse": _of_layers(Sparse),
    "pixels": _of_layers(Pixels),
    "lanes": lanes,
}
LENET = ("autograd", "mlp", "sparse", "pixels", "stack")
CONV = ("autograd", "lanes", *WAYS)


def thinned(net: nn.Module, density: float, seed: int = 0) -> nn.Module:
    """Return a masked copy of which a share is left, at random."""
    net = lth.masked(net)
    whole = lth.Masks.ones(net)
    counts = {(name,): round(density * m.numel()) for name, m in whole.items()}
    lth.apply_masks(net, lth.keep(lth.random_scores(whole, seed), whole, counts))
    return net


def orders(recipe: Recipe, data: lth.Dataset, key: Key) -> torch.Tensor:
    """Return each step's images' numbers, (steps, batch_size)."""
    return torch.stack(list(batches(data.train.size, recipe, *key, data.views)))


def stepped(
    way: str,
    nets: Sequence[nn.Module],
    recipe: Recipe,
    data: lth.Dataset,
    keys: Sequence[Key],
) -> None:
    """Take all of a recipe's steps with each network, by one of the ways."""
    if way not in ENGINES:
        way = WAYS[0] if way == "stack" else way  # LeNets have one way alone
        replicas = together(nets, data, recipe, keys, way)
        for index in torch.stack([orders(recipe, data, key) for key in keys], 1):
            replicas.step(index)
        replicas.write()
        return
    for net, key in zip(nets, keys, strict=True):
        engine = ENGINES[way](net, recipe, data, key)
        engine.steps(orders(recipe, data, key))
        engine.write()


def apart(net: nn.Module, other: nn.Module) -> float:
    """Return the largest difference of any parameter or statistic."""
    theirs = lth.snapshot(other)
    return max((t - theirs[n]).abs().max().item() for n, t in lth.snapshot(net).items())


# --- torch's own ------------------------------------------------------------------


def _optimizer(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.optimizer == "adam":
        return torch.optim.Adam(net.parameters(), recipe.lr)
    about = {"momentum": recipe.momentum, "weight_decay": recipe.weight_decay}
    return torch.optim.SGD(net.parameters(), recipe.lr, **about)


def _scheduler(optimizer: torch.optim.Optimizer, recipe: Recipe) -> LRScheduler:
    warm = recipe.warmup
    falls = MultiStepLR(optimizer, [at - warm for at in recipe.milestones], gamma=0.1)
    if not warm:
        return falls
    rises = LambdaLR(optimizer, lambda done: (done + 1) / warm)
    return SequentialLR(optimizer, [rises, falls], [warm])


def by_torch(
    net: nn.Module,
    recipe: Recipe,
    data: lth.Dataset,
    key: Key,
    forward: Callable[[nn.Module, torch.Tensor, int], torch.Tensor] | None = None,
) -> nn.Module:
    """Return a trained copy: torch's optimizer, schedulers and gradients.

    Args:
        net: A masked network.
        recipe: How.
        data: On what.
        key: (seed, round).
        forward: A forward pass of one's own: of network, images and iteration.
    """
    net, masks = copy.deepcopy(net).train(), dict(lth.masks_of(net))
    optimizer = _optimizer(net, recipe)
    scheduler = _scheduler(optimizer, recipe)
    for iteration, index in enumerate(orders(recipe, data, key), 1):
        x, y = data.batch(index, torch.float64)
        optimizer.zero_grad()
        scores = forward(net, x, iteration) if forward else net(x)
        F.cross_entropy(scores, y).backward()
        for name, mask in masks.items():
            net.get_parameter(name).grad.mul_(mask)
        optimizer.step()
        scheduler.step()
    return net
