"""Fill one folder with all that a class needs where there is no network.

    python book/make_stick.py                         for machines like this one
    python book/make_stick.py win_amd64 --version 3.12
    python book/make_stick.py none                    book and notebooks alone

_build/stick then holds the book, the notebooks, the students' assignments if `make
release` wrote them, the lecture if `make slides` did, MNIST if LTH_DATA has it, the
packages of requirements.lock, and a README. Run it again for another platform: what
is there stays.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from packaging.markers import Marker
from packaging.utils import canonicalize_name, parse_wheel_filename
from steps import ROOT, run, step

sys.path.insert(0, str(ROOT / "book" / "ext"))
sys.path.insert(0, str(ROOT / "book" / "stick"))

import executed
import install

from lth_utils.cli import print_anywhere
from lth_utils.data.mnist import FASHION, MNIST
from lth_utils.errors import LotteryError, choose
from lth_utils.files.places import check_writable, data_folder


class Platform(NamedTuple):
    """A kind of computer.

    Attributes:
        system: `sys.platform`, `platform.system()` and `os.name` there.
        machine: `platform.machine()` there.
        tags: What pip calls it.
        size: Gigabytes of packages, about.
    """

    system: tuple[str, str, str]
    machine: str
    tags: list[str]
    size: float


LINUX = ("linux", "Linux", "posix")
PLATFORMS = {
    **{
        f"manylinux_{machine}": Platform(
            LINUX,
            machine,
            [f"manylinux_2_{minor}_{machine}" for minor in range(28, 4, -1)]
            + [f"manylinux{year}_{machine}" for year in (2014, 2010, 1)],
            3.4,
        )
        for machine in ("x86_64", "aarch64")
    },
    "macosx_arm64": Platform(
        ("darwin", "Darwin", "posix"), "arm64", ["macosx_14_0_arm64"], 0.4
    ),
    "win_amd64": Platform(("win32", "Windows", "nt"), "AMD64", ["win_amd64"], 0.4),
}
NONE = "none"


def fill(platforms: Sequence[str], version: str, root: Path = ROOT) -> Path:
    """Fill the folder, and return it.

    Args:
        platforms: Whose packages to fetch, words of PLATFORMS; or "none".
        version: The Python on those machines, "3.12".
        root: The book's folder.

    Raises:
        LotteryError: If a word is unknown, the book was not built, or the disk is too
            small, before anything is written.
        SystemExit: If packages cannot be had; it says which.
    """
    folder = root / "_build" / "stick"
    wanted = [choose("platform", word, (*PLATFORMS, NONE)) for word in platforms]
    wanted = [word for word in wanted if word != NONE]
    check_writable(folder)
    if not (root / "_build" / "html" / "index.html").is_file():
        raise LotteryError("There is no book yet: run make book, then this again.")
    _check_room(folder, wanted)
    _copy(root, folder)
    wheels = folder / install.WHEELS
    wheels.mkdir(exist_ok=True)
    _build_library(root, wheels)
    for word in wanted:
        size = PLATFORMS[word].size
        title = f"Fetching the packages for {word}, Python {version}: {size} GB"
        with step(title):
            _fetch(root, wheels, word, version)
    _tidy(root, wheels)
    return folder


def _check_room(folder: Path, wanted: list[str]) -> None:
    size = sum(PLATFORMS[word].size for word in wanted) + 0.2
    free = install.room(folder) / 1e9
    if free < size:
        raise LotteryError(
            f"The stick takes up to {size:.1f} GB, and the disk of {folder} has"
            f" {free:.1f} GB free: free some space, or choose another PLATFORM"
            f" ({', '.join((*PLATFORMS, NONE))})."
        )


def _copy(root: Path, folder: Path) -> None:
    """Copy what is there already; the parts are laid anew."""
    built, stick = root / "_build", root / "book" / "stick"
    parts = {part: folder / part for part in ("book", "notebooks", "data", "installer")}
    for part in parts.values():
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
    shutil.copytree(built / "html", parts["book"], dirs_exist_ok=True)
    for name in executed.chapters(root):
        shutil.copy(executed.source(root, name), parts["notebooks"])
    if (built / "release").is_dir():
        shutil.copytree(built / "release", parts["notebooks"] / "assignments")
    for source in (MNIST, FASHION):
        there = source.raw(data_folder())
        for name in source.files:
            for file in (there / name, there / f"{name}.gz"):
                if file.is_file():
                    target = source.raw(parts["data"])
                    target.mkdir(parents=True, exist_ok=True)
                    shutil.copy(file, target)
    for file in ("set_up.py", "steps.py"):
        shutil.copy(root / "book" / file, parts["installer"])
    for file in (*stick.glob("*.*"), root / "requirements.lock"):
        shutil.copy(file, folder)
    lecture = built / "slides" / "lottery-tickets.html"
    if lecture.is_file():
        shutil.copy(lecture, folder / "slides.html")


def _build_library(root: Path, wheels: Path) -> None:
    """Build the wheel of the library itself, which works on every machine."""
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", wheels]
    log = root / "_build" / "stick.log"
    log.unlink(missing_ok=True)
    run(words, log, "Mend that, and run it again.", root)


def _fetch(root: Path, wheels: Path, word: str, version: str) -> None:
    """Let pip download what the lock names for a platform."""
    platform = PLATFORMS[word]
    pins = pinned((root / "requirements.lock").read_text("utf8"), platform, version)
    listed = root / "_build" / f"stick-{word}-{version}.txt"
    listed.write_text("".join(pins), "utf8")
    pip = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check"]
    pip += ["--no-deps", "--require-hashes", "--only-binary=:all:", "-q"]
    if (word, version) != install.here():
        pip += [f"--platform={tag}" for tag in platform.tags]
        pip += ["--python-version", version, "--implementation", "cp"]
    remedy = "Then run it again: what was fetched stays."
    log = root / "_build" / "stick.log"
    run([*pip, "-d", wheels, "-r", listed], log, remedy, root)
    offers = wheels / install.OFFERS
    found = json.loads(offers.read_text("utf8")) if offers.is_file() else []
    if [word, version] not in found:
        offers.write_text(json.dumps([*found, [word, version]]) + "\n", "utf8")


def pinned(lock: str, platform: Platform, version: str) -> list[str]:
    """Return the lock's entries that hold on a machine, without their conditions.

    pip would judge the conditions by the machine that it runs on.
    """
    system, name, family = platform.system
    there = {
        "sys_platform": system,
        "platform_system": name,
        "os_name": family,
        "platform_machine": platform.machine,
        "python_version": version,
        "python_full_version": f"{version}.1",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    pins = []
    for entry in re.findall(r"^[^\s#].*\n(?: .*\n)*", lock, re.MULTILINE):
        head, end, hashes = entry.partition("\\\n")
        pin, _, condition = head.partition(";")
        if not condition or Marker(condition.strip()).evaluate(there):
            pins.append(f"{pin.strip()} {end}{hashes}")
    return pins


def _tidy(root: Path, wheels: Path) -> None:
    """Remove packages that an older lock named."""
    lock = (root / "requirements.lock").read_text("utf8")
    pins = re.findall(r"^([^\s#=]+)==([^\s;]+)", lock, re.MULTILINE)
    named = {(canonicalize_name(name), pin) for name, pin in pins}
    for wheel in wheels.glob("*.whl"):
        name, version, *_ = parse_wheel_filename(wheel.name)
        if name != "lth-utils" and (name, str(version)) not in named:
            wheel.unlink()


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    mine, python = install.here()
    words = [*PLATFORMS, NONE]
    parser.add_argument(
        "platforms",
        nargs="*",
        metavar="PLATFORM",
        help=f"the class's computers: {', '.join(words)} (default: {mine})",
    )
    parser.add_argument(
        "--version", default=python, help=f"their Python (default: {python})"
    )
    options = parser.parse_args(argv)
    print_anywhere()
    try:
        folder = fill(options.platforms or [mine], options.version, root)
    except LotteryError as error:
        print(error, file=sys.stderr)
        return 1
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(
        f"Copy {folder} to a stick: {size / 1e9:.1f} GB. Its README says how to go on."
    )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (KeyboardInterrupt, subprocess.SubprocessError):
        sys.exit("Stopped: run it again to go on.")
