"""Networks that train beside each other: each step a graph, on its own stream.

A small network's step keeps a GPU waiting for the next launch. Recorded as a
graph it launches at once, and graphs on several streams share the GPU. Each
network's kernels are those it would have alone.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from lth_utils.data.datasets import Dataset
from lth_utils.data.splits import Split
from lth_utils.training.engines import Autograd
from lth_utils.training.gpu.graphs import record, room, side_stream
from lth_utils.training.recipes import Recipe

_LANES = 8  # streams: each keeps work space, and more were never measured


class Streams:
    """Each network's own step, recorded as a graph; several run at a time.

    Without CUDA they run one after the other.

    Args:
        nets: Networks of one form, trained in place.
        data: The data set.
        recipe: Their optimizer.
        keys: Each network's (seed, round), which names what is dropped.
    """

    def __init__(
        self,
        nets: Sequence[nn.Module],
        data: Dataset,
        recipe: Recipe,
        keys: Sequence[tuple[int, int]],
    ) -> None:
        self.engines = [
            Autograd(net, recipe, data, key)
            for net, key in zip(nets, keys, strict=True)
        ]
        self.device = data.device
        self.index = room(len(nets), data, recipe)
        self.graphs: list[tuple[torch.cuda.Stream, torch.cuda.CUDAGraph]] = []
        if data.device.type == "cuda":
            self._record()

    def _record(self) -> None:
        """Record each network's step as a graph of its own."""
        pairs = zip(self.engines, self.index, strict=True)
        for number, (engine, row) in enumerate(pairs):
            stream = side_stream(self.device, number % _LANES)
            state = [*engine.descent.tensors(), *engine.net.buffers()]
            with engine.drops:
                graph = record(partial(engine.step, row), state, stream)
            self.graphs.append((stream, graph))

    def step(self, index: Tensor) -> None:
        """Take one optimizer step of every replica.

        Args:
            index: Each replica's batch, (R, batch_size), on any device.
        """
        self.index.copy_(index)
        if not self.graphs:
            for engine, row in zip(self.engines, self.index.split(1), strict=True):
                engine.steps(row)
            return
        for engine in self.engines:
            engine.begin()
        now = torch.cuda.current_stream(self.device)
        lanes = dict.fromkeys(stream for stream, _ in self.graphs)
        for stream in lanes:
            stream.wait_stream(now)
        for stream, graph in self.graphs:
            with torch.cuda.stream(stream):
                graph.replay()
        for stream in lanes:
            now.wait_stream(stream)

    def measure(self, sample: Split) -> list[tuple[float, float]]:
        """Return losses and accuracies; BatchNorm uses its running statistics."""
        return [engine.measure(sample) for engine in self.engines]

    def rows(self) -> list[list[Tensor]]:
        """Return each network's values and statistics, which may be written to."""
        nets = [engine.net for engine in self.engines]
        return [[t.detach() for t in (*n.parameters(), *n.buffers())] for n in nets]

    def write(self) -> None:
        """Lay the parameters out row by row, as they were found."""
        for engine in self.engines:
            engine.write()
