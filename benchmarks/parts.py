"""The measurements: each part returns ratios by their keys in `bench.json`.

Contenders take turns, every one once a round; ratios are formed within a
round and their median is the result, so that a machine that slows down or
speeds up, for whatever reason, does so for both.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from statistics import mean, median

import lth_utils as lth
from benchmarks.contenders import ROUNDS, Contender, Process, ticket_of
from lth_utils.experiments.workers import ENVIRONMENT

Clock = Callable[[], float]  # takes a turn; returns seconds a step
Round = Mapping[str, float]  # seconds a step by the contender's name
Row = tuple[str, int, float, int, float]

TURN = 0.15  # seconds that a contender's turn takes, about


# --- arithmetic ---------------------------------------------------------------


def take_turns(clocks: Mapping[str, Clock], rounds: int) -> list[dict[str, float]]:
    """Let every contender take its turn in each round."""
    return [{name: clock() for name, clock in clocks.items()} for _ in range(rounds)]


def ratio(rounds: list[dict[str, float]], above: str, below: str) -> float:
    """Return the median over rounds of one contender's time over another's."""
    return median(each[above] / each[below] for each in rounds)


def crossover(ratios: Mapping[float, float]) -> float:
    """Return the density at which a falling line of ratios reaches 1.

    Args:
        ratios: The dense step's time over the sparse one's, by density.
    """
    points = sorted(ratios.items())
    for (low, above), (high, below) in pairwise(points):
        if above >= 1 > below:
            return low + (high - low) * (above - 1) / (above - below)
    return points[-1][0] if points[-1][1] >= 1 else points[0][0]


def clock(process: Process, contender: Contender) -> Clock:
    """Return a contender's clock, warmed up, with turns of about `TURN`."""
    process.seconds(contender, 3)
    steps = max(4, round(TURN / (process.seconds(contender, 4) / 4)))
    return lambda: process.seconds(contender, steps) / steps


# --- LeNet, one thread --------------------------------------------------------


def lenet(rounds: int) -> dict[str, float]:
    """Each engine against the textbook; sparse steps against the dense one."""
    sparse = {7: "sparse_21", 11: "sparse_8.7", 15: "sparse_3.6", 20: "sparse_1.2"}
    ours = {name: Contender(name) for name in ("autograd", "mlp", "limit")}
    ours |= {key: Contender("sparse", round=n) for n, key in sparse.items()}
    with Process(1) as theirs, Process(1, ENVIRONMENT) as process:
        clocks = {"textbook": clock(theirs, Contender("textbook"))}
        clocks |= {name: clock(process, each) for name, each in ours.items()}
        times = take_turns(clocks, rounds)
    return {
        "autograd": ratio(times, "textbook", "autograd"),
        "mlp_dense": ratio(times, "textbook", "mlp"),
        "mlp_over_limit": ratio(times, "mlp", "limit"),
        "textbook_over_limit": ratio(times, "textbook", "limit"),
        **{key: ratio(times, "mlp", key) for key in sparse.values()},
    }


def ladder(rounds: int) -> list[Row]:
    """Return (contender, round, density, repeat, microseconds a step)."""
    rows: list[Row] = []
    with Process(1) as theirs, Process(1, ENVIRONMENT) as process:
        for number in range(ROUNDS + 1):
            density = ticket_of(Contender("mlp", round=number)).masks.density
            clocks = {
                loop: clock(
                    theirs if loop == "textbook" else process,
                    Contender(loop, round=number),
                )
                for loop in ("textbook", "autograd", "mlp", "sparse")
            }
            for repeat, each in enumerate(take_turns(clocks, rounds)):
                rows += [
                    (loop, number, density, repeat, 1e6 * seconds)
                    for loop, seconds in each.items()
                ]
    return rows


def crossover_of(rows: list[Row]) -> float:
    """Return the density at which the sparse and the MLP step take as long."""
    times: dict[float, dict[int, dict[str, float]]] = {}
    for loop, _, density, repeat, microseconds in rows:
        times.setdefault(density, {}).setdefault(repeat, {})[loop] = microseconds
    return crossover(
        {d: ratio(list(each.values()), "mlp", "sparse") for d, each in times.items()}
    )


