"""What is done on a GPU, a function a stage: is it right, how fast is it, figure F4.

A stage returns what it found, as JSON can hold it. Two words mean something:
`wrong` lists sentences about what must not be, `left` counts what is still to
be done at the next start. Whether it is right is asked in `gpu_checks.py`.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from statistics import mean, stdev

import torch

import lth_utils as lth
from benchmarks import gpu_plans, gpu_ways, textbook
from benchmarks.gpu_bench import ADAM, BATCH, Bench, Found, batches, tf32
from benchmarks.gpu_checks import agreement, masks, recipes
from lth_utils.training.gpu.stack import Stack

UNITS = (784, 300, 100, 10)


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
    rows = []
    for on in (False, True):
        for count in bench.scale.replicas:
            with tf32(on):
                seconds = bench.seconds(_steps(Stack(nets[:count], data, ADAM), data))
            rows.append({"replicas": count, "tf32": on, "steps": count / seconds})
    return {"rows": rows}


def _steps(stack: Stack, data: lth.Dataset) -> Callable[[], None]:
    """Return what takes a step, through the images again and again."""
    each = batches(data, len(stack.layers), BATCH)
    return lambda: stack.step(next(each))


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
    """Train the same networks with and without TF32: test accuracies (fractions)."""
    conv, short = bench.scale.networks[0], bench.scale.short
    return {
        "lenet": _with_and_without(bench, "lenet", bench.data(), short),
        conv: _with_and_without(bench, conv, bench.digits(), replace(short, lr=2e-4)),
    }


def _with_and_without(
    bench: Bench, word: str, data: lth.Dataset, recipe: lth.Recipe
) -> Found:
    seeds = range(bench.scale.seeds)
    found: Found = {}
    for name, on in (("float32", False), ("tf32", True)):
        nets = [lth.from_seed(word, seed).build() for seed in seeds]
        keys = [(seed, 0) for seed in seeds]
        began = time.monotonic()
        with tf32(on):
            trainings = lth.train_together(nets, data, recipe, keys, bench.device)
        found[f"{name}_seconds"] = time.monotonic() - began
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


def figure_4(bench: Bench) -> Found:
    """Train as much of figure F4 as there is time for; record what is whole."""
    return gpu_plans.train(bench, bench.scale.plan, "make gpu")


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
    "recipes": recipes,
    "ways": ways,
    "figure-4": figure_4,
}
