"""The command line, called in process as its user would."""

import io
import json
import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from helpers import lay_pictures, tiny_experiment
from test_pruning import LADDERS

import lth_utils as library
from lth_utils import EXPERIMENTS, LotteryError, Recipe, Study, cli
from lth_utils.data import loading
from lth_utils.experiments import records, tables

ROOT = Path(__file__).resolve().parents[1]


def lth(capsys, *words: str) -> tuple[int, str, str]:
    """Run the command line; return its exit code and what it printed."""
    code = cli.main(words)
    out, err = capsys.readouterr()
    return code, out, err


TINY = tiny_experiment(arms=("dense", "ticket", "reinit"), control_rounds=(3,))


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """Make `lth run tiny` a matter of seconds, in a store of its own."""
    monkeypatch.setitem(EXPERIMENTS, "tiny", {"quick": TINY})
    monkeypatch.setenv("LTH_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("LTH_BOOK", "1")  # no progress bar among the output


@pytest.fixture(scope="module")
def run_once(tmp_path_factory):
    """A store in which `tiny` is trained."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LTH_RUNS", str(folder))
        library.run(TINY, workers=1)
    return folder


@pytest.fixture
def trained(tiny, run_once, tmp_path):
    """Let a store of this test's own have it already."""
    shutil.copytree(run_once, tmp_path / "runs")


@pytest.fixture
def study(tiny, monkeypatch):
    """Make `lth run pair` a study of two parts with one training each."""
    part = tiny_experiment(arms=("dense", "ticket"), rounds=1, control_rounds=None)
    parts = tuple(replace(part, name=name) for name in ("0.5", "2"))
    monkeypatch.setitem(EXPERIMENTS, "pair", {"quick": Study("pair", "quick", parts)})


@pytest.fixture
def results(monkeypatch, tmp_path):
    """Let records lie in a folder of the test's own."""
    folder = tmp_path / "results"
    monkeypatch.setattr(records, "results_folder", lambda: folder)
    return folder


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
    code, out, _ = lth(capsys, "run", "tiny", "--curves", "--csv", "--workers", "1")
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
    assert err.endswith("lth run tiny --profile quick\n")


def test_what_show_says_to_run_is_what_was_missing(trained, capsys):
    asked = ("tiny", "--seeds", "2", "--arms", " dense, ticket")
    assert lth(capsys, "run", "tiny")[0] == 0
    code, _, err = lth(capsys, "show", *asked)
    assert code == 2
    assert "4 of the 8 trainings are in" in err
    remedy = err.partition("with: lth ")[2].split()
    assert remedy[-4:] == ["--seeds", "2", "--arms", "dense,ticket"]
    code, out, _ = lth(capsys, *remedy)
    assert code == 0
    assert lth(capsys, "show", *asked) == (0, out, "")


def test_show_shows_yours_or_else_the_record(trained, results, capsys, monkeypatch):
    code, out, err = lth(capsys, "run", "tiny", "--record", "--csv")
    assert code == 0
    # Five trainings, each best at the end: validation twice, the others once.
    assert len(pd.read_csv(io.StringIO(out))) == 5 * (2 + 1 + 1)
    assert err == f"Recorded in {results / 'tiny' / 'quick'}\n"
    assert "from the store" in lth(capsys, "show", "tiny")[1]
    yours = lth(capsys, "show", "tiny")[1]
    recorded = lth(capsys, "show", "tiny", "--recorded")[1]
    assert recorded == yours.replace("from the store", "recorded")
    monkeypatch.setenv("LTH_RUNS", str(results / "none"))
    assert lth(capsys, "show", "tiny") == (0, recorded, "")
    for flag in ([], ["--recorded"]):
        code, out, err = lth(capsys, "show", "tiny", "--seeds", "2", *flag)
        assert (code, out) == (2, "")
        assert "its recorded run has 1 seeds" in err
        assert ("0 of the 10 trainings" in err) == (not flag)
    assert not (results / "none").exists()


def test_a_record_of_fewer_seeds_is_shown_as_it_is(
    results, trained, capsys, monkeypatch
):
    assert lth(capsys, "run", "tiny", "--record")[0] == 0
    two = replace(EXPERIMENTS["tiny"]["quick"], seeds=(0, 1))
    monkeypatch.setitem(EXPERIMENTS, "tiny", {"quick": two})
    code, out, _ = lth(capsys, "show", "tiny")
    assert code == 0
    assert re.search(r"recorded.*dense 100.00% +1 ", out, re.DOTALL)


def test_show_neither_trains_nor_downloads_nor_writes(capsys, monkeypatch, tmp_path):
    for variable in ("LTH_RUNS", "LTH_DATA", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))

    def refuse(*_: object) -> None:
        raise AssertionError("the data set was read")

    monkeypatch.setattr(loading, "read_files", refuse)
    wanted = ("show", "lenet-mnist", "--profile", "laptop")
    code, out, err = lth(capsys, *wanted, "--seeds", "7")
    assert (code, out) == (2, "")
    assert "0 of the 847 trainings are in" in err
    assert "and its recorded run has 5 seeds. Train the rest with: lth run " in err
    for flags in ((), ("--seeds", "5"), ("--recorded", "--arms", "dense")):
        code, out, _ = lth(capsys, *wanted, *flags)
        assert code == 0
        assert "recorded, device cpu" in out
    assert list(tmp_path.iterdir()) == []


