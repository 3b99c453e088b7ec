"""One training as a value: what decides its outcome, and how it is done."""

import ast
import hashlib
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lth_utils import sparse, tickets
from lth_utils.data import Dataset, load
from lth_utils.experiments import CHAINS, Plan, Pruning
from lth_utils.masks import Masks, State, masked, rewind, snapshot
from lth_utils.mlp import linear_layers
from lth_utils.models import network
from lth_utils.pruning import prune
from lth_utils.recipes import Recipe
from lth_utils.tickets import Ticket
from lth_utils.training import Point, Training, train, train_together
from lth_utils.words import CONTROLS

# The files whose code decides a result's bits (floors 0 to 2, and this one).
_SOURCES = (
    "words",
    "data",
    "digits",
    "mnist",
    "signals",
    "models",
    "masks",
    "seeds",
    "recipes",
    "engines",
    "mlp",
    "kernels",
    "sparse",
    "stack",
    "pruning",
    "training",
    "tickets",
    "jobs",
)


@dataclass(frozen=True)
class Job:
    """One training: everything that decides its outcome on a given machine.

    Args:
        network: The network's word.
        data: The data set's word.
        scaling: The input scaling.
        recipe: How it is trained.
        pruning: Rates and scope.
        arm: One of words.ARMS.
        seed: The repeat.
        control: The repeat of a control within the seed.
        round: The pruning round.
    """

    network: str
    data: str
    scaling: str
    recipe: Recipe
    pruning: Pruning
    arm: str
    seed: int
    control: int
    round: int

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Job":
        """Rebuild a job from what `dataclasses.asdict` made of it."""
        recipe, pruning = Recipe(**values["recipe"]), Pruning(**values["pruning"])
        return cls(**{**values, "recipe": recipe, "pruning": pruning})

    def parent(self) -> "Job | None":
        """The training whose outcome this one starts from, if any."""
        if self.arm == "dense":
            return None
        dense = replace(self, arm="dense", control=0, round=0)
        if self.arm.startswith("oneshot"):
            return dense
        chain = "continuing" if self.arm.startswith("continu") else "ticket"
        pruned = self.arm in (*CHAINS, "continued")  # the others share its masks
        before = self.round - 1 if pruned else self.round
        return replace(self, arm=chain, control=0, round=before) if before else dense

    def key(self, environment: Mapping[str, str]) -> str:
        """The name of its place in the store."""
        content = json.dumps([asdict(self), environment], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Result:
    """A finished training.

    Args:
        masks: The structure that was trained.
        init_seed: Draws the weights it started from.
        curve: Its evaluations.
        weights: The trained weights of an arm that others start from (dense
            and the chains); else empty.
        seconds: The time it took.
    """

    masks: Masks
    init_seed: int
    curve: list[Point]
    weights: State
    seconds: float


def jobs_of(plan: Plan) -> list[Job]:
    """Return the trainings of an experiment, or of all parts of a study."""
    return [
        Job(
            part.network,
            part.data,
            part.scaling,
            part.recipe,
            part.pruning,
            *training,
        )
        for part in plan.parts
        for training in part.trainings()
    ]


def with_ancestors(jobs: Iterable[Job]) -> list[Job]:
    """Return the jobs and all that they start from, parents first.

    Chains come before controls, and lower rounds first, so that several
    workers always find something that is ready.
    """
    found: set[Job] = set()
    for job in jobs:
        current: Job | None = job
        while current is not None and current not in found:
            found.add(current)
            current = current.parent()
    chains = ("dense", *CHAINS)
    return sorted(
        found,
        key=lambda job: (job.arm not in chains, job.round, job.seed, job.arm),
    )


def environment(data: Dataset, device: torch.device) -> dict[str, str]:
    """What besides the job decides the bits: data, torch, device, code."""
    on_gpu = device.type == "cuda"
    return {
        "data": data.digest,
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if on_gpu else "cpu",
        "engine": engine(device),
        "source": source_hash(),
    }


def engine(device: torch.device) -> str:
    """The paths that trainings on `device` take."""
    if device.type != "cpu":
        return "autograd, mlp, stack"
    version = sparse.numba_version()
    return "autograd, mlp" + (f", sparse (numba {version})" if version else "")


@cache
def source_hash() -> str:
    """A sha256 over the code that decides results, comments left out."""
    digest = hashlib.sha256()
    for name in _SOURCES:
        text = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
        digest.update(_code(text).encode())
    return digest.hexdigest()


def _code(text: str) -> str:
    """Return Python source without comments, layout and docstrings."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(body, list)
            and body
            and ast.unparse(body[0]).startswith(("'", '"', "r'", 'r"'))
        ):
            body[0] = ast.Pass()
    return ast.unparse(tree)


def perform(
    jobs: Sequence[Job], parents: Sequence[Result | None], device: torch.device
) -> list[Result]:
    """Train jobs of one network, data set and recipe.

    On a GPU LeNets are trained as one stack; where its memory is too small for
    that, the stack is split, and a sentence on the standard error says so.

    Args:
        jobs: What to train.
        parents: The outcome of each `job.parent()`.
        device: Where.

    Raises:
        LotteryError: If training diverges, or the round prunes nothing.
    """
    started = time.perf_counter()
    data = resident(jobs[0].data, jobs[0].scaling, device)
    starts = [start(job, parent) for job, parent in zip(jobs, parents, strict=True)]
    nets = [ticket.build() for ticket in starts]
    trainings = _train(nets, data, jobs, device)
    seconds = (time.perf_counter() - started) / len(jobs)
    return [
        Result(
            ticket.masks,
            ticket.seed,
            training.curve,
            snapshot(net.cpu()) if job.arm in ("dense", *CHAINS) else {},
            seconds,
        )
        for job, ticket, net, training in zip(
            jobs, starts, nets, trainings, strict=True
        )
    ]


def _train(
    nets: Sequence[nn.Module], data: Dataset, jobs: Sequence[Job], device: torch.device
) -> list[Training]:
    """Train the jobs' networks: LeNets on a GPU together, others one by one."""
    recipe, keys = jobs[0].recipe, [(job.seed, job.round) for job in jobs]
    alone = len(nets) == 1
    if linear_layers(nets[0]) is None or (alone and device.type == "cpu"):
        return [
            train(net, data, recipe, *key, device)
            for net, key in zip(nets, keys, strict=True)
        ]
    try:
        return train_together(nets, data, recipe, keys, device)
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
    parts = (slice(half), slice(half, None))
    return [t for part in parts for t in _train(nets[part], data, jobs[part], device)]


@lru_cache(maxsize=1)
def resident(name: str, scaling: str, device: torch.device) -> Dataset:
    """Return the data set on `device`; one is kept for the next job."""
    return load(name, scaling).to(device)


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
        return tickets.control(base, job.arm, job.round, job.control)
    net, seed = trained(job, parent), job.seed
    rates, scope = job.pruning.rates, job.pruning.scope
    if job.arm.startswith("oneshot"):
        masks = tickets.oneshot_masks(net, rates, scope, job.round)
    else:
        masks = prune(net, rates, scope=scope)
    if job.arm == "oneshot-reinit":
        seed = tickets.reinit_seed(seed, job.round, job.control)
    ticket = tickets.from_seed(job.network, seed, masks, **made)
    # Only a chain that is never reset goes on from where it was.
    return replace(ticket, init=snapshot(net)) if job.arm == "continuing" else ticket


def trained(job: Job, result: Result) -> nn.Module:
    """Return the masked network with a finished training's weights."""
    net = masked(network(job.network, job.seed))
    rewind(net, result.weights, result.masks)
    return net
