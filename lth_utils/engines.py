"""Engines: how a network takes its steps. The generic one is here.

An engine is made for one training. `mlp.py` and `sparse.py` hold faster ones
for LeNet; `training.py` chooses. All of them do the same arithmetic: in
float64 they agree to the last few digits, in float32 only on average, because
another order of summation soon leads elsewhere.
"""

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lth_utils.recipes import Recipe


class Engine(Protocol):
    """What `train` asks of an engine."""

    def step(self, x: Tensor, y: Tensor) -> None:
        """Take one optimizer step on a scaled batch (N, C, H, W), labels (N,)."""

    def scores(self, x: Tensor) -> Tensor:
        """Return the class scores (N, classes) of a scaled batch."""

    def write(self) -> None:
        """Bring the network's parameters up to date."""


class Autograd:
    """Any network, on any device: backward by autograd.

    Args:
        net: The network, trained in place.
        recipe: Its optimizer.
    """

    def __init__(self, net: nn.Module, recipe: Recipe) -> None:
        self.net = net.train()
        self.optimizer = optimizer(net.parameters(), recipe)

    def step(self, x: Tensor, y: Tensor) -> None:
        """Take one optimizer step."""
        self.optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(self.net(x), y).backward()
        self.optimizer.step()

    def scores(self, x: Tensor) -> Tensor:
        """Return the class scores; BatchNorm uses its running statistics."""
        self.net.eval()
        scores: Tensor = self.net(x)
        self.net.train()
        return scores

    def write(self) -> None:
        """Nothing to do: the network itself is trained."""


def optimizer(
    parameters: Iterable[Tensor], recipe: Recipe, capturable: bool = False
) -> torch.optim.Optimizer:
    """Return a fresh optimizer, as the recipe says.

    Args:
        parameters: What it moves.
        recipe: Its kind and its rates.
        capturable: Adam's count of steps lies on the GPU, as a graph needs.
    """
    # Fused: one pass over memory, and no slow path for the zeros of pruned
    # weights' moments, where the stock Adam takes 2.6 times as long.
    if recipe.optimizer == "adam":
        return torch.optim.Adam(
            parameters, lr=recipe.lr, fused=True, capturable=capturable
        )
    return torch.optim.SGD(
        parameters,
        lr=recipe.lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        fused=True,
    )
