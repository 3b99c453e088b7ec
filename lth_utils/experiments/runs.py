"""Run an experiment: what the store holds is used, what it lacks is trained."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

import torch
from tqdm import tqdm

from lth_utils.arguments import whole
from lth_utils.data.loading import digest, resident
from lth_utils.devices import best_device
from lth_utils.errors import LotteryError, choose
from lth_utils.experiments.catalogue import experiment
from lth_utils.experiments.environment import environment
from lth_utils.experiments.jobs import (
    Job,
    Result,
    jobs_of,
    merged,
    with_ancestors,
)
from lth_utils.experiments.perform import start
from lth_utils.experiments.perform import trained as rebuilt
from lth_utils.experiments.plans import Plan, narrowed
from lth_utils.experiments.rates import Pruning
from lth_utils.experiments.store import Store, runs_folder
from lth_utils.experiments.tables import COLUMNS
from lth_utils.experiments.workers import cores, work
from lth_utils.masking import masked
from lth_utils.models import network
from lth_utils.pruning import check_ladder
from lth_utils.tickets import Ticket
from lth_utils.training.evaluation import Point, Training
from lth_utils.training.probe import check_match

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn


def run(
    name: str | Plan,
    profile: str = "quick",
    seeds: int | None = None,
    arms: Sequence[str] | None = None,
    workers: int | None = None,
    curves: bool = False,
) -> pd.DataFrame:
    """Return an experiment's results, training what the store lacks.

    Stopped at any moment, it goes on at the last finished round when it is
    called again, and ends with the same bits.

    Args:
        name: An experiment's word, or an experiment or study of your own.
        profile: "quick", "laptop" or "paper", for a word.
        seeds: How many seeds, from 0; None keeps the profile's.
        arms: Some of its arms; None keeps all.
        workers: One-thread processes; None takes every core. Their number
            never changes a result.
        curves: Whether to measure all splits at every evaluation, for figures
            of whole curves. Else that is done for the experiment's
            `curve_rounds` and `curve_arms` alone, and of the rest you have the
            validation split at every evaluation, and all splits at early stop
            and at the end: the same numbers, sooner.

    Returns:
        A tidy table: experiment, arm, seed, control, round, density,
        iteration, split, loss, accuracy. Density and accuracy are fractions.
        `.attrs` names the data set, the profile and the device.

    Raises:
        LotteryError: If an argument is wrong, a round would prune nothing or
            the store cannot be used, before any training; or if a training
            diverges. What was finished before is kept in the store.
    """
    chosen = chosen_experiment(name, profile, seeds, arms, curves)
    jobs = jobs_of(chosen)
    store, results = _finish(jobs, f"{chosen.name} {chosen.profile}", workers)
    return table_of(chosen, results, store)


def chosen_experiment(
    name: str | Plan,
    profile: str,
    seeds: int | None = None,
    arms: Sequence[str] | None = None,
    curves: bool = False,
) -> Plan:
    """Return the experiment or study that the words of `run` name.

    Raises:
        LotteryError: If an argument is wrong, or a round would prune nothing.
    """
    plan = experiment(name, profile) if isinstance(name, str) else name
    plan = narrowed(plan, seeds, arms, curves)
    for part in plan.parts:
        if part.arms != ("dense",):
            _check_ladder(part.network, part.pruning, part.rounds)
    return plan


@cache
def _check_ladder(word: str, rates: Pruning, rounds: int) -> None:
    check_ladder(masked(network(word)), rates.rates, rates.scope, rounds)


def ticket(
    name: str | Plan,
    profile: str = "quick",
    arm: str = "ticket",
    seed: int = 0,
    round: int = 7,
    control: int = 0,
) -> Ticket:
    """Return the start of one of an experiment's trainings.

    What it starts from is trained first, if the store lacks it.

    Raises:
        LotteryError: If the experiment has no such training.
    """
    job = _one(name, profile, arm, seed, control, round)
    parent = job.parent()
    if parent is None:
        return start(job, None)
    return start(job, _finish([parent], f"{parent.arm} {round}", None)[1][parent])


def trained(
    name: str | Plan,
    profile: str = "quick",
    arm: str = "ticket",
    seed: int = 0,
    round: int = 0,
) -> nn.Module:
    """Return the masked network at the end of one of a run's trainings.

    Args:
        name: An experiment's word, or an experiment of your own.
        profile: "quick", "laptop" or "paper".
        arm: "dense" or "ticket", whose weights are kept.
        seed: The repeat.
        round: The pruning round (0 for "dense").

    Raises:
        LotteryError: If the experiment has no such training.
    """
    choose("arm with kept weights", arm, ("dense", "ticket"))
    job = _one(name, profile, arm, seed, 0, round)
    return rebuilt(job, _finish([job], f"{arm} {round}", None)[1][job])


def _one(
    name: str | Plan, profile: str, arm: str, seed: int, control: int, round: int
) -> Job:
    """Return the job that the words name; raises if there is none."""
    plan = chosen_experiment(name, profile)
    if len(plan.parts) > 1:
        raise LotteryError(
            f"{plan.name} is a study of several experiments: expected one of them,"
            f" such as lth.experiment({plan.name!r}, {plan.profile!r}).parts[0]."
        )
    chosen = plan.parts[0]
    choose(f"arm of {chosen.name} {chosen.profile}", arm, chosen.arms)
    for job in jobs_of(chosen):
        if (job.arm, job.seed, job.control, job.round) == (arm, seed, control, round):
            return job
    rounds = sorted({job.round for job in jobs_of(chosen) if job.arm == arm})
    raise LotteryError(
        f"{chosen.name} {chosen.profile} has no training of arm {arm!r} with seed"
        f" {seed}, control {control}, round {round}: expected a seed of"
        f" {list(chosen.seeds)} and a round of {rounds}."
    )


def stored(jobs: Sequence[Job]) -> tuple[Store, dict[Job, Result]]:
    """Return the store for these jobs, and those of them that it holds.

    One that lacks curves that are asked for is not there. Nothing is
    downloaded and nothing written.

    Raises:
        LotteryError: If one of them is damaged.
    """
    first = jobs[0]
    made_by = environment(digest(first.data), best_device(), first.network)
    store = Store(runs_folder(), made_by)
    return store, {job: store.read(job) for job in merged(jobs) if store.has(job)}


def finished(plan: Plan) -> tuple[pd.DataFrame | None, str]:
    """Return a run's table, if the store holds all of it, and what it holds.

    Raises:
        LotteryError: If a training in the store is damaged.
    """
    jobs = jobs_of(plan)
    store, results = stored(jobs)
    total = len(set(jobs))  # parts of a study may share trainings
    held = f"{len(results)} of the {total} trainings are in {store.folder}"
    complete = len(results) == total
    return (table_of(plan, results, store) if complete else None), held


def _finish(
    jobs: Sequence[Job], title: str, workers: int | None
) -> tuple[Store, dict[Job, Result]]:
    """Train what the store lacks of `jobs` and of all they start from."""
    workers = check_workers(workers)
    store, found = stored(jobs)
    if lacking := [job for job in merged(jobs) if job not in found]:
        every = with_ancestors(lacking)
        missing = [job for job in every if not store.has(job)]
        _check_data(missing)
        store.check_writable()
        with _progress(len(missing), title) as bar:
            work(missing, store, str(best_device()), workers, lambda _: bar.update())
        found |= {job: store.read(job) for job in lacking}
    return store, found


def _check_data(jobs: Sequence[Job]) -> None:
    """Refuse what no worker could train: data that is not to be had, or does not fit.

    Raises:
        LotteryError: If there is such a job.
    """
    kinds = {(job.network, job.data, job.recipe.batch_size): job for job in jobs}
    for job in kinds.values():
        data = resident(job.data, job.scaling, torch.device("cpu"))
        check_match(network(job.network), data)
        job.recipe.steps_per_epoch(data.train.size)


def check_workers(workers: int | None) -> int:
    """Return the number of workers, every core if None.

    Raises:
        LotteryError: If it is no integer of at least 1.
    """
    if workers is None:
        return cores()
    return whole("The number of workers", workers, 1)


def _progress(total: int, title: str) -> tqdm:
    # Plain text, also in a notebook: widget bars leave state in its file. While
    # the book is built it would only be noise, and a closed error stream has none.
    quiet = os.environ.get("LTH_BOOK") == "1" or sys.stderr is None
    return tqdm(total=total, desc=title, unit="training", disable=quiet)


def table_of(chosen: Plan, results: Mapping[Job, Result], store: Store) -> pd.DataFrame:
    """Return the tidy table of finished trainings, in their jobs' order."""
    import pandas as pd

    rows = [
        (part.name, job.arm, job.seed, job.control, job.round, density, *point)
        for part in chosen.parts
        for job in jobs_of(part)
        for density in [results[job].masks.density]
        for point in sorted(_asked(job, results[job]))
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table.attrs = {
        "data": chosen.data,
        "data_sha256": store.environment["data"],
        "profile": chosen.profile,
        "device": store.environment["device"],
        "engine": store.environment["engine"],
        "training_seconds": round(sum(result.seconds for result in results.values())),
    }
    return table


def _asked(job: Job, result: Result) -> list[Point]:
    """Return the evaluations that a job asks for: the store may hold more."""
    return result.curve if job.curves else Training(result.curve).ends()
