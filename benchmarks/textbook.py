"""The loop that most public PyTorch code has: what our speed is held against.

torchvision's data sets (an item is a PIL picture, turned into a tensor and
normalised one at a time), a DataLoader, `torch.nn.utils.prune`, the stock
Adam. Nothing here is slow on purpose, and nothing is tuned.
"""

from collections.abc import Iterable, Iterator
from itertools import islice, pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.utils import data

import lth_utils as lth
from lth_utils.data.datasets import Dataset
from lth_utils.data.splits import Split
from lth_utils.tickets import Ticket

Batches = Iterable[tuple[Tensor, Tensor]]

FILTERS = {
    "lenet": (),
    "conv2": (64, 64),
    "conv4": (64, 64, 128, 128),
    "conv6": (64, 64, 128, 128, 256, 256),
}


def pictures(whole: Dataset, split: Split) -> data.Dataset:
    """Return a split as torchvision's MNIST or CIFAR10, by its own code."""
    from torchvision import datasets, transforms

    kind = datasets.MNIST if whole.shape[0] == 1 else datasets.CIFAR10
    found = kind.__new__(kind)  # its constructor would look for files
    if kind is datasets.MNIST:
        found.data, found.targets = split.images[:, 0], split.labels
    else:
        found.data = split.images.permute(0, 2, 3, 1).contiguous().numpy()
        found.targets = split.labels.tolist()
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


def network(word: str) -> nn.Sequential:
    """Return LeNet-300-100 or a Conv-n, as one would write it down."""
    layers: list[nn.Module] = []
    for number, (channels, width) in enumerate(pairwise((3, *FILTERS[word])), 1):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
        if number % 2 == 0:
            layers += [nn.MaxPool2d(2)]
    if word == "lenet":
        units = (784, 300, 100)
    else:
        side = 32 >> len(FILTERS[word]) // 2
        units = (FILTERS[word][-1] * side * side, 256, 256)
    layers += [nn.Flatten()]
    for inputs, outputs in pairwise(units):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(units[-1], 10))


def pruned(ticket: Ticket) -> nn.Sequential:
    """Return the ticket's network, masked by `torch.nn.utils.prune`."""
    net, theirs = network(ticket.network), lth.network(ticket.network).state_dict()
    values = [ticket.init[name] for name in theirs]
    net.load_state_dict(dict(zip(net.state_dict(), values, strict=True)))
    layers = [layer for layer in net if isinstance(layer, nn.Linear | nn.Conv2d)]
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
