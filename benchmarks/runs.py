"""Whole runs: an experiment, the book's chapters, and what memory a run takes."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean, median

import lth_utils as lth
from benchmarks import whole
from benchmarks.processes import ROOT, Contender, Process
from benchmarks.rivals import Rivals
from benchmarks.tickets import LADDER
from benchmarks.turns import ratios

SEEDS = 3


def sweep(rounds: int, rivals: Rivals) -> dict[str, float]:
    """A whole experiment, in turns of a seed: the textbook's, ours, today's.

    The textbook's time is that of 100 steps and one evaluation at every fifth
    density, times all that there is to do.
    """
    times = []
    for seed in range(SEEDS):
        chosen = whole.plan(lth, seed)
        trainings = len(list(chosen.trainings()))
        turn = {"textbook": trainings * _textbook_training(chosen.recipe)}
        for name, build in _builds(rivals).items():
            with tempfile.TemporaryDirectory() as store:
                turn[name] = spent(build, store, "sweep", str(seed))
        times.append(turn)
    _tell(f"{SEEDS} seeds of an experiment", times)
    asked = {"sweep": ("textbook", "ours"), "sweep_over_today": ("today", "ours")}
    return ratios(times, asked)


def book(rounds: int, rivals: Rivals) -> dict[str, float]:
    """What the book's chapters train: once in each build, in turns of a chapter.

    Only the chapters that both have; each trains what its own text asks for.
    """
    builds, times = _builds(rivals), []
    if "today" not in builds:
        return {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in _chapters(builds.values()):
            turn = {}
            for build, folder in builds.items():
                store = str(Path(scratch) / build)  # chapters share theirs
                notebook = str(folder / "notebooks" / name)
                turn[build] = spent(folder, store, "chapter", notebook)
            times.append(turn)
    _tell(f"What {len(times)} chapters train", times)
    whole_book = {build: sum(turn[build] for turn in times) for build in builds}
    return ratios([whole_book], {"quick_book": ("today", "ours")})


def _builds(rivals: Rivals) -> dict[str, Path]:
    """Return the checkouts that run whole experiments."""
    found = {"ours": ROOT}
    return found if rivals.today is None else {**found, "today": rivals.today}


def _chapters(folders: Iterable[Path]) -> list[str]:
    """Return the notebooks that every checkout has."""
    names = [{p.name for p in (f / "notebooks").glob("*.ipynb")} for f in folders]
    return sorted(set.intersection(*names))


def spent(folder: Path, store: str, what: str, word: str) -> float:
    """Return the seconds that a checkout trained; see whole.py.

    Raises:
        RuntimeError: If it failed; says how.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.whole", str(folder), what, word],
        env={**os.environ, "LTH_RUNS": store, "MPLBACKEND": "agg"},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{what} {word} of {folder} failed:\n{done.stderr[-3000:]}")
    return float(done.stdout.split()[-1])


def _tell(what: str, times: Sequence[Mapping[str, float]]) -> None:
    told = ", ".join(
        f"{name} {sum(turn[name] for turn in times):,.0f} s" for name in times[0]
    )
    print(f"{what}: {told}.", flush=True)


def _textbook_training(recipe: lth.Recipe) -> float:
    """Return the seconds of one training, averaged over the ladder."""
    steps, evaluations = [], []
    with Process(2) as process:
        for number in range(0, LADDER + 1, 5):
            step = Contender("textbook", f"lenet-{number}", "mnist")
            process.seconds(step, 3)
            steps.append(process.seconds(step, 100) / 100)
            evaluation = step._replace(loop="textbook evaluation")
            evaluations.append(process.seconds(evaluation, 1))
    often = recipe.iterations // recipe.evaluate_every
    return recipe.iterations * mean(steps) + often * mean(evaluations)


PEAK = """\
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(peak / (1e6 if sys.platform == "darwin" else 1e6 / 1024))
"""


def memory(rounds: int, rivals: Rivals) -> dict[str, float]:
    """Megabytes of a quick run's largest process beyond those of `import torch`."""
    torch = median(peak_memory("-c", "import torch") for _ in range(3))
    with tempfile.TemporaryDirectory() as store:
        more = {"LTH_RUNS": store}
        run = peak_memory("-m", "lth_utils.cli", "run", "lenet-mnist", more=more)
    return {"memory_mb": run - torch}


def peak_memory(*words: str, more: Mapping[str, str] | None = None) -> float:
    """Return the peak (MB) of the largest process that a Python command makes."""
    # A child begins with its parent's peak: so the parent is a small Python.
    command = [sys.executable, "-c", PEAK, sys.executable, *words]
    environment = {**os.environ, **(more or {})}
    done = subprocess.run(command, check=True, capture_output=True, env=environment)
    return float(done.stdout)
