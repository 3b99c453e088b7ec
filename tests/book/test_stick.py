"""A room without a network: what the stick holds, and what comes out of it there."""

import csv
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import made_book
import make_stick
import pytest
from book_fixtures import ROOT
from make_stick import PLATFORMS, install

LOCK = """\
# by hand
both==1.0 \\
    --hash=sha256:11 \\
    --hash=sha256:12
cuda==2 ; sys_platform == 'linux' and platform_machine == 'x86_64' \\
    --hash=sha256:21
fork==1 ; python_full_version < '3.12' \\
    --hash=sha256:31
fork==2 ; python_full_version >= '3.12' \\
    --hash=sha256:32
pywinpty==3 ; os_name == 'nt' \\
    --hash=sha256:41
"""
PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "lth-utils"
requires-python = ">=3.11"
version = "0.1.0"
[tool.hatch.build.targets.wheel]
packages = ["lth_utils"]
"""


def wheel(folder: Path, name: str, module: str) -> Path:
    """Write a wheel of one module that can be run."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}/__init__.py": "",
        f"{name}/__main__.py": module,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\n"
        "Root-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    rows.writerows([[file, "", ""] for file in (*files, f"{info}/RECORD")])
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in (files | {f"{info}/RECORD": record.getvalue()}).items():
            archive.writestr(file, text)
    return path


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """A built book of one chapter."""
    root = tmp_path / "book of one"
    root.mkdir()
    made_book.make_book(root)
    shutil.copytree(ROOT / "book" / "stick", root / "book" / "stick")
    for file in ("set_up.py", "steps.py"):
        shutil.copy(ROOT / "book" / file, root / "book")
    (root / "pyproject.toml").write_text(PROJECT)
    page = root / "_build" / "html" / "index.html"
    page.parent.mkdir()
    page.write_text("the book")
    monkeypatch.setenv("LTH_DATA", str(tmp_path / "data"))
    return root


# What it holds


@pytest.mark.parametrize(
    ("platform", "version", "names"),
    [
        ("manylinux_x86_64", "3.11", ["both==1.0", "cuda==2", "fork==1"]),
        ("manylinux_aarch64", "3.13", ["both==1.0", "fork==2"]),
        ("macosx_arm64", "3.11", ["both==1.0", "fork==1"]),
        ("win_amd64", "3.12", ["both==1.0", "fork==2", "pywinpty==3"]),
    ],
)
def test_a_platform_gets_what_the_lock_names_for_it(platform, version, names):
    pins = make_stick.pinned(LOCK, PLATFORMS[platform], version)
    assert [pin.split()[0] for pin in pins] == names
    assert pins[0] == ("both==1.0 \\\n    --hash=sha256:11 \\\n    --hash=sha256:12\n")


def test_the_books_own_lock_is_read_whole():
    lock = (ROOT / "requirements.lock").read_text()
    linux, windows = (
        make_stick.pinned(lock, PLATFORMS[word], "3.12")
        for word in ("manylinux_x86_64", "win_amd64")
    )
    assert any(pin.startswith("nvidia-") for pin in linux)
    assert not any(pin.startswith(("nvidia-", "triton")) for pin in windows)
    for pins in (linux, windows):
        assert len({pin.split("==")[0] for pin in pins}) == len(pins) > 150
        assert all(";" not in pin and "--hash=sha256:" in pin for pin in pins)
        assert any(pin.startswith("torch==") for pin in pins)


def test_book_notebooks_data_and_library_are_there(root, tmp_path):
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "t10k-labels-idx1-ubyte.gz").write_text("labels")
    (raw / "something-else").write_text("mine")
    released = root / "_build" / "release" / "prune-by-magnitude.ipynb"
    released.parent.mkdir()
    released.write_text("the students'")
    secret = root / "notebooks" / "assignments" / "prune-by-magnitude.ipynb"
    secret.parent.mkdir()
    secret.write_text("the solution")
    assert make_stick.main([make_stick.NONE], root) == 0
    stick = root / "_build" / "stick"
    found = {path.relative_to(stick).as_posix() for path in stick.rglob("*.*")}
    found = {name for name in found if not (stick / name).is_dir()}
    assert found == {
        "README.md",
        "book/index.html",
        "data/MNIST/raw/t10k-labels-idx1-ubyte.gz",
        "install.py",
        "installer/set_up.py",
        "installer/steps.py",
        "notebooks/assignments/prune-by-magnitude.ipynb",
        "notebooks/one.ipynb",
        "requirements.lock",
        "wheels/lth_utils-0.1.0-py3-none-any.whl",
    }
    there = stick / "notebooks" / "assignments" / "prune-by-magnitude.ipynb"
    assert there.read_text() == "the students'"
    # The lecture comes along; what is gone from the book goes.
    lecture = root / "_build" / "slides" / "lottery-tickets.html"
    lecture.parent.mkdir()
    lecture.write_text("slides")
    released.unlink()
    make_stick.fill([make_stick.NONE], "3.12", root)
    assert (stick / "slides.html").read_text() == "slides"
    assert not there.exists()


