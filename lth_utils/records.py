"""Recorded runs: small tidy tables with a page that says how they were made."""

from __future__ import annotations

import gzip
import hashlib
import json
import platform
import subprocess
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lth_utils.catalogue import EXPERIMENTS, experiment
from lth_utils.errors import LotteryError, choose
from lth_utils.files import atomic_folder
from lth_utils.tables import thin

if TYPE_CHECKING:
    import pandas as pd

TABLE = "table.csv.gz"
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

    choose("experiment", name, EXPERIMENTS)
    choose(f"profile of {name}", profile, EXPERIMENTS[name])
    folder = results_folder() / name / profile
    if not is_recorded(name, profile):
        raise LotteryError(
            f"{name} has no recorded run of profile {profile!r}: expected the folder"
            f" {folder}. Make it with: lth run {name} --profile {profile} --record"
        )
    provenance = _provenance(folder)
    with gzip.open(folder / TABLE, "rt", encoding="utf-8") as file:
        table = pd.read_csv(file)
    table.attrs = {
        "data": provenance["data"],
        "profile": profile,
        "device": provenance["device"],
        "provenance": provenance,
    }
    return table


def _provenance(folder: Path) -> dict[str, Any]:
    """Read the page, and hold the table against it."""
    try:
        page: dict[str, Any] = json.loads((folder / PROVENANCE).read_text("utf-8"))
        content = (folder / TABLE).read_bytes()
        whole = hashlib.sha256(content).hexdigest() == page["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder) from error
    if not whole:
        raise _damaged(folder)
    return page


def _damaged(folder: Path) -> LotteryError:
    return LotteryError(
        f"The recorded run in {folder} is damaged: expected {TABLE} with the sha256"
        f" that {PROVENANCE} says. Take it anew from the repository."
    )


def record(
    name: str,
    profile: str = "laptop",
    workers: int | None = None,
    folder: str | Path | None = None,
) -> Path:
    """Run an experiment and record it, with how it was made.

    Args:
        name: An experiment's word.
        profile: The size.
        workers: One-thread processes; None takes every core.
        folder: Where records lie; None is the checkout's `results/`.

    Returns:
        The record's folder.

    Raises:
        LotteryError: As `run` does, or if the folder cannot be written.
    """
    from lth_utils.runs import run
    from lth_utils.workers import cores

    chosen = experiment(name, profile)
    table = run(chosen, workers=workers)
    text = thin(table, chosen.curve_rounds).to_csv(index=False, float_format="%.6g")
    # No time stamp inside, so that the same table gives the same bytes.
    content = gzip.compress(text.encode(), mtime=0)
    page = {
        "command": f"lth run {name} --profile {profile} --record",
        "commit": commit(),
        "made": datetime.now(UTC).date().isoformat(),
        **table.attrs,
        "experiment": asdict(chosen),
        "versions": versions(),
        "machine": f"{platform.machine()}, {cores()} cores, one thread a training",
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    place = Path(folder or results_folder()) / name / profile
    with atomic_folder(place) as temporary:
        (temporary / TABLE).write_bytes(content)
        (temporary / PROVENANCE).write_text(json.dumps(page, indent=1) + "\n", "utf-8")
    return place


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
