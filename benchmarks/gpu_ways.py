"""Convolutional networks that train together: which way is right, which is fast.

What is found here chooses for the library: once the record of this card is in
results/, `lth_utils/experiments/ways.py` reads from it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import nn

import lth_utils as lth
from benchmarks.gpu_bench import Found, batches, tf32
from lth_utils.data.loading import resident
from lth_utils.tickets import oneshot_masks
from lth_utils.training.engines import Autograd
from lth_utils.training.gpu.replicas import WAYS, together
from lth_utils.training.probe import ordinary

Seconds = Callable[[Callable[[], object]], float]

RECIPE = lth.Recipe(lr=2e-4, batch_size=60)  # Conv-2's (paper, Figure 2)
SHORT = replace(RECIPE, batch_size=16, iterations=5, evaluate_every=5)
APART = 1e-9  # float64 weights after these steps


def ways(
    device: torch.device, seconds: Seconds, words: Sequence[str], counts: Sequence[int]
) -> Found:
    """Hold each way against the CPU's engine, time it, and choose.

    Args:
        device: The GPU.
        seconds: Times a call, until the device is done.
        words: The networks' words.
        counts: How many replicas train together.

    Returns:
        `rows` of replica-steps a second, by the way "alone" for the generic engine;
        `apart`, how far from the CPU's weights; and `fastest`, for each network
        the fastest way at the most replicas, of those that are right.
    """
    found: Found = {
        "wrong": [],
        "apart": {word: {} for word in words},
        "rows": [],
        "fastest": {},
    }
    for word in words:
        rows = [{"network": word, **_alone(device, seconds, word)}]
        for way in WAYS:
            try:
                far = found["apart"][word][way] = apart(device, word, way, SHORT)
                if not far <= APART:
                    found["wrong"].append(
                        f"{word}, {way}: weights differ by {far:.1e}, expected at"
                        f" most {APART:g}"
                    )
                    continue
                for on, numbers in ((False, counts), (True, [max(counts)])):
                    for count in numbers:
                        with tf32(on):
                            speed = _speed(device, seconds, word, way, count)
                        row = {"network": word, "way": way, "tf32": on, **speed}
                        rows.append(row)
            except RuntimeError as error:  # the others may do
                found["wrong"].append(f"{word}, {way}: {str(error).splitlines()[0]}")
        found["rows"] += rows
        most = [
            row
            for row in rows
            if row["way"] in WAYS and row["replicas"] == max(counts) and not row["tf32"]
        ]
        if most:
            best = max(most, key=lambda row: row["steps"])
            found["fastest"][word] = best["way"]
    return found


def _few(device: torch.device) -> lth.Dataset:
    """Return as many images as five steps need."""
    whole = resident("colour-digits", "standardize", device)
    splits = (whole.train, whole.validation, whole.test)
    train, validation, test = (
        lth.Split(split.images[:80], split.labels[:80]) for split in splits
    )
    return lth.dataset("colour-digits-few", train, validation, test)


def _pruned(word: str) -> list[nn.Module]:
    """Return a dense network and a pruned one, in float64."""
    pruning = lth.PRUNING[word]
    nets = [lth.masked(lth.network(word, seed).double()) for seed in range(2)]
    masks = oneshot_masks(nets[1], pruning.rates, pruning.scope, 5)
    lth.apply_masks(nets[1], masks)
    return nets


def apart(device: torch.device, word: str, way: str, recipe: lth.Recipe) -> float:
    """Return the largest difference from what the CPU's engine makes of each.

    Args:
        device: The GPU.
        word: The network's.
        way: How a dense network and a pruned one train together there.
        recipe: Of a few steps.
    """
    keys = [(0, 0), (1, 5)]
    ours, theirs = _pruned(word), _pruned(word)
    lth.train_together(ours, _few(device), recipe, keys, device, way=way)
    for net, key in zip(theirs, keys, strict=True):
        lth.train(net, _few(torch.device("cpu")), recipe, *key, device="cpu")
    states = [[lth.snapshot(net.cpu()) for net in nets] for nets in (ours, theirs)]
    return max(
        (value.double() - other[name].double()).abs().max().item()
        for one, other in zip(*states, strict=True)
        for name, value in one.items()
    )


def _speed(
    device: torch.device, seconds: Seconds, word: str, way: str, count: int
) -> Found:
    """Return how many replicas' steps are taken in a second."""
    data = resident("colour-digits", "standardize", device)
    nets = [lth.from_seed(word, seed).build().to(device) for seed in range(count)]
    keys = [(seed, 0) for seed in range(count)]
    with ordinary(device):
        replicas = together(nets, data, RECIPE, keys, way)
        each = batches(data, count, RECIPE.batch_size)
        time = seconds(lambda: replicas.step(next(each)))
    return {"replicas": count, "steps": count / time}


def _alone(device: torch.device, seconds: Seconds, word: str) -> Found:
    """Return the speed of the generic engine, which `train` takes."""
    data = resident("colour-digits", "standardize", device)
    engine = Autograd(lth.from_seed(word, 0).build().to(device), RECIPE, data)
    each = batches(data, 1, RECIPE.batch_size)
    with ordinary(device):
        time = seconds(lambda: engine.steps(next(each)))
    return {"way": "alone", "replicas": 1, "tf32": False, "steps": 1 / time}
