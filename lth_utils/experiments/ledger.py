"""The claims ledger: what the paper and the book claim, as rules written down.

`results/claims.toml` holds it. A claim is registered before the run that it is
judged on; a record then keeps the claim's fingerprint, so that a rule which is
changed afterwards shows up.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import asdict, dataclass, fields
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

from lth_utils.errors import LotteryError, choose
from lth_utils.experiments import records

FILE = "claims.toml"
SEEDS = 5  # that a verdict needs
# What can be measured, and its unit; `evidence/measures.py` says how.
UNITS = {
    "better": "points",
    "better at the end": "points",
    "best at the end": "points",
    "closes less than a third": "points",
    "sooner": "times",
    "falls later": "rounds",
    "two peaks": "share",
    "one peak": "share",
    "more start above zero": "share",
    "more start below zero": "share",
    "incoming more even": "share",
    "incoming more even than by chance": "share",
    "two peaks, black pixels": "share",
    "two peaks, faint pixels": "share",
    "black pixels read less": "share",
    "better at equal size": "points",
    "size in the paper's range": "weights",
    "same size": "weights",
    "better at the fewest weights": "points",
    "wide beats narrow": "points",
}
_WORDING = ("chapter", "source", "says", "registered", "records")  # no part of the rule


@dataclass(frozen=True)
class Claim:
    """One claim, and the rule that judges it.

    Attributes:
        id: Its name, such as "L1".
        chapter: Where the book judges it, such as "4" or "9b".
        source: The paper's section or figure, or "this book".
        says: The claim, in our words.
        measure: What is measured, a word of `UNITS`: it makes one number a seed,
            above 0 where the seed agrees.
        one: The arm that is claimed to be better, sooner or no worse; of a study,
            with the part that it is of, as in "dropout:dense".
        other: The arm that it is held against, within each seed.
        rounds: The pruning rounds; the mean of those that a record has, or those among
            which the measure looks.
        paper: The paper's number, in the measure's unit; 0 if it has none.
        tolerance: What each seed is granted, in the measure's unit: points, or
            times.
        sides: 1 if only one direction is claimed, else 2.
        seeds: How many a verdict needs.
        registered: The day on which the rule was written.
        records: What it is judged on, such as "lenet-mnist/paper".
        parts: A study's parts: all must agree, so the one that agrees least counts. An
            arm that names a part of its own is held against each of them.
        layers: The same of a network's layers.
    """

    id: str
    chapter: str
    source: str
    says: str
    measure: str
    one: str
    other: str
    rounds: tuple[int, ...]
    registered: date
    records: tuple[str, ...]
    paper: float = 0.0
    tolerance: float = 0.0
    sides: int = 1
    seeds: int = SEEDS
    parts: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """A hash of the rule: of all that can turn a verdict, and no wording.

        What a claim leaves as it is anyway does not count, so that a key which is
        new to the ledger changes no older claim.
        """
        usual = {field.name: field.default for field in fields(self)}
        rule = {
            key: value
            for key, value in asdict(self).items()
            if key not in _WORDING and value != usual[key]
        }
        return hashlib.sha256(json.dumps(rule, sort_keys=True).encode()).hexdigest()


def ledger() -> dict[str, Claim]:
    """Return all claims by name, in the file's order; none if there is no file.

    Raises:
        LotteryError: If it cannot be read, or an entry is not what `Claim` asks.
    """
    return _read(records.results_folder() / FILE)


@cache
def _read(path: Path) -> dict[str, Claim]:
    try:
        text = path.read_text("utf-8") if path.exists() else ""
        entries = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise LotteryError(
            f"The claims in {path} cannot be read ({error}): expected a table for each"
            " claim. Take the file anew from the repository."
        ) from error
    return {name: _claim(name, entry) for name, entry in entries.items()}


def fingerprints(record: str) -> dict[str, str]:
    """Return the fingerprints of all claims that are judged on a record."""
    return {
        name: claim.fingerprint
        for name, claim in ledger().items()
        if record in claim.records
    }


def _claim(name: str, entry: dict[str, Any]) -> Claim:
    """Return an entry of the file as a claim, or refuse it in a sentence."""
    kinds = get_type_hints(Claim)
    for key in entry:
        choose(f"key of claim {name}", key, [k for k in kinds if k != "id"])
    given: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in entry.items()
    }
    try:
        claim = Claim(name, **given)
    except TypeError as error:
        raise LotteryError(
            f"Claim {name} lacks a key ({error}): expected those of"
            " lth_utils.experiments.ledger.Claim. Add it."
        ) from None
    for key, kind in kinds.items():
        value, inner = getattr(claim, key), get_args(kind)[:1]
        single = inner[0] if inner else kind
        values = value if isinstance(value, tuple) else [value]
        wanted = (int, float) if single is float else single
        right = isinstance(value, tuple) == bool(inner)
        if not right or not all(isinstance(each, wanted) for each in values):
            raise LotteryError(
                f"Claim {name} has {key} = {value!r}: expected"
                f" {'a list of ' if inner else ''}{single.__name__}. Correct the entry."
            )
    choose(f"measure of claim {name}", claim.measure, UNITS)
    return claim
