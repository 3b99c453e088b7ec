"""What is known of a data set before its images are there."""

import os
import shutil

import pytest
import torch
from helpers import lay_pictures

import lth_utils as lth
from lth_utils.data import loading
from lth_utils.data.loading import digest, resident
from lth_utils.words import check_data, pictures


@pytest.mark.parametrize("name", ["mnist-small", "mnist-1d", "colour-digits"])
def test_a_digest_is_the_data_sets_own(name):
    assert digest(name) == lth.load(name).digest


def test_a_computed_data_set_is_computed_once_for_its_digest(monkeypatch):
    first = digest("mnist-1d")
    monkeypatch.setattr(loading, "load", None)  # to compute it again would fail
    assert digest("mnist-1d") == first


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_a_digest_needs_no_download(name, monkeypatch, tmp_path):
    monkeypatch.setenv("LTH_DATA", str(tmp_path))
    assert len(digest(name)) == 64
    assert list(tmp_path.iterdir()) == []


def test_recorded_runs_were_made_on_the_data_that_is_read_today():
    for name in ("lenet-mnist", "lenet-fashion"):
        made = lth.recorded(name).attrs
        assert made["provenance"]["data_sha256"] == digest(made["data"])


def test_an_unknown_data_set_has_none():
    with pytest.raises(lth.LotteryError, match="Did you mean 'mnist'"):
        digest("mnits")


# Pictures of one's own, by the name of their folder


@pytest.fixture
def pets(tmp_path, monkeypatch):
    """Return a folder of pictures in LTH_DATA."""
    monkeypatch.setenv("LTH_DATA", str(tmp_path))
    return lay_pictures(tmp_path / "pets")


def test_a_folder_in_lth_data_is_known_by_its_name(pets):
    data = lth.load("pets", "l2")
    assert (data.name, data.scaling) == ("pets", "l2")
    assert data.digest == lth.load_folder(pets).digest == digest("pets")
    kept = resident("pets", "unit", torch.device("cpu"))
    assert (kept.digest, kept.scaling) == (data.digest, "unit")


def test_without_lth_data_folders_lie_in_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("LTH_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = lay_pictures(tmp_path / "lottery-ticket-book" / "data" / "pets")
    assert lth.load("pets").digest == lth.load_folder(folder).digest


def test_pictures_are_read_once_until_one_changes(pets, monkeypatch):
    reads = []
    read = loading.read_pictures

    def counted(*words):
        reads.append(words)
        return read(*words)

    monkeypatch.setattr(loading, "read_pictures", counted)
    cpu = torch.device("cpu")
    before = digest("pets")
    assert resident("pets", "standardize", cpu) is resident("pets", "standardize", cpu)
    assert resident("pets", "l2", cpu).digest == digest("pets") == before
    assert len(reads) == 1
    shutil.copy(pets / "train" / "dog" / "00.png", pets / "test" / "dog" / "01.png")
    assert digest("pets") == resident("pets", "standardize", cpu).digest != before
    assert len(reads) == 2


def test_a_change_that_keeps_size_and_time_is_seen(pets):
    one, other = (pets / "test" / "dog" / name for name in ("00.png", "01.png"))
    os.utime(other, ns=(one.stat().st_atime_ns, one.stat().st_mtime_ns))
    assert one.stat().st_size == other.stat().st_size
    before = digest("pets")
    shutil.copy2(one, other)
    assert digest("pets") != before


def test_a_picture_behind_a_link_is_seen_to_change(pets, tmp_path):
    (pets / "train" / "cat").rename(tmp_path / "cats")
    (pets / "train" / "cat").symlink_to(tmp_path / "cats")
    before = digest("pets")
    (tmp_path / "cats" / "00.png").unlink()
    assert digest("pets") != before


def test_what_is_no_picture_changes_no_digest(pets):
    before = digest("pets")
    (pets / "train" / "dog" / "notes.txt").write_text("mine")
    (pets / "train" / "dog" / ".DS_Store").write_bytes(b"Bud1")
    assert digest("pets") == before


def test_a_word_comes_before_a_folder_of_its_name(tmp_path, monkeypatch):
    monkeypatch.setenv("LTH_DATA", str(tmp_path))
    lay_pictures(tmp_path / "mnist-small")
    assert pictures("mnist-small") is None
    assert lth.load("mnist-small").train.size == 12_000
    assert lth.load_folder(tmp_path / "mnist-small").train.size == 18


@pytest.mark.parametrize(
    "word", ["", ".", "..", "pets/", "./pets", "x/../pets", "pet", "x" * 300, "a\0b"]
)
def test_a_folder_has_a_plain_name(pets, monkeypatch, word):
    lay_pictures(pets / "pets")
    (pets.parent / "train").mkdir()
    monkeypatch.setenv("LTH_DATA", str(pets.parent))
    with pytest.raises(
        lth.LotteryError, match="or the name of a folder of pictures in"
    ):
        lth.load(word)


@pytest.mark.parametrize("word", [None, 3, ["pets"], b"pets"])
def test_what_is_no_word_is_a_sentence(pets, word):
    with pytest.raises(lth.LotteryError, match="Unknown data set"):
        lth.load(word)


def test_a_folder_whose_name_no_line_can_hold_has_none(pets):
    pets.rename(pets.with_name("p\nets"))
    with pytest.raises(lth.LotteryError, match=r"Unknown data set 'p\\nets'"):
        check_data("p\nets")


def test_without_a_home_folder_an_unknown_word_is_still_one(monkeypatch):
    for variable in ("HOME", "XDG_CACHE_HOME", "LTH_DATA"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    with pytest.raises(lth.LotteryError, match=r"set 'mnits'.*mean 'mnist'"):
        check_data("mnits")


def test_a_folder_that_may_not_be_looked_into_is_none(pets, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.is_dir", refuse)
    assert pictures("pets") is None
