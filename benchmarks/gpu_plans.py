"""Train as much of an experiment or a study as there is time for.

Trainings that are alike go together, in batches, and are kept after each. None is
begun that would not end in time: how long one takes is measured on a few steps at
first, and then known from the last that was like it.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import combinations

import lth_utils as lth
from benchmarks import gpu_files
from benchmarks.gpu_bench import Bench, Found, Scale, batches
from lth_utils.data.loading import digest, resident
from lth_utils.errors import LotteryError
from lth_utils.experiments.environment import environment
from lth_utils.experiments.jobs import Job, jobs_of, with_ancestors
from lth_utils.experiments.perform import perform
from lth_utils.experiments.plans import CHAINS, Experiment, Plan, Study
from lth_utils.experiments.recording import write_record
from lth_utils.experiments.store import Store, runs_folder
from lth_utils.experiments.ways import way_for
from lth_utils.training.gpu.replicas import together
from lth_utils.training.measuring import sample_of
from lth_utils.training.probe import ordinary
from lth_utils.words import SPLITS, check_network

CHAIN = ("dense", *CHAINS)
UNSURE = 1.5  # a batch may take so many times what a few steps promise


def train(bench: Bench, plan: Plan, command: str) -> Found:
    """Train what there is time for; record what is whole.

    Args:
        bench: Where, how much at once, and until when.
        plan: The experiment or study.
        command: What the record says that it was made by.
    """
    network = plan.parts[0].network
    made_by = environment(digest(plan.data), bench.device, network)
    store = Store(runs_folder(), made_by)
    store.check_writable()
    every, clock, wrong = in_order(plan), Clock(bench), list[str]()
    gpu_files.restore(bench.out, bench.label, store, every)
    while True:
        done = dict.fromkeys(job for job in every if store.has(job))
        gpu_files.keep(bench.out, bench.label, store, every, done)
        clock.stop()
        batch = [] if wrong else next_batch(every, done, bench.scale)
        if not (batch := clock.affordable(batch)):
            break
        clock.start(batch)
        if not (wrong := _train(batch, store, bench)):
            now = len(done) + len(batch)
            print(f"  {now} of {len(every)} trainings; {clock}", flush=True)
    recorded, left = record(bench, plan, store, command), len(every) - len(done)
    if not left:
        gpu_files.drop(bench.out, bench.label)  # the record holds all of it
    return {
        "trainings": len(done),
        "left": left,
        "recorded": recorded,
        "wrong": wrong,
    }


def _train(batch: Sequence[Job], store: Store, bench: Bench) -> list[str]:
    """Train a batch into the store; return what went wrong, if it diverged."""
    parents = [store.read(p) if (p := job.parent()) else None for job in batch]
    try:
        results = perform(batch, parents, bench.device)
    except LotteryError as error:
        first = batch[0]
        return [
            f"{first.arm} of seed {first.seed}, round {first.round}, or one that"
            f" was trained with it: {error}"
        ]
    for job, result in zip(batch, results, strict=True):
        store.write(job, result)
    return []


def in_order(plan: Plan) -> list[Job]:
    """Return a plan's trainings, parents first.

    Those of LeNets come as they are: a stack takes no longer for being full. Of
    larger networks the chains come first, since they are useful alone, and then one
    arm after the other.
    """
    every = with_ancestors(jobs_of(plan))
    arms = [arm for part in plan.parts for arm in part.arms if arm not in CHAIN]

    def turn(job: Job) -> int:
        return 0 if _mixed(job) or job.arm in CHAIN else 1 + arms.index(job.arm)

    return sorted(every, key=turn)


def _mixed(job: Job) -> bool:
    """Whether a training is of a LeNet, whose batches may hold anything."""
    return check_network(job.network).base.startswith("lenet")


def _kind(job: Job) -> tuple[object, ...]:
    """Return what trainings of one batch have in common."""
    chain = _mixed(job) or job.arm in CHAIN
    return job.network, job.data, job.scaling, job.recipe, chain


def next_batch(every: Sequence[Job], done: Collection[Job], scale: Scale) -> list[Job]:
    """Return trainings that are alike, and for which all is there."""
    waiting = [job for job in every if job not in done]
    ready = [job for job in waiting if (p := job.parent()) is None or p in done]
    alike = [job for job in ready if _kind(job) == _kind(ready[0])]
    most = scale.together if ready and _mixed(ready[0]) else max(scale.beside)
    return alike[:most]


class Clock:
    """How long batches take here.

    Args:
        bench: Where they are trained, and until when.
    """

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.known: dict[tuple[object, ...], dict[int, float]] = {}
        self.batch: list[Job] = []
        self.began = 0.0

    def affordable(self, batch: list[Job]) -> list[Job]:
        """Return as many of these trainings as end in time together; perhaps none."""
        while batch and self._fits(0):
            if self._fits(self.seconds(batch)):
                return batch
            batch = batch[: len(batch) // 2]
        return []

    def _fits(self, seconds: float) -> bool:
        """Whether the record can be written after so many seconds."""
        return self.bench.left > seconds + self.bench.scale.record

    def seconds(self, batch: list[Job]) -> float:
        """Return what a batch takes at most."""
        known, count = self._known(batch), len(batch)
        longer = [took for more, took in known.items() if more > count]
        if count in known:
            return known[count]
        if longer and self._fits(min(longer)):
            return min(longer)  # fewer take no longer
        known[count] = UNSURE * estimate(self.bench, batch)
        return known[count]

    def _known(self, batch: list[Job]) -> dict[int, float]:
        """Return the seconds of batches of that kind, by how many trainings."""
        curves = any(job.curves for job in batch)
        return self.known.setdefault((*_kind(batch[0]), curves), {})

    def start(self, batch: list[Job]) -> None:
        """Begin to measure a batch."""
        self.batch, self.began = batch, time.monotonic()

    def stop(self) -> None:
        """Learn how long it took, with all that belongs to it."""
        if self.batch:
            took = time.monotonic() - self.began
            self._known(self.batch)[len(self.batch)] = took
            self.batch = []

    def __str__(self) -> str:
        took, count = time.monotonic() - self.began, len(self.batch)
        return (
            f"{count} in {took:.1f} s, {took / count:.1f} s a training;"
            f" {self.bench.left:.0f} s left"
        )


def estimate(bench: Bench, batch: Sequence[Job]) -> float:
    """Return about how many seconds a batch takes, by a few steps and two looks."""
    first, count = batch[0], len(batch)
    recipe, device = first.recipe, bench.device
    data = resident(first.data, first.scaling, device)
    data = data.augmented(recipe.flip, recipe.crop)
    nets = [lth.from_seed(job.network, job.seed).build().to(device) for job in batch]
    keys = [(job.seed, job.round) for job in batch]
    way = way_for(first.network, device)
    splits = SPLITS if any(job.curves for job in batch) else ("validation",)
    with ordinary(device):
        replicas = together(nets, data, recipe, keys, way)
        each = batches(data, count, recipe.batch_size)
        step = bench.seconds(lambda: replicas.step(next(each)))
        for _ in range(2):  # at first, all is slower
            began = time.monotonic()
            for split in splits:
                replicas.measure(sample_of(data, split))
            look = time.monotonic() - began
    return recipe.iterations * (step + look / recipe.evaluate_every)


# --- what is recorded -----------------------------------------------------------------


def record(bench: Bench, plan: Plan, store: Store, command: str) -> dict[str, str]:
    """Record what is whole of a plan; return what that is, part by part.

    The record says of itself what it has: its experiment has no more rounds and arms.
    """
    missing = {job for job in jobs_of(plan) if not store.has(job)}
    parts = [p for part in plan.parts if (p := whole_part(part, missing))]
    if not parts:
        return {}
    some = replace(plan, parts=tuple(parts)) if isinstance(plan, Study) else parts[0]
    write_record(some, lth.run(some), command, bench.out)
    return {part.name: in_words(part) for part in parts}


def whole_part(part: Experiment, missing: Collection[Job]) -> Experiment | None:
    """Return what an experiment has that is finished for all seeds.

    That is dense networks and chains down to some round; and of the controls those
    arms, at those of these rounds, that make up most.

    Args:
        part: The experiment.
        missing: What is not finished.
    """
    mine = [job for job in jobs_of(part) if job in missing]
    if not mine:
        return part
    lacks = {(job.arm, job.round) for job in mine}
    chains = [arm for arm in part.arms if arm in CHAIN]
    if "dense" not in chains or ("dense", 0) in lacks:
        return None
    rounds = 0
    while rounds < part.rounds and not lacks & {(arm, rounds + 1) for arm in chains}:
        rounds += 1
    controls, at = _controls(part, rounds, lacks)
    arms = {*chains, *controls} if rounds else {"dense"}
    return replace(
        part,
        rounds=rounds,
        arms=tuple(arm for arm in part.arms if arm in arms),
        control_rounds=at or None,
        controls={arm: count for arm, count in part.controls.items() if arm in arms},
        curve_rounds=tuple(round for round in part.curve_rounds if round <= rounds),
    )


def _controls(
    part: Experiment, rounds: int, lacks: Collection[tuple[str, int]]
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the arms and rounds of controls that make up the most trainings."""
    others = [arm for arm in part.arms if arm not in CHAIN]
    reached = [r for r in part.control_rounds or range(1, rounds + 1) if r <= rounds]
    found: list[tuple[int, tuple[str, ...], tuple[int, ...]]] = [(0, (), ())]
    for count in range(1, 1 + len(others)):
        for arms in combinations(others, count):
            at = tuple(r for r in reached if not {(a, r) for a in arms} & set(lacks))
            repeats = sum(part.controls.get(arm, 1) for arm in arms)
            found.append((len(at) * repeats, arms, at))
    _, arms, at = max(found, key=lambda each: each[0])
    return arms, at


def in_words(part: Experiment) -> str:
    """Say which trainings a record has."""
    chains = [arm for arm in part.arms if arm in CHAIN]
    others = [arm for arm in part.arms if arm not in CHAIN]
    said = f"{', '.join(chains)} to round {part.rounds}"
    if others:
        at = part.control_rounds or range(1, part.rounds + 1)
        said += f"; {', '.join(others)} at {', '.join(map(str, at))}"
    return said
