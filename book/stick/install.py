"""Install the book from this stick, without a network, and start it.

    python install.py             into the folder lottery-tickets in your home folder
    python install.py FOLDER      into another folder
    python install.py --no-start  only install

Run it again to start it again. Notebooks that are there stay as you left them.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "installer"))

import set_up
from steps import run, step

STICK = Path(__file__).resolve().parent
WHEELS = "wheels"
OFFERS = "platforms.json"  # in that folder: [["win_amd64", "3.12"], ...]
SYSTEMS = {"linux": "manylinux", "darwin": "macosx", "win32": "win"}
MACHINES = {
    "x86_64": "x86_64",
    "aarch64": "aarch64",
    "arm64": "arm64",
    "AMD64": "amd64",
}


def here() -> tuple[str, str]:
    """Return this machine's platform and Python as the stick names them."""
    machine = MACHINES.get(platform.machine(), platform.machine())
    system = SYSTEMS.get(sys.platform, sys.platform)
    return f"{system}_{machine}", "{}.{}".format(*sys.version_info)


def install(folder: Path, stick: Path = STICK) -> Path:
    """Put the stick's book into a folder, with an environment to run it.

    Returns:
        The environment.

    Raises:
        SystemExit: With a sentence, if the stick has nothing for this machine, or the
            folder cannot hold it, before anything is written; or if pip fails.
    """
    folder = folder.expanduser().absolute()
    venv, wheels = folder / ".venv", stick / WHEELS
    lock = stick / "requirements.lock"
    done = venv / "ready"
    made_from = lock.read_text("utf8")
    if done.is_file() and done.read_text("utf8") == made_from:
        return venv
    _check(folder, wheels)
    create = set_up.creation(venv)
    python = set_up.program(venv)
    pip = [python, "-m", "pip", "--isolated", "install", "--no-index"]
    pip += ["--disable-pip-version-check", "--find-links", wheels]
    kernel = [python, "-m", "ipykernel", "install", "--sys-prefix"]
    for name, part in (("LTH_DATA", "data"), ("LTH_RUNS", "runs")):
        kernel += ["--env", name, folder / part]
    done.unlink(missing_ok=True)
    with step(f"Copying the book and the notebooks into {folder}"):
        _copy(folder, stick)
    log = folder / "install.log"
    log.unlink(missing_ok=True)
    remedy = "Then run it again: what was installed stays."
    with step("Installing from the stick, once: 2 to 20 minutes"):
        for words in [
            *create,
            [*pip, "--require-hashes", "-r", lock],
            [*pip, "--no-deps", "--force-reinstall", "lth-utils"],
            kernel,
        ]:
            run(words, log, remedy, folder)
    done.write_text(made_from, "utf8")
    return venv


def _check(folder: Path, wheels: Path) -> None:
    """Refuse what cannot be done, before anything is written."""
    offered = wheels / OFFERS
    found = json.loads(offered.read_text("utf8")) if offered.is_file() else []
    if list(here()) not in found:
        listed = ", ".join(f"{name} with Python {python}" for name, python in found)
        mine = "{} with Python {}".format(*here())
        raise SystemExit(
            f"This stick has packages for {listed or 'no machine'}, and this is {mine}."
            " Run it with a Python of that version, or ask who filled the stick for"
            " make stick PLATFORM={} VERSION={}.".format(*here())
        )
    needed = 3 * sum(file.stat().st_size for file in wheels.glob("*.whl"))
    if room(folder) < needed:
        raise SystemExit(
            f"{folder} needs up to {needed / 1e9:.1f} GB, and its disk has less. Free"
            " some space, or name a folder on another disk: python install.py FOLDER"
        )


def room(folder: Path) -> int:
    """Return the bytes that are free where a folder is, or would be made."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _copy(folder: Path, stick: Path) -> None:
    """Copy what is read and run; a notebook that is there is somebody's work."""
    for part in ("book", "data", "notebooks"):
        for source in sorted((stick / part).rglob("*")):
            target = folder / source.relative_to(stick)
            if source.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            elif part != "notebooks" or not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)


def main(argv: Sequence[str] | None = None, stick: Path = STICK) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    home = Path("~/lottery-tickets")
    parser.add_argument("folder", metavar="FOLDER", nargs="?", type=Path, default=home)
    parser.add_argument("--no-start", action="store_true", help="only install")
    options = parser.parse_args(argv)
    folder = options.folder.expanduser().absolute()
    venv = install(folder, stick)
    lab = [set_up.program(venv, "jupyter"), "lab", folder / "notebooks"]
    page = (folder / "book" / "index.html").as_uri()
    print(f"The book:      {page}")
    print("The notebooks: " + " ".join(f'"{word}"' for word in lab))
    if options.no_start:
        return 0
    webbrowser.open(page)
    return subprocess.run(lab, check=False, env=_alone()).returncode


def _alone() -> dict[str, str]:
    """Return an environment in which no other Python's packages are found."""
    left_out = ("PYTHONPATH", "PYTHONHOME")
    return {name: os.environ[name] for name in os.environ if name not in left_out}


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Stopped: run it again to go on.")
