"""Data sets as resident tensors: uint8 images, three splits, one scaling.

Images stay uint8 in memory (MNIST: 47 MB, not 188) and are scaled a batch at
a time, by the data set's own `scale`.
"""

import hashlib
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from lth_utils.arguments import check_crop
from lth_utils.data.splits import Pair, Split, usable
from lth_utils.data.views import count, seen
from lth_utils.devices import device_of
from lth_utils.errors import LotteryError, choose
from lth_utils.words import SCALINGS, SPLITS


@dataclass(frozen=True, eq=False)
class Dataset:
    """Three splits on one device, and how their images are scaled.

    However one is made (`dataset`, `replace`, `to`), its splits are looked at.

    Attributes:
        name: The word that `load` knows it by.
        train: What the weights are fitted to.
        validation: What chooses (the early-stop iteration), never the test split.
        test: What is only reported.
        scaling: One of `words.SCALINGS`; see `scale`.
        mean: Each channel's mean over the train split, in grey levels 0-255.
        std: Each channel's standard deviation, likewise.
        digest: A sha256 over the content of all splits.
        flip: Whether training images have mirrored views; see `augmented`.
        crop: How far the views are moved at most, in pixels.

    Raises:
        LotteryError: If no training could use it.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    scaling: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    digest: str
    flip: bool = False
    crop: int = 0
    _lines: dict[torch.dtype, tuple[Tensor, Tensor]] = field(
        default_factory=dict, init=False, repr=False
    )

    def __post_init__(self) -> None:
        choose("scaling", self.scaling, SCALINGS)
        splits = usable(self.name, self.train, self.validation, self.test)
        # Into `vars`, since a frozen value refuses to be set.
        vars(self).update(zip(SPLITS, splits, strict=True))
        vars(self)["crop"] = check_crop(self.crop, self.name, self.shape)
        channels = self.shape[0]
        if not len(self.mean) == len(self.std) == channels or min(self.std) <= 0:
            raise LotteryError(
                f"The data set {self.name!r} has {channels} channels, mean"
                f" {self.mean} and std {self.std}: expected a mean and a std above 0"
                " for each channel. Make it by lth.dataset(...), which computes them."
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """An image's (channels, height, width)."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    @property
    def classes(self) -> int:
        """The number of classes, by the greatest label of all splits."""
        splits = (self.train, self.validation, self.test)
        return max(int(split.labels.max()) for split in splits) + 1

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.train.images.device

    def to(self, device: torch.device | str) -> "Dataset":
        """Return the same data set with every tensor on `device`.

        Raises:
            LotteryError: If there is no such device.
        """
        device = device_of(device)
        train, validation, test = (
            Split(split.images.to(device), split.labels.to(device))
            for split in (self.train, self.validation, self.test)
        )
        return replace(self, train=train, validation=validation, test=test)

    def scale(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Turn a batch of uint8 images into what a network is fed.

        `standardize` gives each channel mean 0 and standard deviation 1 over
        the train split; `unit` divides by 255; `l2` gives each image (all
        channels together) the Euclidean length 1. The paper does not state
        its scaling, and it moves early-stop iterations a lot.

        Args:
            images: uint8 (N, C, H, W), on the data set's device.
            dtype: The network's floating type.

        Returns:
            The scaled batch, (N, C, H, W) of `dtype`.
        """
        batch = images.to(dtype)
        if self.scaling == "l2":
            # an empty image has no length: it stays 0
            length = torch.linalg.vector_norm(batch, dim=(1, 2, 3), keepdim=True)
            return batch.div_(length.clamp_min_(1))
        if dtype not in self._lines:
            self._lines[dtype] = self._line(dtype)
        gain, shift = self._lines[dtype]
        return batch.mul_(gain).add_(shift)  # 4 times as fast as addcmul

    def augmented(self, flip: bool, crop: int) -> "Dataset":
        """Return the data set with more views of each training image.

        Args:
            flip: Whether half of them are mirrored.
            crop: How many pixels of black are laid around, from which a window of
                the image's size is cut.

        Raises:
            LotteryError: If a window could miss the image.
        """
        return replace(self, flip=flip, crop=crop)

    @property
    def views(self) -> int:
        """How many views a training image has, itself included."""
        return count(self.flip, self.crop)

    def batch(self, index: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return train images by their numbers (N,), scaled, and their labels.

        A number is an image's, plus the number of images times that of its view.
        """
        view = None
        if self.views > 1:
            size = self.train.size
            index, view = index % size, index // size
        # 10 times as fast as [index]
        images, labels = (each.index_select(0, index) for each in self.train)
        if view is not None:
            images = seen(images, view, self.crop)
        return self.scale(images, dtype), labels

    def line(self) -> tuple[np.ndarray, np.ndarray]:
        """Return `scale` as numbers: grey * gain * an image's factor + shift.

        Returns:
            Gain and shift, float64 (C * H * W,); see `factors`.
        """
        channels, height, width = self.shape
        gain, shift = np.ones(channels), np.zeros(channels)
        if self.scaling != "l2":
            line = self._line(torch.float64)
            gain, shift = (each.flatten().cpu().numpy() for each in line)
        return gain.repeat(height * width), shift.repeat(height * width)

    def factors(self, images: Tensor) -> np.ndarray:
        """Return each image's own factor, float64 (N,): 1, but for `l2`."""
        if self.scaling != "l2":
            return np.ones(len(images))
        rows = images.flatten(1).cpu().split(1024)  # a copy of all would be 8 times
        sums = [row.long().square().sum(1) for row in rows]
        return 1 / torch.cat(sums).clamp(min=1).double().sqrt().numpy()

    def _line(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return gain and shift, (1, C, 1, 1): scaled = gain * grey + shift."""
        standardize = self.scaling == "standardize"
        mean = self.mean if standardize else [0.0 for _ in self.mean]
        std = self.std if standardize else [255.0 for _ in self.std]
        gain = 1 / torch.tensor(std, dtype=torch.float64).view(1, -1, 1, 1)
        shift = -torch.tensor(mean, dtype=torch.float64).view(1, -1, 1, 1) * gain
        return gain.to(self.device, dtype), shift.to(self.device, dtype)


def dataset(
    name: str,
    train: Pair,
    validation: Pair,
    test: Pair,
    scaling: str = "standardize",
    digest: str | None = None,
) -> Dataset:
    """Make a data set of three splits of one's own.

    Args:
        name: What tables and provenance call it.
        train: A `Split`, or any pair of images (N, C, H, W), whole numbers from
            0 to 255, and labels (N,), whole numbers from 0; tensors or NumPy
            arrays.
        validation: Likewise.
        test: Likewise.
        scaling: `standardize`, `unit` or `l2`.
        digest: Names the content; None computes it.

    Raises:
        LotteryError: If images and labels are not of that form, or the splits
            do not fit together.
    """
    splits = usable(name, train, validation, test)
    mean, std = _moments(splits[0].images)
    return Dataset(name, *splits, scaling, mean, std, digest or digest_of(*splits))


def _moments(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return each channel's mean and standard deviation, in grey levels.

    The sums are whole numbers, so they do not depend on their order: every
    machine gets the same bits. A channel that never varies counts as std 1.
    """
    total = torch.zeros(images.shape[1], dtype=torch.float64)
    squares = torch.zeros_like(total)
    for chunk in torch.split(images, 1_000):
        grey = chunk.to("cpu", torch.float64).transpose(0, 1).flatten(1)
        total += grey.sum(1)
        squares += grey.square().sum(1)
    count = images.numel() // images.shape[1]
    mean = total / count
    std = (squares / count - mean.square()).clamp_min(0).sqrt()
    std[std == 0] = 1
    return tuple(mean.tolist()), tuple(std.tolist())


def digest_of(*splits: Split) -> str:
    """Return a sha256 over the splits' shapes and content."""
    digest = hashlib.sha256()
    for tensor in (tensor.cpu() for split in splits for tensor in split):
        digest.update(str(tuple(tensor.shape)).encode())
        digest.update(np.ascontiguousarray(tensor.numpy()).data)
    return digest.hexdigest()