def test_pip_is_asked_for_each_platform(root, monkeypatch):
    (root / "requirements.lock").write_text(LOCK)
    asked = []
    monkeypatch.setattr(make_stick, "_build_library", lambda *_: None)
    monkeypatch.setattr(
        make_stick, "run", lambda words, *_: asked.append([str(word) for word in words])
    )
    mine, python = install.here()
    make_stick.fill([mine], python, root)
    make_stick.fill(["win_amd64", "macosx_arm64"], "3.13", root)
    own, windows, mac = asked
    for words in asked:
        assert {"download", "--no-deps", "--require-hashes"} <= set(words)
        assert "--only-binary=:all:" in words
    assert not any(word.startswith("--platform") for word in own)
    assert "--platform=win_amd64" in windows
    assert windows[windows.index("--python-version") + 1] == "3.13"
    assert "--platform=macosx_14_0_arm64" in mac
    listed = Path(windows[-1]).read_text()
    assert "pywinpty" in listed
    assert "cuda" not in listed
    offers = root / "_build" / "stick" / "wheels" / install.OFFERS
    assert json.loads(offers.read_text()) == [
        [mine, python],
        ["win_amd64", "3.13"],
        ["macosx_arm64", "3.13"],
    ]


def test_packages_of_an_older_lock_go(root):
    (root / "requirements.lock").write_text("both==1.0 \\\n    --hash=sha256:11\n")
    wheels = root / "_build" / "stick" / "wheels"
    wheels.mkdir(parents=True)
    old = wheels / "both-0.9-py3-none-any.whl"
    now = wheels / "both-1.0-py3-none-any.whl"
    for path in (old, now):
        path.write_text("")
    make_stick.fill([make_stick.NONE], "3.12", root)
    assert now.exists()
    assert not old.exists()


def test_this_machine_is_one_of_them():
    assert install.here()[0] in PLATFORMS


# What is refused


def test_an_unknown_platform_is_said_before_anything_is_written(root, capsys):
    assert make_stick.main(["windows"], root) == 1
    assert "Unknown platform 'windows'" in capsys.readouterr().err
    assert not (root / "_build" / "stick").exists()


def test_a_book_that_was_not_built_is_said(root, capsys):
    shutil.rmtree(root / "_build" / "html")
    assert make_stick.main([make_stick.NONE], root) == 1
    assert "There is no book yet: run make book" in capsys.readouterr().err


def test_a_disk_that_is_too_small_is_said(root, capsys, monkeypatch):
    usage = shutil._ntuple_diskusage(9e9, 8e9, 1e9)
    monkeypatch.setattr(make_stick.shutil, "disk_usage", lambda _: usage)
    assert make_stick.main(["manylinux_x86_64"], root) == 1
    said = capsys.readouterr().err
    assert "takes up to 3.6 GB" in said
    assert "has 1.0 GB free" in said
    assert not (root / "_build" / "stick").exists()


# In the room


@pytest.fixture
def stick(root) -> Path:
    """A stick for this machine, of three packages of a few lines."""
    folder = make_stick.fill([make_stick.NONE], "3.12", root)
    wheels = folder / "wheels"
    says = "import json, sys\n"
    says += "with open(sys.prefix + '/told.json', 'w') as file:\n"
    says += "    json.dump(sys.argv[1:], file)\n"
    made = [wheel(wheels, "ipykernel", says), wheel(wheels, "tiny", "print('hello')")]
    lines = [
        f"{path.name.split('-')[0]}==1.0 \\\n    --hash=sha256:"
        + hashlib.sha256(path.read_bytes()).hexdigest()
        for path in made
    ]
    (folder / "requirements.lock").write_text("\n".join(lines) + "\n")
    (wheels / install.OFFERS).write_text(json.dumps([install.here()]))
    return folder


