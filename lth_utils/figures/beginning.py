"""What a chapter says before anything is trained: where it runs, and what comes."""

import platform
from collections.abc import Iterable
from importlib.metadata import version

import torch

from lth_utils.devices import best_device
from lth_utils.experiments.jobs import jobs_of, merged
from lth_utils.experiments.plans import Plan
from lth_utils.experiments.runs import chosen_experiment, stored
from lth_utils.experiments.workers import cores
from lth_utils.figures.glue import say


def begin(*names: str | Plan, profile: str = "quick") -> None:
    """Print versions, device, and what experiments train that is not yet stored.

    Args:
        names: Experiments' words, or experiments or studies of your own.
        profile: "quick", "laptop" or "paper", for words.

    Raises:
        LotteryError: If there is no such experiment or profile.
    """
    plans = [chosen_experiment(name, profile) for name in names]
    say(
        f"lth_utils {version('lth_utils')}, torch {torch.__version__}, Python"
        f" {platform.python_version()}, on {_device()}."
    )
    for plan in plans:
        say(_trains(plan))


def _device() -> str:
    device = best_device()
    if device.type == "cuda":
        return f"one GPU, {torch.cuda.get_device_name(device)}"
    return f"{_counted(cores(), 'processor core')}, without a GPU"


def _trains(plan: Plan) -> str:
    """Say a plan's trainings, and how many of them the store has."""
    jobs = jobs_of(plan)
    total, there = len(merged(jobs)), len(stored(jobs)[1])
    nets = ", ".join(dict.fromkeys(part.network for part in plan.parts))
    lengths = _range(part.recipe.iterations for part in plan.parts)
    left = {0: "none is stored", total: "all are stored"}.get(
        there, f"{there:,} are stored"
    )
    return (
        f"{plan.name}, {plan.profile}: {_counted(total, 'training')} of {nets} on"
        f" {plan.data}, {lengths} iterations each, of which {left}."
    )


def _range(numbers: Iterable[int]) -> str:
    found = sorted(set(numbers))
    return " to ".join(f"{number:,}" for number in dict.fromkeys((found[0], found[-1])))


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
