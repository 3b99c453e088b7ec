"""The weights of the least validation loss so far, to be measured at the end.

To evaluate all splits takes longer than to train, and of what is found a table
shows two rows: at early stop and at the end. Which weights are those of the
early stop only the end can tell; so they are kept on the way, and what was not
measured then is measured once, by the same engine, to the same bits.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lth_utils.training.engines import Engine
from lth_utils.training.evaluation import Point, validation_loss
from lth_utils.training.gpu.replicas import Replicas


class Best:
    """The best weights of one network.

    Args:
        net: The network, BatchNorm's statistics included.
        engine: What trains it.
    """

    def __init__(self, net: nn.Module, engine: Engine) -> None:
        self.net, self.engine = net, engine
        self.loss, self.iteration = math.inf, 0
        self.weights: list[Tensor] = []

    def see(self, points: Sequence[Point]) -> None:
        """Keep the weights, if their validation loss is less than any before."""
        if (loss := validation_loss(points)) < self.loss:
            self.loss, self.iteration = loss, points[0].iteration
            self.weights = self._copies()

    @contextmanager
    def put_in(self) -> Iterator[None]:
        """Put the best weights into network and engine for a while."""
        last = self._copies()
        self._load(self.weights)
        try:
            yield
        finally:
            self._load(last)

    def _copies(self) -> list[Tensor]:
        self.engine.write()
        return [tensor.detach().clone() for tensor in _moving(self.net)]

    @torch.no_grad()
    def _load(self, weights: list[Tensor]) -> None:
        for tensor, values in zip(_moving(self.net), weights, strict=True):
            tensor.copy_(values)
        self.engine.read()


class BestRows:
    """The best weights of each of several replicas.

    Args:
        stack: What trains them together.
    """

    def __init__(self, stack: Replicas) -> None:
        self.rows = stack.rows()
        self.losses = [math.inf] * len(self.rows)
        self.iterations = [0] * len(self.rows)
        self.weights: list[list[Tensor]] = [[] for _ in self.rows]

    def see(self, found: Sequence[Sequence[Point]]) -> None:
        """Keep the weights whose validation loss is less than any of theirs before."""
        for number, points in enumerate(found):
            if (loss := validation_loss(points)) < self.losses[number]:
                self.losses[number] = loss
                self.iterations[number] = points[0].iteration
                self.weights[number] = [tensor.clone() for tensor in self.rows[number]]

    @contextmanager
    def put_in(self) -> Iterator[None]:
        """Put the best weights in for a while."""
        last = [[tensor.clone() for tensor in row] for row in self.rows]
        self._load(self.weights)
        try:
            yield
        finally:
            self._load(last)

    def _load(self, weights: list[list[Tensor]]) -> None:
        for row, values in zip(self.rows, weights, strict=True):
            for tensor, value in zip(row, values, strict=True):
                tensor.copy_(value)


def _moving(net: nn.Module) -> list[Tensor]:
    """Return what training can change: free parameters, and buffers."""
    free: list[Tensor] = [p for p in net.parameters() if p.requires_grad]
    buffers = [b for b in net.buffers() if not b.is_inference()]
    return free + buffers
