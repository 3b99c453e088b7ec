"""What a training needs there travels as one file, and is known to be whole."""

import json
import lzma
import os
import tarfile
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lth_utils as lth
from benchmarks import gpu, gpu_data, gpu_files
from lth_utils import LotteryError
from lth_utils.data.loading import digest
from lth_utils.data.mnist import Source


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch) -> None:
    """Two machines: data/ here, there/ where the pack is unpacked."""
    monkeypatch.setenv("LTH_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(gpu_files, "ROOT", tmp_path / "there")
    monkeypatch.setattr(gpu_files, "HOME", tmp_path / "home")


# --- MNIST --------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path) -> Source:
    """A data set of MNIST's form, where LTH_DATA says."""
    contents = {
        "images": b"\0\0\x08\x01\0\0\0\x02ab",
        "labels": b"\0\0\x08\x01\0\0\0\x01c",
    }
    digests = {name: sha256(text).hexdigest() for name, text in contents.items()}
    found = Source("MNIST", "MNIST", digests)
    found.raw(tmp_path / "data").mkdir(parents=True)
    for name, text in contents.items():
        (found.raw(tmp_path / "data") / name).write_bytes(text)
    return found


def test_mnist_travels_as_one_file(source, tmp_path, monkeypatch):
    packed = tmp_path / "mnist.zip"
    gpu_data.pack_mnist(packed, source)
    monkeypatch.setenv("LTH_DATA", str(tmp_path / "elsewhere"))
    gpu_data.find_mnist(packed, source)
    there = source.raw(Path(os.environ["LTH_DATA"]))
    assert {path.name: path.read_bytes() for path in there.iterdir()} == {
        path.name: path.read_bytes() for path in source.raw(tmp_path / "data").iterdir()
    }


@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_a_damaged_mnist_is_a_sentence(content, source, tmp_path):
    packed = tmp_path / "mnist.zip"
    gpu_data.pack_mnist(packed, source)
    whole = packed.read_bytes()
    packed.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(LotteryError, match="is damaged: expected a zip"):
        gpu_data.find_mnist(packed, source)
    assert os.environ["LTH_DATA"] == str(tmp_path / "data")


def test_without_a_packed_one_the_library_looks_itself(source, tmp_path):
    gpu_data.find_mnist(tmp_path / "nowhere.zip", source)
    gpu_data.find_pictures("pics", tmp_path / "nowhere.tar.xz")
    assert os.environ["LTH_DATA"] == str(tmp_path / "data")


# --- pictures -----------------------------------------------------------------------


def make_pictures(folder: Path, seed: int = 0) -> None:
    drawn = np.random.default_rng(seed)
    for part, count in (("train", 20), ("test", 3)):
        for name in ("cat", "dog"):
            (folder / part / name).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                pixels = drawn.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                file = folder / part / name / f"{number}.jpg"
                Image.fromarray(pixels).save(file)


@pytest.fixture
def packed(tmp_path, monkeypatch) -> Path:
    """Pictures, packed; LTH_DATA is another machine's from then on."""
    make_pictures(tmp_path / "data" / "pics")
    (tmp_path / "data" / "pics" / "train" / ".note").write_text("hello")
    made = gpu_data.pack("pics")
    assert made == tmp_path / "home" / "pics.tar.xz"
    monkeypatch.setenv("LTH_DATA", str(tmp_path / "elsewhere"))
    return made


def test_pictures_travel_as_one_file(packed, tmp_path):
    gpu_data.find("pics")
    assert os.environ["LTH_DATA"] == str(tmp_path / "there" / "_build" / "data")
    there = lth.load("pics")
    here = lth.load_folder(tmp_path / "data" / "pics")
    assert there.digest == here.digest
    assert there.train.size == 36


def test_the_same_pictures_make_the_same_file(packed, tmp_path, monkeypatch):
    before = packed.read_bytes()
    monkeypatch.setenv("LTH_DATA", str(tmp_path / "data"))
    for path in (tmp_path / "data").rglob("*.jpg"):
        os.utime(path, (1, 1))
    gpu_data.pack("pics")
    assert packed.read_bytes() == before


def test_what_is_unpacked_stays(packed, monkeypatch):
    gpu_data.find("pics")
    monkeypatch.setattr(gpu_data, "atomic_folder", lambda *_: pytest.fail("unpacked"))
    gpu_data.find("pics")


def test_another_pack_takes_the_place_of_what_was_unpacked(
    packed, tmp_path, monkeypatch
):
    gpu_data.find("pics")
    before = digest("pics")
    make_pictures(tmp_path / "data" / "pics", seed=1)
    monkeypatch.setenv("LTH_DATA", str(tmp_path / "data"))
    gpu_data.pack("pics")
    gpu_data.find("pics")
    assert digest("pics") != before


@pytest.mark.parametrize("how", ["empty", "cut", "other", "no page", "bent"])
def test_a_damaged_archive_is_a_sentence_and_nothing_unpacked(how, packed, tmp_path):
    whole = bytearray(packed.read_bytes())
    if how == "empty":
        whole = b""
    elif how == "cut":
        whole = whole[: len(whole) // 2]
    elif how == "other":
        whole = b"pictures"
    elif how == "no page":
        text = lzma.decompress(whole)
        whole = lzma.compress(text[1024:])
    elif how == "bent":
        whole[len(whole) // 2] ^= 1
    packed.write_bytes(whole)
    with pytest.raises(LotteryError, match="is damaged: expected an archive"):
        gpu_data.find("pics")
    assert os.environ["LTH_DATA"] == str(tmp_path / "elsewhere")
    assert not [*(tmp_path / "there").rglob("*.jpg")]


def test_pictures_that_show_something_else_are_found_out(packed, tmp_path):
    gpu_data.find("pics")
    make_pictures(tmp_path / "there" / "_build" / "data" / "pics", seed=1)
    with pytest.raises(LotteryError, match="not those that were packed: expected"):
        gpu_data.find("pics")


def test_a_folder_of_ones_own_is_not_replaced(packed, tmp_path):
    mine = tmp_path / "there" / "_build" / "data" / "pics"
    make_pictures(mine, seed=1)
    before = sorted(path.read_bytes() for path in mine.rglob("*.jpg"))
    with pytest.raises(LotteryError, match="would be lost"):
        gpu_data.find("pics")
    assert sorted(path.read_bytes() for path in mine.rglob("*.jpg")) == before


def test_an_archive_writes_nowhere_else(packed, tmp_path):
    with tarfile.open(packed, "w:xz") as archive:
        page = json.dumps({"name": "pics", "digest": ""}).encode()
        gpu_data._put(archive, gpu_data.PAGE, page)
        gpu_data._put(archive, "../../outside.jpg", b"")
    with pytest.raises(LotteryError, match="is damaged"):
        gpu_data.find("pics")
    assert not [*tmp_path.rglob("outside.jpg")]


@pytest.mark.parametrize("word", ["cifar10", "nothing", "../data/pics"])
def test_what_is_not_packed_is_a_sentence(word, packed, tmp_path, capsys):
    assert gpu.main(["--pack", "--data", word]) == 2
    assert "expected mnist, or the name of a folder of pictures" in (
        capsys.readouterr().err
    )


def test_packing_says_what_was_written(packed, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LTH_DATA", str(tmp_path / "data"))
    assert gpu.main(["--pack", "--data", "pics"]) == 0
    assert capsys.readouterr().out.startswith(f"{packed}: 0.0")
