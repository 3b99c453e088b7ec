"""Recording: run an experiment, and keep its table with how it was made."""

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

from lth_utils.errors import LotteryError
from lth_utils.experiments import records
from lth_utils.experiments.catalogue import command, experiment
from lth_utils.experiments.ledger import fingerprints, ledger
from lth_utils.experiments.plans import Plan, Study
from lth_utils.experiments.records import PROVENANCE, TABLE, TICKETS
from lth_utils.experiments.tables import thin
from lth_utils.files.atomic import Kind, atomic_folder, check_folder

if TYPE_CHECKING:
    import pandas as pd

LARGE = 1_000_000  # weights

_RECORD = Kind("record", records.is_record)


def record(
    name: str,
    profile: str = "laptop",
    workers: int | None = None,
    folder: str | Path | None = None,
    seeds: int | None = None,
    again: bool = False,
    data: str | None = None,
) -> Path:
    """Run an experiment and record it, with how it was made.

    Args:
        name: An experiment's word.
        profile: The size.
        workers: One-thread processes; None takes every core.
        folder: Where records lie; None is the checkout's `results/`.
        seeds: How many seeds, from 0; None keeps the profile's.
        again: Record it beside the first record, as `PROFILE-again`: the same
            plan with another engine.
        data: Another data set than the profile's.

    Returns:
        The record's folder.

    Raises:
        LotteryError: As `run` does; or, before any training, if the folder
            holds anything but an older record, one of more seeds or of other
            data, or cannot be written.
    """
    from lth_utils.experiments.runs import run

    chosen = experiment(name, profile, seeds, data=data)
    place = _place(chosen, folder, again)
    check_folder(place, _RECORD)
    _check_older(place, chosen)
    ledger()  # a damaged one is known before any training
    typed = command(name, profile, seeds, data=data) + " --record"
    typed += " --again" if again else ""
    table = run(chosen, workers=workers)
    return write_record(chosen, table, typed, folder, again)


def write_record(
    plan: Plan,
    table: pd.DataFrame,
    command: str,
    folder: str | Path | None = None,
    again: bool = False,
) -> Path:
    """Record a finished experiment, with how it was made.

    Args:
        plan: The experiment.
        table: What `run` returned for it.
        command: What made it.
        folder: Where records lie; None is the checkout's `results/`.
        again: As in `record`.

    Returns:
        The record's folder.

    Raises:
        LotteryError: If the folder cannot be written.
    """
    import pandas as pd

    from lth_utils.experiments.workers import cores

    shown = [
        thin(table[table["experiment"] == p.name], p.curve_rounds, p.curve_arms)
        for p in plan.parts
    ]
    text = pd.concat(shown).to_csv(index=False, float_format="%.6g")
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
        "claims": fingerprints(f"{plan.name}/{_profile(plan, again)}"),
        "sha256": {
            file: hashlib.sha256(content).hexdigest() for file, content in files.items()
        },
    }
    place = _place(plan, folder, again)
    with atomic_folder(place, _RECORD) as temporary:
        for file, content in files.items():
            (temporary / file).write_bytes(content)
        (temporary / PROVENANCE).write_text(json.dumps(page, indent=1) + "\n", "utf-8")
    return place


def _place(plan: Plan, folder: str | Path | None, again: bool) -> Path:
    return Path(folder or records.results_folder()) / plan.name / _profile(plan, again)


def _profile(plan: Plan, again: bool) -> str:
    return plan.profile + (records.AGAIN if again else "")


def _check_older(place: Path, chosen: Plan) -> None:
    """Refuse to put a record in the place of one of more seeds or of other data."""
    file = place / PROVENANCE
    if not file.exists():
        return
    page = json.loads(file.read_text("utf-8"))
    if page["data"] != chosen.data:
        raise LotteryError(
            f"{place} holds a record of {page['data']}, and one of {chosen.data} would"
            f" take its place: expected the same data. Move the older one away first."
        )
    made, seeds = page["experiment"], len(chosen.parts[0].seeds)
    there = len(made.get("parts", [made])[0]["seeds"])
    if there > seeds:
        raise LotteryError(
            f"{place} holds a record of {there} seeds, and one of {seeds} would take"
            f" its place: expected at least {there}. Ask for as many, or move the"
            " older one away first."
        )


def _tickets(plan: Plan) -> dict[str, bytes]:
    """Return the file that holds a finished experiment's tickets, if it has any.

    Masks only ever shrink, so one number a weight, in how many rounds' tickets
    it is, holds the tickets of all rounds: round r's has those with r or more.
    Of a large network only the first seed's are kept: a record travels with the
    library.
    """
    import numpy as np

    from lth_utils.experiments.jobs import jobs_of
    from lth_utils.experiments.runs import stored

    jobs = [job for job in jobs_of(plan) if job.arm == "ticket"]
    if isinstance(plan, Study) or not jobs:
        return {}
    lives: dict[str, Any] = {}
    for job, result in stored(jobs)[1].items():
        for layer, mask in result.masks.items():
            key = f"{job.seed}:{layer}"
            lives[key] = lives.get(key, 0) + mask.numpy().astype(np.uint8)
    firsts = {k: v for k, v in lives.items() if k.startswith(f"{jobs[0].seed}:")}
    if sum(each.size for each in firsts.values()) > LARGE:
        lives = firsts
    file = io.BytesIO()
    np.savez_compressed(file, **lives)
    return {TICKETS: file.getvalue()}


def commit() -> str:
    """Return the checkout's commit, "+" if it has changes, or "unknown"."""
    here = Path(__file__).parents[1]

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(here), *words],
            capture_output=True,
            check=True,
            encoding="utf-8",
            errors="replace",  # file names, of which none is needed
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

    from lth_utils.experiments.environment import source_hash

    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "pandas": pandas.__version__,
        "source": source_hash(),
    }