def test_a_study_is_shown_part_by_part(study, capsys, tmp_path):
    code, out, _ = lth(capsys, "run", "pair", "--arms", "dense", "--workers", "1")
    assert code == 0
    rows = re.findall(r"^ *(\S+) +dense 100.00% +1 ", out, re.MULTILINE)
    assert rows == ["0.5", "2"]
    assert lth(capsys, "show", "pair", "--arms", "dense") == (0, out, "")
    file = tmp_path / "pair.csv"
    file.write_text(lth(capsys, "run", "pair", "--csv", "--workers", "1")[1])
    table = pd.read_csv(file, dtype={"experiment": str})
    assert table["experiment"].unique().tolist() == ["0.5", "2"]
    assert len(tables.early_stop(table)) == 4


def test_a_recorded_studys_parts_can_each_be_shown(capsys):
    code, out, _ = lth(
        capsys, "show", "lenet-gain", "--profile", "laptop", "--arms", "dense"
    )
    assert code == 0
    rows = re.findall(r"^ *(\S+) dense 100.00% +5 ", out, re.MULTILINE)
    assert rows == ["0.5", "1", "2", "4"]


def test_claims_are_judged_by_the_records(capsys):
    code, out, _ = lth(capsys, "claims", "--chapter", "4")
    assert code == 0
    table = library.claims(chapter=4)
    assert out.startswith(f"{len(table)} verdicts: ")
    for id, said in table[["claim", "says"]].drop_duplicates().itertuples(index=False):
        assert f"{id} (chapter 4): {said}" in " ".join(out.split())
    (row,) = table.query("claim == 'L1' and record == 'lenet-mnist/paper'").itertuples()
    assert (
        f"  {row.verdict}, lenet-mnist/paper: {row.mean:.2f} times (95 %: at least"
        f" {row.low:.2f}), {row.agree} of 5 seeds, paper 1.61\n"
    ) in out
    assert all(len(line) <= 72 or line.startswith("  ") for line in out.splitlines())
    code, out, _ = lth(capsys, "claims")
    assert "\n  not run yet\n" in out
    code, out, _ = lth(capsys, "claims", "--csv")
    assert pd.read_csv(io.StringIO(out))["verdict"].tolist() == list(
        library.claims()["verdict"]
    )
    code, out, err = lth(capsys, "claims", "--chapter", "1")
    assert (code, out) == (2, "")
    assert "No claim is of chapter 1: expected one of 4" in err


