"""What the library is held against, if it is here: an earlier commit, a peer.

The commit is unpacked from the checkout's own history into `_build/bench/`; the
peer is SparseProp, from the folder that the variable SPARSEPROP names, or from
wherever Python finds it. What is absent leaves its rows out, and is named.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from benchmarks import tickets
from benchmarks.processes import ROOT, Process
from benchmarks.today import COMMIT
from benchmarks.today import ENVIRONMENT as EARLIER
from lth_utils.experiments.workers import ENVIRONMENT
from lth_utils.files.atomic import Kind, atomic_folder

PEER_VERSION = "0.1.14"


class Rivals(NamedTuple):
    """What is here to be held against.

    Attributes:
        today: The folder of the earlier commit's checkout.
        peer: What a process needs in its environment to import SparseProp.
        absent: A sentence for each that is not here.
    """

    today: Path | None = None
    peer: Mapping[str, str] | None = None
    absent: tuple[str, ...] = ()


class Crew:
    """Processes of one thread, by whose code they run; a context.

    "textbook" has a plain environment, "ours" a worker's; "today" and "peer"
    are there where the rivals are.

    Args:
        rivals: Who is here.
    """

    def __init__(self, rivals: Rivals) -> None:
        environment = dict(ENVIRONMENT)
        self._made = {
            "textbook": lambda: Process(1),
            "ours": lambda: Process(1, environment),
        }
        if (today := rivals.today) is not None:
            words = ("benchmarks.today", str(today), str(tickets.folder()))
            self._made["today"] = lambda: Process(1, EARLIER, words)
        if (peer := rivals.peer) is not None:
            self._made["peer"] = lambda: Process(1, environment | peer)
        self._stack = ExitStack()
        self._started: dict[str, Process] = {}

    def __enter__(self) -> "Crew":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def get(self, who: str) -> Process | None:
        """Return a process, started when it is first asked for; None if absent."""
        if who in self._made and who not in self._started:
            self._started[who] = self._stack.enter_context(self._made[who]())
        return self._started.get(who)


def find() -> Rivals:
    """Look for both."""
    today, why = _today()
    peer, why_not = _peer()
    return Rivals(today, peer, tuple(filter(None, (why, why_not))))


def _today() -> tuple[Path | None, str]:
    """Return the commit's checkout, or why there is none."""
    place = ROOT / "_build" / "bench" / f"today-{COMMIT}"
    if place.exists():
        return place, ""
    with tempfile.TemporaryDirectory() as scratch:
        packed = Path(scratch) / "all.zip"
        words = ["git", "-C", ROOT, "archive", "--format=zip", "-o", packed, COMMIT]
        if why := _failure(words):
            said = f"Commit {COMMIT} is not in this checkout's history ({why})"
            return None, f"{said}: what is held against it is left out."
        kind = Kind("checkout", lambda old: (old / "lth_utils").is_dir())
        with atomic_folder(place, kind) as folder, zipfile.ZipFile(packed) as every:
            every.extractall(folder)
    return place, ""


def _peer() -> tuple[dict[str, str] | None, str]:
    """Return the environment in which SparseProp can be imported, or why not."""
    folder = os.environ.get("SPARSEPROP")
    more = {"PYTHONPATH": str(Path(folder).absolute())} if folder else {}
    why = _failure([sys.executable, "-c", "import sparseprop.modules"], more)
    if not why:
        return more, ""
    where = f"in SPARSEPROP={folder}" if folder else "here"
    return None, (
        f"SparseProp cannot be imported {where} ({why}): what is held against it is"
        " left out. benchmarks/README.md says how to install it."
    )


def _failure(words: list, more: Mapping[str, str] | None = None) -> str:
    """Run a command; return the last words of why it failed, or ""."""
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, env={**os.environ, **(more or {})}
        )
    except OSError as error:
        return str(error)
    last = done.stderr.strip().splitlines()[-1:]
    return "".join(last) or "it failed" if done.returncode else ""
