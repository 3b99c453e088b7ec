"""The paper's networks, plain: nothing here knows about pruning.

Sizes from the paper's Figure 2. It does not state the activation, the
padding or the biases; here they are ReLU, 1 for 3 x 3 convolutions, and zero
at the start, as in its authors' later code. Biases and BatchNorm parameters
are never pruned and are outside every count of weights. Weights are drawn
from Gaussian Glorot, each network from a generator of its own.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.random import fork_rng

from lth_utils.seeds import check_seed, seed_of
from lth_utils.words import check_network

CLASSES = 10


def initialize(net: nn.Module, seed: int) -> None:
    """Draw every weight of `net` anew; biases become 0, BatchNorm as new.

    Gaussian Glorot: mean 0, variance 2 / (fan in + fan out), layer by layer
    in the order of `net.modules()`. The same seed gives the same bits and
    touches no global random state.

    Raises:
        LotteryError: If the seed is no integer of at least 0.
    """
    generator = torch.Generator().manual_seed(seed_of("init", check_seed(seed)))
    for module in net.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            nn.init.xavier_normal_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()


class LeNet(nn.Module):
    """LeNet-300-100: three fully connected layers, 266,200 weights.

    Takes (N, 1, 28, 28), or any images of `inputs` values, gives (N, 10).

    Args:
        seed: Of the initial weights.
        hidden: The two hidden layers' units.
        inputs: An image's values.

    Raises:
        LotteryError: If the seed is no integer of at least 0.
    """

    def __init__(
        self, seed: int = 0, hidden: tuple[int, int] = (300, 100), inputs: int = 784
    ) -> None:
        super().__init__()
        self.fc1 = _linear(inputs, hidden[0])
        self.fc2 = _linear(hidden[0], hidden[1])
        self.output = _linear(hidden[1], CLASSES)
        initialize(self, seed)

    def forward(self, images: Tensor) -> Tensor:
        """Return the class scores (N, 10) of scaled images (N, C, H, W)."""
        hidden = F.relu(self.fc1(images.flatten(1)))
        scores: Tensor = self.output(F.relu(self.fc2(hidden)))
        return scores


class _Conv(nn.Module):
    """A scaled-down VGG: pairs of 3 x 3 convolutions, each pair pooled."""

    def __init__(
        self, seed: int, filters: tuple[int, ...], units: tuple[int, int]
    ) -> None:
        super().__init__()
        self.convolutions = len(filters)
        channels = 3
        for number, width in enumerate(filters, 1):
            self.add_module(f"conv{number}", _conv(channels, width, bias=True))
            channels = width
        side = 32 >> len(filters) // 2
        self.fc1 = _linear(channels * side * side, units[0])
        self.fc2 = _linear(units[0], units[1])
        self.output = _linear(units[1], CLASSES)
        initialize(self, seed)

    def forward(self, images: Tensor) -> Tensor:
        """Return the class scores (N, 10) of scaled images (N, 3, 32, 32)."""
        signal = images
        for number in range(1, self.convolutions + 1):
            signal = self.get_submodule(f"conv{number}")(signal)
            if number % 2 == 0:  # pooling first: the same values, less ReLU
                signal = F.max_pool2d(signal, 2)
            signal = F.relu(signal)
        signal = F.relu(self.fc1(signal.flatten(1)))
        scores: Tensor = self.output(F.relu(self.fc2(signal)))
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


class _Block(nn.Module):
    """Two convolutions beside a shortcut, which is 1 x 1 where widths differ."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.stride = width // channels
        self.conv1 = _conv(channels, width, stride=self.stride)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width)
        self.norm2 = nn.BatchNorm2d(width)
        if width != channels:
            self.shortcut = _conv(channels, width, side=1, stride=self.stride)
            self.shortcut_norm = nn.BatchNorm2d(width)

    def forward(self, signal: Tensor) -> Tensor:
        """Return (N, width, H / stride, W / stride) of (N, channels, H, W)."""
        inner = F.relu(self.norm1(self.conv1(signal)))
        inner = self.norm2(self.conv2(inner))
        if self.stride > 1:
            signal = self.shortcut_norm(self.shortcut(signal))
        return F.relu(inner + signal)