def test_list_names_every_profile(capsys):
    code, out, _ = lth(capsys, "list")
    assert code == 0
    for name, profiles in EXPERIMENTS.items():
        for profile, experiment in profiles.items():
            assert re.search(rf"{name} +{profile} .*{experiment.data}", out)


def test_list_says_what_a_study_holds_and_what_is_recorded(capsys):
    lines = lth(capsys, "list")[1].splitlines()
    found = {tuple(line.split()[:2]): line for line in lines}
    assert " several " in found["lenet-gain", "laptop"]
    assert "rounds 0-2 to 0-32" in found["lenet-fraction", "laptop"]
    places = [place for place in (ROOT / "results").glob("*/*") if place.is_dir()]
    there = {(place.parent.name, place.name) for place in places}
    for end, again in (("; recorded", ""), ("; recorded twice", "-again")):
        ends = {key for key, line in found.items() if line.endswith(end)}
        assert ends == {
            (name, profile)
            for name, profile in found
            if (name, profile + again) in there
            and (again or (name, profile + "-again") not in there)
        }


@pytest.mark.parametrize("word", ["lenet", "conv2", "conv4", "resnet20"])
def test_ladder(capsys, word):
    code, out, _ = lth(capsys, "ladder", word, "--rounds", "15")
    assert code == 0
    printed = {int(a): float(b) for a, b in map(str.split, out.splitlines())}
    assert list(printed) == list(range(16))
    for round, percent in LADDERS[word].items():
        if round <= 15:
            assert printed[round] == percent


@pytest.mark.parametrize(
    ("word", "like"),
    [
        ("lenet@0.5", "lenet"),
        ("lenet-300-100", "lenet"),
        ("lenet-300-100@2", "lenet"),
        ("conv2@0.5", "conv2"),
    ],
)
def test_a_ladder_of_every_networks_word(capsys, word, like):
    mine = lth(capsys, "ladder", word)
    assert mine[0] == 0
    assert mine == lth(capsys, "ladder", like)


@pytest.mark.parametrize("word", ["lenet-50-17", "lenet-1d", "conv2-narrow"])
def test_a_ladder_starts_with_every_weight(capsys, word):
    code, out, _ = lth(capsys, "ladder", word, "--rounds", "1")
    assert code == 0
    assert re.fullmatch(r"  0  100.00\n  1   80.\d\d\n", out)


