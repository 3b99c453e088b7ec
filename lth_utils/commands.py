"""What the command line's verbs do; `cli.py` reads the words."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from lth_utils.arguments import whole
from lth_utils.errors import LotteryError
from lth_utils.experiments.catalogue import command, experiment
from lth_utils.experiments.plans import Plan
from lth_utils.experiments.rates import PRUNING
from lth_utils.words import DATASETS, SPLITS, check_data, check_network

if TYPE_CHECKING:
    import pandas as pd


def demo(words: argparse.Namespace) -> None:
    """Train a ticket against its reinit, in under a minute."""
    from lth_utils import demo as first_minute

    first_minute.demo()


def _chosen(words: argparse.Namespace) -> Plan:
    return experiment(*_asked(words))


def _asked(words: argparse.Namespace) -> tuple[Any, ...]:
    """Return what `experiment` is asked for."""
    return words.name, words.profile, words.seeds, _arms(words), words.data


def _arms(words: argparse.Namespace) -> tuple[str, ...] | None:
    """Return the arms that were named; None if none was asked for."""
    if words.arms is None:
        return None
    return tuple(arm.strip() for arm in words.arms.split(","))


def run(words: argparse.Namespace) -> None:
    """Train what the store lacks of an experiment, and show it."""
    chosen = _chosen(words)
    if words.record and words.arms is not None:
        raise LotteryError(
            "A record holds every arm of the profile: expected --record without"
            " --arms; leave it out."
        )
    if words.record and words.curves:
        raise LotteryError(
            "A record keeps the curves that the profile's figures show: expected"
            " --record without --curves; leave one out."
        )
    if words.again and not words.record:
        raise LotteryError(
            "--again says where a record goes: expected it with --record; add that,"
            " or leave it out."
        )
    if words.workers is not None and words.workers < 1:
        raise LotteryError(
            f"The number of workers is {words.workers}: expected at least 1; leave"
            " --workers out to use every core."
        )
    from lth_utils.experiments import runs
    from lth_utils.experiments.recording import record

    if words.record:  # before the table, whose reader may leave
        place = record(
            words.name,
            words.profile,
            words.workers,
            seeds=words.seeds,
            again=words.again,
            data=words.data,
        )
        print(f"Recorded in {place}", file=sys.stderr)
    table = runs.run(chosen, workers=words.workers, curves=words.curves)
    _print(chosen.name, table, words.csv)


def show(words: argparse.Namespace) -> None:
    """Show what was run or recorded; train, download and write nothing."""
    chosen = _chosen(words)
    from lth_utils.experiments.records import is_recorded, recorded_part

    table, lacks = None, []
    if not words.recorded:
        from lth_utils.experiments.runs import finished
        from lth_utils.experiments.store import runs_folder

        try:
            runs_folder()
        except LotteryError:  # no home folder is known, so nothing was kept there
            lacks = ["no runs are kept here"]
        else:
            table, held = finished(chosen)
            lacks = [held]
    recorded = is_recorded(chosen.name, chosen.profile)
    if table is None and (words.recorded or recorded):
        found, seeds = recorded_part(chosen)
        if words.data not in (None, of := found.attrs["data"]):
            lacks = [*lacks, f"its recorded run is of {of}"]
        elif words.seeds is not None and seeds < words.seeds:
            lacks = [*lacks, f"its recorded run has {seeds} seeds"]
        else:
            table = found
    if table is None:
        raise LotteryError(
            f"{chosen.name} {chosen.profile} is not there whole:"
            f" {', and '.join(lacks)}. Train the rest with:"
            f" {command(*_asked(words))}"
        )
    _print(chosen.name, table, words.csv)


def _print(name: str, table: pd.DataFrame, csv: bool) -> None:
    if csv:
        table.to_csv(sys.stdout, index=False)
        return
    from lth_utils.figures.text import summary_text

    print(summary_text(name, table))


def list(words: argparse.Namespace) -> None:
    """List experiments and profiles."""
    from lth_utils.figures.text import experiments_text

    print(experiments_text())


def claims(words: argparse.Namespace) -> None:
    """Judge the claims by the recorded runs; nothing is trained."""
    from lth_utils.evidence import claims

    table = claims(words.chapter)
    if words.csv:
        table.to_csv(sys.stdout, index=False)
        return
    from lth_utils.figures.text import claims_text

    print(claims_text(table))


def ladder(words: argparse.Namespace) -> None:
    """Print a network's densities, round by round."""
    pruning = PRUNING[check_network(words.network).base]
    rounds = whole("The number of rounds", words.rounds, 0)
    from lth_utils.masking import masked
    from lth_utils.models import network
    from lth_utils.pruning import densities

    net = masked(network(words.network, seed=0))
    rungs = densities(net, pruning.rates, pruning.scope, rounds)
    for round, density in enumerate(rungs):
        print(f"{round:>3} {100 * density:7.2f}")


def data(words: argparse.Namespace) -> None:
    """List the data sets, or fetch and describe one."""
    if words.name is None:
        for name in DATASETS:
            print(name)
        return
    check_data(words.name)
    from lth_utils.data.loading import load

    loaded = load(words.name)
    channels, height, width = loaded.shape
    sizes = [f"{getattr(loaded, split).size} {split}" for split in SPLITS]
    print(
        f"{loaded.name}: {loaded.classes} classes, images {height} x {width} x"
        f" {channels}; {', '.join(sizes)}\nsha256 of the content: {loaded.digest}"
    )
