"""What is done on a GPU, a function a stage: is it right, how fast is it, figure F4.

A stage returns what it found, as JSON can hold it. Two words mean something:
`wrong` lists sentences about what must not be, `left` counts what is still to
be done at the next start.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import cycle, pairwise
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch import nn

import lth_utils as lth
from benchmarks import gpu_files, gpu_ways, textbook
from lth_utils.data.loading import digest, resident
from lth_utils.experiments.environment import environment
from lth_utils.experiments.jobs import jobs_of, with_ancestors
from lth_utils.experiments.perform import perform
from lth_utils.experiments.plans import Experiment
from lth_utils.experiments.recording import write_record
from lth_utils.experiments.store import Store, runs_folder
from lth_utils.experiments.ways import LIKE
from lth_utils.masks import Masks
from lth_utils.tickets import oneshot_masks
from lth_utils.training.gpu.stack import Stack

Found = dict[str, Any]

FIGURE_4 = lth.experiment("lenet-mnist", "gpu").parts[0]
UNITS = (784, 300, 100, 10)
BATCH = 60
RATES = lth.PRUNING["lenet"].rates
ADAM = lth.Recipe(lr=1.2e-3, batch_size=BATCH)
SGD = lth.Recipe(0.05, optimizer="sgd", momentum=0.9, weight_decay=1e-3)
APART = 1e-9  # float64 weights after some hundred steps; the CPU's engines: 1e-10


class Scale(NamedTuple):
    """How much of everything.

    Attributes:
        data: The data set's word.
        steps: Of a training that is held against the CPU's.
        replicas: How many LeNets a stack holds, when it is timed.
        networks: Convolutional networks that train together.
        beside: How many of them do, when they are timed.
        turn: Seconds of a turn of a timing.
        side: Of the square matrices that are multiplied; the copy is 4 times as large.
        short: The recipe of a training with and without TF32.
        seeds: How many of them.
        plan: Figure F4.
        together: How many of its trainings are one stack.
        first: Seconds that its first stack may take: about a T4's.
        record: Seconds that writing its record may take.
    """

    data: str
    steps: int
    replicas: tuple[int, ...]
    networks: tuple[str, ...]
    beside: tuple[int, ...]
    turn: float
    side: int
    short: lth.Recipe
    seeds: int
    plan: Experiment
    together: int
    first: float
    record: float


SCALES = {
    "full": Scale(
        data="mnist",
        steps=300,
        replicas=(1, 10, 100, 400),
        networks=tuple(LIKE),
        beside=(1, 4, 8),
        turn=0.3,
        side=8192,
        short=replace(ADAM, iterations=2000, evaluate_every=2000),
        seeds=10,
        plan=FIGURE_4,
        together=20,
        first=100,
        record=30,
    ),
    "tiny": Scale(
        data="mnist-small",
        steps=5,
        replicas=(1, 2),
        networks=("conv2-narrow",),
        beside=(2,),
        turn=0.01,
        side=256,
        short=replace(ADAM, iterations=5, evaluate_every=5),
        seeds=2,
        plan=replace(
            FIGURE_4,
            profile="tiny",
            data="mnist-small",
            recipe=replace(FIGURE_4.recipe, iterations=5, evaluate_every=5),
            rounds=2,
            seeds=(0,),
            control_rounds=(1, 2),
            controls={},
            curve_rounds=(0, 2),
        ),
        together=3,
        first=5,
        record=5,
    ),
}


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
        whole = self.data()
        train, validation, test = (
            lth.Split(split.images[:1200], split.labels[:1200])
            for split in (whole.train, whole.validation, whole.test)
        )
        return lth.dataset(f"{whole.name}-few", train, validation, test)

    def wait(self) -> None:
        """Return when the device has done all that it was told."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds(self, call: Callable[[], object]) -> float:
        """Return the median seconds of a call over five turns."""

        def turn(count: int) -> float:
            start = time.perf_counter()
            for _ in range(count):
                call()
            self.wait()
            return (time.perf_counter() - start) / count

        turn(3)
        count = max(1, round(self.scale.turn / turn(3)))
        return median(turn(count) for _ in range(5))


# --- is it right ----------------------------------------------------------------


def agreement(bench: Bench) -> Found:
    """Hold the stack against the CPU's in float64, captured as a graph and not."""
    found: Found = {"wrong": []}
    for recipe in (ADAM, SGD):
        recipe = replace(
            recipe, iterations=bench.scale.steps, evaluate_every=bench.scale.steps
        )
        expected = _trained(bench, recipe, torch.device("cpu"))
        captured = _trained(bench, recipe, bench.device)
        again = _trained(bench, recipe, bench.device)
        with patch.object(Stack, "_record", lambda _: None):
            plain = _trained(bench, recipe, bench.device)
        differences = {
            "captured": _apart(captured, expected),
            "plain": _apart(plain, expected),
            "again": _apart(again, captured),
        }
        found[recipe.optimizer] = differences
        for name, limit in (("captured", APART), ("plain", APART), ("again", 0.0)):
            if not differences[name] <= limit:
                found["wrong"].append(
                    f"{recipe.optimizer}, {name}: weights differ by"
                    f" {differences[name]:.1e}, expected at most {limit:g}"
                )
    return found


