"""Small networks, data and experiments, so that tests train in seconds; a claim."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode

from lth_utils import Dataset, Experiment, Recipe, Split, dataset, experiment, load
from lth_utils.experiments.ledger import Claim
from lth_utils.pruning import Rates

RATES: Rates = {"fc": 0.2, "output": 0.1}
CLAIM = Claim(
    id="T1",
    chapter="4",
    source="a figure",
    says="One is better than the other.",
    measure="better",
    one="ticket",
    other="reinit",
    rounds=(7,),
    registered=date(2026, 11, 27),
    records=("lenet-mnist/laptop",),
    paper=0.5,
)


def few(data: Dataset, train: int = 300, other: int = 100) -> Dataset:
    """Return the first images of each split: real data, seconds of training."""
    return dataset(
        f"{data.name}-few",
        Split(data.train.images[:train], data.train.labels[:train]),
        Split(data.validation.images[:other], data.validation.labels[:other]),
        Split(data.test.images[:other], data.test.labels[:other]),
    )


def few_digits() -> Dataset:
    """Return 300 + 100 + 100 real digits."""
    return few(load("mnist-small"))


def lay_pictures(
    folder: Path,
    classes: Sequence[str] = ("cat", "dog"),
    train: int = 10,
    test: int = 2,
    size: int = 32,
) -> Path:
    """Make a folder of pictures, each of a grey of its own in its class."""
    for part, count in {"train": train, "test": test}.items():
        for number, name in enumerate(classes):
            place = folder / part / name
            place.mkdir(parents=True)
            for grey in range(count):
                colour = np.full((size, size, 3), grey + 1, np.uint8)
                colour[..., 2] = number
                Image.fromarray(colour).save(place / f"{grey:02}.png")
    return folder


def tiny_net(seed: int = 0) -> torch.nn.Module:
    """Return a convolution, BatchNorm and two linear layers for 1 x 8 x 8."""
    generator = torch.Generator().manual_seed(seed)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3, padding=1),
        torch.nn.BatchNorm2d(3),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(192, 12),
        torch.nn.ReLU(),
        torch.nn.Linear(12, 4),
    )
    for parameter in net.parameters():
        with torch.no_grad():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 5)
    return net


def tiny_experiment(**changes: object) -> Experiment:
    """Return lenet-mnist, shrunk to seconds: 1 seed, 3 rounds, 40 iterations."""
    small = replace(
        experiment("lenet-mnist"),
        name="tiny",
        rounds=3,
        seeds=(0,),
        control_rounds=(2, 3),
        recipe=Recipe(iterations=40, evaluate_every=20),
    )
    return replace(small, **changes)  # type: ignore[arg-type]


def two_convolutions(recipe: Recipe) -> Experiment:
    """Return the dense trainings of two narrow Conv-2s."""
    return tiny_experiment(
        network="conv2-narrow",
        data="colour-digits",
        arms=("dense",),
        seeds=(0, 1),
        recipe=recipe,
    )


class Unasked(TorchDispatchMode):
    """Refuse what a CUDA graph cannot hold: answers, shapes and values of the CPU."""

    refused = ("_local_scalar_dense", "nonzero", "masked_select", "lift_fresh")

    def __torch_dispatch__(self, call, types, words=(), named=None):
        name, named = str(call), named or {}
        assert not any(word in name for word in self.refused), name
        assert named.get("device") in (None, torch.device("cpu")), name
        return call(*words, **named)
