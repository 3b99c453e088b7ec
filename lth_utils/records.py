"""Recorded runs: tidy tables, the tickets found, and how both were made."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lth_utils.catalogue import EXPERIMENTS, experiment
from lth_utils.errors import LotteryError, choose
from lth_utils.experiments import Plan, Study
from lth_utils.files import atomic_folder
from lth_utils.tables import thin

if TYPE_CHECKING:
    import pandas as pd

    from lth_utils.tickets import Ticket

TABLE = "table.csv.gz"
TICKETS = "tickets.npz"
PROVENANCE = "provenance.json"


def results_folder() -> Path:
    """Return `results/`: inside an installed package, or beside a checkout's."""
    inside = Path(__file__).parent / "results"
    return inside if inside.is_dir() else Path(__file__).parents[1] / "results"


def is_recorded(name: str, profile: str) -> bool:
    """Whether there is a recorded run of the experiment's profile."""
    return (results_folder() / name / profile).is_dir()


def recorded(name: str, profile: str = "laptop") -> pd.DataFrame:
    """Return a recorded run; nothing is trained.

    Args:
        name: An experiment's word.
        profile: The size that was recorded.

    Returns:
        The tidy table of `run`, thinned to the rows at early stop and at the
        end, with whole curves at the densities that a figure shows.
        `.attrs["provenance"]` says how it was made.

    Raises:
        LotteryError: If it was not recorded, or the record is damaged.
    """
    import pandas as pd

    provenance, content = _read(name, profile, TABLE)
    table = pd.read_csv(io.StringIO(gzip.decompress(content).decode()))
    table.attrs = {
        "data": provenance["data"],
        "profile": profile,
        "device": provenance["device"],
        "provenance": provenance,
    }
    return table


def recorded_tickets(
    name: str, profile: str = "laptop", round: int = 7
) -> list[Ticket]:
    """Return the tickets that a recorded run found, one for each of its seeds.

    Args:
        name: An experiment's word.
        profile: The size that was recorded.
        round: The pruning round; at 0 they are the dense networks.

    Raises:
        LotteryError: If the record has no such tickets, or is damaged.
    """
    import numpy as np
    import torch

    from lth_utils.masks import Masks
    from lth_utils.tickets import from_seed

    page, content = _read(name, profile, TICKETS)
    made = page["experiment"]
    if round not in range(made["rounds"] + 1):
        raise LotteryError(
            f"The recorded run {name} {profile} has no tickets of round {round}:"
            f" expected a round of 0 to {made['rounds']}."
        )
    masks: dict[int, dict[str, torch.Tensor]] = {seed: {} for seed in made["seeds"]}
    with np.load(io.BytesIO(content)) as lives:
        for key, rounds in lives.items():
            seed, _, layer = key.partition(":")
            masks[int(seed)][layer] = torch.from_numpy(rounds >= round)
    about = {"arm": "ticket" if round else "dense", "round": round}
    return [
        from_seed(made["network"], seed, Masks(alive), **about)
        for seed, alive in masks.items()
    ]


def _read(name: str, profile: str, file: str) -> tuple[dict[str, Any], bytes]:
    """Return a record's page and the content of one of its files.

    Raises:
        LotteryError: If there is none, or it is not what the page says.
    """
    choose("experiment", name, EXPERIMENTS)
    choose(f"profile of {name}", profile, EXPERIMENTS[name])
    folder = results_folder() / name / profile
    remedy = f"lth run {name} --profile {profile} --record"
    if not is_recorded(name, profile):
        raise LotteryError(
            f"{name} has no recorded run of profile {profile!r}: expected the folder"
            f" {folder}. Make it with: {remedy}"
        )
    try:
        page: dict[str, Any] = json.loads((folder / PROVENANCE).read_text("utf-8"))
        digests: dict[str, str] = dict(page["sha256"])
        content = (folder / file).read_bytes() if file in digests else b""
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, file) from error
    if file not in digests:
        raise LotteryError(
            f"The recorded run in {folder} keeps no {file}: expected the record of an"
            " experiment whose arms have tickets. Choose another, such as lenet-mnist."
        )
    if hashlib.sha256(content).hexdigest() != digests[file]:
        raise _damaged(folder, file)
    return page, content


