"""Folders of pictures: whose picture is whose, and what is said of other folders."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import lay_pictures
from PIL import Image

import lth_utils as lth
from lth_utils.data import folders
from lth_utils.errors import LotteryError


def greys(split: lth.Split) -> list[tuple[int, int]]:
    """Return what `lay_pictures` put into each picture: its class and its grey."""
    for image, label in zip(*split, strict=True):
        assert torch.equal(image, image[:, :1, :1].expand_as(image))
        assert image[2, 0, 0] == label
    return list(
        zip(split.labels.tolist(), split.images[:, 0, 0, 0].tolist(), strict=True)
    )


def copy(name: str, *to: Path) -> None:
    """Put the first dog of `lay_pictures` into other places."""
    for place in to:
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(name, place)


# What is in a folder


def test_a_folder_is_a_data_set_under_its_name(tmp_path):
    data = lth.load_folder(lay_pictures(tmp_path / "pets", train=20, test=3))
    assert (data.name, data.shape, data.classes) == ("pets", (3, 32, 32), 2)
    assert data.train.images.dtype == torch.uint8
    assert data.train.labels.dtype == torch.int64
    both = greys(data.train) + greys(data.validation)
    assert sorted(both) == [(c, g) for c in (0, 1) for g in range(1, 21)]
    assert greys(data.test) == [(c, g) for c in (0, 1) for g in (1, 2, 3)]
    assert data.scaling == "standardize"
    assert (
        data.digest == lth.dataset("x", data.train, data.validation, data.test).digest
    )


def test_classes_are_counted_in_the_order_of_their_names(tmp_path):
    lay_pictures(tmp_path / "p", classes=["10", "2", "B", "a", "è"])
    data = lth.load_folder(tmp_path / "p")
    assert data.test.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert greys(data.test) == [(c, g) for c in range(5) for g in (1, 2)]


@pytest.mark.parametrize(("train", "count"), [(2, 1), (9, 1), (20, 2), (39, 3)])
def test_without_a_validation_folder_it_is_a_tenth_of_each_class(
    tmp_path, train, count
):
    data = lth.load_folder(lay_pictures(tmp_path / "p", train=train))
    assert data.validation.labels.tolist() == [0] * count + [1] * count
    assert not {*greys(data.validation)} & {*greys(data.train)}
    assert data.train.size == 2 * (train - count)


def test_the_tenth_is_not_the_first_nor_alike_in_all_classes(tmp_path):
    data = lth.load_folder(lay_pictures(tmp_path / "p", train=60))
    drawn = greys(data.validation)
    cats, dogs = ([g for c, g in drawn if c == label] for label in (0, 1))
    assert cats != dogs
    assert cats != list(range(1, 7))


def test_the_tenth_is_the_same_wherever_and_however_files_are_listed(
    tmp_path, monkeypatch
):
    once = lth.load_folder(lay_pictures(tmp_path / "p", train=30))
    (tmp_path / "p").rename(tmp_path / "q")
    walk = os.walk

    def backwards(*words, **named):
        for place, inside, names in walk(*words, **named):
            names.sort(reverse=True)
            yield place, inside, names

    monkeypatch.setattr(folders.os, "walk", backwards)
    again = lth.load_folder(tmp_path / "q")
    assert greys(again.validation) == greys(once.validation)
    assert greys(again.train) == greys(once.train)
    assert again.digest == once.digest


@pytest.mark.parametrize("name", ["validation", "val"])
def test_a_validation_folder_is_used(tmp_path, name):
    lay_pictures(tmp_path / "p", train=20, test=3)
    shutil.copytree(tmp_path / "p" / "test", tmp_path / "p" / name)
    data = lth.load_folder(tmp_path / "p")
    assert greys(data.validation) == greys(data.test)
    assert data.train.size == 40


def test_of_two_validation_folders_the_one_in_full_is_used(tmp_path):
    lay_pictures(tmp_path / "p", test=3)
    shutil.copytree(tmp_path / "p" / "test", tmp_path / "p" / "validation")
    (tmp_path / "p" / "val").mkdir()
    assert lth.load_folder(tmp_path / "p").validation.size == 6


def test_hidden_files_and_other_files_are_left_out(tmp_path):
    expected = lth.load_folder(lay_pictures(tmp_path / "p")).digest
    train = tmp_path / "p" / "train"
    one = train / "dog" / "00.png"
    copy(
        one, train / "dog" / "._00.png", train / "dog" / ".ipynb_checkpoints" / "0.png"
    )
    copy(one, train / ".ipynb_checkpoints" / "0.png", train / ".git" / "x" / "0.png")
    copy(one, train / "loose.png", train / "dog" / "00.png.part", train / "dog" / "png")
    for place in (train, train / "dog", tmp_path / "p"):
        (place / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
        (place / "notes.txt").write_text("mine")
    assert lth.load_folder(tmp_path / "p").digest == expected


def test_pictures_lie_at_any_depth_and_in_any_spelling(tmp_path):
    folder = lay_pictures(tmp_path / "p", test=1)
    deep = folder / "test" / "dog"
    copy(deep / "00.png", deep / "a" / "b" / "ONE.PNG", deep / "ñ 猫.Png")
    Image.new("RGB", (32, 32), (7, 7, 1)).save(deep / "x.BMP")
    data = lth.load_folder(folder)
    assert sorted(greys(data.test)) == [(0, 1), (1, 1), (1, 1), (1, 1), (1, 7)]


def test_links_are_followed_and_a_circle_ends(tmp_path):
    folder = lay_pictures(tmp_path / "p", test=1)
    outside = lay_pictures(tmp_path / "q", test=3) / "test" / "dog"
    shutil.rmtree(folder / "test" / "dog")
    (folder / "test" / "dog").symlink_to(outside)
    (outside / "back").symlink_to(tmp_path / "q" / "test")
    (outside / "self").symlink_to(outside)
    (folder / "test" / "cat" / "more").symlink_to(folder / "train" / "cat")
    labels, images = lth.load_folder(folder).test[::-1]
    greys = images[:, 0, 0, 0]
    assert sorted(greys[labels == 0].tolist()) == [1, *range(1, 11)]
    assert sorted(greys[labels == 1].tolist()) == [1, 1, 2, 2, 3, 3]  # cats behind back


# What is said of other folders


def without(folder: Path, *names: str) -> None:
    for name in names:
        shutil.rmtree(folder / name)


SPOILT = {
    "no train": (
        lambda p: without(p, "train"),
        r"has no folder train/, but README, test: expected train/ and test/",
    ),
    "no test": (lambda p: without(p, "test"), r"no folder test/, but README, train:"),
    "nothing": (lambda p: without(p, "train", "test"), r"train/, but README: expec"),
    "a class less in test": (
        lambda p: without(p, "test/dog"),
        r"p/test lacks the classes dog, which are in train: expected the same",
    ),
    "a class less in train": (
        lambda p: without(p, "train/cat"),
        r"p/train lacks the classes cat, which are in test:",
    ),
    "a class less in validation": (
        lambda p: (p / "validation" / "cat").mkdir(parents=True),
        r"p/validation lacks the classes dog, which are in train, test:",
    ),
    "one class": (
        lambda p: without(p, "train/cat", "test/cat"),
        r"p/train has sub-folders for 1 classes \(dog\): expected at least two",
    ),
    "no class": (
        lambda p: without(p, "train/cat", "train/dog", "test/cat", "test/dog"),
        r"p/train has sub-folders for 0 classes \(none\)",
    ),
    "no picture": (
        lambda p: [f.unlink() for f in (p / "test" / "dog").iterdir()],
        r"p/test/dog has no pictures, but nothing: expected files ending in \.bmp,",
    ),
    "other files": (
        lambda p: [
            f.rename(f.with_suffix(".avif")) for f in (p / "test/dog").iterdir()
        ],
        r"p/test/dog has no pictures, but 00\.avif, 01\.avif: expected",
    ),
    "one picture": (
        lambda p: [f.unlink() for f in (p / "train" / "dog").glob("0[1-9].png")],
        r"p/train/dog has one picture: expected at least two, one to train on",
    ),
    "a newline": (
        lambda p: [(p / x / "dog").rename(p / x / "d\nog") for x in ("train", "test")],
        r"names cannot be printed \('d\\nog'\): expected names of one line\. Rename",
    ),
    "latin-1": (
        lambda p: [
            (p / x / "dog").rename(p / x / os.fsdecode(b"ch\xe9"))
            for x in ("train", "test")
        ],
        r"names cannot be printed \('ch\\udce9'\): expected",
    ),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_folder_of_no_use_is_one_sentence(tmp_path, how):
    folder = lay_pictures(tmp_path / "p")
    (folder / "README").write_text("cats and dogs")
    spoil, sentence = SPOILT[how]
    spoil(folder)
    with pytest.raises(LotteryError, match=sentence) as caught:
        lth.load_folder(folder)
    assert "\n" not in str(caught.value)


def test_many_names_are_cut_short(tmp_path):
    folder = lay_pictures(tmp_path / "p", [str(n) for n in range(40)], train=1, test=1)
    without(folder, *(f"test/{n}" for n in range(30)))
    with pytest.raises(
        LotteryError, match=r"classes 0, 1, 10, 11, 12, 13, 14, 15, …, w"
    ):
        lth.load_folder(folder)


def test_what_is_no_folder_is_a_sentence(tmp_path):
    (tmp_path / "p.zip").write_bytes(b"PK")
    for place in ("p.zip", "nowhere", "x" * 300):
        with pytest.raises(LotteryError, match=r"There is no folder|Cannot look into"):
            lth.load_folder(tmp_path / place)
    with pytest.raises(LotteryError, match=r"There is no folder .*~nobody-here/p: exp"):
        lth.load_folder("~nobody-here/p")


def test_a_folder_that_may_not_be_read_is_a_sentence(tmp_path, monkeypatch):
    folder = lay_pictures(tmp_path / "p")
    scan, closed = os.scandir, str(folder / "test" / "dog")

    def refuse(place):
        if str(place) == closed:
            raise PermissionError(13, "Permission denied", closed)
        return scan(place)

    monkeypatch.setattr(os, "scandir", refuse)
    for read in (lth.load_folder, folders.listing):
        with pytest.raises(
            LotteryError, match=f"Cannot look into {closed}: the system"
        ):
            read(folder)


# How a folder and a shape are named


def test_a_path_may_be_written_in_any_way(tmp_path, monkeypatch):
    folder = lay_pictures(tmp_path / "pets")
    expected = lth.load_folder(folder).digest
    (tmp_path / "mine").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in (
        str(folder),
        f"{folder}/",
        "pets",
        "./pets/",
        "~/pets",
        Path("~/pets"),
    ):
        data = lth.load_folder(path)
        assert (data.name, data.digest) == ("pets", expected)
    assert lth.load_folder("mine").name == "mine"
    monkeypatch.chdir(folder / "train")
    assert lth.load_folder("..").name == "pets"
    monkeypatch.chdir(folder)
    assert lth.load_folder(".").name == "pets"


@pytest.mark.parametrize("shape", [(1, 8, 4), [1, 8, 4], np.array([1, 8, 4])])
def test_pictures_are_brought_to_a_shape(tmp_path, shape):
    folder = lay_pictures(tmp_path / "p")
    with pytest.warns(UserWarning, match=r"24 of the 24 in .* are not 4 x 8") as caught:
        data = lth.load_folder(folder, "unit", shape)
    assert caught[0].filename == __file__  # it is the caller's affair
    assert (data.shape, data.scaling) == ((1, 8, 4), "unit")
    assert data.test.images.flatten(1).unique(dim=1).tolist() == [[1], [2]] * 2


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((3, 32), r"shape is \(3, 32\): expected \(channels, height, width\)"),
        ((32, 32, 3), r"shape is \(32, 32, 3\): expected"),
        ((2, 32, 32), "with 1 channel for grey levels or 3 for colours"),
        ((3, 0, 32), "A number of the pictures' shape is 0: expected an integer"),
        ((3, 32.0, 32), "A number of the pictures' shape is 32.0: expected"),
        (32, "The numbers of the pictures' shape are 32: expected several"),
        ("big", "The numbers of the pictures' shape are 'big': expected several"),
    ],
)
def test_a_mistaken_shape_is_a_sentence(tmp_path, shape, sentence):
    with pytest.raises(LotteryError, match=sentence):
        lth.load_folder(lay_pictures(tmp_path / "p"), shape=shape)
