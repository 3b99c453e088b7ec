"""Recorded runs: tidy tables, the tickets found, and how both were made."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lth_utils.arguments import whole
from lth_utils.errors import LotteryError, choose
from lth_utils.experiments.catalogue import EXPERIMENTS, command
from lth_utils.experiments.plans import Plan
from lth_utils.files.atomic import holds

if TYPE_CHECKING:
    import pandas as pd

    from lth_utils.tickets import Ticket

TABLE = "table.csv.gz"
TICKETS = "tickets.npz"
PROVENANCE = "provenance.json"
AGAIN = "-again"  # behind the profile of a second record, beside the first


class Page(dict[str, Any]):
    """How a record was made: one page for all tables that are read off it.

    pandas copies a table's `attrs` in every operation, and deeply: copies of this
    page took half of the time that claims are judged in.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> Page:
        return self


def results_folder() -> Path:
    """Return `results/`: inside an installed package, or beside a checkout's."""
    package = Path(__file__).parents[1]
    inside = package / "results"
    return inside if inside.is_dir() else package.parent / "results"


def is_recorded(name: str, profile: str) -> bool:
    """Whether there is a recorded run of the experiment's profile."""
    return (results_folder() / name / profile).is_dir()


def is_record(folder: Path) -> bool:
    """Whether a folder holds a whole record, and nothing else."""
    try:
        digests = json.loads((folder / PROVENANCE).read_text("utf-8"))["sha256"]
        return holds(folder, (PROVENANCE, *digests)) and all(
            hashlib.sha256((folder / file).read_bytes()).hexdigest() == digest
            for file, digest in digests.items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def recorded(name: str, profile: str = "laptop") -> pd.DataFrame:
    """Return a recorded run; nothing is trained.

    Args:
        name: An experiment's word.
        profile: The size that was recorded; "laptop-again" is another run of
            the same plan, with another engine.

    Returns:
        The tidy table of `run`, thinned to the rows at early stop and at the
        end, with whole curves at the densities that a figure shows. The names
        in the column `experiment` are text, such as "0.5".
        `.attrs["provenance"]` says how it was made.

    Raises:
        LotteryError: If it was not recorded, or the record is damaged.
    """
    provenance, content = _read(name, profile, TABLE)
    import pandas as pd

    text = io.StringIO(gzip.decompress(content).decode())
    table = pd.read_csv(
        text,
        # Names are text, also 0.5 and NA, which pandas would take for numbers.
        dtype={"experiment": str, "arm": str},
        keep_default_na=False,
        na_values={"loss": [""], "accuracy": [""]},
    )
    table.attrs = {
        "data": provenance["data"],
        "profile": profile,
        "device": provenance["device"],
        "provenance": provenance,
    }
    return table


def recorded_part(plan: Plan) -> tuple[pd.DataFrame, int]:
    """Return what a plan asks for of its recorded run, and how many seeds that has.

    Raises:
        LotteryError: As `recorded`.
    """
    table = recorded(plan.name, plan.profile)
    asked = table["seed"].lt(0)
    for part in plan.parts:
        mine = table["experiment"].eq(part.name) & table["arm"].isin(part.arms)
        asked |= mine & table["seed"].isin(part.seeds)
    return table[asked], table["seed"].nunique()


def recorded_tickets(
    name: str, profile: str = "laptop", round: int = 7
) -> list[Ticket]:
    """Return the tickets that a recorded run found, one for each of its seeds.

    The record of a network of over a million weights keeps the first seed's alone.

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
    what = f"The round of the recorded tickets of {name} {profile}"
    round = whole(what, round, 0, made["rounds"])
    masks: defaultdict[int, dict[str, torch.Tensor]] = defaultdict(dict)
    with np.load(io.BytesIO(content)) as lives:
        for key, rounds in lives.items():
            seed, _, layer = key.partition(":")
            masks[int(seed)][layer] = torch.from_numpy(rounds >= round)
    about = {"arm": "ticket" if round else "dense", "round": round}
    return [
        from_seed(made["network"], seed, Masks(alive), **about)
        for seed, alive in masks.items()
    ]


def _read(name: str, profile: str, file: str) -> tuple[Page, bytes]:
    """Return a record's page and the content of one of its files.

    Raises:
        LotteryError: If there is none, or it is not what the page says.
    """
    choose("experiment", name, EXPERIMENTS)
    size = str(profile).removesuffix(AGAIN)
    choose(f"profile of {name}", size, EXPERIMENTS[name])
    folder = results_folder() / name / profile
    remedy = f"{command(name, size)} --record"
    if size != profile:
        remedy += " --again"
    if not is_recorded(name, profile):
        raise LotteryError(
            f"{name} has no recorded run of profile {profile!r}: expected the folder"
            f" {folder}. Make it with: {remedy}"
        )
    try:
        page = Page(json.loads((folder / PROVENANCE).read_text("utf-8")))
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
