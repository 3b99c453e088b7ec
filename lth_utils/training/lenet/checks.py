"""What compiled loops do not ask: that all numbers name something that is there."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lth_utils.data.splits import Split
from lth_utils.errors import LotteryError


def check_order(order: Tensor, images: int) -> None:
    """Check that a batch's numbers are images of the train split.

    Raises:
        LotteryError: If one is not.
    """
    if order.numel() and not 0 <= int(order.min()) <= int(order.max()) < images:
        raise LotteryError(
            f"A batch names the images {int(order.min())} to {int(order.max())}:"
            f" expected them from 0 to {images - 1}, as the train split has them."
        )


def checked_labels(sample: Split, inputs: int, classes: int) -> NDArray[np.int64]:
    """Return a copy of a split's labels, if they and its images fit a network.

    Args:
        sample: The split; what others write into it later does not matter.
        inputs: How many values an image must have.
        classes: The network's outputs.

    Raises:
        LotteryError: If an image has another number, or a label is no class's.
    """
    values = sample.images.shape[1:].numel()
    if values != inputs:
        raise LotteryError(
            f"An image has {values} values, but the network takes {inputs}: expected"
            " images of its own shape. Make the data set anew."
        )
    labels: NDArray[np.int64] = sample.labels.numpy().copy()
    if not 0 <= labels.min() <= labels.max() < classes:
        raise LotteryError(
            f"The labels go from {labels.min()} to {labels.max()}: expected them from 0"
            f" to {classes - 1}, as the network has outputs. Leave a data set as it is"
            " while it is trained on."
        )
    return labels
