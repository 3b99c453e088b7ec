"""Deep and plain: VGG-19 (paper, section 4)."""

from torch import Tensor, nn
from torch.nn import functional as F

from lth_utils.models.layers import CLASSES, conv, initialize, linear


class VGG19(nn.Module):
    """VGG-19 with BatchNorm, for 32 x 32 images: 20,024,000 weights.

    20,018,880 of them in 16 convolutions, the rest in the one fully
    connected layer after average pooling. Takes (N, 3, 32, 32), gives (N, 10).

    Args:
        seed: Of the initial weights.
        width: Of the first stage; the others are 2, 4, 8 and 8 times as wide.

    Raises:
        LotteryError: If the seed is no integer of at least 0.
    """

    STAGES = ((1, 2), (2, 2), (4, 4), (8, 4), (8, 4))  # how wide, how deep

    def __init__(self, seed: int = 0, width: int = 64) -> None:
        super().__init__()
        channels, number = 3, 0
        for times, depth in self.STAGES:
            for _ in range(depth):
                number += 1
                self.add_module(f"conv{number}", conv(channels, times * width))
                self.add_module(f"norm{number}", nn.BatchNorm2d(times * width))
                channels = times * width
        self.output = linear(channels, CLASSES)
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
