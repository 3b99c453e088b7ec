"""One split of a data set: images and their labels, as training needs them.

Whatever is unmistakable is converted (NumPy arrays, other whole numbers); for
the rest a sentence says what to do.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lth_utils.errors import LotteryError
from lth_utils.words import SPLITS

Pair = tuple[Tensor | np.ndarray, Tensor | np.ndarray]


class Split(NamedTuple):
    """One split of a data set."""

    images: Tensor  #: uint8, shape (N, C, H, W)
    labels: Tensor  #: int64, shape (N,)

    @property
    def size(self) -> int:
        """The number of images."""
        return self.images.shape[0]


def usable(name: str, *pairs: Pair) -> tuple[Split, Split, Split]:
    """Return a data set's splits as tensors of the form of a `Split`.

    Arrays and lists are copied into tensors, and whole numbers of another type
    are converted. A tensor that is right already stays the one that it is.

    Args:
        name: The data set's, for the message.
        pairs: Images and labels of train, validation and test.

    Raises:
        LotteryError: If a split cannot be used, or they do not fit together.
    """
    train, validation, test = splits = tuple(
        _usable(f"The {kind} split of the data set {name!r} is not usable:", pair)
        for kind, pair in zip(SPLITS, pairs, strict=True)
    )
    if len({split.images.shape[1:] for split in splits}) != 1:
        shapes = _listed(tuple(split.images.shape[1:]) for split in splits)
        raise LotteryError(
            f"The images of the data set {name!r} are of several shapes: {shapes}."
            " Expected one (C, H, W) for all splits; crop or resize them first."
        )
    if len({tensor.device for split in splits for tensor in split}) != 1:
        devices = _listed((str(i.device), str(la.device)) for i, la in splits)
        raise LotteryError(
            f"The data set {name!r} lies on several devices (images, labels):"
            f" {devices}. Expected one for all tensors; move them first, such as"
            ' images.to("cpu").'
        )
    return train, validation, test


def _listed(values: Any) -> str:
    """Return each split's value behind its name."""
    return ", ".join(f"{kind} {v}" for kind, v in zip(SPLITS, values, strict=True))


def _usable(refusal: str, pair: object) -> Split:
    """Return one split; `refusal` begins every sentence about it."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise LotteryError(
            f"{refusal} it is of the type {type(pair).__name__}, but a pair was"
            " expected. Write lth.Split(images, labels)."
        )
    images, labels = (
        _tensor(f"{refusal} its {what}", values)
        for what, values in zip(Split._fields, pair, strict=True)
    )
    if hint := _images_hint(images):
        raise LotteryError(
            f"{refusal} its images are {_form(images)}, but uint8 (N, C, H, W) was"
            f" expected, grey levels from 0 to 255. {hint}"
        )
    if hint := _labels_hint(labels):
        raise LotteryError(
            f"{refusal} its labels are {_form(labels)}, but int64 (N,) was expected,"
            f" each image's class, counted from 0. {hint}"
        )
    if not labels.is_meta and (least := _range(labels)[0]) < 0:
        raise LotteryError(
            f"{refusal} its labels go down to {least}, but classes are counted from 0."
            " Number them so, and leave out images that have none."
        )
    if len(images) != len(labels):
        raise LotteryError(
            f"{refusal} it has {len(images)} images and {len(labels)} labels, but one"
            " label for each image was expected. Take both from the same rows."
        )
    return Split(images.to(torch.uint8), labels.to(torch.int64))


def _form(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _tensor(refusal: str, values: object) -> Tensor:
    """Return a tensor itself, and anything else as a tensor of its own."""
    if isinstance(values, Tensor):
        return values
    try:
        array = np.array(values)
        if array.dtype.kind in "iu" and array.dtype != np.uint8:
            array = array.astype(np.int64)  # from any width and byte order
        return torch.from_numpy(array)
    except (TypeError, ValueError) as error:
        raise LotteryError(
            f"{refusal} are of the type {type(values).__name__}, but a tensor or a"
            " NumPy array of whole numbers was expected. Convert them first, such as"
            " labels.astype(int)."
        ) from error


def _whole(tensor: Tensor) -> bool:
    """Whether a tensor holds whole numbers; truth values are none."""
    floating = tensor.is_floating_point() or tensor.is_complex()
    return not floating and tensor.dtype != torch.bool


def _range(tensor: Tensor) -> tuple[float, float]:
    """Return the least and the greatest value."""
    wide = tensor.detach().to(torch.int64 if _whole(tensor) else torch.float64)
    least, greatest = wide.aminmax()
    return least.item(), greatest.item()


def _images_hint(images: Tensor) -> str:
    """Return what to do about images that are of no use; "" about others."""
    if images.dim() == 3:
        return "Add the channel: images[:, None]."
    if images.dim() != 4 or not images.numel():
        return "Bring them into that shape, with at least one image and one pixel."
    if _channels_last(images.shape):
        return (
            "The channels seem to come last; put them second: images.permute(0, 3, 1,"
            " 2), or of a NumPy array images.transpose(0, 3, 1, 2)."
        )
    return _greys_hint(images)


def _channels_last(shape: torch.Size) -> bool:
    """Whether (N, C, H, W) is rather (N, H, W, C), as pictures are often stored."""
    _, height, width, channels = shape
    pictures = channels in (3, 4) or (channels == 1 and height == width)
    return pictures and min(height, width) > 4


def _greys_hint(images: Tensor) -> str:
    """Return what to do about values that are no grey levels; "" about others."""
    if images.dtype == torch.bool:
        return "Make black 0 and white 255: multiply them by 255, as uint8."
    if images.is_complex() or images.is_quantized:
        return "Convert them first."
    if images.is_meta or images.dtype == torch.uint8:
        return ""
    least, greatest = _range(images)
    within = least >= 0 and greatest <= 255
    if _whole(images):
        return "" if within else f"They go from {least} to {greatest}: scale them."
    if within and greatest <= 1:
        return "They lie in 0 to 1: multiply them by 255, round, and make them uint8."
    if within:
        return "Round them, and make them uint8."
    return "Give the grey levels themselves: the data set scales them (`scaling`)."


def _labels_hint(labels: Tensor) -> str:
    """Return what to do about labels that are of no use; "" about others."""
    if labels.dim() == 2:
        return "Of one-hot rows take labels.argmax(1), of one column labels[:, 0]."
    if labels.dim() != 1 or not labels.numel():
        return "Bring them into that shape, with at least one label."
    if not _whole(labels) and labels.dtype != torch.bool:
        return "Make them whole numbers, such as labels.to(torch.int64)."
    return ""