def _trained(bench: Bench, recipe: lth.Recipe, device: torch.device) -> torch.Tensor:
    """Return the weights of three LeNets, and their losses, after a training."""
    nets = [lth.masked(lth.LeNet(seed).double()) for seed in range(3)]
    for net, depth in zip(nets, (0, 5, 13), strict=True):
        lth.apply_masks(net, oneshot_masks(net, RATES, "layer-wise", depth))
    keys = [(0, 0), (0, 5), (1, 13)]
    trainings = lth.train_together(nets, bench.few(), recipe, keys, device)
    losses = [point.loss for training in trainings for point in training.curve]
    weights = [p.detach().flatten().cpu() for net in nets for p in net.parameters()]
    return torch.cat([*weights, torch.tensor(losses, dtype=torch.float64)])


def _apart(one: torch.Tensor, other: torch.Tensor) -> float:
    return (one - other).abs().max().item()


def masks(bench: Bench) -> Found:
    """Find tickets by three rounds in float64, on the device and on the CPU."""
    recipe = replace(
        ADAM, iterations=bench.scale.steps, evaluate_every=bench.scale.steps
    )
    data = bench.few()

    def together(nets: Sequence[nn.Module], keys: list[tuple[int, int]]) -> None:
        lth.train_together(nets, data, recipe, keys, bench.device)

    def alone(nets: Sequence[nn.Module], keys: list[tuple[int, int]]) -> None:
        for net, key in zip(nets, keys, strict=True):
            lth.train(net, data, recipe, *key, device="cpu")

    ours, theirs = _after_three_rounds(together), _after_three_rounds(alone)
    different = sum(
        int((mask != other[name]).sum())
        for one, other in zip(ours, theirs, strict=True)
        for name, mask in one.items()
    )
    sentence = f"{different} mask entries differ from the CPU's, expected none"
    return {
        "density": ours[0].density,
        "entries": sum(each.total for each in ours),
        "different": different,
        "wrong": [sentence] if different else [],
    }


def _after_three_rounds(
    train: Callable[[Sequence[nn.Module], list[tuple[int, int]]], None],
) -> list[Masks]:
    nets = [lth.masked(lth.LeNet(seed).double()) for seed in range(3)]
    starts = [lth.snapshot(net) for net in nets]
    found: list[Masks] = []
    for round in range(3):
        train(nets, [(seed, round) for seed in range(3)])
        found = [lth.prune(net.cpu(), RATES) for net in nets]
        for net, start, each in zip(nets, starts, found, strict=True):
            lth.rewind(net, start, each)
    return found


# --- how fast is it -------------------------------------------------------------


@contextmanager
def tf32(on: bool) -> Iterator[None]:
    """Let float32 products round their factors to 10 bits, for a while."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if on else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def ceilings(bench: Bench) -> Found:
    """Measure what this card can do: products (operations/s), a copy (bytes/s)."""
    side = bench.scale.side
    a, b = torch.randn((2, side, side), device=bench.device)
    out = torch.empty_like(a)
    found = {}
    for name, on in (("float32", False), ("tf32", True)):
        with tf32(on):
            found[name] = 2 * side**3 / bench.seconds(lambda: torch.mm(a, b, out=out))
    whole = torch.randn((4, side, side), device=bench.device)
    copy = torch.empty_like(whole)
    moved = 2 * whole.numel() * whole.element_size()  # read and written
    return {**found, "copy": moved / bench.seconds(lambda: copy.copy_(whole))}


def textbook_loop(bench: Bench) -> Found:
    """Time the loop that most public code has, on the same card."""
    data = lth.load(bench.scale.data)
    net = textbook.pruned(lth.from_seed("lenet", 0)).to(bench.device)
    loader = textbook.loader(data, data.train, BATCH, shuffle=True)
    batches = (
        (images.to(bench.device), labels.to(bench.device))
        for images, labels in textbook.forever(loader)
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=ADAM.lr)
    seconds = bench.seconds(lambda: textbook.train(net, batches, optimizer, 1))
    return {"steps": 1 / seconds}


def stacks(bench: Bench) -> Found:
    """Time stacks of several sizes, with and without TF32: replica-steps a second."""
    most, data = max(bench.scale.replicas), bench.data()
    nets = [lth.from_seed("lenet", seed).build() for seed in range(most)]
    nets = [net.to(bench.device) for net in nets]
    images = data.train.size
    orders = torch.stack([torch.randperm(images) for _ in nets]).to(bench.device)
    rows = []
    for on in (False, True):
        for count in bench.scale.replicas:
            with tf32(on):
                seconds = bench.seconds(
                    _steps(Stack(nets[:count], data, ADAM), orders[:count])
                )
            rows.append({"replicas": count, "tf32": on, "steps": count / seconds})
    return {"rows": rows}


def _steps(stack: Stack, orders: torch.Tensor) -> Callable[[], None]:
    """Return what takes a step, along orders (replicas, images) again and again."""
    whole = orders.shape[1] // BATCH * BATCH
    batches = cycle(orders[:, :whole].split(BATCH, 1))
    return lambda: stack.step(next(batches))


def ratios(found: dict[str, Found]) -> list[Found]:
    """Hold each stack's speed against the textbook's and the card's own limit.

    Returns:
        For each of `stacks`' rows also `over_textbook`, and `share`: the least
        time of a step by the roofline over the measured one. Empty as long as
        one of the three stages is missing.
    """
    try:
        limits, loop = found["ceilings"], found["textbook"]["steps"]
        return [
            {
                **row,
                "over_textbook": row["steps"] / loop,
                "share": row["steps"] * _least_seconds(limits, row["tf32"]),
            }
            for row in found["stacks"]["rows"]
        ]
    except KeyError:
        return []


def _least_seconds(limits: Found, on: bool) -> float:
    """Return the least time of one replica's step, by the measured ceilings."""
    weights = [inputs * outputs for inputs, outputs in pairwise(UNITS)]
    # Forward, by weight, by signal; nobody asks for the images' gradient.
    operations = 2 * BATCH * (3 * sum(weights) - weights[0])
    # Weights are read forward, masks once, gradients written; Adam reads four
    # numbers a weight and writes three.
    passes = 1 + 1 + 1 + 4 + 3
    moved = 4 * passes * (sum(weights) + sum(UNITS[1:]))
    rate: float = limits["tf32" if on else "float32"]
    return max(operations / rate, moved / limits["copy"])


