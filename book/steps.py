"""A step of `make`: one line on the screen, the rest in a log.

Only the standard library is at hand here, since the first step is what
installs the others.
"""

import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
COMPLAINT = re.compile(r"\b(WARNING|ERROR|CRITICAL)\b")
SHOWN = 25  # lines of a log's end


@contextmanager
def step(title: str) -> Iterator[None]:
    """Say what is being done and, on the same line, how long it took."""
    print(f"{title} ...", end="", flush=True)
    start = time.perf_counter()
    try:
        yield
    except BaseException:
        print(flush=True)
        raise
    print(f" done in {time.perf_counter() - start:.0f} s", flush=True)


def run(words: Sequence[str | Path], log: Path, remedy: str, root: Path = ROOT) -> None:
    """Run a program in the book's folder and add what it says to a log.

    Args:
        words: The program and its arguments.
        log: The log's file.
        remedy: What to do if the program fails.
        root: The book's folder.

    Raises:
        SystemExit: If it fails. The message shows the log's end, and the lines
            before it that complain.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("a", buffering=1, encoding="utf8") as file,
        subprocess.Popen(
            words,
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf8",
            errors="replace",
        ) as program,
    ):
        for line in program.stdout or ():
            file.write(COLOURS.sub("", line))
    if program.returncode:
        raise SystemExit(
            f"{_excerpt(log)}\n\nThat failed. The lines above say why, and"
            f" {log.relative_to(root)} holds them all. {remedy}"
        )


def _excerpt(log: Path) -> str:
    lines = log.read_text("utf8").splitlines()
    earlier = [line for line in lines[:-SHOWN] if COMPLAINT.search(line)]
    return "\n".join(earlier + lines[-SHOWN:])
