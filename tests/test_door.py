"""The way in: the commands that the pages name, on machines that are not ours."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import set_up
import steps
from book_fixtures import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("book/*.md")]
MAKEFILE = (ROOT / "Makefile").read_text("utf8")
# All that make asks of a machine besides Python.
PROGRAMS = ("awk", "cat", "cksum", "cut", "touch")
# It says what it was told, and its .venv has a Python that only says "ran".
INSTEAD_OF_A_SET_UP = """
import os, pathlib, sys
print("set up with", sys.argv[1:], os.environ.get("PYTHONPATH"))
print("at home in", os.environ["HOME"])
base = pathlib.Path("base")
base.write_text('#!/bin/sh\\necho ran "$@"')
base.chmod(0o755)
os.utime(base, (0, 0))
python = pathlib.Path(".venv/bin/python")
python.parent.mkdir(parents=True, exist_ok=True)
python.unlink(missing_ok=True)
python.symlink_to("../../base")
"""


def fences(page: Path) -> list[list[str]]:
    """Return the lines of each block of code of a page."""
    blocks = re.findall(r"^```.*?\n(.*?)^```", page.read_text("utf8"), re.M | re.S)
    return [block.splitlines() for block in blocks]


def supported() -> list[str]:
    """Return the Pythons that pyproject.toml names: "3.11"."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]
    return re.findall(r"Python :: (3\.\d+)", " ".join(project["classifiers"]))


# What the pages say


def test_the_two_commands_are_these():
    address = re.search(r"url: (https\S+)", (ROOT / "_config.yml").read_text("utf8"))[1]
    way_in = [f"git clone {address}", f"cd {Path(address).name}", "make book"]
    assert fences(ROOT / "README.md")[0] == [*way_in, "make test"]
    assert fences(ROOT / "book" / "how-to-use.md")[0] == way_in


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_target_that_a_page_names_exists_and_is_explained(page):
    code = re.findall(r"`(make [^`\n]+)`", page.read_text("utf8"))
    code += [line for block in fences(page) for line in block]
    named = {m[1] for line in code if (m := re.match(r"make ([a-z-]+)", line))}
    assert named <= set(re.findall(r"^([a-z]+):.*?## \w", MAKEFILE, re.M))


