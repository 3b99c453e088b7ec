"""Splits of one's own: what is converted, what is refused, and in what words."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from lth_utils.data.datasets import Dataset, Split, dataset
from lth_utils.errors import LotteryError

IMAGES = np.arange(6 * 2 * 5 * 7, dtype=np.uint8).reshape(6, 2, 5, 7)
LABELS = np.array([0, 3, 1, 2, 0, 3])
GOOD = Split(torch.from_numpy(IMAGES.copy()), torch.from_numpy(LABELS.copy()))
FLOATS = torch.linspace(0, 1, 6 * 2 * 5 * 7).view(6, 2, 5, 7)


def made(images: object, labels: object, where: str = "train") -> Dataset:
    """Return a data set with such images and labels in one of its splits."""
    splits = dict.fromkeys(("train", "validation", "test"), GOOD)
    return dataset("mine", **splits | {where: (images, labels)})


@pytest.mark.parametrize(
    "images",
    [
        IMAGES,
        IMAGES.astype(np.int64),
        IMAGES.astype(">u4"),
        IMAGES[:, ::-1][:, ::-1],
        IMAGES.tolist(),
        GOOD.images.to(torch.int16),
        GOOD.images.to(torch.int64),
        GOOD.images.to(memory_format=torch.channels_last),
    ],
    ids=lambda images: f"{type(images).__name__}-{getattr(images, 'dtype', '')}",
)
def test_images_that_are_whole_numbers_become_uint8(images):
    data = made(images, LABELS)
    assert torch.equal(data.train.images, GOOD.images)
    assert data.train.images.dtype == torch.uint8
    assert data.digest == dataset("mine", GOOD, GOOD, GOOD).digest
    assert (data.mean, data.std) == (made(*GOOD).mean, made(*GOOD).std)


@pytest.mark.parametrize("kind", ["u1", "i1", "i2", ">i4", "i8", "u2", "u8"])
def test_labels_of_any_whole_type_become_int64(kind):
    for labels in (LABELS.astype(kind), LABELS.tolist()):
        data = made(IMAGES, labels)
        assert data.train.labels.tolist() == LABELS.tolist()
        assert data.train.labels.dtype == torch.int64


@pytest.mark.parametrize("kind", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_label_tensors_of_any_whole_type_become_int64(kind):
    labels = made(IMAGES, GOOD.labels.to(kind)).train.labels
    assert labels.dtype == torch.int64
    assert torch.equal(labels, GOOD.labels)


def test_truth_values_are_the_labels_0_and_1():
    data = made(IMAGES, LABELS > 1)
    assert data.train.labels.tolist() == [0, 1, 0, 1, 0, 1]


def test_arrays_are_copied_and_right_tensors_are_not():
    images, labels = IMAGES.copy(), LABELS.copy()
    data = made(images, labels)
    images[:], labels[:] = 9, 9
    assert torch.equal(data.train.images, GOOD.images)
    assert torch.equal(data.train.labels, GOOD.labels)
    assert data.test.images is GOOD.images
    assert data.test.labels is GOOD.labels


def test_splits_may_share_memory_and_need_not_lie_in_one_piece():
    every_other = Split(GOOD.images[::2], GOOD.labels[::2])
    data = dataset("shared", GOOD, every_other, GOOD)
    assert data.validation.labels.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("images", "hint"),
    [
        (FLOATS, "lie in 0 to 1: multiply them by 255, round"),
        (FLOATS.double().requires_grad_(), "multiply them by 255"),
        (FLOATS.numpy(), "multiply them by 255"),
        (FLOATS.half(), "multiply them by 255"),
        (FLOATS * 255, "Round them"),
        (FLOATS - 0.5, "the data set scales them"),
        (FLOATS / 0, "the data set scales them"),
        (FLOATS > 0.5, "black 0 and white 255"),
        (FLOATS.to(torch.complex64), "Convert them first"),
        (GOOD.images.long() * 2, "go from 0 to 510: scale them"),
        (GOOD.images.to(torch.int16) - 1, "go from -1 to 254"),
        (GOOD.images[:, 0], r"Add the channel: images\[:, None\]"),
        (GOOD.images.flatten(1), "Bring them into that shape"),
        (GOOD.images[:0], "at least one image and one pixel"),
        (GOOD.images[:, :0], "at least one image and one pixel"),
        (GOOD.images[..., :0], "at least one image and one pixel"),
        (torch.zeros(6, 8, 9, 3, dtype=torch.uint8), r"permute\(0, 3, 1, 2\)"),
        (np.zeros((6, 8, 9, 4), np.uint8), r"transpose\(0, 3, 1, 2\)"),
        (np.zeros((6, 8, 8, 1), np.uint8), "channels seem to come last"),
    ],
)
@pytest.mark.parametrize("where", ["train", "validation", "test"])
def test_images_of_no_use_are_sentences(images, hint, where):
    sentence = f"The {where} split of the data set 'mine' is not usable: .*{hint}"
    with pytest.raises(LotteryError, match=sentence) as caught:
        made(images, LABELS, where)
    assert "uint8 (N, C, H, W) was expected" in str(caught.value)


@pytest.mark.parametrize(
    ("labels", "hint"),
    [
        (LABELS * 1.0, r"whole numbers, such as labels.to\(torch.int64\)"),
        (GOOD.labels.float().requires_grad_(), "whole numbers"),
        (np.eye(4)[LABELS], r"one-hot rows take labels.argmax\(1\)"),
        (LABELS[:, None], r"one column labels\[:, 0\]"),
        (LABELS[:0], "at least one label"),
        (torch.tensor(3), "at least one label"),
    ],
)
def test_labels_of_no_use_are_sentences(labels, hint):
    with pytest.raises(LotteryError, match=rf"its labels are .*int64 \(N,\).*{hint}"):
        made(IMAGES, labels)


def test_negative_labels_are_a_sentence():
    for labels in (LABELS - 1, GOOD.labels.to(torch.int8) - 1):
        with pytest.raises(
            LotteryError, match="go down to -1, but classes are counted"
        ):
            made(IMAGES, labels)


@pytest.mark.parametrize("strange", [["three", "one"], None, "mnist", [[1], [2, 3]]])
def test_what_is_no_array_is_a_sentence(strange):
    sentence = "type .*, but a tensor or a NumPy array of whole numbers was expected"
    with pytest.raises(LotteryError, match=f"its images are of the {sentence}"):
        made(strange, LABELS)
    with pytest.raises(LotteryError, match=f"its labels are of the {sentence}"):
        made(IMAGES, strange)


def test_as_many_labels_as_images():
    with pytest.raises(LotteryError, match="6 images and 5 labels"):
        made(IMAGES, LABELS[:5])


@pytest.mark.parametrize("split", [IMAGES, GOOD.images, (IMAGES,), "train", None])
def test_a_split_is_a_pair(split):
    with pytest.raises(LotteryError, match=r"a pair was.* lth.Split\(images, labels\)"):
        dataset("mine", GOOD, split, GOOD)


def test_splits_of_several_shapes_are_a_sentence():
    wide = Split(torch.zeros(2, 2, 5, 8, dtype=torch.uint8), torch.arange(2))
    sentence = r"train \(2, 5, 7\), validation \(2, 5, 8\), test \(2, 5, 7\)"
    with pytest.raises(LotteryError, match=f"of several shapes: {sentence}"):
        dataset("mine", GOOD, wide, GOOD)


def test_splits_on_several_devices_are_a_sentence():
    far = Split(GOOD.images.to("meta"), GOOD.labels)
    with pytest.raises(LotteryError, match=r"several devices.*'meta', 'cpu'"):
        dataset("mine", GOOD, GOOD, far)


def test_a_data_set_made_by_hand_or_changed_is_looked_at_too():
    data = dataset("mine", GOOD, GOOD, GOOD)
    negative = GOOD._replace(labels=GOOD.labels - 1)
    changes = {
        "go down to -1": {"test": negative},
        "Unknown scaling": {"scaling": "units"},
        "expected a mean and a std above 0": {"mean": (0.0,)},
        "of several shapes": {"train": GOOD._replace(images=GOOD.images[..., :3])},
    }
    for sentence, change in changes.items():
        with pytest.raises(LotteryError, match=sentence):
            replace(data, **change)
    with pytest.raises(LotteryError, match="go down to -1"):
        Dataset("mine", negative, GOOD, GOOD, "unit", data.mean, data.std, "")
    arrays = Split(IMAGES, LABELS)  # type: ignore[arg-type]
    by_hand = Dataset("mine", arrays, GOOD, GOOD, "unit", data.mean, data.std, "")
    assert torch.equal(by_hand.train.images, GOOD.images)


def test_a_label_changed_in_place_is_found_when_the_data_set_moves():
    labels = GOOD.labels.clone()
    data = dataset("mine", GOOD._replace(labels=labels), GOOD, GOOD)
    labels[3] = -7
    with pytest.raises(LotteryError, match="go down to -7"):
        data.to("cpu")


def test_a_class_may_be_missing_from_a_split():
    few = Split(GOOD.images, torch.zeros(6, dtype=torch.int64))
    assert dataset("mine", few, few, GOOD).classes == 4
    assert dataset("mine", few, GOOD, few).classes == 4