def test_data(capsys):
    assert lth(capsys, "data")[1].split() == [
        *("mnist-small", "mnist", "fashion-mnist"),
        *("mnist-1d", "mnist-1d-shuffled", "colour-digits"),
        "cifar10",
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


# Pictures of one's own


@pytest.fixture
def pets(tiny, monkeypatch, tmp_path):
    """Make `lth run conv2` two steps, and two folders of pictures to say."""
    small = tiny_experiment(
        name="conv2",
        network="conv2-narrow",
        data="colour-digits",
        arms=("dense",),
        control_rounds=None,
        recipe=Recipe(iterations=2, evaluate_every=1, batch_size=8),
    )
    monkeypatch.setitem(EXPERIMENTS, "conv2", {"quick": small})
    monkeypatch.setenv("LTH_DATA", str(tmp_path / "data"))
    lay_pictures(tmp_path / "data" / "others")
    return lay_pictures(tmp_path / "data" / "my pets")


def test_a_folder_of_pictures_is_described(pets, capsys):
    code, out, _ = lth(capsys, "data", "my pets")
    assert code == 0
    assert "my pets: 2 classes, images 32 x 32 x 3; 18 train, 2 validation, 4 " in out
    assert out.endswith(f"{library.load_folder(pets).digest}\n")


def test_pictures_of_ones_own_are_trained_on_and_kept_by_their_content(pets, capsys):
    words = ("conv2", "--data", "my pets")
    code, out, _ = lth(capsys, "run", *words, "--workers", "1")
    assert code == 0
    assert "data my pets, from the store" in out
    assert lth(capsys, "show", *words) == (0, out, "")
    one, other = (pets / "train" / name / "00.png" for name in ("cat", "dog"))
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    code, _, err = lth(capsys, "show", *words)
    assert (code, err.count("\n")) == (2, 1)
    assert "0 of the 1 trainings are in" in err
    assert err.endswith("with: lth run conv2 --profile quick --data 'my pets'\n")
    one.write_bytes(content)
    assert lth(capsys, "show", *words) == (0, out, "")


def test_a_record_of_other_data_says_so_and_stays(pets, results, capsys, monkeypatch):
    words = ("conv2", "--data", "my pets")
    assert lth(capsys, "run", *words, "--record")[0] == 0
    page = results / "conv2" / "quick" / "provenance.json"
    before = page.read_bytes()
    made = json.loads(before)
    assert made["command"] == "lth run conv2 --profile quick --data 'my pets' --record"
    assert (made["data"], made["experiment"]["data"]) == ("my pets", "my pets")
    monkeypatch.setenv("LTH_RUNS", str(results / "none"))
    for asked in (words, ("conv2", "--recorded")):
        code, out, _ = lth(capsys, "show", *asked)
        assert code == 0
        assert "data my pets, recorded" in out
    code, out, err = lth(capsys, "show", "conv2", "--data", "others")
    assert (code, out) == (2, "")
    assert "and its recorded run is of my pets. Train the rest with: lth run c" in err
    monkeypatch.setattr("lth_utils.experiments.runs.run", None)  # would fail
    code, out, err = lth(capsys, "run", "conv2", "--data", "others", "--record")
    assert (code, out) == (2, "")
    assert "holds a record of my pets, and one of others would take its place" in err
    assert page.read_bytes() == before


def test_what_is_wrong_with_a_folder_is_one_sentence_before_torch(pets):
    script = """
import sys
from lth_utils import cli
assert cli.main(["run", "lenet-mnist", "--data", "others"]) == 2
assert "torch" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert re.fullmatch(
        r"lth: The network 'lenet' takes images .* \(1, 28, 28\), but those of 'others'"
        r" are \(3, 32, 32\): expected .*\.\n",
        done.stderr,
    )


@pytest.mark.parametrize("words", ["run conv2 --data others", "data others"])
def test_a_folder_of_one_class_is_one_sentence_before_training(
    pets, capsys, monkeypatch, words
):
    for part in ("train", "test"):
        shutil.rmtree(pets.with_name("others") / part / "cat")
    monkeypatch.setattr("lth_utils.experiments.runs.work", None)  # would fail
    code, out, err = lth(capsys, *words.split())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "others/train has sub-folders for 1 classes (dog): expected at least" in err


def test_what_does_not_fit_is_one_sentence_before_any_work(pets, capsys, monkeypatch):
    monkeypatch.setattr("lth_utils.experiments.runs.work", None)  # would fail
    lay_pictures(pets.with_name("many"), [f"{n:02}" for n in range(11)])
    code, out, err = lth(capsys, "run", "conv2", "--data", "many")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "of the data set 'many' go up to 10, but" in err
    plan = library.experiment("conv2", data=pets.name)
    plan = replace(plan, recipe=replace(plan.recipe, batch_size=1000))
    with pytest.raises(LotteryError, match="A batch of 1000 is more than the"):
        library.run(plan)


def test_other_sizes_are_said_once_and_not_by_every_worker(pets, capfd):
    lay_pictures(pets.with_name("small"), size=16)
    with pytest.warns(
        UserWarning, match="Pictures of other sizes: 24 of the 24"
    ) as said:
        code = cli.main(["run", "conv2", "--data", "small", "--seeds", "2"])
    assert code == 0
    assert len(said) == 1
    assert "other sizes" not in capfd.readouterr().err  # where workers would say it


# Mistakes


MISTAKES = {
    "run lenet-mnst": "Unknown experiment 'lenet-mnst'.*Did you mean 'lenet-mnist'",
    "run lenet-mnist --profile big": "Unknown profile of lenet-mnist 'big'",
    "run conv2-scaling --profile paper": "expected one of laptop",
    "run lenet-mnist --arms tiket": "Did you mean 'ticket'",
    "run lenet-mnist --arms continued": "expected one of dense, ticket, oneshot",
    "run lenet-mnist --arms dense,dense": "The arms name 'dense' twice",
    "run lenet-mnist --seeds 0": "number of seeds is 0",
    "run lenet-mnist --seeds -2": "number of seeds is -2",
    "run lenet-mnist --seeds two": "invalid int value: 'two'",
    "run lenet-mnist --workers 0": "number of workers is 0",
    "run lenet-mnist --record --arms ticket": "every arm of the profile",
    "run lenet-mnist --seeds 2.5": "--seeds: invalid int value: '2.5'",
    "run lenet-mnist --seeds": "--seeds: expected one argument",
    "run lenet-mnist --arms=": "Unknown arm of lenet-mnist quick ''",
    "run lenet-mnist --arms ,": "The arms name '' twice",
    "run lenet-mnist --arms ticket,,reinit": "Unknown arm of lenet-mnist quick ''",
    "run lenet-mnist --arms ticket reinit": "Unrecognized arguments: reinit",
    "run lenet-mnist --record --arms=": "Unknown arm of lenet-mnist quick ''",
    "run lenet-mnist --record --recorded": "Unrecognized arguments: --recorded",
    "run lenet-width --arms reinit": "expected one of dense, ticket",
    "run": "required: EXPERIMENT",
    "show lenet-mnist --profile huge": "Unknown profile",
    "show lenet-mnist --record": "Unrecognized arguments: --record",
    "show lenet-mnist --workers 2": "Unrecognized arguments: --workers",
    "show lenet-mnist --seeds 0": "number of seeds is 0",
    "show lenet-mnist --recorded": "has no recorded run of profile 'quick'",
    "show lenet-mnist --arms=": "Unknown arm of lenet-mnist quick ''",
    "list lenet-mnist": "Unrecognized arguments: lenet-mnist",
    "ladder lenett": "Unknown network 'lenett'.*Did you mean 'lenet'",
    "ladder lenet --rounds -1": "number of rounds is -1",
    "ladder lenet --rounds 1.5": "invalid int value: '1.5'",
    "ladder lenet@0": "Unknown network 'lenet@0'",
    "ladder lenet-50": "Unknown network 'lenet-50'",
    "ladder": "required: NETWORK",
    "data cifar": "Unknown data set 'cifar'.*Did you mean 'cifar10'",
    "run conv2 --data nosuch": "set 'nosuch'.* a folder of pictures in LTH_DATA, with",
    "run conv2 --data=": "Unknown data set ''",
    "run conv2 --data": "--data: expected one argument",
    "run conv2 --data mnist": r"\(3, 32, 32\), but those of 'mnist' are \(1, 28, 28\)",
    "run lenet-mnist --data cifar10": "takes images .* those of 'cifar10' are",
    "show conv2-scaling --profile laptop --data x": "Unknown data set 'x'",
    "data mnist fashion-mnist": "Unrecognized arguments: fashion-mnist",
    "demo lenet": "Unrecognized arguments: lenet",
    "train": "invalid choice: 'train'",
    "--seeds 3": "Argument command: invalid choice: '3'",
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
    code, out, err = lth(capsys, "show", "lenet-mnist", "--profile", "laptop")
    assert (code, err) == (0, "")
    assert "recorded" in out


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


def in_a_shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `lth` with its output sent somewhere; `lth` stands for this one."""
    program = f"{shlex.quote(sys.executable)} -m lth_utils.cli"
    return subprocess.run(
        ["sh", "-c", command.replace("lth ", f"{program} ", 1)],
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )


@pytest.mark.parametrize(
    "command",
    ["lth --help", "lth list", "lth show lenet-gain --profile laptop", "lth data"],
)
def test_every_terminal_can_show_it(command):
    done = in_a_shell(command, PYTHONIOENCODING="ascii", LC_ALL="C")
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
