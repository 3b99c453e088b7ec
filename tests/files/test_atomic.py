"""Files and folders: whole or not at all, and nothing else is ever lost."""

import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lth_utils import LotteryError
from lth_utils.files.atomic import (
    Kind,
    atomic_file,
    atomic_folder,
    check_folder,
    holds,
    restore,
    sweep,
)

NOTE = Kind("note", lambda folder: holds(folder, ["note.txt"]))


def write(path: Path, text: str = "new") -> None:
    with atomic_folder(path, NOTE) as folder:
        (folder / "note.txt").write_text(text)


def read(path: Path) -> str:
    return (path / "note.txt").read_text()


def everything(folder: Path) -> dict[str, str]:
    """Return all that lies in a folder: files' content, links' targets."""
    return {
        str(path.relative_to(folder)): (
            f"-> {path.readlink()}"
            if path.is_symlink()
            else path.read_text()
            if path.is_file()
            else ""
        )
        for path in folder.rglob("*")
    }


# What may be replaced


def test_absent_empty_and_of_the_kind_are_written(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("absent", "below/absent", "empty"):
        write(tmp_path / name, "old")
        write(tmp_path / name)
        assert read(tmp_path / name) == "new"
    assert {path.name for path in tmp_path.iterdir()} == {"absent", "below", "empty"}


@pytest.mark.parametrize(
    "put",
    [
        lambda place: (place / "mine.txt").write_text("mine"),
        lambda place: (place / "mine").mkdir(),
        lambda place: (place / ".hidden").write_text("mine"),
        lambda place: (place / "broken").symlink_to("nowhere"),
        lambda place: (place / "note.txt").rename(place / "other.txt"),
    ],
)
def test_anything_else_is_a_sentence_and_untouched(tmp_path, put):
    place = tmp_path / "x"
    write(place, "old")
    put(place)
    before = everything(tmp_path)
    with pytest.raises(LotteryError, match=r"would be lost: .* a whole note and noth"):
        write(place)
    with pytest.raises(LotteryError, match="would be lost"):
        check_folder(place, NOTE)
    assert everything(tmp_path) == before


def test_what_comes_while_it_is_written_is_untouched(tmp_path):
    def slowly() -> None:
        with atomic_folder(tmp_path / "x", NOTE):
            (tmp_path / "x").mkdir()
            (tmp_path / "x" / "mine.txt").write_text("mine")

    with pytest.raises(LotteryError, match="would be lost"):
        slowly()
    assert everything(tmp_path) == {"x": "", "x/mine.txt": "mine"}


def test_a_linked_file_is_not_ours_to_remove(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "note.txt").symlink_to(tmp_path / "mine.txt")
    with pytest.raises(LotteryError, match="would be lost"):
        write(tmp_path / "x")


@pytest.mark.parametrize(
    "opened", [atomic_file, lambda path: atomic_folder(path, NOTE)]
)
def test_a_link_stays_and_what_it_points_to_is_written(tmp_path, opened):
    (tmp_path / "disk").mkdir()
    (tmp_path / "x").symlink_to(tmp_path / "disk" / "place")
    for _ in range(2):  # at first the link points nowhere
        with opened(tmp_path / "x") as temporary:
            note = temporary / "note.txt" if temporary.is_dir() else temporary
            note.write_text("new")
        assert (tmp_path / "x").is_symlink()
        assert (tmp_path / "disk" / "place").exists()
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["place"]


def test_a_link_to_something_else_loses_neither(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "mine.txt").write_text("mine")
    (tmp_path / "x").symlink_to(tmp_path / "disk")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    before = everything(tmp_path)
    for name in ("x", "loop"):
        with pytest.raises(LotteryError):
            write(tmp_path / name)
    assert everything(tmp_path) == before


def test_a_file_in_the_folders_place(tmp_path):
    (tmp_path / "x").write_text("mine")
    for path in (tmp_path / "x", tmp_path / "x" / "y"):
        for call in (lambda p: write(p), lambda p: check_folder(p, NOTE)):
            with pytest.raises(LotteryError, match="is a file, not a folder"):
                call(path)
    assert everything(tmp_path) == {"x": "mine"}


def test_the_folder_you_are_in(tmp_path, monkeypatch):
    write(tmp_path / "x", "old")
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "x", tmp_path / "empty"):
        monkeypatch.chdir(place)
        for path in (Path(), place, place / ".." / place.name):
            with pytest.raises(LotteryError, match="the folder you are in"):
                write(path)
        write(Path("new"))
        assert read(place / "new") == "new"
    with pytest.raises(LotteryError, match="would be lost"):
        write(Path("/"))


