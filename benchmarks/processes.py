"""Processes that take orders: a contender lives in one, and waits its turn there.

Each has its own number of threads and its own allocator. Nothing here imports
the library: whose code a process runs is its module's affair.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]

Steps = Callable[[int], object]  # takes so many steps


class Contender(NamedTuple):
    """A loop, and what it is given.

    Attributes:
        loop: A word that its process knows.
        what: A ticket's name ("lenet-7": see tickets.py), or a layer's.
        data: The data set's word.
    """

    loop: str
    what: str = "lenet-0"
    data: str = "mnist-small"


Loops = Mapping[str, Callable[[Contender], Steps]]


class Process:
    """A process that builds contenders when it is first asked for them.

    Args:
        threads: Its number of threads.
        environment: More variables, such as a worker's.
        command: The module that it runs, and its words.
    """

    def __init__(
        self,
        threads: int,
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = ("benchmarks.contenders",),
    ) -> None:
        count = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **(environment or {}), **count},
        )

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def order(self, contender: Contender, steps: int) -> None:
        """Have a contender take its turn; `answer` waits for it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([*contender, steps]) + "\n")
        self._process.stdin.flush()

    def answer(self) -> float:
        """Return the seconds that the turn took.

        Raises:
            RuntimeError: If the process died; it has said why.
        """
        assert self._process.stdout is not None
        if not (line := self._process.stdout.readline()):
            raise RuntimeError("A contender failed; its traceback is above.")
        return float(line)

    def seconds(self, contender: Contender, steps: int) -> float:
        """Return the seconds that so many steps take now."""
        self.order(contender, steps)
        return self.answer()


def serve(loops: Loops) -> None:
    """Take orders from the standard input, one a line."""
    import torch

    threads = int(os.environ["OMP_NUM_THREADS"])
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # in every contender: only time is compared
    # One thread's own time: what else runs on the machine does not count.
    now = time.process_time if threads == 1 else time.perf_counter
    # No race has more contenders in one process; older ones make room.
    build = lru_cache(8)(lambda contender: loops[contender.loop](contender))
    for line in sys.stdin:
        *words, count = json.loads(line)
        steps = build(Contender(*words))
        start = now()
        steps(count)
        print(now() - start, flush=True)
