"""One training as a value: what decides its outcome."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lth_utils.experiments.plans import CHAINS, Plan
from lth_utils.experiments.rates import Pruning
from lth_utils.masks import Masks, State
from lth_utils.training.evaluation import Point
from lth_utils.training.recipes import Recipe


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
        curves: Whether every evaluation is of all splits. What else is kept is
            the same to the bit, so this is no part of what a job is.
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
    curves: bool = field(default=False, compare=False)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Job":
        """Rebuild a job from what `dataclasses.asdict` made of it."""
        recipe, pruning = Recipe(**values["recipe"]), Pruning(**values["pruning"])
        return cls(**{**values, "recipe": recipe, "pruning": pruning})

    def parent(self) -> "Job | None":
        """The training whose outcome this one starts from, if any."""
        if self.arm == "dense":
            return None
        dense = replace(self, arm="dense", control=0, round=0, curves=False)
        if self.arm.startswith("oneshot"):
            return dense
        chain = "continuing" if self.arm.startswith("continu") else "ticket"
        pruned = self.arm in (*CHAINS, "continued")  # the others share its masks
        before = self.round - 1 if pruned else self.round
        return replace(dense, arm=chain, round=before) if before else dense

    def content(self) -> dict[str, Any]:
        """What decides its outcome, as JSON can hold it."""
        content = {name: v for name, v in asdict(self).items() if name != "curves"}
        read: dict[str, Any] = json.loads(json.dumps(content))
        return read

    def key(self, environment: Mapping[str, str]) -> str:
        """The name of its place in the store."""
        content = json.dumps([self.content(), environment], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:24]


@dataclass(frozen=True)
class Result:
    """A finished training.

    Args:
        masks: The structure that was trained.
        init_seed: Draws the weights it started from.
        curve: Its evaluations: all splits, or what the job asked for.
        weights: The trained weights of an arm that others start from (dense
            and the chains); else empty.
        seconds: The time it took: the processor's on a CPU, the wall's on a GPU.
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
            arm,
            seed,
            control,
            round,
            curves=part.shows(arm, round),
        )
        for part in plan.parts
        for arm, seed, control, round in part.trainings()
    ]


def merged(jobs: Iterable[Job]) -> list[Job]:
    """Return each training once, with its curves if anybody asks for them."""
    found: dict[Job, Job] = {}  # in the plan's order, which a set would lose
    for job in jobs:
        if job.curves or job not in found:
            found[job] = job
    return list(found.values())


def with_ancestors(jobs: Iterable[Job]) -> list[Job]:
    """Return the jobs and all that they start from, parents first.

    Chains come before controls, and lower rounds first, so that several
    workers always find something that is ready.
    """
    every: dict[Job, None] = {}
    asked = merged(jobs)
    for job in asked:
        current = job.parent()
        while current is not None and current not in every:
            every[current] = None
            current = current.parent()
    chains = ("dense", *CHAINS)
    return sorted(
        merged([*asked, *every]),
        key=lambda job: (job.arm not in chains, job.round, job.seed, job.arm),
    )
