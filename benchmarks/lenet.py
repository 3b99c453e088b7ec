"""LeNet's steps and evaluations on one thread, and its ladder."""

import time
from collections.abc import Sequence

from benchmarks.processes import Contender, Process
from benchmarks.rivals import Crew, Rivals
from benchmarks.tickets import LADDER, ticket
from benchmarks.turns import Lineup, clock, crossover, race, ratio, ratios, take_turns
from lth_utils.experiments.workers import ENVIRONMENT

Row = tuple[str, int, float, int, float]

PERCENT = {7: "21", 11: "8.7", 15: "3.6", 20: "1.2"}  # of the weights, by round
ENGINES = ("textbook", "autograd", "mlp", "pixels", "sparse")
DENSE = ("mlp", "pixels")


def steps(rounds: int, rivals: Rivals) -> dict[str, float]:
    """A step against the textbook's, the bare products, today's and SparseProp's."""
    lineup: Lineup = {
        "textbook": ("textbook", Contender("textbook")),
        "limit": ("ours", Contender("limit")),
        "mlp": ("ours", Contender("mlp")),
        "dense": ("ours", Contender("ours")),
        "today": ("today", Contender("today")),
    }
    asked = {
        "mlp_over_limit": ("mlp", "limit"),
        "textbook_over_limit": ("textbook", "limit"),
        "dense_over_today": ("today", "dense"),
    }
    for number, percent in PERCENT.items():
        what, earlier = f"lenet-{number}", f"today {percent}"
        lineup[percent] = ("ours", Contender("ours", what))
        lineup[earlier] = ("today", Contender("today", what))
        asked[f"sparse_{percent}"] = ("mlp", percent)
        asked[f"sparse_over_today_{percent}"] = (earlier, percent)
    for percent, what in {"21": "lenet-7", "3.6": "lenet-15"}.items():
        lineup[f"peer {percent}"] = ("peer", Contender("sparseprop", what))
        asked[f"over_sparseprop_{percent}"] = (f"peer {percent}", percent)
    with Crew(rivals) as crew:
        return ratios(race(lineup, rounds, crew), asked)


def evaluations(rounds: int, rivals: Rivals) -> dict[str, float]:
    """The measuring of 20,000 images of MNIST, today's over ours."""
    found = {}
    with Crew(rivals) as crew:
        for percent, number in {"dense": 0, "21": 7, "3.6": 15}.items():
            what = (f"lenet-{number}", "mnist")
            lineup = {
                "ours": ("ours", Contender("evaluation", *what)),
                "today": ("today", Contender("today's evaluation", *what)),
            }
            times = race(lineup, rounds, crew)
            found |= ratios(times, {f"evaluate_{percent}": ("today", "ours")})
    return found


def processes(rounds: int, rivals: Rivals) -> dict[str, float]:
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


# --- the ladder ---------------------------------------------------------------


def ladder(rounds: int, rivals: Rivals) -> list[Row]:
    """Return (contender, round, density, repeat, microseconds a step)."""
    rows: list[Row] = []
    with Crew(rivals) as crew:
        for number in range(LADDER + 1):
            what = f"lenet-{number}"
            density = ticket(what).masks.density
            lineup = {
                loop: (
                    "textbook" if loop == "textbook" else "ours",
                    Contender(loop, what),
                )
                for loop in ENGINES
            }
            for repeat, each in enumerate(race(lineup, rounds, crew)):
                rows += [
                    (loop, number, density, repeat, 1e6 * seconds)
                    for loop, seconds in each.items()
                ]
    return rows


def crossings(rows: Sequence[Row]) -> dict[str, float]:
    """Return where the sparse step takes as long as each dense one, and the faster."""
    times: dict[float, dict[int, dict[str, float]]] = {}
    for loop, _, density, repeat, microseconds in rows:
        times.setdefault(density, {}).setdefault(repeat, {})[loop] = microseconds
    for each in times.values():
        for turn in each.values():
            turn["dense"] = min(turn[loop] for loop in DENSE)
    return {
        dense: crossover(
            {
                d: ratio(list(each.values()), dense, "sparse")
                for d, each in times.items()
            }
        )
        for dense in (*DENSE, "dense")
    }