def test_every_target_has_its_line_in_the_help():
    listed = subprocess.run(
        ["make", "-C", ROOT, "--no-print-directory", "help"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    targets = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.M)[1].split()
    assert set(re.findall(r"^  (\w+) +\w", listed, re.M)) == set(targets)


def test_the_same_pythons_are_named_everywhere():
    *others, last = supported()
    sentence = f"Python {', '.join(others)} or {last}"
    for page in (ROOT / "README.md", ROOT / "book" / "how-to-use.md"):
        assert sentence in " ".join(page.read_text("utf8").split())
    assert f'echo "{sentence} is needed' in MAKEFILE
    looked_for = re.search(r"for python in python3 (.*?);", MAKEFILE)[1].split()
    assert looked_for == [f"python{version}" for version in reversed(supported())]


# What make does with what a machine has


class Machine:
    """A checkout, and a PATH that holds the programs it is given and no other."""

    def __init__(self, folder: Path) -> None:
        self.checkout = folder / "a checkout"
        self.programs = folder / "bin"
        self.programs.mkdir()
        (self.checkout / "book").mkdir(parents=True)
        for name in ("Makefile", "pyproject.toml", "requirements.lock"):
            shutil.copy(ROOT / name, self.checkout)
        (self.checkout / "book" / "set_up.py").write_text(INSTEAD_OF_A_SET_UP)
        for name in PROGRAMS:
            (self.programs / name).symlink_to(shutil.which(name))
        self.has("python3", f'exec "{sys.executable}" "$@"')

    def has(self, name: str, script: str) -> Path:
        """Put a program there, the script of a shell."""
        program = self.programs / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return program

    def make(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run make from another folder; both its streams are in `stdout`."""
        return subprocess.run(
            [shutil.which("make"), "-C", self.checkout, *words],
            cwd=self.programs,
            env={"PATH": str(self.programs), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture
def machine(tmp_path) -> Machine:
    return Machine(tmp_path)


def test_without_uv_pip_installs(machine):
    made = machine.make("notebooks")
    assert made.returncode == 0
    assert "set up with [''] None" in made.stdout
    assert "ran book/run_notebooks.py" in made.stdout
    assert "not found" not in made.stdout


def test_where_uv_is_it_installs(machine):
    machine.has("uv", "echo uv 1.0")
    assert "set up with ['uv']" in machine.make("notebooks").stdout


def test_a_uv_that_does_not_start_is_none(machine):
    machine.has("uv", "exit 1")
    assert "set up with ['']" in machine.make("notebooks").stdout


@pytest.mark.parametrize("how", ["word", "variable"])
def test_an_empty_UV_chooses_pip(machine, how):
    machine.has("uv", "echo uv 1.0")
    made = machine.make("lint", *(["UV="] if how == "word" else []), UV="")
    assert "set up with ['']" in made.stdout


def test_a_uv_is_named_by_its_path(machine):
    made = machine.make("lint", UV="/with a space/uv")
    assert "set up with ['/with a space/uv']" in made.stdout


def test_the_choice_can_be_looked_at_without_doing_it(machine):
    machine.has("uv", "echo uv 1.0")
    assert 'book/set_up.py "uv"' in machine.make("-n", "book").stdout
    assert 'book/set_up.py ""' in machine.make("-n", "book", "UV=").stdout
    assert not (machine.checkout / ".venv").exists()


def test_the_users_own_packages_stay_out(machine):
    assert "[''] None" in machine.make("lint", PYTHONPATH=str(machine.programs)).stdout


def test_a_machine_without_a_home_gets_one(machine):
    home = machine.checkout / "_build" / "home"
    assert f"at home in {home}\n" in machine.make("lint").stdout
    (machine.checkout / "base").unlink()
    assert "at home in /mine\n" in machine.make("lint", HOME="/mine").stdout


@pytest.mark.parametrize("python", ["exit 1", "exit 127", None])
def test_without_a_python_that_will_do_a_sentence_says_so(machine, python):
    (machine.programs / "python3").unlink()
    if python:
        machine.has("python3", python)
    made = machine.make("book")
    assert made.returncode == 2
    assert "Python 3.11, 3.12 or 3.13 is needed, and python3 is none" in made.stdout
    assert "make book PYTHON=python3.12" in made.stdout
    assert not (machine.checkout / ".venv").exists()


def test_another_python_is_found(machine):
    machine.has("python3", "exit 1")
    machine.has("python3.13", "exit 127")
    machine.has("python3.12", f'echo chosen; exec "{sys.executable}" "$@"')
    assert "chosen\nset up with" in machine.make("lint").stdout


def test_a_python_is_named_by_its_path(machine, tmp_path):
    folder = tmp_path / "with a space"
    folder.mkdir()
    (folder / "python").symlink_to(machine.has("mine", 'exec python3 "$@"'))
    made = machine.make("lint", f"PYTHON={folder}/python")
    assert made.returncode == 0
    assert "set up with" in made.stdout


def test_a_wrong_path_of_a_python_is_told(machine):
    made = machine.make("book", "PYTHON=/no such/python")
    assert made.returncode == 2
    assert "/no such/python is none of them" in made.stdout


def test_a_set_up_that_fails_is_tried_again(machine):
    right = (machine.checkout / "book" / "set_up.py").read_text()
    (machine.checkout / "book" / "set_up.py").write_text(right + "sys.exit('no')")
    for _ in range(2):
        made = machine.make("lint")
        assert made.returncode == 2
        assert "set up with" in made.stdout
        assert "ran" not in made.stdout
    (machine.checkout / "book" / "set_up.py").write_text(right)
    assert machine.make("lint").returncode == 0


def _moved(checkout: Path) -> Path:
    return checkout.rename(checkout.with_name("elsewhere"))


def _copied(checkout: Path) -> Path:
    return shutil.copytree(checkout, checkout.with_name("twin"), symlinks=True)


def _other_lock(checkout: Path) -> Path:
    (checkout / "requirements.lock").write_text("torch==3\n")
    return checkout


def _without_its_python(checkout: Path) -> Path:
    (checkout / "base").unlink()
    return checkout


def _newer_python(checkout: Path) -> Path:
    os.utime(checkout / "base")
    os.utime(next((checkout / ".venv").glob("ready-*")), (1, 1))
    return checkout


@pytest.mark.parametrize(
    "change", [_moved, _copied, _other_lock, _without_its_python, _newer_python]
)
def test_set_up_again_after_a_change_and_only_then(machine, change):
    assert "set up with" in machine.make("lint").stdout
    assert "set up with" not in machine.make("lint").stdout
    machine.checkout = change(machine.checkout)
    assert "set up with" in machine.make("lint").stdout
    assert "set up with" not in machine.make("lint").stdout


# What the set-up does


@pytest.fixture
def commands(monkeypatch) -> Iterator[list[list[str]]]:
    """Return the list that the set-up's commands go to; none is run."""
    said: list[list[str]] = []
    monkeypatch.setattr(
        set_up, "run", lambda words, *rest: said.append([str(word) for word in words])
    )
    return said


@pytest.fixture
def checkout(tmp_path) -> Path:
    folder = tmp_path / "a checkout"
    folder.mkdir()
    return folder


def with_venv(checkout: Path, place: str = ".venv") -> Path:
    """Make an environment without pip, as uv does."""
    venv.create(checkout / place, symlinks=True)
    return checkout / place


def with_pip(folder: Path) -> None:
    """Put a pip into an environment that says its version and no more."""
    (site,) = folder.glob("lib/python3*/site-packages")
    (site / "pip.py").write_text("print('pip 1')")


def creations(commands: list[list[str]]) -> list[list[str]]:
    """Return the commands that make an environment."""
    return [words for words in commands if "--clear" in words]


def test_pip_makes_the_environment_and_installs(checkout, commands, capsys):
    set_up.set_up("", root=checkout)
    create, lock, library = commands
    place = str(checkout / ".venv")
    assert create == [sys.executable, "-m", "venv", "--clear", place]
    assert lock[:4] == [f"{place}/bin/python", "-m", "pip", "install"]
    assert lock[-3:] == ["--require-hashes", "-r", "requirements.lock"]
    assert library[-4:] == ["--no-deps", "--no-build-isolation", "-e", "."]
    said = capsys.readouterr().out
    assert re.fullmatch(r"Setting up .venv with pip, once: .* done in \d+ s\n", said)


def test_uv_makes_the_environment_and_installs(checkout, commands, capsys):
    uv = checkout / "uv"
    uv.write_text("")
    uv.chmod(0o755)
    set_up.set_up(str(uv), "--dry-run", root=checkout)
    create, lock, library = commands
    place = str(checkout / ".venv")
    assert create == [str(uv), "venv", "--clear", "--python", sys.executable, place]
    install = [str(uv), "pip", "install", "--python", f"{place}/bin/python"]
    assert lock[:6] == library[:6] == [*install, "--dry-run"]
    assert "with uv, once:" in capsys.readouterr().out


def test_an_environment_that_will_do_stays(checkout, commands):
    with_pip(with_venv(checkout))
    set_up.set_up("", root=checkout)
    assert len(commands) == 2


def test_an_environment_behind_a_link_stays(checkout, commands):
    with_pip(with_venv(checkout, "large disk"))
    (checkout / ".venv").symlink_to("large disk")
    set_up.set_up("", root=checkout)
    assert not creations(commands)


def _was_moved(checkout: Path) -> None:
    with_pip(with_venv(checkout, "old"))
    (checkout / "old").rename(checkout / ".venv")


def _was_copied(checkout: Path) -> None:
    with_pip(with_venv(checkout, "old"))
    shutil.copytree(checkout / "old", checkout / ".venv", symlinks=True)


def _has_no_python(checkout: Path) -> None:
    python = with_venv(checkout) / "bin" / "python"
    python.unlink()
    python.symlink_to("/no/such/python")


def _has_another_python(checkout: Path) -> None:
    python = with_venv(checkout) / "bin" / "python"
    python.unlink()
    python.write_text("#!/bin/sh\necho '(3, 10)'\n")
    python.chmod(0o755)


def _was_interrupted(checkout: Path) -> None:
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "pyvenv.cfg").write_text("")


@pytest.mark.parametrize(
    "state",
    [_was_moved, _was_copied, _has_no_python, _has_another_python, _was_interrupted],
)
def test_an_environment_that_will_not_do_is_made_anew(
    checkout, commands, state: Callable[[Path], None]
):
    state(checkout)
    set_up.set_up("", root=checkout)
    assert len(creations(commands)) == 1


def test_an_environment_that_uv_made_is_given_pip(checkout, commands, monkeypatch):
    place = with_venv(checkout)
    says = set_up._says
    asked = []

    def without_installing(*words: str | Path) -> str | None:
        asked.append(words[1:])
        return "" if "ensurepip" in words else says(*words)

    monkeypatch.setattr(set_up, "_says", without_installing)
    set_up.set_up("", root=checkout)
    assert asked[-1] == ("-m", "ensurepip")
    assert not creations(commands)
    assert place.exists()


def _is_a_users_folder(place: Path) -> None:
    place.mkdir()
    (place / "thesis.tex").write_text("")


def _is_a_file(place: Path) -> None:
    place.write_text("name-of-an-environment\n")


def _is_a_link_to_nothing(place: Path) -> None:
    place.symlink_to("a disk that is away")


@pytest.mark.parametrize(
    "state", [_is_a_users_folder, _is_a_file, _is_a_link_to_nothing]
)
def test_what_is_no_environment_stays(
    checkout, commands, state: Callable[[Path], None]
):
    state(checkout / ".venv")
    before = list(checkout.rglob("*"))
    with pytest.raises(SystemExit, match=r"no environment .* move it away"):
        set_up.set_up("", root=checkout)
    assert list(checkout.rglob("*")) == before
    assert not commands


@pytest.mark.parametrize("lacking", ["venv", "ensurepip"])
def test_a_python_without_venv_is_told_what_to_install(
    checkout, commands, monkeypatch, lacking
):
    monkeypatch.setattr(set_up, "find_spec", lambda name: name != lacking)
    package = "apt install python{}.{}-venv".format(*sys.version_info)
    with pytest.raises(SystemExit, match=re.escape(package)):
        set_up.set_up("", root=checkout)
    assert not commands
    assert not list(checkout.iterdir())


def test_a_machine_without_packages_is_told(checkout, commands, monkeypatch):
    monkeypatch.setattr(set_up.platform, "machine", lambda: "riscv64")
    with pytest.raises(SystemExit, match=f"no packages for {sys.platform} riscv64"):
        set_up.set_up("", root=checkout)
    assert not list(checkout.iterdir())


def test_a_uv_that_is_not_there_is_told(checkout, commands):
    with pytest.raises(SystemExit, match=r"There is no /no/uv: .* make book UV="):
        set_up.set_up("/no/uv", root=checkout)
    assert not list(checkout.iterdir())


def test_an_environment_is_not_ready_while_it_changes(checkout, monkeypatch):
    with_pip(with_venv(checkout))
    (checkout / ".venv" / "ready-1").touch()

    def fail(*words: object) -> None:
        raise SystemExit("no network")

    monkeypatch.setattr(set_up, "run", fail)
    with pytest.raises(SystemExit, match="no network"):
        set_up.set_up("", root=checkout)
    assert not list((checkout / ".venv").glob("ready-*"))


# What a step shows


def run(script: str, folder: Path) -> None:
    steps.run([sys.executable, "-c", script], folder / "x.log", "Mend it.", folder)


def test_a_step_that_goes_well_leaves_a_log_and_says_nothing(tmp_path, capfd):
    run("import sys; print('chatter'); print('noise', file=sys.stderr)", tmp_path)
    assert capfd.readouterr() == ("", "")
    assert set((tmp_path / "x.log").read_text().split()) == {"chatter", "noise"}


def test_a_step_that_fails_shows_its_complaints_and_its_end(tmp_path):
    script = "print('first'); print('\\x1b[91mWARNING: a hole\\x1b[0m')\n"
    script += "for line in range(300): print('line', line)\nraise SystemExit(3)"
    with pytest.raises(SystemExit) as failed, steps.step("Digging"):
        run(script, tmp_path)
    said = str(failed.value).splitlines()
    assert said[0] == "WARNING: a hole"
    assert "line 299" in said
    assert "line 1" not in said
    assert said[-1].endswith("x.log holds them all. Mend it.")
    assert (tmp_path / "x.log").read_text().startswith("first\nWARNING: a hole\nline 0")


def test_a_step_is_one_line(capsys):
    with steps.step("Digging"):
        pass
    assert capsys.readouterr().out == "Digging ... done in 0 s\n"


def test_a_step_that_fails_ends_its_line(capsys):
    with pytest.raises(ZeroDivisionError), steps.step("Digging"):
        1 / 0  # noqa: B018
    assert capsys.readouterr().out == "Digging ...\n"
