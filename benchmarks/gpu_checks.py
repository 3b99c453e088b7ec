"""Is it right? What a GPU trains, held against the CPU in float64."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import torch
from torch import nn

import lth_utils as lth
from benchmarks import gpu_ways
from benchmarks.gpu_bench import ADAM, Bench, Found
from lth_utils.masks import Masks
from lth_utils.tickets import oneshot_masks
from lth_utils.training.gpu.replicas import WAYS
from lth_utils.training.gpu.stack import Stack

RATES = lth.PRUNING["lenet"].rates
SGD = lth.Recipe(0.05, optimizer="sgd", momentum=0.9, weight_decay=1e-3)
# The rate rises and falls, and each image is seen in another view each epoch: the
# 80 images of `gpu_ways` have five steps of 16.
SCHEDULED = replace(ADAM, warmup=3, milestones=(5, 7), flip=True, crop=4)
CONV = replace(
    SCHEDULED, lr=2e-4, batch_size=16, iterations=8, evaluate_every=8, dropout=0.5
)
RESNET = replace(
    CONV, lr=0.1, optimizer="sgd", momentum=0.9, weight_decay=1e-4, dropout=0.0
)
APART = 1e-9  # float64 weights after some hundred steps; the CPU's engines: 1e-10


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


def recipes(bench: Bench) -> Found:
    """Hold what each step must learn anew against the CPU's engine.

    A graph that is replayed knows of the learning rate, of the units that are
    left out and of the images' views only what lies in the tensors it reads. It
    reads the rate as float32, which in float64 makes a difference of its own: here
    the CPU's engine is given the same.
    """
    found: Found = {"apart": {}, "wrong": []}
    exact = lth.Recipe.rate
    with patch.object(lth.Recipe, "rate", lambda *at: float(np.float32(exact(*at)))):
        found["apart"]["lenet"] = _scheduled_stack(bench)
        for word in bench.scale.networks:
            recipe = CONV if word.startswith("conv") else RESNET
            found["apart"][word] = gpu_ways.apart(bench.device, word, WAYS[0], recipe)
    for word, apart in found["apart"].items():
        if not apart <= APART:
            found["wrong"].append(
                f"{word}, schedule and views: weights differ by {apart:.1e}, expected"
                f" at most {APART:g}"
            )
    return found


def _scheduled_stack(bench: Bench) -> float:
    every = max(8, bench.scale.steps)
    recipe = replace(SCHEDULED, iterations=every, evaluate_every=every)
    device, cpu = bench.device, torch.device("cpu")
    return _apart(_trained(bench, recipe, device), _trained(bench, recipe, cpu))
