"""CUDA graphs: a step recorded once, and replayed without the cost of launches."""

from collections.abc import Callable, Iterable
from functools import cache

import torch
from torch import Tensor

from lth_utils.data.datasets import Dataset
from lth_utils.training.engines import Descent
from lth_utils.training.recipes import Recipe

_WARM_UP = 3  # steps before a recording, as CUDA asks


@cache
def side_stream(device: torch.device, lane: int = 0) -> torch.cuda.Stream:
    """Return a device's stream of that number, for recordings and replays.

    It is made once, since the libraries keep work space for each stream for good.
    """
    return torch.cuda.Stream(device)


@torch.no_grad()
def record(
    step: Callable[[], None], state: Iterable[Tensor], stream: torch.cuda.Stream
) -> torch.cuda.CUDAGraph:
    """Record a step as a graph, leaving every value as it was, also if that fails.

    The warm-up's steps also make what must be there before: the data set's
    scaling, and the libraries' handles and work space. Graphs of one stream share
    its work space: they must not run at the same time.

    Args:
        step: What it does depends on tensors alone, and stays on the device.
        state: All that it changes and that outlives it.
        stream: What to record on.
    """
    state = [tensor.detach() for tensor in state]
    before = [tensor.clone() for tensor in state]
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.device(stream.device), torch.enable_grad():
            now = torch.cuda.current_stream()
            stream.wait_stream(now)
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UP):
                    step()
            now.wait_stream(stream)
            with torch.cuda.graph(graph, stream=stream):
                step()
    finally:
        for tensor, value in zip(state, before, strict=True):
            tensor.copy_(value)
    return graph


class OneStep:
    """Replicas whose step is one: on CUDA a graph, which is replayed.

    A subclass takes the step in `_step`, with the images `index`, (R, batch_size),
    and the optimizer `descent`.
    """

    descent: Descent
    graph: torch.cuda.CUDAGraph | None = None

    def _step(self) -> None:
        raise NotImplementedError

    def _prepare(self, index: Tensor, state: Iterable[Tensor]) -> None:
        """Take the room for the images' numbers; on CUDA, record the step.

        Args:
            index: int64 (R, batch_size).
            state: All that a step changes.
        """
        self.index, self.state = index, list(state)
        if index.is_cuda:
            self._record()

    def _record(self) -> None:
        stream = side_stream(self.index.device)
        self.graph = record(self._step, self.state, stream)

    def step(self, index: Tensor) -> None:
        """Take one optimizer step of every replica.

        Args:
            index: Each replica's batch, (R, batch_size), on any device.
        """
        self.index.copy_(index)
        self.descent.begin()
        if self.graph is None:
            self._step()
        else:
            self.graph.replay()


def room(replicas: int, data: Dataset, recipe: Recipe) -> Tensor:
    """Return room for the numbers of each replica's images, (R, batch_size)."""
    form = (replicas, recipe.batch_size)
    return torch.zeros(form, dtype=torch.int64, device=data.device)