# --- processes, convolutions --------------------------------------------------


def processes(rounds: int) -> dict[str, float]:
    """Steps of two one-thread processes over those of one with two threads."""
    step = Contender("mlp")
    with (
        Process(1, ENVIRONMENT) as one,
        Process(1, ENVIRONMENT) as other,
        Process(2, ENVIRONMENT) as both,
    ):
        alone = clock(both, step)
        clock(one, step), clock(other, step)

        def together() -> float:
            steps, start = 200, time.perf_counter()
            for each in (one, other):
                each.order(step, steps)
            for each in (one, other):
                each.answer()  # its own processor time, while it may have waited
            return (time.perf_counter() - start) / (2 * steps)

        times = take_turns({"one": alone, "two": together}, rounds)
    return {"two_processes": ratio(times, "one", "two")}


def conv(rounds: int) -> dict[str, float]:
    """Each Conv-n's step, dense, against the textbook's; two threads each.

    Two threads are at times slower by half for minutes: three pairs, and a median.
    """
    found = {}
    for word in ("conv2", "conv4", "conv6"):
        ours, theirs = (
            Contender(loop, word, "colour-digits") for loop in ("autograd", "textbook")
        )
        times: list[dict[str, float]] = []
        for _ in range(3):
            with Process(2) as slow, Process(2, ENVIRONMENT) as swift:
                clocks = {"textbook": clock(slow, theirs), "ours": clock(swift, ours)}
                times += take_turns(clocks, rounds // 3)
        found[word] = ratio(times, "textbook", "ours")
    return found


# --- whole runs ---------------------------------------------------------------


def sweep(rounds: int) -> dict[str, float]:
    """A whole experiment by `lth.run`, against the textbook's extrapolated time.

    The textbook's time is that of 100 steps and one evaluation at every fifth
    density, as often before as after ours, times all that there is to do.
    """
    chosen = replace(
        lth.experiment("lenet-mnist", "laptop", seeds=3),
        name="sweep",
        arms=("dense", "ticket", "reinit", "random"),
    )
    before = _textbook_training(chosen.recipe)
    with _empty_store():
        start = time.perf_counter()
        lth.run(chosen, workers=2)
        ours = time.perf_counter() - start
    after = _textbook_training(chosen.recipe)
    theirs = len(list(chosen.trainings())) * (before + after) / 2
    print(f"sweep: ours {ours:.0f} s, textbook {theirs / 3600:.1f} h", flush=True)
    return {"sweep": theirs / ours}


def _textbook_training(recipe: lth.Recipe) -> float:
    """Return the seconds of one training, averaged over the ladder."""
    steps, evaluations = [], []
    with Process(2) as process:
        for number in range(0, ROUNDS + 1, 5):
            step = Contender("textbook", data="mnist", round=number)
            process.seconds(step, 3)
            steps.append(process.seconds(step, 100) / 100)
            evaluation = step._replace(loop="textbook evaluation")
            evaluations.append(process.seconds(evaluation, 1))
    often = recipe.iterations // recipe.evaluate_every
    return recipe.iterations * mean(steps) + often * mean(evaluations)


@contextmanager
def _empty_store() -> Iterator[None]:
    """Let runs be kept in a folder of their own, for a while."""
    before = os.environ.get("LTH_RUNS")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LTH_RUNS"] = folder
        try:
            yield
        finally:
            os.environ.pop("LTH_RUNS")
            if before is not None:
                os.environ["LTH_RUNS"] = before


PEAK = """\
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(peak / (1e6 if sys.platform == "darwin" else 1e6 / 1024))
"""


def memory(rounds: int) -> dict[str, float]:
    """Megabytes of a quick run's largest process beyond those of `import torch`."""
    torch = median(peak_memory("-c", "import torch") for _ in range(3))
    with _empty_store():
        run = peak_memory("-m", "lth_utils.cli", "run", "lenet-mnist")
    return {"memory_mb": run - torch}


def peak_memory(*words: str) -> float:
    """Return the peak (MB) of the largest process that a Python command makes."""
    # A child begins with its parent's peak: so the parent is a small Python.
    command = [sys.executable, "-c", PEAK, sys.executable, *words]
    return float(subprocess.run(command, check=True, capture_output=True).stdout)