def tf32_accuracy(bench: Bench) -> Found:
    """Train the same LeNets with and without TF32: test accuracies (fractions)."""
    seeds = range(bench.scale.seeds)
    found: Found = {}
    for name, on in (("float32", False), ("tf32", True)):
        nets = [lth.from_seed("lenet", seed).build() for seed in seeds]
        keys = [(seed, 0) for seed in seeds]
        with tf32(on):
            trainings = lth.train_together(
                nets, bench.data(), bench.scale.short, keys, bench.device
            )
        found[name] = [each.at(each.last).accuracy for each in trainings]
    gains = [a - b for a, b in zip(found["tf32"], found["float32"], strict=True)]
    return {
        **found,
        "mean_gain": mean(gains),
        "standard_error": stdev(gains) / len(gains) ** 0.5,
    }


def ways(bench: Bench) -> Found:
    """Find the way in which convolutional networks train together here."""
    scale = bench.scale
    return gpu_ways.ways(bench.device, bench.seconds, scale.networks, scale.beside)


# --- figure F4 --------------------------------------------------------------------


def figure_4(bench: Bench) -> Found:
    """Train as much of figure F4 as there is time for; record the whole rounds."""
    plan = bench.scale.plan
    store = Store(
        runs_folder(), environment(digest(plan.data), bench.device, plan.network)
    )
    store.check_writable()
    every = with_ancestors(jobs_of(plan))
    gpu_files.restore(bench.out, bench.label, store)
    needed = bench.scale.first / bench.scale.together  # seconds a training
    while True:
        done = dict.fromkeys(job for job in every if store.has(job))
        waiting = [job for job in every if job not in done]
        gpu_files.keep(bench.out, bench.label, store, done, waiting)
        ready = [job for job in waiting if (p := job.parent()) is None or p in done]
        batch = ready[: bench.scale.together]
        if not batch or bench.left < len(batch) * needed + bench.scale.record:
            break
        start = time.monotonic()
        parents = [store.read(p) if (p := job.parent()) else None for job in batch]
        results = perform(batch, parents, bench.device)
        for job, result in zip(batch, results, strict=True):
            store.write(job, result)
        took = time.monotonic() - start
        needed = took / len(batch)
        print(
            f"  {len(done) + len(batch)} of {len(every)} trainings;"
            f" {len(batch)} in {took:.1f} s; {bench.left:.0f} s left",
            flush=True,
        )
    rounds = _record(bench, store)
    if not waiting:
        gpu_files.drop(bench.out, bench.label)  # the record holds all of it
    return {"trainings": len(done), "left": len(waiting), "recorded_rounds": rounds}


def _record(bench: Bench, store: Store) -> int:
    """Record the rounds that are finished in all arms; return how many."""
    plan = bench.scale.plan
    controls = plan.control_rounds or range(1, plan.rounds + 1)
    for rounds in range(plan.rounds, min(controls) - 1, -1):
        part = replace(
            plan,
            rounds=rounds,
            control_rounds=tuple(r for r in controls if r <= rounds),
            curve_rounds=tuple(r for r in plan.curve_rounds if r <= rounds),
        )
        if all(store.has(job) for job in jobs_of(part)):
            write_record(part, lth.run(part), "make gpu", bench.out)
            return rounds
    return 0


Stage = Callable[[Bench], Found]

# A new stage is one more line. Those come first that can hardly fail, since an
# error of CUDA's may spoil what follows in the process; the last takes what time
# is left.
STAGES: dict[str, Stage] = {
    "ceilings": ceilings,
    "textbook": textbook_loop,
    "agreement": agreement,
    "masks": masks,
    "stacks": stacks,
    "tf32": tf32_accuracy,
    "ways": ways,
    "figure-4": figure_4,
}
