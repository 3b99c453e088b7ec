"""Where the user's files lie: said in a sentence where they cannot."""

import pwd
from pathlib import Path

import pytest

from lth_utils import LotteryError
from lth_utils.files.places import cache_folder, check_writable, user_folder

OURS = Path("lottery-ticket-book", "runs")


@pytest.fixture
def homeless(monkeypatch):
    """A user without HOME whose number has no name, as in many containers."""

    def unknown(number: int) -> None:
        raise KeyError(number)

    for variable in ("HOME", "XDG_CACHE_HOME", "LTH_RUNS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HOME": "/h"}, Path("/h/.cache") / OURS),
        ({"HOME": "/h", "XDG_CACHE_HOME": "/c"}, "/c" / OURS),
        ({"HOME": "/h", "XDG_CACHE_HOME": ""}, Path("/h/.cache") / OURS),
        ({"HOME": "/h", "XDG_CACHE_HOME": "c"}, Path("/h/.cache") / OURS),
        ({"XDG_CACHE_HOME": "/c"}, "/c" / OURS),
        ({"LTH_RUNS": "/r"}, Path("/r")),
        ({"LTH_RUNS": "r"}, Path("r").absolute()),
        ({"HOME": "/h", "LTH_RUNS": "~/r"}, Path("/h/r")),
        ({"HOME": "/h", "LTH_RUNS": ""}, Path("/h/.cache") / OURS),
    ],
)
def test_the_variable_or_the_users_cache(homeless, monkeypatch, variables, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert user_folder("LTH_RUNS", "runs") == expected


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"XDG_CACHE_HOME": "relative"},
        {"HOME": "."},
        {"LTH_RUNS": "~/r"},
        {"LTH_RUNS": "~nobody-of-this-name/r"},
    ],
)
def test_no_home_folder_is_a_sentence(homeless, monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() is None
    with pytest.raises(LotteryError, match=r"No home .* LTH_RUNS .* in full"):
        user_folder("LTH_RUNS", "runs")


def test_what_can_be_written_is_known_before(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "nowhere").symlink_to(tmp_path / "later")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name in ("", "a", "a/b/c", "nowhere", "nowhere/a"):
        check_writable(tmp_path / name)
    for name in ("file", "file/a/b"):
        with pytest.raises(LotteryError, match=r"is a file, not a folder; .* instead"):
            check_writable(tmp_path / name, ", or print instead")
    with pytest.raises(LotteryError, match="Cannot write"):
        check_writable(tmp_path / "loop")
    with pytest.raises(LotteryError, match="Cannot write"):
        check_writable(Path("/proc/nothing-can-be-made-here"))
    assert {path.name for path in tmp_path.iterdir()} == {"file", "loop", "nowhere"}