def _damaged(folder: Path, file: str) -> LotteryError:
    return LotteryError(
        f"The recorded run in {folder} is damaged: expected {file} with the sha256"
        f" that {PROVENANCE} says. Take it anew from the repository."
    )


def record(
    name: str,
    profile: str = "laptop",
    workers: int | None = None,
    folder: str | Path | None = None,
    seeds: int | None = None,
) -> Path:
    """Run an experiment and record it, with how it was made.

    Args:
        name: An experiment's word.
        profile: The size.
        workers: One-thread processes; None takes every core.
        folder: Where records lie; None is the checkout's `results/`.
        seeds: How many seeds, from 0; None keeps the profile's.

    Returns:
        The record's folder.

    Raises:
        LotteryError: As `run` does, or if the folder cannot be written.
    """
    from lth_utils.runs import run

    chosen = experiment(name, profile, seeds)
    command = (
        f"lth run {name} --profile {profile}"
        + (f" --seeds {seeds}" if seeds else "")
        + " --record"
    )
    return write_record(chosen, run(chosen, workers=workers), command, folder)


def write_record(
    plan: Plan,
    table: pd.DataFrame,
    command: str,
    folder: str | Path | None = None,
) -> Path:
    """Record a finished experiment, with how it was made.

    Args:
        plan: The experiment.
        table: What `run` returned for it.
        command: What made it.
        folder: Where records lie; None is the checkout's `results/`.

    Returns:
        The record's folder.

    Raises:
        LotteryError: If the folder cannot be written.
    """
    from lth_utils.workers import cores

    text = thin(table, plan.curve_rounds).to_csv(index=False, float_format="%.6g")
    # No time stamp inside, so that the same table gives the same bytes.
    files = {TABLE: gzip.compress(text.encode(), mtime=0), **_tickets(plan)}
    one_thread = table.attrs["device"] == "cpu"
    page = {
        "command": command,
        "commit": commit(),
        "made": datetime.now(UTC).date().isoformat(),
        **table.attrs,
        "experiment": asdict(plan),
        "versions": versions(),
        "machine": f"{platform.machine()}, {cores()} cores"
        + (", one thread a training" if one_thread else ""),
        "sha256": {
            file: hashlib.sha256(content).hexdigest() for file, content in files.items()
        },
    }
    place = Path(folder or results_folder()) / plan.name / plan.profile
    with atomic_folder(place) as temporary:
        for file, content in files.items():
            (temporary / file).write_bytes(content)
        (temporary / PROVENANCE).write_text(json.dumps(page, indent=1) + "\n", "utf-8")
    return place


def _tickets(plan: Plan) -> dict[str, bytes]:
    """Return the file that holds a finished experiment's tickets, if it has any.

    Masks only ever shrink, so one number a weight, in how many rounds' tickets
    it is, holds the tickets of all rounds: round r's has those with r or more.
    """
    import numpy as np

    from lth_utils.jobs import jobs_of
    from lth_utils.runs import stored

    jobs = [job for job in jobs_of(plan) if job.arm == "ticket"]
    if isinstance(plan, Study) or not jobs:
        return {}
    lives: dict[str, Any] = {}
    for job, result in stored(jobs)[1].items():
        for layer, mask in result.masks.items():
            key = f"{job.seed}:{layer}"
            lives[key] = lives.get(key, 0) + mask.numpy().astype(np.uint8)
    file = io.BytesIO()
    np.savez_compressed(file, **lives)
    return {TICKETS: file.getvalue()}


def commit() -> str:
    """Return the checkout's commit, "+" if it has changes, or "unknown"."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(here), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", ".")
        return git("rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def versions() -> dict[str, str]:
    """Return the versions of what a result depends on."""
    import numpy
    import pandas
    import torch

    from lth_utils import jobs

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "pandas": pandas.__version__,
        "source": jobs.source_hash(),
    }
