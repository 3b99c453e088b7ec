import builtins
import errno
import gzip
import hashlib
import os
import random
import struct
import sys
import types
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError

import numpy as np
import pytest
import torch

from lth_utils.data import loading, mnist
from lth_utils.data import signals as generator
from lth_utils.data.datasets import Dataset, dataset
from lth_utils.data.digits import colour_digits
from lth_utils.data.loading import load
from lth_utils.data.packaged import make_mnist_small
from lth_utils.data.signals import LEAST, MOST
from lth_utils.data.splits import Split
from lth_utils.errors import LotteryError
from lth_utils.files.places import data_folder
from lth_utils.words import DATASETS, SCALINGS

SMALL = load("mnist-small")
NAMES = tuple(mnist.MNIST.files)


def idx(array: np.ndarray) -> bytes:
    head = struct.pack(f">I{array.ndim}I", 0x0800 + array.ndim, *array.shape)
    return head + array.astype(np.uint8).tobytes()


def tiny_files() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    arrays = []
    for count in (5_020, 30):
        arrays += [rng.integers(256, size=(count, 4, 4)), np.arange(count) % 10]
    return {name: idx(a) for name, a in zip(NAMES, arrays, strict=True)}


class Tiny(NamedTuple):
    """A data set of MNIST's form: its word, its name, its folder, its files."""

    word: str
    name: str
    folder: str
    files: dict[str, bytes]


