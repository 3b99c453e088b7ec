"""How a job is done: from its parent's outcome to its own."""

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from lth_utils import controls, tickets
from lth_utils.data.datasets import Dataset
from lth_utils.data.loading import resident
from lth_utils.experiments.jobs import Job, Result
from lth_utils.experiments.plans import CHAINS
from lth_utils.experiments.ways import way_for
from lth_utils.masking import masked, rewind, snapshot
from lth_utils.models import network
from lth_utils.pruning import prune
from lth_utils.tickets import Ticket
from lth_utils.training.evaluation import Training
from lth_utils.training.lenet.mlp import linear_layers
from lth_utils.training.loop import train, train_together
from lth_utils.words import CONTROLS


def perform(
    jobs: Sequence[Job], parents: Sequence[Result | None], device: torch.device
) -> list[Result]:
    """Train jobs of one network, data set and recipe.

    On a GPU they are trained together; where its memory is too small for that,
    they are split, and a sentence on the standard error says so.

    Args:
        jobs: What to train.
        parents: The outcome of each `job.parent()`.
        device: Where.

    Raises:
        LotteryError: If training diverges, or the round prunes nothing.
    """
    # A worker's one thread on the CPU, whatever else the machine does meanwhile.
    now = time.perf_counter if device.type == "cuda" else time.process_time
    started = now()
    data = resident(jobs[0].data, jobs[0].scaling, device)
    starts = [start(job, parent) for job, parent in zip(jobs, parents, strict=True)]
    trained_nets = _train(starts, data, jobs, device)
    seconds = (now() - started) / len(jobs)
    return [
        Result(
            ticket.masks,
            ticket.seed,
            training.curve,
            snapshot(net.cpu()) if job.arm in ("dense", *CHAINS) else {},
            seconds,
        )
        for job, ticket, (net, training) in zip(jobs, starts, trained_nets, strict=True)
    ]


def _train(
    starts: Sequence[Ticket], data: Dataset, jobs: Sequence[Job], device: torch.device
) -> list[tuple[nn.Module, Training]]:
    """Train the jobs' networks: on a GPU together, as LeNets anywhere, else alone.

    Each attempt makes networks of its own: what ends for want of memory may have
    moved them.
    """
    nets = [ticket.build() for ticket in starts]
    recipe, keys = jobs[0].recipe, [(job.seed, job.round) for job in jobs]
    curves = [job.curves for job in jobs]
    alone, on_cpu = len(nets) == 1, device.type == "cpu"
    if on_cpu and (alone or linear_layers(nets[0]) is None):
        return [
            (net, train(net, data, recipe, *key, device, curves=whole))
            for net, key, whole in zip(nets, keys, curves, strict=True)
        ]
    way = way_for(jobs[0].network, device)
    whole = any(curves)  # a stack is evaluated as one: all get what one asks for
    try:
        trainings = train_together(nets, data, recipe, keys, device, whole, way)
        return list(zip(nets, trainings, strict=True))
    except torch.OutOfMemoryError:
        if alone:
            raise
        half = len(nets) // 2
        print(
            f"The GPU's memory is too small for {len(nets)} networks at once:"
            f" training {half} and {len(nets) - half}.",
            file=sys.stderr,
        )
    torch.cuda.empty_cache()
    del nets
    parts = (slice(half), slice(half, None))
    return [t for p in parts for t in _train(starts[p], data, jobs[p], device)]


def start(job: Job, parent: Result | None) -> Ticket:
    """Return the structure and the values that the job trains.

    Args:
        job: The training.
        parent: The outcome of `job.parent()`.
    """
    made: dict[str, Any] = {
        "arm": job.arm,
        "round": job.round,
        "control": job.control,
    }
    if parent is None:
        return tickets.from_seed(job.network, job.seed, **made)
    if job.arm in CONTROLS:
        base = tickets.from_seed(job.network, job.seed, parent.masks)
        return controls.control(base, job.arm, job.round, job.control)
    net, seed = trained(job, parent), job.seed
    rates, scope = job.pruning.rates, job.pruning.scope
    if job.arm.startswith("oneshot"):
        masks = tickets.oneshot_masks(net, rates, scope, job.round)
    else:
        masks = prune(net, rates, scope=scope)
    if job.arm == "oneshot-reinit":
        seed = controls.reinit_seed(seed, job.round, job.control)
    ticket = tickets.from_seed(job.network, seed, masks, **made)
    # Only a chain that is never reset goes on from where it was.
    return replace(ticket, init=snapshot(net)) if job.arm == "continuing" else ticket


def trained(job: Job, result: Result) -> nn.Module:
    """Return the masked network with a finished training's weights."""
    net = masked(network(job.network, job.seed))
    rewind(net, result.weights, result.masks)
    return net