class ResNet20(nn.Module):
    """ResNet-20 with BatchNorm: 270,896 weights.

    267,696 of them in 3 x 3 convolutions, 2,560 in 1 x 1 shortcuts and 640
    in the output layer. Takes (N, 3, 32, 32), gives (N, 10). The paper calls
    this network ResNet-18; its first author later named it for what it is.

    Args:
        seed: Of the initial weights.

    Raises:
        LotteryError: If the seed is no integer of at least 0.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.conv1 = _conv(3, 16)
        self.norm1 = nn.BatchNorm2d(16)
        widths = [16] * 4 + [32] * 3 + [64] * 3
        self.blocks = nn.Sequential(*(_Block(*pair) for pair in pairwise(widths)))
        self.output = _linear(64, CLASSES)
        initialize(self, seed)

    def forward(self, images: Tensor) -> Tensor:
        """Return the class scores (N, 10) of scaled images (N, 3, 32, 32)."""
        signal = self.blocks(F.relu(self.norm1(self.conv1(images))))
        scores: Tensor = self.output(signal.mean((2, 3)))
        return scores


class VGG19(nn.Module):
    """VGG-19 with BatchNorm, for 32 x 32 images: 20,024,000 weights.

    20,018,880 of them in 16 convolutions, the rest in the one fully
    connected layer after average pooling. Takes (N, 3, 32, 32), gives (N, 10).

    Args:
        seed: Of the initial weights.

    Raises:
        LotteryError: If the seed is no integer of at least 0.
    """

    STAGES = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        channels, number = 3, 0
        for width, depth in self.STAGES:
            for _ in range(depth):
                number += 1
                self.add_module(f"conv{number}", _conv(channels, width))
                self.add_module(f"norm{number}", nn.BatchNorm2d(width))
                channels = width
        self.output = _linear(channels, CLASSES)
        initialize(self, seed)

    def forward(self, images: Tensor) -> Tensor:
        """Return the class scores (N, 10) of scaled images (N, 3, 32, 32)."""
        signal, number = images, 0
        for stage, (_, depth) in enumerate(self.STAGES):
            if stage:
                signal = F.max_pool2d(signal, 2)
            for _ in range(depth):
                number += 1
                signal = self.get_submodule(f"conv{number}")(signal)
                signal = F.relu(self.get_submodule(f"norm{number}")(signal))
        scores: Tensor = self.output(signal.mean((2, 3)))
        return scores


def _linear(inputs: int, units: int) -> nn.Linear:
    """Return a layer; torch's own first values leave no trace in its state."""
    with fork_rng(devices=[]):
        return nn.Linear(inputs, units)


def _conv(
    channels: int, width: int, side: int = 3, stride: int = 1, bias: bool = False
) -> nn.Conv2d:
    """Return a convolution that keeps height and width, but for its stride."""
    with fork_rng(devices=[]):
        return nn.Conv2d(
            channels, width, side, stride=stride, padding=side // 2, bias=bias
        )


def _conv2_narrow(seed: int) -> Conv2:
    """Conv-2 for minutes on a laptop: a quarter of the filters and units."""
    return Conv2(seed, filters=(16, 16), units=(64, 64))


def _lenet_1d(seed: int) -> LeNet:
    """LeNet for the 40 points of an MNIST-1D signal: 15,000 weights."""
    return LeNet(seed, hidden=(100, 100), inputs=40)


_MAKERS: dict[str, Callable[[int], nn.Module]] = {
    "lenet": LeNet,
    "conv2": Conv2,
    "conv4": Conv4,
    "conv6": Conv6,
    "resnet20": ResNet20,
    "vgg19": VGG19,
    "conv2-narrow": _conv2_narrow,
    "lenet-1d": _lenet_1d,
}


def network(name: str, seed: int = 0) -> nn.Module:
    """Build a network by its word on the command line.

    Args:
        name: One of `words.NETWORKS`; `conv2-narrow` is Conv-2 with 16, 16
            filters and 64, 64 units, for the book's live cells; `lenet-1d`
            takes MNIST-1D's 40 points and has 100, 100 hidden units. Also
            `lenet-50-17`: LeNet with 50, 17 hidden units (1 to 10,000). And
            any of these with a gain above 0, which multiplies the initial
            weights: `lenet@0.5`, `lenet-50-17@0.5`.
        seed: Of the initial weights.

    Raises:
        LotteryError: If there is no such network, or the seed is no integer
            of at least 0.
    """
    base, hidden, gain = check_network(name)
    net = LeNet(seed, hidden) if hidden else _MAKERS[base](seed)
    for module in net.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            module.weight.data *= gain
    return net
