"""What is measured, and how much is asked: the floor must hold, the aim is a hope."""

from collections.abc import Mapping
from typing import NamedTuple


class Target(NamedTuple):
    """A ratio and what is asked of it.

    Attributes:
        key: Its name in `bench.json`.
        words: What is divided by what.
        floor: What it must reach; None where it only informs.
        aim: What it should reach.
        most: Whether less is better: floor and aim are then upper limits.
    """

    key: str
    words: str
    floor: float | None = None
    aim: float | None = None
    most: bool = False

    def reaches(self, value: float, wanted: float) -> bool:
        """Whether `value` is as good as `wanted`."""
        return value <= wanted if self.most else value >= wanted

    def verdict(self, value: float) -> str:
        """Say "aim met", "met", "missed", or nothing where nothing is asked."""
        if self.floor is None or self.aim is None:
            return ""
        if self.reaches(value, self.aim):
            return "aim met"
        return "met" if self.reaches(value, self.floor) else "missed"

    def asked(self) -> tuple[str, str]:
        """Return floor and aim for people: "≥5", "≥7"."""
        sign = "≤" if self.most else "≥"
        both = (self.floor, self.aim)
        first, second = (f"{sign}{n:g}" if n is not None else "" for n in both)
        return first, second


TARGETS = (
    Target("autograd", "textbook step / autograd step, dense", 5, 7),
    Target("mlp_dense", "textbook step / MLP step, dense", 8, 11),
    Target(
        "mlp_over_limit", "MLP step / its bare products and Adam sweep", 1.6, 1.3, True
    ),
    Target("sparse_21", "dense MLP step / sparse step at 21 %", 1.5, 2.7),
    Target("sparse_8.7", "dense MLP step / sparse step at 8.7 %", 3, 5),
    Target("sparse_3.6", "dense MLP step / sparse step at 3.6 %", 6, 10),
    Target("sparse_1.2", "dense MLP step / sparse step at 1.2 %", 9, 13),
    Target("sweep", "textbook / lth.run, a whole experiment on MNIST", 40, 80),
    Target("conv2", "textbook step / ours, Conv-2, 2 threads", 1.6, 2.1),
    Target("conv4", "textbook step / ours, Conv-4, 2 threads", 1.4, 1.8),
    Target("conv6", "textbook step / ours, Conv-6, 2 threads", 1.15, 1.35),
    Target(
        "memory_mb", "a run's largest process over import torch, MB", 350, 250, True
    ),
    Target("textbook_over_limit", "textbook step / the same bare products and sweep"),
    Target("two_processes", "steps of two 1-thread processes / of one with 2"),
    Target("crossover", "density at which sparse and MLP step take as long"),
)


def missed(measured: Mapping[str, float]) -> list[str]:
    """Return the keys of the measured ratios that miss their floor."""
    return [t.key for t in TARGETS if t.key in measured and _misses(t, measured)]


def _misses(target: Target, measured: Mapping[str, float]) -> bool:
    return target.verdict(measured[target.key]) == "missed"
