"""Residual: ResNet-20 (paper, section 4)."""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from lth_utils.models.layers import CLASSES, conv, initialize, linear


class Block(nn.Module):
    """Two convolutions beside a shortcut, which is 1 x 1 where widths differ."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.stride = width // channels
        self.conv1 = conv(channels, width, stride=self.stride)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width)
        self.norm2 = nn.BatchNorm2d(width)
        if width != channels:
            self.shortcut = conv(channels, width, side=1, stride=self.stride)
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
        width: Of the first stage; the others are twice and four times as wide.
        blocks: Of each stage; with one it is a ResNet-8.

    Raises:
        LotteryError: If the seed is no integer of at least 0.
    """

    def __init__(self, seed: int = 0, width: int = 16, blocks: int = 3) -> None:
        super().__init__()
        self.conv1 = conv(3, width)
        self.norm1 = nn.BatchNorm2d(width)
        stages = (width, 2 * width, 4 * width)
        widths = [width, *(stage for stage in stages for _ in range(blocks))]
        self.blocks = nn.Sequential(*(Block(*pair) for pair in pairwise(widths)))
        self.output = linear(4 * width, CLASSES)
        initialize(self, seed)

    def forward(self, images: Tensor) -> Tensor:
        """Return the class scores (N, 10) of scaled images (N, 3, 32, 32)."""
        signal = self.blocks(F.relu(self.norm1(self.conv1(images))))
        scores: Tensor = self.output(signal.mean((2, 3)))
        return scores
