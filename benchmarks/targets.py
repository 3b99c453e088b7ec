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
    Target("sweep", "textbook / lth.run, an experiment on MNIST", 70, 105),
    Target("sweep_over_today", "earlier / ours, the same experiment", 2.5, 3.9),
    Target("quick_book", "earlier / ours, what the chapters train", 1.6, 2.2),
    Target("dense_over_today", "earlier dense step / ours", 1.7, 2.2),
    Target("sparse_over_today_21", "earlier sparse step / ours at 21 %", 1.35, 1.6),
    Target("sparse_over_today_8.7", "earlier sparse step / ours at 8.7 %", 1.6, 1.9),
    Target("sparse_over_today_3.6", "earlier sparse step / ours at 3.6 %", 2, 2.4),
    Target("sparse_over_today_1.2", "earlier sparse step / ours at 1.2 %", 2.6, 3.4),
    Target("over_sparseprop_21", "SparseProp's step / ours at 21 %", 7, 8.5),
    Target("over_sparseprop_3.6", "SparseProp's step / ours at 3.6 %", 18, 24),
    Target("evaluate_dense", "earlier evaluation / ours, dense", 2, 2.6),
    Target("evaluate_21", "earlier evaluation / ours at 21 %", 2, 2.6),
    Target("evaluate_3.6", "earlier evaluation / ours at 3.6 %", 2, 2.6),
    Target("sparse_21", "dense MLP step / sparse step at 21 %", 1.5, 2.7),
    Target("sparse_8.7", "dense MLP step / sparse step at 8.7 %", 3, 5),
    Target("sparse_3.6", "dense MLP step / sparse step at 3.6 %", 6, 10),
    Target("sparse_1.2", "dense MLP step / sparse step at 1.2 %", 9, 13),
    Target(
        "mlp_over_limit",
        "MLP step / its bare products and Adam sweep",
        1.6,
        1.3,
        True,
    ),
    Target("conv_64_10", "torch's convolution / ours at 10 %, 64 channels", 3, 4),
    Target("conv_128_10", "torch's convolution / ours at 10 %, 128 channels", 3, 4),
    Target("conv_256_10", "torch's convolution / ours at 10 %, 256 channels", 3, 4),
    Target("conv_512_10", "torch's convolution / ours at 10 %, 512 channels", 3, 4),
    Target(
        "conv_crossover", "density at which ours and torch's take as long", 0.5, 0.6
    ),
    Target(
        "conv_over_sparseprop_10", "SparseProp's convolution / ours at 10 %", 1.7, 2.5
    ),
    Target("conv2_r11", "earlier step / ours, Conv-2 after 11 rounds", 1.7, 2.1),
    Target("conv4_r12", "earlier step / ours, Conv-4 after 12 rounds", 2, 3),
    Target("conv6_r14", "earlier step / ours, Conv-6 after 14 rounds", 3, 4),
    Target("resnet20_12", "earlier step / ours, ResNet-20 at 12 %", 1.8, 2.5),
    Target("vgg19_7", "earlier step / ours, VGG-19 at 7 %", 2, 3),
    Target(
        "memory_mb", "a run's largest process over import torch, MB", 250, 170, True
    ),
    Target("textbook_over_limit", "textbook step / the same bare products and sweep"),
    Target("two_processes", "steps of two 1-thread processes / of one with 2"),
    Target("crossover", "density at which sparse and dense step take as long"),
)


def missed(measured: Mapping[str, float]) -> list[str]:
    """Return the keys of the measured ratios that miss their floor."""
    return [t.key for t in TARGETS if t.key in measured and _misses(t, measured)]


def _misses(target: Target, measured: Mapping[str, float]) -> bool:
    return target.verdict(measured[target.key]) == "missed"
