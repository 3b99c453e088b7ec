"""CUDA graphs: a step recorded once, and replayed without the cost of launches."""

from collections.abc import Callable, Iterable
from functools import cache

import torch
from torch import Tensor

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
    """Record a step as a graph, leaving every value as it was.

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
    with torch.cuda.device(stream.device), torch.enable_grad():
        now = torch.cuda.current_stream()
        stream.wait_stream(now)
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UP):
                step()
        now.wait_stream(stream)
        with torch.cuda.graph(graph, stream=stream):
            step()
    for tensor, value in zip(state, before, strict=True):
        tensor.copy_(value)
    return graph
