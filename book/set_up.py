"""Set up .venv from requirements.lock: `make` does it before anything else.

    python3 book/set_up.py UV            with this uv; with pip if UV is ""
    python3 book/set_up.py UV --dry-run  words after it go to each installation

The environment gets the Python that runs this. What it holds already stays.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from steps import ROOT, run, step

# Where every package of requirements.lock can be had without a compiler.
MACHINES = {("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")}


def set_up(uv: str, *options: str, root: Path = ROOT) -> None:
    """Make .venv hold what requirements.lock names, and this library.

    Args:
        uv: The uv to install with; empty for pip.
        options: More words for each installation.
        root: The book's folder.

    Raises:
        SystemExit: With a sentence, if this machine lacks something.
    """
    venv = root / ".venv"
    _check_machine(uv)
    create = creation(venv, uv)
    for stamp in venv.glob("ready-*"):  # not ready until all of this is done
        stamp.unlink()
    log = root / "_build" / "set-up.log"
    log.unlink(missing_ok=True)
    remedy = "Then run it again: what was installed stays."
    if uv:
        remedy += " With pip instead of uv: make book UV="
    install = _installation(venv, uv, options)
    size = "on Linux 3 GB to download and 7 GB of disk"
    tool = "uv" if uv else "pip"
    with step(f"Setting up .venv with {tool}, once: {size}, 2 to 10 minutes"):
        for words in [*create, *install]:
            run(words, log, remedy, root)


def creation(venv: Path, uv: str = "") -> list[list[str | Path]]:
    """Return the command that makes an environment; none where one is that will do.

    Raises:
        SystemExit: With a sentence, if it cannot be made.
    """
    if _usable(venv) and (uv or has_pip(venv)):
        return []
    _check_can_create(venv, uv)
    if uv:
        return [[uv, "venv", "--clear", "--python", sys.executable, venv]]
    return [[sys.executable, "-m", "venv", "--clear", venv]]


def program(venv: Path, name: str = "python") -> Path:
    """Return where an environment keeps a program."""
    return venv / ("Scripts" if os.name == "nt" else "bin") / name


def _installation(
    venv: Path, uv: str, options: Sequence[str]
) -> list[list[str | Path]]:
    """Return the commands that install the lock and this library."""
    python = program(venv)
    install: list[str | Path]
    if uv:
        install = [uv, "pip", "install", "--python", python, *options]
    else:
        install = [python, "-m", "pip", "install", "--no-user", "--progress-bar=off"]
        install += ["--disable-pip-version-check", *options]
    lock = [*install, "--require-hashes", "-r", "requirements.lock"]
    library = [*install, "--no-deps", "--no-build-isolation", "-e", "."]
    return [lock, library]


def _check_machine(uv: str) -> None:
    here = (sys.platform, platform.machine())
    if here not in MACHINES:
        raise SystemExit(
            f"torch has no packages for {' '.join(here)}. The book runs on Linux"
            " (x86_64, aarch64), on macOS with Apple silicon, where Python must be"
            " one for arm64, in Windows' WSL, and in Colab."
        )
    if uv and not shutil.which(uv):
        raise SystemExit(f"There is no {uv}: correct UV, or use pip: make book UV=")


def _check_can_create(venv: Path, uv: str) -> None:
    there = venv.is_symlink() or venv.exists()
    empty = venv.is_dir() and not any(venv.iterdir())
    if there and not empty and not (venv / "pyvenv.cfg").exists():
        raise SystemExit(
            f"{venv} is no environment that venv or uv made: move it away, and run"
            " it again."
        )
    if not uv and not (find_spec("venv") and find_spec("ensurepip")):
        version = "{}.{}".format(*sys.version_info)
        raise SystemExit(
            f"{sys.executable} lacks venv and ensurepip, which make an environment."
            f" On Debian and Ubuntu, sudo apt install python{version}-venv brings"
            " them. Then run it again."
        )


def _usable(venv: Path) -> bool:
    """Tell whether .venv runs, has this Python's version and was made here."""
    version = "import sys; print(sys.version_info[:2])"
    said = _says(program(venv), "-c", version)
    return said == str(sys.version_info[:2]) and _made_here(venv)


def _made_here(venv: Path) -> bool:
    """Tell whether .venv is where it was made.

    The programs of one that was moved or copied start what is in the old place.
    """
    activate = program(venv, "activate")
    if not activate.is_file():
        return False
    line = r"""VIRTUAL_ENV=(["']?)(\w:.*|/.*)\1$"""  # a path of Windows has a drive
    found = re.search(line, activate.read_text("utf8"), re.MULTILINE)
    if found is None or not Path(found[2]).exists():
        return False
    return venv.samefile(found[2])


def has_pip(venv: Path) -> bool:
    """Tell whether an environment has pip; one that uv made is given it."""
    python = program(venv)
    have = _says(python, "-m", "pip", "--version")
    return (have or _says(python, "-m", "ensurepip")) is not None


def _says(*words: str | Path) -> str | None:
    """Return what a program prints, None if it fails."""
    try:
        done = subprocess.run(words, capture_output=True, text=True)
    except OSError:
        return None
    return None if done.returncode else done.stdout.strip()


if __name__ == "__main__":
    try:
        set_up(*sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit("Stopped: run it again to go on.")
