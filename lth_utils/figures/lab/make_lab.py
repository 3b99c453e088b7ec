"""Make `results/lenet-mnist/lab/`: train the ticket lab's networks, and store them.

    python -m lth_utils.figures.lab.make_lab

The tickets are the first seed's of `results/lenet-mnist/paper`, their controls
follow from them, and each is trained by that record's own recipe, on the full
MNIST. At its sparsest the record's ticket still learns, so a few rounds more are
pruned as the record would have gone on. Half an hour on two cores; what is
trained is kept with the runs, from where a stopped command goes on.
"""

import hashlib
import io
import json
import platform
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, replace
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from lth_utils.controls import control
from lth_utils.data import Dataset
from lth_utils.data.loading import resident
from lth_utils.experiments import Experiment, experiment, recorded_tickets, records
from lth_utils.experiments.environment import engine, source_hash
from lth_utils.experiments.recording import commit, versions
from lth_utils.experiments.store import runs_folder
from lth_utils.experiments.workers import cores
from lth_utils.figures.lab import stored
from lth_utils.files.atomic import Kind, atomic_folder
from lth_utils.files.bundles import labelled, part, read_bundle, write_bundle
from lth_utils.masking import masked, rewind, snapshot
from lth_utils.masks import State
from lth_utils.models import network
from lth_utils.pruning import prune
from lth_utils.tickets import Ticket, from_seed
from lth_utils.training import train
from lth_utils.words import SPLITS

NAME, PROFILE, SEED = "lenet-mnist", "paper", 0
RECORDED = (7, 9, 11, 13, 15, 17, 18, 20)  # from 21 % on: they ship with the library
BEYOND = (22, 24, 26)  # rounds behind the record's last
ARMS = ("ticket", "reinit", "random")


def plan() -> Experiment:
    """Return the record's own experiment."""
    found = experiment(NAME, PROFILE)
    assert isinstance(found, Experiment)
    return found


def start(arm: str, round: int) -> Ticket:
    """Return the structure and the values that one of the lab's networks has first."""
    if arm == "dense":
        return from_seed(plan().network, SEED, arm=arm, round=round)
    if arm != "ticket":
        return control(start("ticket", round), arm, round, 0)
    if round <= RECORDED[-1]:
        return recorded_tickets(NAME, PROFILE, round)[SEED]
    before = start("ticket", round - 1)
    net = before.build()
    rewind(net, learnt("ticket", round - 1)[1]["end"], before.masks)
    masks = prune(net, plan().pruning.rates, scope=plan().pruning.scope)
    return from_seed(plan().network, SEED, masks, arm=arm, round=round)


def learnt(arm: str, round: int) -> tuple[dict[str, Any], dict[str, State]]:
    """Return what a network's training showed, and its weights at `stop` and `end`.

    It is trained if that was not done before.
    """
    place = runs_folder() / f"lab-{source_hash()[:12]}" / f"{arm}-{round}"
    if not place.exists():
        about, weights = _trained(start(arm, round), arm, round)
        stop, end = (labelled(when, weights[when]) for when in ("stop", "end"))
        write_bundle(place, "training", about, stop | end)
    about, tensors = read_bundle(place, "training")
    return about, {when: part(when, tensors) for when in ("stop", "end")}


def _trained(
    ticket: Ticket, arm: str, round: int
) -> tuple[dict[str, Any], dict[str, State]]:
    """Train to the end to see where the least validation loss was, then to there."""
    data = resident(plan().data, plan().scaling, torch.device("cpu"))
    net, again = ticket.build(), ticket.build()
    training = train(net, data, plan().recipe, SEED, round, "cpu", curves=False)
    stop = training.early_stop
    short = replace(plan().recipe, iterations=stop)
    same = train(again, data, short, SEED, round, "cpu", curves=False)
    seen, found = ([t.at(stop, split) for split in SPLITS] for t in (training, same))
    assert seen == found, "the same seed, batches and engine give the same bits"
    accuracy = {point.split: point.accuracy for point in seen}
    about = {"arm": arm, "round": round, "iteration": stop, "accuracy": accuracy}
    return about, {"stop": snapshot(again), "end": snapshot(net)}


def _begin() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # as the record's workers do


def measured(name: str, arrays: stored.Arrays, data: Dataset) -> dict[str, Any]:
    """Return what provenance says of a stored network, against the one as trained."""
    arm, _, round = name.partition("-")
    about, weights = learnt(arm, int(round))
    few, masks = stored.network(arrays, name)
    net = masked(network(plan().network, SEED))
    answers = []
    for state in (weights["stop"], few):
        rewind(net, state, masks)
        with torch.no_grad():
            answers.append(net(data.scale(data.test.images)).softmax(dim=1))
    exact, rounded = answers
    classes = [each.argmax(dim=1) for each in answers]
    return {
        "name": name,
        **{key: about[key] for key in ("arm", "round", "iteration")},
        "density": masks.density,
        "alive": masks.counts(),
        "test": float((classes[0] == data.test.labels).double().mean()),
        "test_stored": float((classes[1] == data.test.labels).double().mean()),
        "same_class": float((classes[0] == classes[1]).double().mean()),
        "probability_moved_at_most": float((exact - rounded).abs().max()),
    }


def write(names: list[tuple[str, int]]) -> Path:
    """Write the folder of trained networks."""
    data = resident(plan().data, plan().scaling, torch.device("cpu"))
    arrays: dict[str, Any] = {}
    for arm, round in names:
        weights = learnt(arm, round)[1]["stop"]
        arrays |= stored.quantised(f"{arm}-{round}", weights, start(arm, round).masks)
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    began = records.results_folder() / NAME / PROFILE / records.TICKETS
    page = {
        "command": "python -m lth_utils.figures.lab.make_lab",
        "commit": commit(),
        "made": datetime.now(UTC).date().isoformat(),
        "tickets": {"record": f"{NAME}/{PROFILE}", "sha256": _sum(began.read_bytes())},
        "rounds": {"of the record": RECORDED, "beyond it": BEYOND},
        "data": data.name,
        "data_sha256": data.digest,
        "mean": data.mean[0],
        "std": data.std[0],
        "device": "cpu",
        "engine": engine(torch.device("cpu"), plan().network),
        "experiment": asdict(plan()) | {"seeds": [SEED], "arms": ["dense", *ARMS]},
        "versions": versions(),
        "machine": f"{platform.machine()}, {cores()} cores, one thread a training",
        "networks": [measured(f"{arm}-{r}", arrays, data) for arm, r in names],
        "sha256": {stored.NETWORKS: _sum(file.getvalue())},
    }
    kind = Kind("record", records.is_record)
    with atomic_folder(stored.folder(), kind) as temporary:
        (temporary / stored.NETWORKS).write_bytes(file.getvalue())
        text = json.dumps(page, indent=1) + "\n"
        (temporary / records.PROVENANCE).write_text(text, "utf-8")
    return stored.folder()


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main() -> None:
    """Train what is missing, then write the folder."""
    names = [("dense", 0)]
    names += [(arm, round) for round in (*RECORDED, *BEYOND) for arm in ARMS]
    # The longest chain first: each of its rounds starts from the one before.
    order = sorted(names, key=lambda name: name != ("ticket", BEYOND[-1]))
    with ProcessPoolExecutor(cores(), get_context("spawn"), _begin) as pool:
        jobs = [pool.submit(learnt, *name) for name in order]
        for job in tqdm(as_completed(jobs), total=len(jobs), unit="training"):
            job.result()
    print(f"Written: {write(names)}")


if __name__ == "__main__":
    main()