def without_network(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program that reaches no other machine."""
    cut = ["unshare", "--net"]
    can = shutil.which("unshare") and not subprocess.run([*cut, "true"]).returncode
    nowhere = "http://127.0.0.1:9"
    names = ("http_proxy", "https_proxy", "all_proxy")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= dict.fromkeys(names, nowhere)
    return subprocess.run(
        [*(cut if can else []), *words],
        env=environment,
        capture_output=True,
        text=True,
    )


def test_it_installs_from_the_stick_alone(stick, tmp_path):
    folder = tmp_path / "a student's"
    words = [sys.executable, stick / "install.py", folder, "--no-start"]
    done = without_network(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    python = folder / ".venv" / "bin" / "python"
    said = subprocess.run([python, "-m", "tiny"], capture_output=True, text=True)
    assert said.stdout == "hello\n"
    code = "import importlib.metadata as m; print(m.version('lth-utils'))"
    said = subprocess.run([python, "-c", code], capture_output=True, text=True)
    assert said.stdout == "0.1.0\n"
    told = json.loads((folder / ".venv" / "told.json").read_text())
    assert told[:2] == ["install", "--sys-prefix"]
    assert told[2:] == [
        *["--env", "LTH_DATA", str(folder / "data")],
        *["--env", "LTH_RUNS", str(folder / "runs")],
    ]
    assert (folder / "book" / "index.html").read_text() == "the book"
    assert (folder / "book" / "index.html").as_uri() in done.stdout
    assert "jupyter" in done.stdout
    # Again: nothing is installed, and no work is lost.
    notebook = folder / "notebooks" / "one.ipynb"
    notebook.write_text("my answers")
    again = without_network(*words)
    assert again.returncode == 0
    assert "Installing" not in again.stdout
    # Another stick brings other packages, and leaves the work alone.
    with (stick / "requirements.lock").open("a") as lock:
        lock.write("# another\n")
    assert "Installing" in without_network(*words).stdout
    assert notebook.read_text() == "my answers"


def test_a_damaged_package_is_refused(stick, tmp_path):
    (package,) = (stick / "wheels").glob("tiny*")
    wheel(stick / "wheels", "tiny", "print('another')")
    words = [sys.executable, stick / "install.py", tmp_path / "x", "--no-start"]
    done = without_network(*words)
    assert done.returncode == 1
    assert "do not match the hashes" in " ".join(done.stderr.split()).lower()
    assert "install.log holds them all" in done.stderr
    assert package.exists()


def test_a_machine_that_the_stick_is_not_for_is_told(stick, tmp_path):
    offers = stick / "wheels" / install.OFFERS
    offers.write_text('[["win_amd64", "3.12"]]')
    with pytest.raises(SystemExit, match=r"for win_amd64 with Python 3\.12, and"):
        install.main([str(tmp_path / "x"), "--no-start"], stick)
    offers.unlink()
    with pytest.raises(SystemExit, match=r"for no machine.*make stick PLATFORM="):
        install.main([str(tmp_path / "x"), "--no-start"], stick)
    assert not (tmp_path / "x").exists()


def test_a_computer_whose_disk_is_full_is_told(stick, tmp_path, monkeypatch):
    usage = shutil._ntuple_diskusage(9, 9, 0)
    monkeypatch.setattr(install.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(SystemExit, match="and its disk has less"):
        install.main([str(tmp_path / "x"), "--no-start"], stick)
    assert not (tmp_path / "x").exists()


def test_a_users_folder_is_not_made_an_environment(stick, tmp_path):
    place = tmp_path / "x" / ".venv"
    place.mkdir(parents=True)
    (place / "thesis.tex").write_text("")
    with pytest.raises(SystemExit, match="no environment"):
        install.main([str(tmp_path / "x"), "--no-start"], stick)
    assert [path.name for path in (tmp_path / "x").rglob("*.*")] == [
        ".venv",
        "thesis.tex",
    ]


def test_it_starts_the_notebooks_and_the_book(stick, tmp_path, monkeypatch):
    folder, started = tmp_path / "x", []
    monkeypatch.setattr(install, "install", lambda folder, stick: folder / ".venv")
    monkeypatch.setattr(install.webbrowser, "open", started.append)
    monkeypatch.setenv("PYTHONPATH", "elsewhere")

    def run(words, check, env):
        started.append([str(word) for word in words])
        assert "PYTHONPATH" not in env
        return subprocess.CompletedProcess(words, 0)

    monkeypatch.setattr(install.subprocess, "run", run)
    assert install.main([str(folder)], stick) == 0
    jupyter = str(folder / ".venv" / "bin" / "jupyter")
    assert started == [
        (folder / "book" / "index.html").as_uri(),
        [jupyter, "lab", str(folder / "notebooks")],
    ]