@pytest.fixture(params=["MNIST", "FASHION"])
def tiny(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Tiny:
    """Small files of MNIST's form, whose hashes the library expects."""
    files = tiny_files()
    digests = {k: hashlib.sha256(v).hexdigest() for k, v in files.items()}
    source = getattr(mnist, request.param)._replace(files=digests)
    monkeypatch.setattr(loading, request.param, source)
    monkeypatch.setenv("LTH_DATA", str(tmp_path / "data"))
    return Tiny(source.name.lower(), source.name, source.folder, files)


def lay(tiny: Tiny, folder: Path, **changed: bytes) -> Path:
    files = tiny.files | changed
    raw = folder / tiny.folder / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (raw / name).write_bytes(content)
    return raw


def fake_class(download_into):
    def fake(root: str, train: bool, download: bool) -> None:
        download_into(Path(root))

    return fake


def pretend_torchvision(monkeypatch: pytest.MonkeyPatch, download) -> None:
    """Put `download(folder)` in the place of torchvision's classes."""
    module = types.ModuleType("torchvision.datasets")
    module.MNIST = module.FashionMNIST = fake_class(download)
    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.datasets", module)


def everything_in(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


# The packaged subset


def test_small_has_the_promised_splits() -> None:
    assert [s.size for s in (SMALL.train, SMALL.validation, SMALL.test)] == [
        *(12_000, 2_000, 10_000)
    ]
    for split in (SMALL.train, SMALL.validation, SMALL.test):
        assert split.images.shape == (split.size, 1, 28, 28)
        assert split.images.dtype == torch.uint8
        assert split.labels.dtype == torch.int64
        assert split.labels.bincount().min() > 0.08 * split.size
    assert SMALL.shape == (1, 28, 28)
    assert SMALL.classes == 10
    # MNIST's first labels, known to anyone who has looked
    assert SMALL.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert SMALL.test.labels[:5].tolist() == [7, 2, 1, 0, 4]


def test_small_is_small_and_licensed() -> None:
    folder = mnist.SMALL.parent
    assert mnist.SMALL.stat().st_size < 5_000_000
    assert "ShareAlike 3.0" in (folder / "LICENSE-MNIST").read_text()


def test_a_damaged_package_file_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    content = mnist.SMALL.read_bytes()
    broken = tmp_path / "mnist-small.npz"
    monkeypatch.setattr(mnist, "SMALL", broken)
    for wrong in (None, content[:-1], b"", content.replace(b"\x01", b"\x02", 1)):
        if wrong is not None:
            broken.write_bytes(wrong)
        with pytest.raises(LotteryError, match=r"damaged.*install lth_utils anew"):
            load("mnist-small")


def test_the_maker_selects_and_repeats_its_bytes(tmp_path: Path) -> None:
    images = np.arange(60_000, dtype=np.uint16).view(np.uint8).reshape(60_000, 2, 1)
    labels = (np.arange(60_000) % 10).astype(np.uint8)
    chosen = make_mnist_small.select(images, labels)
    assert np.array_equal(chosen["train_images"], images[:12_000])
    assert np.array_equal(chosen["validation_images"], images[58_000:])
    for name in ("a.npz", "b.npz"):
        make_mnist_small.write(tmp_path / name, chosen)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz") as file:
        assert all(np.array_equal(file[k], v) for k, v in chosen.items())


# Scaling


@pytest.mark.parametrize("name", ["mnist-small", "colour-digits"])
def test_standardize_gives_each_channel_mean_0_and_deviation_1(name: str) -> None:
    many = load(name)
    batch = many.scale(many.train.images, torch.float64)
    assert batch.mean((0, 2, 3)).abs().max() < 1e-9
    assert (batch.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-9


def test_unit_divides_by_255() -> None:
    images = SMALL.train.images[:50]
    scaled = load("mnist-small", "unit").scale(images)
    assert torch.allclose(scaled, images / 255, atol=1e-5)
    assert scaled.max() == 1


def test_l2_gives_each_image_length_1_and_leaves_an_empty_one_empty() -> None:
    images = SMALL.train.images[:50].clone()
    images[7] = 0
    scaled = load("mnist-small", "l2").scale(images, torch.float64)
    length = scaled.flatten(1).norm(dim=1)
    assert length[7] == 0
    length[7] = 1
    assert torch.allclose(length, torch.ones(50, dtype=torch.float64), atol=1e-5)


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scale_makes_its_own_tensor_of_the_type(
    scaling: str, dtype: torch.dtype
) -> None:
    few = first(SMALL, 20, scaling)
    before = few.train.images.clone()
    once, twice = (few.scale(few.train.images, dtype) for _ in range(2))
    assert once.dtype == dtype
    assert torch.equal(once, twice)
    assert torch.equal(few.train.images, before)
    # a batch's images do not depend on each other
    assert torch.allclose(few.scale(few.train.images[3:5], dtype), once[3:5], atol=1e-5)


def first(many: Dataset, count: int, scaling: str = "standardize") -> Dataset:
    parts = (
        Split(s.images[:count], s.labels[:count])
        for s in (many.train, many.validation, many.test)
    )
    return dataset("few", *parts, scaling)


def test_constant_channel_does_not_divide_by_zero() -> None:
    flat = Split(torch.full((3, 2, 4, 4), 9, dtype=torch.uint8), torch.arange(3))
    many = dataset("flat", flat, flat, flat)
    assert not many.scale(flat.images).any()


def test_to_moves_every_tensor(monkeypatch) -> None:
    # In place of a GPU, which not every machine has; `device_of` would refuse it.
    monkeypatch.setattr("lth_utils.data.datasets.device_of", torch.device)
    moved = first(SMALL, 20).to("meta")
    for split in (moved.train, moved.validation, moved.test):
        assert split.images.is_meta
        assert split.labels.is_meta
    assert moved.scale(moved.train.images).is_meta
    assert moved.digest == first(SMALL, 20).digest


# Words, digests, own splits


def test_every_word_has_a_loader() -> None:
    assert tuple(loading.LOADERS) == DATASETS


def test_unknown_words_are_sentences() -> None:
    with pytest.raises(LotteryError, match=r"Unknown data set 'mnits'.*mean 'mnist'"):
        load("mnits")
    with pytest.raises(LotteryError, match=r"Unknown scaling 'units'.*mean 'unit'"):
        load("mnist-small", "units")


def test_digest_names_the_content() -> None:
    few = first(SMALL, 20)
    assert len(few.digest) == 64
    assert few.digest == first(SMALL, 20, "unit").digest
    for split in ("train", "validation", "test"):
        for changed in ("images", "labels"):
            other = first(SMALL, 20)
            parts = {s: getattr(other, s) for s in ("train", "validation", "test")}
            tensor = getattr(parts[split], changed).clone()
            tensor.view(-1)[3] += 1
            parts[split] = parts[split]._replace(**{changed: tensor})
            assert dataset("few", **parts).digest != few.digest


@pytest.mark.parametrize(
    "wrong",
    [
        Split(torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64)),
        Split(torch.zeros(2, 4, 4, dtype=torch.uint8), torch.arange(2)),
        Split(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.arange(3)),
        Split(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(2)),
        Split(torch.zeros(0, 1, 4, 4, dtype=torch.uint8), torch.arange(0)),
    ],
)
def test_unusable_splits_are_refused(wrong: Split) -> None:
    good = SMALL.test
    with pytest.raises(LotteryError, match="'mine' is not usable"):
        dataset("mine", good, wrong, good)


# Coloured digits


@pytest.fixture(scope="module")
def coloured() -> Dataset:
    return load("colour-digits")


def test_colour_digits_have_the_small_sets_labels(coloured: Dataset) -> None:
    assert coloured.shape == (3, 32, 32)
    assert coloured.classes == 10
    for split in ("train", "validation", "test"):
        ours, theirs = getattr(coloured, split), getattr(SMALL, split)
        assert torch.equal(ours.labels, theirs.labels)
        assert ours.images.shape == (theirs.size, 3, 32, 32)
        assert ours.images.dtype == torch.uint8


def test_colour_digits_are_the_same_bytes_everywhere(coloured: Dataset) -> None:
    expected = "3da3c70329390d7189191bd679177f0ba40743aa917605776c97c0aee8b64b92"
    assert coloured.digest == expected


def test_colour_digits_show_the_digit(coloured: Dataset) -> None:
    """Where the digit is full ink, the picture has one flat colour."""
    grey = np.zeros((1, 28, 28), np.uint8)
    grey[:, 8:20, 8:20] = 255
    picture = colour_digits(grey, 3)[0].astype(int)
    colours, counts = np.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
    rows, columns = np.where((picture == colours[counts.argmax()]).all(-1))
    assert counts.max() == 144
    assert np.ptp(rows) == np.ptp(columns) == 11
    assert all(7 <= edge <= 13 for edge in (rows.min(), columns.min()))


def test_colour_digits_vary_in_colour_place_and_seed() -> None:
    same = np.repeat(SMALL.train.images[:1, 0].numpy(), 40, axis=0)
    pictures = colour_digits(same, 0)
    assert len({p.tobytes() for p in pictures}) == 40
    assert np.array_equal(pictures, colour_digits.__wrapped__(same, 0))
    assert not np.array_equal(pictures, colour_digits(same, 1))


# Signals


@pytest.fixture(scope="module")
def signals() -> Dataset:
    return load("mnist-1d")


@pytest.fixture(scope="module")
def shuffled() -> Dataset:
    return load("mnist-1d-shuffled")


@pytest.fixture
def anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have signals computed, whatever was computed before."""
    monkeypatch.setattr(generator, "_draw", generator._draw.__wrapped__)


def splits(many: Dataset) -> tuple[Split, Split, Split]:
    return many.train, many.validation, many.test


def test_signals_are_images_of_one_row(signals: Dataset, shuffled: Dataset) -> None:
    for many in (signals, shuffled):
        assert [s.size for s in splits(many)] == [4_000, 1_000, 1_000]
        assert many.shape == (1, 1, 40)
        assert many.classes == 10
        for split in splits(many):
            assert split.images.dtype == torch.uint8
            assert split.labels.bincount().min() > 0.08 * split.size


def test_signals_are_the_same_bytes_everywhere(
    signals: Dataset, shuffled: Dataset
) -> None:
    expected = "28359ded7f47a8ca5218b58239ac904af446b60299ba3c0639679f67fcd323b2"
    assert signals.digest == expected
    assert shuffled.digest != expected


def test_signals_are_the_generators_but_for_rounding(signals: Dataset) -> None:
    from mnist1d.data import get_dataset_args, make_dataset

    state = np.random.get_state()
    made = make_dataset(get_dataset_args())
    np.random.set_state(state)
    step = (MOST - LEAST) / 255
    for split, x, y in (
        (signals.train, made["x"], made["y"]),
        (signals.test, made["x_test"], made["y_test"]),
    ):
        back = LEAST + step * split.images.flatten(1).double().numpy()
        assert np.abs(back - x).max() <= step / 2 + 1e-9  # so nothing is clipped
        assert split.labels.tolist() == y.tolist()


def test_validation_signals_are_of_another_draw(signals: Dataset) -> None:
    seen = [{s.numpy().tobytes() for s in split.images} for split in splits(signals)]
    assert [len(s) for s in seen] == [4_000, 1_000, 1_000]
    assert seen[1].isdisjoint(seen[0] | seen[2])
    low, high = signals.validation.images.min(), signals.validation.images.max()
    assert (low > 0) & (high < 255)  # the fixed range covers this draw too


def test_shuffled_signals_have_their_points_in_one_other_order(
    signals: Dataset, shuffled: Dataset
) -> None:
    orders = set()
    for plain, mixed in zip(splits(signals), splits(shuffled), strict=True):
        assert torch.equal(plain.labels, mixed.labels)
        assert torch.equal(plain.images.sort().values, mixed.images.sort().values)
        ours, theirs = plain.images.flatten(1).T, mixed.images.flatten(1).T
        same = (ours[:, None] == theirs[None]).all(2)
        assert same.sum() == 40
        orders.add(tuple(same.int().argmax(0).tolist()))
    (order,) = orders
    assert sorted(order) == list(range(40)) != list(order)


def test_signals_know_no_global_random_state_and_leave_each_alone(
    signals: Dataset, anew: None
) -> None:
    random.seed(7)
    np.random.seed(7)
    torch.manual_seed(7)
    python, numpy, ours = (
        random.getstate(),
        np.random.get_state(),
        torch.get_rng_state(),
    )
    assert load("mnist-1d").digest == signals.digest
    assert random.getstate() == python
    assert all(map(np.array_equal, np.random.get_state(), numpy))
    assert torch.equal(torch.get_rng_state(), ours)


def test_signals_without_their_generator_are_a_sentence(
    monkeypatch: pytest.MonkeyPatch, anew: None
) -> None:
    monkeypatch.setitem(sys.modules, "mnist1d.data", None)
    with pytest.raises(LotteryError, match=r"Cannot import mnist1d.*pip install"):
        load("mnist-1d")


# The full sets, from files


def test_mnist_takes_the_last_5000_for_validation(tiny: Tiny, tmp_path: Path) -> None:
    lay(tiny, tmp_path / "data")
    many = load(tiny.word)
    assert [s.size for s in (many.train, many.validation, many.test)] == [20, 5_000, 30]
    train = np.frombuffer(tiny.files["train-images-idx3-ubyte"], np.uint8, offset=16)
    assert many.train.images.numpy().tobytes() == train.tobytes()[: 20 * 16]
    assert many.validation.images.numpy().tobytes() == train.tobytes()[20 * 16 :]
    assert many.validation.labels[:3].tolist() == [0, 1, 2]


def test_files_that_are_there_need_neither_torchvision_nor_writing(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tiny, tmp_path / "data")
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    monkeypatch.setitem(sys.modules, "torchvision", None)
    load(tiny.word)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before


def cut(content: bytes) -> bytes:
    return content[:-1]


def flip(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "damage", [cut, flip, lambda _: b"", lambda _: b"\0\0\x08", lambda _: b"<html>"]
)
def test_a_damaged_file_is_named_and_kept(
    tiny: Tiny, tmp_path: Path, name: str, damage
) -> None:
    raw = lay(tiny, tmp_path / "data", **{name: damage(tiny.files[name])})
    with pytest.raises(LotteryError, match=rf"{name} is damaged") as caught:
        load(tiny.word)
    assert f"the {tiny.name} file of that name" in str(caught.value)
    assert "Delete it and load" in str(caught.value)
    assert (raw / name).read_bytes() == damage(tiny.files[name])


# ... however they are spelled and packed, and wherever near the folder


def dotted(name: str) -> str:
    return name.replace("-idx", ".idx")


SPELLINGS = {
    "plain": lambda name, content: (name, content),
    "dotted": lambda name, content: (dotted(name), content),
    "packed": lambda name, content: (f"{name}.gz", gzip.compress(content)),
    "both": lambda name, content: (f"{dotted(name)}.gz", gzip.compress(content)),
    "packed but named plain": lambda name, content: (name, gzip.compress(content)),
    "unpacked but named .gz": lambda name, content: (f"{name}.gz", content),
}
PLACES = {
    "raw": "{0}/raw",
    "no raw": "{0}",
    "LTH_DATA=.../MNIST": "raw",
    "LTH_DATA=.../MNIST/raw": "",
    "one level too high": "downloads/{0}/raw",
}


def lay_so(tiny: Tiny, place: Path, spell) -> None:
    place.mkdir(parents=True, exist_ok=True)
    for name, content in tiny.files.items():
        spelled, packed = spell(name, content)
        (place / spelled).write_bytes(packed)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("place", PLACES)
def test_files_are_found_packed_spelled_otherwise_and_a_level_off(
    tiny: Tiny,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    spelling: str,
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    lay(tiny, tmp_path / "data")
    expected = load(tiny.word)
    other = tmp_path / "other"
    monkeypatch.setenv("LTH_DATA", str(other))
    lay_so(tiny, other / PLACES[place].format(tiny.folder), SPELLINGS[spelling])
    before = everything_in(other)
    many = load(tiny.word)
    assert many.digest == expected.digest
    for ours, theirs in zip(splits(many), splits(expected), strict=True):
        assert torch.equal(ours.images, theirs.images)
        assert torch.equal(ours.labels, theirs.labels)
    assert everything_in(other) == before


def test_a_right_file_is_taken_before_a_damaged_one(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    name = NAMES[0]
    raw = lay(tiny, tmp_path / "data", **{name: cut(tiny.files[name])})
    (raw / f"{name}.gz").write_bytes(gzip.compress(tiny.files[name]))
    assert load(tiny.word).train.size == 20


@pytest.mark.parametrize(
    "damage", [cut, flip, lambda packed: packed[:40], lambda _: b"\x1f\x8b"]
)
def test_a_damaged_packed_file_is_named(tiny: Tiny, tmp_path: Path, damage) -> None:
    raw = lay(tiny, tmp_path / "data")
    packed = raw / f"{NAMES[2]}.gz"
    packed.write_bytes(damage(gzip.compress((raw / NAMES[2]).read_bytes())))
    (raw / NAMES[2]).unlink()
    with pytest.raises(LotteryError, match=rf"{NAMES[2]}\.gz is damaged.*Delete it"):
        load(tiny.word)


def test_another_data_sets_files_are_not_taken_for_damaged_ones(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LTH_DATA names the other's folder, whose files have the same names."""
    other = tmp_path / "digits" / "raw"
    lay_so(tiny, other, lambda name, content: (name, flip(content)))
    monkeypatch.setenv("LTH_DATA", str(other))
    pretend_torchvision(monkeypatch, raising(URLError("no route to host"), tiny))
    with pytest.raises(LotteryError, match=f"Cannot download {tiny.name}") as caught:
        load(tiny.word)
    listed = ", ".join(sorted(tiny.files))
    assert f"LTH_DATA names {other}, where there is {listed})" in str(caught.value)
    assert "Delete" not in str(caught.value)


@pytest.mark.parametrize(
    ("there", "listed"),
    [
        ([], "nothing"),
        (["archive.zip"], "archive.zip"),
        ([f"train_{n}.png" for n in range(20)], r"train_0.png, .*, …\)"),
    ],
)
def test_what_was_found_instead_is_named(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there, listed
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in there:
        (data / name).write_text("")
    pretend_torchvision(monkeypatch, raising(URLError("no route to host"), tiny))
    sentence = (
        rf"put the four files \({NAMES[0]}, .* or each as .gz\) into"
        rf" {data}/{tiny.folder}/raw \(LTH_DATA names {data}, where there is {listed}"
    )
    for refuse in ({}, {"torchvision": None}):
        for module, value in refuse.items():
            monkeypatch.setitem(sys.modules, module, value)
        with pytest.raises(LotteryError, match=sentence):
            load(tiny.word)
    assert everything_in(data) == set(there)


def test_without_lth_data_a_sentence_says_to_set_it(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LTH_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pretend_torchvision(monkeypatch, raising(URLError("no route to host"), tiny))
    with pytest.raises(LotteryError, match=f"set LTH_DATA to .* has {tiny.folder}/raw"):
        load(tiny.word)


def test_lth_data_that_is_a_file_is_a_sentence(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mnist.zip").write_bytes(b"PK")
    monkeypatch.setenv("LTH_DATA", str(tmp_path / "mnist.zip"))
    with pytest.raises(LotteryError, match=r"mnist\.zip, which is a file"):
        load(tiny.word)


# Downloading, with torchvision replaced


def test_a_download_is_checked_and_moved_in_whole(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(folder: Path) -> None:
        lay(tiny, folder, **{"train-images-idx3-ubyte.gz": b"rest"})

    pretend_torchvision(monkeypatch, download)
    first_time = load(tiny.word)
    assert everything_in(tmp_path / "data") == {
        f"{tiny.folder}/raw/{name}" for name in NAMES
    }
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    assert load(tiny.word).digest == first_time.digest


def test_a_download_fills_gaps_and_leaves_what_is_there(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = lay(tiny, tmp_path / "data")
    kept, lost = NAMES[:2]
    (raw / lost).unlink()
    before = (raw / kept).stat().st_mtime_ns
    pretend_torchvision(monkeypatch, lambda folder: lay(tiny, folder))
    load(tiny.word)
    assert (raw / kept).stat().st_mtime_ns == before


def raising(error: Exception, tiny: Tiny):
    def download(folder: Path) -> None:
        lay(tiny, folder, **{NAMES[0]: b"half"})
        raise error

    return download


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            URLError("no route to host"),
            "Cannot download NAME .*Check the network.*FOLDER/raw",
        ),
        (RuntimeError("Error downloading x.gz:\nTried"), r"downloading x.gz\)\. Check"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "Check the network"),
        (TimeoutError(errno.ETIMEDOUT, "timed out"), "Check the network"),
        (EOFError("ended early"), "Check the network"),
        (OSError(errno.ENOSPC, "No space left"), "Cannot write .*disk is full"),
    ],
)
def test_a_failed_download_is_a_sentence_and_leaves_nothing(
    tiny: Tiny,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    sentence: str,
) -> None:
    pretend_torchvision(monkeypatch, raising(error, tiny))
    sentence = sentence.replace("NAME", tiny.name).replace("FOLDER", tiny.folder)
    with pytest.raises(LotteryError, match=sentence) as caught:
        load(tiny.word)
    assert "mnist-small" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "data").iterdir()) == []


def test_a_download_with_another_hash_is_not_kept(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "t10k-labels-idx1-ubyte"
    wrong = {name: flip(tiny.files[name])}
    pretend_torchvision(monkeypatch, lambda folder: lay(tiny, folder, **wrong))
    sentence = rf"{name} is not {tiny.name}'s.*nothing was kept"
    with pytest.raises(LotteryError, match=sentence):
        load(tiny.word)
    assert everything_in(tmp_path / "data") == set()


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("operator torchvision::nms does not exist"),
        ImportError("No module named 'torchvision'"),
        OSError("libtorch.so: cannot open shared object file"),
    ],
)
def test_a_torchvision_that_fails_to_import_is_a_sentence(
    tiny: Tiny,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    real = builtins.__import__

    def refuse(name: str, *args, **kwargs):
        if name.startswith("torchvision"):
            raise error
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(LotteryError, match=r"Cannot import torchvision.*pip install"):
        load(tiny.word)
    assert list((tmp_path / "data").iterdir()) == []


def test_a_read_only_folder_is_a_sentence_before_any_download(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    def download(folder: Path) -> None:
        raise AssertionError("tried to download")

    pretend_torchvision(monkeypatch, download)
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(LotteryError, match=r"read-only.*LTH_DATA"):
        load(tiny.word)


def test_a_folder_that_is_a_file_is_a_sentence(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LTH_DATA", str(tmp_path / "file" / "data"))
    with pytest.raises(LotteryError, match="a file, not a folder"):
        load(tiny.word)


def test_the_folder_is_the_named_one_or_the_users_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LTH_DATA", str(tmp_path / "mine"))
    assert data_folder() == tmp_path / "mine"
    monkeypatch.delenv("LTH_DATA")
    here = tmp_path / "cache" / "lottery-ticket-book" / "data"
    assert data_folder() == here


def test_data_that_was_downloaded_to_the_earlier_place_is_found(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    earlier = tmp_path / "cache" / "lth" / "data"
    lay(tiny, earlier)
    monkeypatch.delenv("LTH_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert data_folder() == earlier
    load(tiny.word)
    assert list((tmp_path / "cache").iterdir()) == [tmp_path / "cache" / "lth"]


def test_the_full_mnist_holds_the_packaged_subset(tmp_path: Path) -> None:
    raw = data_folder() / "MNIST" / "raw"
    if not all(os.access(raw / name, os.R_OK) for name in NAMES):
        pytest.skip(
            'The full MNIST is not in the data folder: load("mnist") fetches it.'
        )
    many = load("mnist")
    assert [s.size for s in (many.train, many.validation, many.test)] == [
        *(55_000, 5_000, 10_000)
    ]
    assert torch.equal(many.train.images[:12_000], SMALL.train.images)
    assert torch.equal(many.validation.images[-2_000:], SMALL.validation.images)
    assert torch.equal(many.validation.labels[-2_000:], SMALL.validation.labels)
    assert torch.equal(many.test.images, SMALL.test.images)
    # another zlib may pack the made file otherwise; its content is the same
    made = tmp_path / "made.npz"
    make_mnist_small.main(raw, made)
    with np.load(made) as ours, np.load(mnist.SMALL) as packaged:
        assert ours.files == packaged.files
        assert all(np.array_equal(ours[k], packaged[k]) for k in ours.files)


def test_the_full_fashion_mnist_has_a_tenth_of_each_class() -> None:
    raw = mnist.FASHION.raw(data_folder())
    if not all(os.access(raw / name, os.R_OK) for name in NAMES):
        pytest.skip(
            'Fashion-MNIST is not in the data folder: load("fashion-mnist") fetches it.'
        )
    many = load("fashion-mnist")
    assert [s.size for s in (many.train, many.validation, many.test)] == [
        *(55_000, 5_000, 10_000)
    ]
    labels = torch.cat([many.train.labels, many.validation.labels])
    assert labels.bincount().tolist() == [6_000] * 10
    assert many.test.labels.bincount().tolist() == [1_000] * 10
    assert many.train.labels[:5].tolist() == [9, 0, 0, 3, 0]
    assert many.shape == SMALL.shape