def test_a_folder_or_a_device_in_the_files_place(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path / "x", tmp_path / "loop", Path(os.devnull)):
        with pytest.raises(LotteryError, match="cannot be replaced"), atomic_file(path):
            pass
    assert Path(os.devnull).is_char_device()


def test_modes_are_kept_and_new_ones_are_the_users(tmp_path):
    before = os.umask(0o027)
    try:
        write(tmp_path / "x")
        with atomic_file(tmp_path / "y") as temporary:
            temporary.write_text("new")
        assert (tmp_path / "x").stat().st_mode & 0o777 == 0o750
        assert (tmp_path / "y").stat().st_mode & 0o777 == 0o640
        (tmp_path / "x").chmod(0o700)
        (tmp_path / "y").chmod(0o600)
        write(tmp_path / "x")
        with atomic_file(tmp_path / "y") as temporary:
            temporary.write_text("newer")
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "y").stat().st_mode & 0o777 == 0o600


# What goes wrong on the way


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full; free some space"),
        (errno.EROFS, "the folder is read-only"),
        (errno.EIO, "the system says"),
    ],
)
@pytest.mark.parametrize(
    "opened", [atomic_file, lambda path: atomic_folder(path, NOTE)]
)
def test_a_refused_write_leaves_nothing(tmp_path, opened, number, words):
    def refused() -> None:
        with opened(tmp_path / "x") as temporary:
            assert temporary.exists()
            raise OSError(number, "as the system says")

    with pytest.raises(LotteryError, match=words):
        refused()
    assert list(tmp_path.iterdir()) == []


def test_a_refused_rename_leaves_the_old_one(tmp_path, monkeypatch):
    write(tmp_path / "x", "old")
    real = Path.replace

    def refuse(self, target):
        if Path(target) == tmp_path / "x" and self.name.startswith(".lth-new-"):
            raise OSError(errno.EIO, "as the system says")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(LotteryError, match="the system says"):
        write(tmp_path / "x")
    assert everything(tmp_path) == {"x": "", "x/note.txt": "old"}


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_atomic import write
real = Path.replace
def killed(self, target):
    if self.name.startswith(".lth-new-") and not Path(target).exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, target)
write(Path({place!r}), "old")
Path.replace = killed
write(Path({place!r}))
"""


def test_a_kill_between_aside_and_in_loses_nothing(tmp_path):
    place = tmp_path / "[x] *"  # a name that means something to glob
    code = KILLED.format(tests=str(Path(__file__).parent), place=str(place))
    assert subprocess.run([sys.executable, "-c", code]).returncode < 0
    assert not place.exists()
    restore(tmp_path / "another")
    assert not place.exists()
    restore(place)
    assert read(place) == "old"
    (left,) = (path for path in tmp_path.iterdir() if path != place)
    assert read(left) == "new"
    write(place, "newer")
    assert read(place) == "newer"
    sweep(tmp_path, older_than=-60)
    assert list(tmp_path.iterdir()) == [place]


def test_several_writers_at_once_leave_one_whole(tmp_path):
    place = tmp_path / "x"

    def often(number: int) -> None:
        for turn in range(60):
            write(place, f"{number} {turn}" * 1000)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(often, range(4)))
    number = read(place)[0]
    assert read(place) == f"{number} 59" * 1000
    assert list(tmp_path.iterdir()) == [place]


# What is cleared up


def test_only_what_this_library_left_is_swept(tmp_path):
    own = {".lth-new-0123abcd": "half", ".lth-old-0123abce": "superseded"}
    for name in own:
        (tmp_path / name / "x").mkdir(parents=True)
    (tmp_path / ".lth-old-0123abcf" / "only").mkdir(parents=True)
    theirs = (".foo-bar", ".mnist-abc", ".lth-new-mine", ".lth-old-", "x", "y-z")
    for name in theirs:
        (tmp_path / name).mkdir()
    (tmp_path / ".lth-new-abcdef01").write_text("a file")
    sweep(tmp_path)  # all are younger than an hour
    assert set(own) <= {path.name for path in tmp_path.iterdir()}
    for path in tmp_path.rglob("*"):
        os.utime(path, (0, 0))
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        *theirs,
        "only",  # which had no successor
        ".lth-new-abcdef01",
    }


def test_what_is_still_written_is_not_swept(tmp_path):
    with atomic_folder(tmp_path / "x", NOTE) as folder:
        (folder / "note.txt").write_text("new")
        os.utime(folder, (0, 0))
        sweep(tmp_path)
        assert folder.exists()


def test_a_writer_clears_up_after_killed_ones(tmp_path):
    for name in (".lth-new-0123abcd", ".foo-bar"):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (0, 0))
    write(tmp_path / "x")
    assert {path.name for path in tmp_path.iterdir()} == {".foo-bar", "x"}
