"""The command line, called in process as its user would."""

import os
import pwd
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from helpers import tiny_experiment
from test_pruning import LADDERS

from lth_utils import EXPERIMENTS, cli
from lth_utils.experiments import records, tables

ROOT = Path(__file__).resolve().parent.parent


def lth(capsys, *words: str) -> tuple[int, str, str]:
    """Run the command line; return its exit code and what it printed."""
    code = cli.main(words)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """Make `lth run tiny` a matter of seconds, in a store of its own."""
    small = tiny_experiment(arms=("dense", "ticket", "reinit"), control_rounds=(3,))
    monkeypatch.setitem(EXPERIMENTS, "tiny", {"quick": small})
    monkeypatch.setenv("LTH_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("LTH_BOOK", "1")  # no progress bar among the output


def test_run_then_show_the_same_words(tiny, capsys):
    code, out, _ = lth(capsys, "run", "tiny", "--workers", "2")
    assert code == 0
    assert "profile quick, data mnist-small, from the store, device cpu" in out
    rows = [line.split() for line in out.splitlines() if re.match(r" *\w+ +\d", line)]
    assert [row[:3] for row in rows] == [
        ["dense", "100.00%", "1"],
        ["ticket", "80.04%", "1"],
        ["ticket", "64.06%", "1"],
        ["ticket", "51.28%", "1"],
        ["reinit", "51.28%", "1"],
    ]
    assert lth(capsys, "show", "tiny") == (0, out, "")
    code, out, _ = lth(capsys, "show", "tiny", "--arms", "reinit", "--seeds", "1")
    assert out.count("reinit") == 1
    assert "ticket" not in out


def test_csv_is_the_tidy_table(tiny, capsys, tmp_path):
    code, out, _ = lth(capsys, "run", "tiny", "--csv")
    (tmp_path / "t.csv").write_text(out)
    table = pd.read_csv(tmp_path / "t.csv")
    assert code == 0
    assert tuple(table.columns) == tables.COLUMNS
    assert len(table) == 5 * 2 * 3  # trainings x evaluations x splits
    assert table["density"].between(0, 1).all()
    assert table["accuracy"].between(0, 1).all()


def test_show_says_what_is_missing(tiny, capsys):
    code, out, err = lth(capsys, "show", "tiny")
    assert (code, out) == (2, "")
    assert "0 of the 5 trainings" in err
    assert "lth run tiny --profile quick" in err


def test_list_names_every_profile(capsys):
    code, out, _ = lth(capsys, "list")
    assert code == 0
    for name, profiles in EXPERIMENTS.items():
        for profile, experiment in profiles.items():
            assert re.search(rf"{name} +{profile} .*{experiment.data}", out)


@pytest.mark.parametrize("word", ["lenet", "conv2", "conv4", "resnet20"])
def test_ladder(capsys, word):
    code, out, _ = lth(capsys, "ladder", word, "--rounds", "15")
    assert code == 0
    printed = {int(a): float(b) for a, b in map(str.split, out.splitlines())}
    assert list(printed) == list(range(16))
    for round, percent in LADDERS[word].items():
        if round <= 15:
            assert printed[round] == percent


def test_data(capsys):
    assert lth(capsys, "data")[1].split() == [
        *("mnist-small", "mnist", "fashion-mnist"),
        *("mnist-1d", "mnist-1d-shuffled", "colour-digits"),
    ]
    code, out, _ = lth(capsys, "data", "mnist-small")
    assert code == 0
    assert "12000 train, 2000 validation, 10000 test" in out
    code, out, _ = lth(capsys, "data", "mnist-1d")
    assert code == 0
    assert "images 1 x 40 x 1; 4000 train, 1000 validation, 1000 test" in out


def test_help_is_worth_reading(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    out = capsys.readouterr().out
    assert stop.value.code == 0
    for word in ("run", "show", "list", "ladder", "data", "LTH_RUNS", "LTH_DATA"):
        assert word in out
    for example in re.findall(r"^  lth (.+?)(?:  .*)?$", out, re.MULTILINE):
        words = example.split(" > ")[0].split()
        cli._parser().parse_args(words)


MISTAKES = {
    "run lenet-mnst": "Unknown experiment 'lenet-mnst'.*Did you mean 'lenet-mnist'",
    "run lenet-mnist --profile big": "Unknown profile of lenet-mnist 'big'",
    "run conv2 --profile paper": "expected one of quick",
    "run lenet-mnist --arms tiket": "Did you mean 'ticket'",
    "run lenet-mnist --arms continued": "expected one of dense, ticket, oneshot",
    "run lenet-mnist --arms dense,dense": "The arms name 'dense' twice",
    "run lenet-mnist --arms=": "Unknown arm of lenet-mnist quick ''",
    "run lenet-mnist --seeds 0": "number of seeds is 0",
    "run lenet-mnist --seeds -2": "-2",
    "run lenet-mnist --seeds two": "invalid int value: 'two'",
    "run lenet-mnist --workers 0": "number of workers is 0",
    "run lenet-mnist --record --arms ticket": "every arm of the profile",
    "show lenet-mnist --profile huge": "Unknown profile",
    "ladder lenett": "Unknown network 'lenett'.*Did you mean 'lenet'",
    "ladder lenet --rounds -1": "number of rounds is -1",
    "ladder lenet@0.5": "Unknown network 'lenet@0.5'",
    "data cifar": "Unknown data set 'cifar'",
    "train": "invalid choice: 'train'",
    "": "required: command",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_mistakes_are_one_sentence_and_exit_code_2(capsys, words):
    code, out, err = lth(capsys, *words.split())
    assert (code, out) == (2, "")
    assert re.search(MISTAKES[words], err)
    assert err.startswith("lth: ")
    assert err.count("\n") == 1


def test_words_are_checked_before_torch_is_imported():
    script = """
import sys
from lth_utils import cli
for words in {mistakes!r}:
    assert cli.main(words.split()) == 2, words
assert "torch" not in sys.modules and "pandas" not in sys.modules
"""
    subprocess.run(
        [sys.executable, "-c", script.format(mistakes=list(MISTAKES))],
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize("words", ["list", "show lenet-mnist --profile laptop --csv"])
def test_a_reader_that_has_seen_enough_is_no_error(words):
    command = [sys.executable, "-m", "lth_utils.cli", *words.split()]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    buffered = os.environ | {"PYTHONUNBUFFERED": ""}
    with subprocess.Popen(command, text=True, env=buffered, **pipes) as process:
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (0, "")


def test_a_record_that_cannot_be_written_is_known_before(
    tiny, capsys, tmp_path, monkeypatch
):
    monkeypatch.setattr("lth_utils.experiments.runs.run", None)  # would fail
    monkeypatch.setattr(records, "results_folder", lambda: tmp_path)
    (tmp_path / "tiny" / "quick").mkdir(parents=True)
    (tmp_path / "tiny" / "quick" / "thesis.tex").write_text("years of work")
    code, out, err = lth(capsys, "run", "tiny", "--record")
    assert (code, out) == (2, "")
    assert re.fullmatch("lth: .* holds something that would be lost: .*\n", err)
    assert (tmp_path / "tiny" / "quick" / "thesis.tex").exists()


# Machines that are not ours


def command(words: str, **how: object) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, without an environment."""
    line = [sys.executable, "-m", "lth_utils.cli", *words.split()]
    how = {"env": {}, "capture_output": True, "text": True, "cwd": ROOT} | how
    return subprocess.run(line, **how)


def test_it_needs_no_environment():
    assert command("list").stdout == command("list", env=dict(os.environ)).stdout != ""


def test_without_a_home_folder_it_says_what_to_set(tiny, capsys, monkeypatch):
    def unknown(number: int) -> None:
        raise KeyError(number)

    for variable in ("HOME", "XDG_CACHE_HOME", "LTH_RUNS", "LTH_DATA"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for words, variable in {"run tiny": "LTH_RUNS", "data mnist": "LTH_DATA"}.items():
        code, out, err = lth(capsys, *words.split())
        assert (code, out) == (2, "")
        assert re.fullmatch(f"lth: No home folder .* {variable} to name .*\n", err)


def test_what_a_terminal_cannot_show_is_written_out(tmp_path):
    script = (
        "import lth_utils as lth\n"
        "from lth_utils.cli import print_anywhere\n"
        "lth.say('5 % of a × b')\n"
        "print_anywhere()\n"
        "print('≥ 5')"
    )
    shown = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (shown.stdout, shown.stderr) == ("5 % of a \\xd7 b\n\\u2265 5\n", "")


@pytest.mark.parametrize("stream", [0, 1, 2])
def test_a_closed_stream_is_no_error(stream):
    shown = command("list", preexec_fn=lambda: os.close(stream))
    assert (shown.returncode, shown.stderr) == (0, "")
    assert bool(shown.stdout) == (stream != 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_under_the_output_is_a_sentence():
    with Path("/dev/full").open("w") as full:
        shown = command(
            "list", capture_output=False, stdout=full, stderr=subprocess.PIPE
        )
    assert shown.returncode == 2
    assert shown.stderr == "lth: Stopped: the system says: No space left on device.\n"
