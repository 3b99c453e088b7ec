"""Loss and accuracy of whatever maps scaled images to class scores."""

from collections.abc import Callable

import torch
from torch import Tensor

from lth_utils.data.datasets import Dataset
from lth_utils.data.splits import Split
from lth_utils.errors import choose
from lth_utils.words import SPLITS

TRAIN_SAMPLE = 5000  # training images evaluated; all of them cost more than training
EVALUATION_BATCH = 250  # its activations fit a core's cache; a GPU takes 4 times that

LOW = (torch.float16, torch.bfloat16)

Scores = Callable[[Tensor], Tensor]


@torch.no_grad()
def measured(
    scores: Scores, data: Dataset, dtype: torch.dtype, sample: Split
) -> list[tuple[float, float]]:
    """Return mean loss and accuracy of what maps a scaled batch to scores.

    Scores are (N, classes), or (replicas, N, classes): one pair a replica.
    """
    loss, right = torch.zeros((2, 1), dtype=torch.float64, device=data.device)
    size = EVALUATION_BATCH if data.device.type == "cpu" else 4 * EVALUATION_BATCH
    for x, y in zip(sample.images.split(size), sample.labels.split(size), strict=True):
        outputs = scores(data.scale(x, dtype))
        outputs = exact(outputs.view(-1, *outputs.shape[-2:]))
        chances = outputs.log_softmax(2)
        labels = y.expand(len(outputs), -1)[..., None]
        loss = loss - chances.gather(2, labels).sum((1, 2), dtype=torch.float64)
        right = right + (outputs.argmax(2) == y).sum(1)
    images = len(sample.labels)
    return [
        (a / images, b / images)
        for a, b in zip(loss.tolist(), right.tolist(), strict=True)
    ]


def sample_of(data: Dataset, split: str) -> Split:
    """Return a split, thinned evenly to 5,000 images if it is the train split."""
    chosen: Split = getattr(data, choose("split", split, SPLITS))
    if split != "train" or len(chosen.labels) <= TRAIN_SAMPLE:
        return chosen
    last = len(chosen.labels) - 1
    index = torch.linspace(0, last, TRAIN_SAMPLE, dtype=torch.float64).long()
    index = index.to(chosen.labels.device)
    return Split(*(tensor.index_select(0, index) for tensor in chosen))


def exact(tensor: Tensor) -> Tensor:
    """Return a tensor in which sums and squares are exact enough.

    float16 and bfloat16 become float32, in which a mean of squared gradients
    does not vanish, and complex numbers their two parts; others are returned
    themselves.
    """
    if tensor.is_complex():
        return torch.view_as_real(tensor.resolve_conj())
    return tensor.float() if tensor.dtype in LOW else tensor
