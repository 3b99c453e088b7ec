"""Fully connected: LeNet-300-100 (paper, section 2)."""

from torch import Tensor, nn
from torch.nn import functional as F

from lth_utils.models.layers import CLASSES, initialize, linear


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
        self.fc1 = linear(inputs, hidden[0])
        self.fc2 = linear(hidden[0], hidden[1])
        self.output = linear(hidden[1], CLASSES)
        initialize(self, seed)

    def forward(self, images: Tensor) -> Tensor:
        """Return the class scores (N, 10) of scaled images (N, C, H, W)."""
        hidden = F.relu(self.fc1(images.flatten(1)))
        scores: Tensor = self.output(F.relu(self.fc2(hidden)))
        return scores
