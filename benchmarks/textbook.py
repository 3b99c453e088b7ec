"""The loop that most public PyTorch code has: what our speed is held against.

torchvision's data sets (an item is a PIL picture, turned into a tensor and
normalised one at a time), a DataLoader, `torch.nn.utils.prune`, the stock
Adam. Nothing here is slow on purpose, and nothing is tuned.
"""

from collections.abc import Iterable, Iterator
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.utils import data

import lth_utils as lth
from lth_utils.data.datasets import Dataset
from lth_utils.data.splits import Split
from lth_utils.tickets import Ticket

Batches = Iterable[tuple[Tensor, Tensor]]


def pictures(whole: Dataset, split: Split) -> data.Dataset:
    """Return a split as torchvision's MNIST, by its own code."""
    from torchvision import datasets, transforms

    found = datasets.MNIST.__new__(datasets.MNIST)  # its constructor looks for files
    found.data, found.targets = split.images[:, 0], split.labels
    mean, std = ([grey / 255 for grey in each] for each in (whole.mean, whole.std))
    found.transform = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize(mean, std)]
    )
    found.target_transform = None
    return found


def loader(
    whole: Dataset, split: Split, batch_size: int, shuffle: bool
) -> data.DataLoader:
    """Return the batches of a split."""
    return data.DataLoader(pictures(whole, split), batch_size, shuffle)


def forever(batches: Batches) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield epoch after epoch."""
    while True:
        yield from batches


def network() -> nn.Sequential:
    """Return LeNet-300-100, as one would write it down."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 300),
        nn.ReLU(),
        nn.Linear(300, 100),
        nn.ReLU(),
        nn.Linear(100, 10),
    )


def pruned(ticket: Ticket) -> nn.Sequential:
    """Return a LeNet's ticket, masked by `torch.nn.utils.prune`."""
    net, theirs = network(), lth.network(ticket.network).state_dict()
    values = [ticket.init[name] for name in theirs]
    net.load_state_dict(dict(zip(net.state_dict(), values, strict=True)))
    layers = [layer for layer in net if isinstance(layer, nn.Linear)]
    names = [name for name in theirs if name in ticket.masks]
    for layer, name in zip(layers, names, strict=True):
        prune.custom_from_mask(layer, "weight", ticket.masks[name])
    return net


def train(
    net: nn.Module, batches: Batches, optimizer: torch.optim.Optimizer, steps: int
) -> float:
    """Take some steps; return their mean loss (nats)."""
    net.train()
    criterion = nn.CrossEntropyLoss()
    running_loss = 0.0
    for images, labels in islice(batches, steps):
        optimizer.zero_grad()
        loss = criterion(net(images), labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    return running_loss / steps


@torch.no_grad()
def evaluate(net: nn.Module, batches: Batches) -> tuple[float, float]:
    """Return the mean loss (nats) and the accuracy (a fraction)."""
    net.eval()
    criterion = nn.CrossEntropyLoss(reduction="sum")
    loss, right, images_seen = 0.0, 0, 0
    for images, labels in batches:
        outputs = net(images)
        loss += criterion(outputs, labels).item()
        right += (outputs.argmax(1) == labels).sum().item()
        images_seen += len(labels)
    return loss / images_seen, right / images_seen
