"""What every stage on a GPU is given: how much to do, where, and until when."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch

import lth_utils as lth
from lth_utils.data.loading import resident
from lth_utils.experiments.plans import Experiment, Plan, Study
from lth_utils.experiments.ways import LIKE

Found = dict[str, Any]

FIGURE_4 = lth.experiment("lenet-mnist", "gpu").parts[0]
BATCH = 60
ADAM = lth.Recipe(lr=1.2e-3, batch_size=BATCH)
_TRIED = replace(ADAM, iterations=5, evaluate_every=5)


class Scale(NamedTuple):
    """How much of everything.

    Attributes:
        data: The data set's word.
        few: How many images of a split are a little of it.
        steps: Of a training that is held against the CPU's.
        replicas: How many LeNets a stack holds, when it is timed.
        networks: Convolutional networks that train together.
        beside: How many of them do, when they are timed; the most, when an
            experiment is trained.
        turns: How many turns a timing has.
        turn: Seconds of each.
        side: Of the square matrices that are multiplied; the copy is 4 times as large.
        short: The recipe of a training with and without TF32.
        seeds: How many of them.
        plan: Figure F4.
        together: How many of its trainings are one stack.
        record: Seconds that writing a record may take.
        profile: Of an experiment that is trained instead.
    """

    data: str
    few: int
    steps: int
    replicas: tuple[int, ...]
    networks: tuple[str, ...]
    beside: tuple[int, ...]
    turns: int
    turn: float
    side: int
    short: lth.Recipe
    seeds: int
    plan: Experiment
    together: int
    record: float
    profile: str


SCALES = {
    "full": Scale(
        data="mnist",
        few=1200,
        steps=300,
        replicas=(1, 10, 100, 400),
        networks=tuple(LIKE),
        beside=(1, 4, 8),
        turns=5,
        turn=0.3,
        side=8192,
        short=replace(ADAM, iterations=2000, evaluate_every=2000),
        seeds=10,
        plan=FIGURE_4,
        together=20,
        record=30,
        profile="paper",
    ),
    "tiny": Scale(
        data="mnist-small",
        few=120,
        steps=5,
        replicas=(1, 2),
        networks=("conv2-narrow",),
        beside=(2,),
        turns=1,
        turn=0.01,
        side=256,
        short=_TRIED,
        seeds=2,
        plan=replace(
            FIGURE_4,
            profile="tiny",
            data="mnist-small",
            recipe=_TRIED,
            rounds=2,
            seeds=(0,),
            control_rounds=(1, 2),
            controls={},
            curve_rounds=(0, 2),
        ),
        together=3,
        record=5,
        profile="quick",
    ),
}


def plan_of(
    name: str, data: str | None, scale: Scale, profile: str | None = None
) -> Plan:
    """Return the experiment that is trained: at full scale its profile `paper`.

    Args:
        name: The experiment's.
        data: Its data set; None for its own.
        scale: How much.
        profile: Another one.

    Raises:
        LotteryError: If there is none, or it cannot be on that data set.
    """
    plan = lth.experiment(name, profile or scale.profile, data=data)
    if scale is SCALES["full"]:
        return plan
    parts = tuple(map(_tried, plan.parts))
    if isinstance(plan, Study):
        return replace(plan, profile="tiny", parts=parts)
    return parts[0]


def _tried(part: Experiment) -> Experiment:
    """Return as little of an experiment as tries the script."""
    recipe = replace(
        part.recipe,
        iterations=5,
        evaluate_every=5,
        warmup=min(2, part.recipe.warmup),
        milestones=(3,) if part.recipe.milestones else (),
    )
    return replace(
        part,
        profile="tiny",
        recipe=recipe,
        rounds=2,
        seeds=(0, 1),
        control_rounds=(1, 2) if part.control_rounds else None,
    )


@dataclass(frozen=True)
class Bench:
    """Where the stages run, how much they do, and until when.

    Args:
        device: The GPU.
        scale: How much.
        out: Where results are written.
        label: Names this device, library and scale in the files' names.
        end: When all must have ended, on the clock of `time.monotonic`.
    """

    device: torch.device
    scale: Scale
    out: Path
    label: str
    end: float

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return self.end - time.monotonic()

    def data(self) -> lth.Dataset:
        """Return the data set, on the device."""
        return resident(self.scale.data, "standardize", self.device)

    def few(self) -> lth.Dataset:
        """Return a little of it: several epochs in few steps, quickly evaluated."""
        return self._first(self.data())

    def digits(self) -> lth.Dataset:
        """Return colour digits: all of them, or a little when the script is tried."""
        whole = resident("colour-digits", "standardize", self.device)
        return whole if self.scale is SCALES["full"] else self._first(whole)

    def _first(self, whole: lth.Dataset) -> lth.Dataset:
        few = self.scale.few
        train, validation, test = (
            lth.Split(split.images[:few], split.labels[:few])
            for split in (whole.train, whole.validation, whole.test)
        )
        return lth.dataset(f"{whole.name}-few", train, validation, test)

    def wait(self) -> None:
        """Return when the device has done all that it was told."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds(self, call: Callable[[], object]) -> float:
        """Return the median seconds of a call over some turns."""
        turns, few = self.scale.turns, min(3, self.scale.turns)

        def turn(count: int) -> float:
            start = time.perf_counter()
            for _ in range(count):
                call()
            self.wait()
            return (time.perf_counter() - start) / count

        turn(few)
        count = max(1, round(self.scale.turn / turn(few)))
        return median(turn(count) for _ in range(turns))


@contextmanager
def tf32(on: bool) -> Iterator[None]:
    """Let float32 products round their factors to 10 bits, for a while."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if on else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def batches(data: lth.Dataset, count: int, size: int) -> "cycle[torch.Tensor]":
    """Return batches of images' numbers, (count, size), again and again."""
    orders = torch.stack([torch.randperm(data.train.size) for _ in range(count)])
    whole = data.train.size // size * size
    return cycle(orders[:, :whole].to(data.device).split(size, 1))
