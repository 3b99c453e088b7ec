"""The layers that all networks are built from, and their first values."""

import torch
from torch import Tensor, nn
from torch.random import fork_rng

from lth_utils.seeds import check_seed, seed_of

CLASSES = 10


def initialize(net: nn.Module, seed: int) -> None:
    """Draw every weight of `net` anew; biases become 0, BatchNorm as new.

    Gaussian Glorot: mean 0, variance 2 / (fan in + fan out), layer by layer
    in the order of `net.modules()`. The same seed gives the same bits, however
    the weights lie in memory, and touches no global random state.

    Raises:
        LotteryError: If the seed is no integer of at least 0.
    """
    generator = torch.Generator().manual_seed(seed_of("init", check_seed(seed)))
    for module in net.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            drawn = torch.empty(module.weight.shape, dtype=module.weight.dtype)
            nn.init.xavier_normal_(drawn, generator=generator)
            module.weight.data.copy_(drawn)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()


class Dropout(nn.Module):
    """Where a training may leave hidden units out; by itself it changes nothing.

    Args:
        units: How many there are.

    Attributes:
        kept: What each is multiplied with while a step is taken, (N, units).
    """

    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = units
        self.kept: Tensor | None = None

    def forward(self, signal: Tensor) -> Tensor:
        """Return the units (N, units) that are kept; all, if this evaluates."""
        if self.kept is None or not self.training:
            return signal
        return signal * self.kept

    def extra_repr(self) -> str:
        """Say how many units there are."""
        return str(self.units)


def linear(inputs: int, units: int) -> nn.Linear:
    """Return a layer; torch's own first values leave no trace in its state."""
    with fork_rng(devices=[]):
        return nn.Linear(inputs, units)


def conv(
    channels: int, width: int, side: int = 3, stride: int = 1, bias: bool = False
) -> nn.Conv2d:
    """Return a convolution that keeps height and width, but for its stride."""
    with fork_rng(devices=[]):
        return nn.Conv2d(
            channels, width, side, stride=stride, padding=side // 2, bias=bias
        )
