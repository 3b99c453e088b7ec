"""Whole experiments and chapters, timed in a process that runs one build's code.

`python -m benchmarks.whole FOLDER sweep SEED` and `... chapter NOTEBOOK` print
the seconds of wall time that the library of that checkout trained: an
experiment by `lth.run`, or all that a chapter has it train.
"""

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

# What a chapter calls to have networks trained.
TRAINS = ("run", "train", "find_ticket", "ticket", "trained")
ARMS = ("dense", "ticket", "reinit", "random")


def plan(lth: Any, seed: int) -> Any:
    """Return the experiment: LeNet on MNIST at laptop scale, one seed of it.

    Its table holds validation all the way, and every split at early stop and
    at the end; where a build cannot leave the rest out, it measures that too.
    """
    chosen = lth.experiment("lenet-mnist", "laptop")
    return replace(chosen, name="sweep", arms=ARMS, seeds=(seed,), curve_rounds=())


def sweep(lth: Any, seed: str) -> float:
    """Run the experiment in an empty store by two workers."""
    chosen = plan(lth, int(seed))
    start = time.perf_counter()
    lth.run(chosen, workers=2)
    return time.perf_counter() - start


def chapter(lth: Any, notebook: str) -> float:
    """Run a chapter's cells; count the time in which the library trains.

    Raises:
        RuntimeError: If a cell fails.
    """
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    clock = Clock()
    for name in TRAINS:
        setattr(lth, name, clock.over(getattr(lth, name)))
    lth.explore = lambda *_, **__: None  # sliders train nothing, and take minutes
    unremembered = Config({"HistoryManager": {"enabled": False}})
    shell = InteractiveShell.instance(config=unremembered)
    for cell in json.loads(Path(notebook).read_text("utf8"))["cells"]:
        if cell["cell_type"] == "code":
            result = shell.run_cell("".join(cell["source"]))
            if not result.success:
                raise RuntimeError(f"A cell of {notebook} failed: see above.")
    return clock.spent


class Clock:
    """Runs while any of some functions does, in whichever thread.

    Attributes:
        spent: The seconds it ran.
    """

    def __init__(self) -> None:
        self.spent, self._start, self._running = 0.0, 0.0, 0
        self._lock = threading.Lock()

    def over(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, clocked."""

        def clocked(*words: Any, **more: Any) -> Any:
            self._count(1)
            try:
                return function(*words, **more)
            finally:
                self._count(-1)

        return clocked

    def _count(self, change: int) -> None:
        with self._lock:
            now = time.perf_counter()
            if self._running:
                self.spent += now - self._start
            self._start, self._running = now, self._running + change


def main(folder: str, what: str, word: str) -> None:
    sys.path.insert(0, folder)
    with tempfile.TemporaryDirectory() as nowhere:
        # Its workers look for the library in the working folder first.
        os.chdir(nowhere)
        import lth_utils as lth

        with redirect_stdout(sys.stderr):
            seconds = {"sweep": sweep, "chapter": chapter}[what](lth, word)
        os.chdir(folder)
    print(seconds)


if __name__ == "__main__":
    main(*sys.argv[1:])
