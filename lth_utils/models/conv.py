"""Convolutional: Conv-2, Conv-4 and Conv-6 (paper, section 3)."""

from torch import Tensor, nn
from torch.nn import functional as F

from lth_utils.models.layers import CLASSES, Dropout, conv, initialize, linear


class _Conv(nn.Module):
    """A scaled-down VGG: pairs of 3 x 3 convolutions, each pair pooled."""

    def __init__(
        self, seed: int, filters: tuple[int, ...], units: tuple[int, int]
    ) -> None:
        super().__init__()
        self.convolutions = len(filters)
        channels = 3
        for number, width in enumerate(filters, 1):
            self.add_module(f"conv{number}", conv(channels, width, bias=True))
            channels = width
        side = 32 >> len(filters) // 2
        self.fc1 = linear(channels * side * side, units[0])
        self.drop1 = Dropout(units[0])
        self.fc2 = linear(units[0], units[1])
        self.drop2 = Dropout(units[1])
        self.output = linear(units[1], CLASSES)
        initialize(self, seed)

    def forward(self, images: Tensor) -> Tensor:
        """Return the class scores (N, 10) of scaled images (N, 3, 32, 32)."""
        signal = images
        for number in range(1, self.convolutions + 1):
            signal = self.get_submodule(f"conv{number}")(signal)
            if number % 2 == 0:  # pooling first: the same values, less ReLU
                signal = F.max_pool2d(signal, 2)
            signal = F.relu(signal)
        signal = self.drop1(F.relu(self.fc1(signal.flatten(1))))
        scores: Tensor = self.output(self.drop2(F.relu(self.fc2(signal))))
        return scores


class Conv2(_Conv):
    """Conv-2: 2 convolutions and 3 fully connected layers, 4,300,992 weights.

    Takes (N, 3, 32, 32), gives (N, 10).

    Args:
        seed: Of the initial weights.
        filters: Of each convolution.
        units: Of the two hidden fully connected layers.

    Raises:
        LotteryError: If the seed is no integer of at least 0.
    """

    def __init__(
        self,
        seed: int = 0,
        filters: tuple[int, int] = (64, 64),
        units: tuple[int, int] = (256, 256),
    ) -> None:
        super().__init__(seed, filters, units)


class Conv4(_Conv):
    """Conv-4: 4 convolutions and 3 fully connected layers, 2,425,024 weights.

    Takes (N, 3, 32, 32), gives (N, 10).

    Args:
        seed: Of the initial weights.
        filters: Of each convolution.
        units: Of the two hidden fully connected layers.

    Raises:
        LotteryError: If the seed is no integer of at least 0.
    """

    def __init__(
        self,
        seed: int = 0,
        filters: tuple[int, int, int, int] = (64, 64, 128, 128),
        units: tuple[int, int] = (256, 256),
    ) -> None:
        super().__init__(seed, filters, units)


class Conv6(_Conv):
    """Conv-6: 6 convolutions and 3 fully connected layers, 2,261,184 weights.

    Takes (N, 3, 32, 32), gives (N, 10). The paper's Figure 2 prints 1.7
    million weights, which does not follow from the network it describes;
    this is that network.

    Args:
        seed: Of the initial weights.
        filters: Of each convolution.
        units: Of the two hidden fully connected layers.

    Raises:
        LotteryError: If the seed is no integer of at least 0.
    """

    def __init__(
        self,
        seed: int = 0,
        filters: tuple[int, int, int, int, int, int] = (64, 64, 128, 128, 256, 256),
        units: tuple[int, int] = (256, 256),
    ) -> None:
        super().__init__(seed, filters, units)
