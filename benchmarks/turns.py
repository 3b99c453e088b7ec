"""Turns: every contender one a round, and ratios within a round.

Their median is the result, so that a machine that slows down or speeds up, for
whatever reason, does so for both.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from statistics import median

from benchmarks.processes import Contender, Process
from benchmarks.rivals import Crew

Clock = Callable[[], float]  # takes a turn; returns seconds a step
Times = Sequence[Mapping[str, float]]  # of each round: seconds by contender's name
Lineup = Mapping[str, tuple[str, Contender]]  # by name: who runs it, and what

TURN = 0.15  # seconds that a contender's turn takes, about


def take_turns(clocks: Mapping[str, Clock], rounds: int) -> list[dict[str, float]]:
    """Let every contender take its turn in each round."""
    return [{name: clock() for name, clock in clocks.items()} for _ in range(rounds)]


def race(lineup: Lineup, rounds: int, crew: Crew) -> list[dict[str, float]]:
    """Let the contenders whose process is here take their turns."""
    here = {
        name: clock(process, contender)
        for name, (who, contender) in lineup.items()
        if (process := crew.get(who)) is not None
    }
    return take_turns(here, rounds)


def ratio(rounds: Times, above: str, below: str) -> float:
    """Return the median over rounds of one contender's time over another's."""
    return median(each[above] / each[below] for each in rounds)


def ratios(rounds: Times, asked: Mapping[str, tuple[str, str]]) -> dict[str, float]:
    """Return a ratio by its key, unless one of the two did not take part.

    Args:
        rounds: Seconds a step.
        asked: Who is above and who below the line, by key.
    """
    return {
        key: ratio(rounds, *pair)
        for key, pair in asked.items()
        if rounds[0].keys() >= set(pair)
    }


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
    process.seconds(contender, 2)  # compiles, too
    tried = 1
    while (seconds := process.seconds(contender, tried)) < TURN / 8:
        tried *= 4
    steps = max(1, round(TURN * tried / seconds))
    return lambda: process.seconds(contender, steps) / steps
