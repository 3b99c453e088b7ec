"""The command line: lth run, show, list, ladder, data.

Words and numbers are checked before torch is imported; a mistake is one
sentence on the standard error, and exit code 2.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from lth_utils.errors import LotteryError, choose
from lth_utils.experiments.catalogue import EXPERIMENTS, experiment
from lth_utils.experiments.plans import Plan
from lth_utils.experiments.rates import PRUNING
from lth_utils.words import DATASETS, NETWORKS

if TYPE_CHECKING:
    import pandas as pd

_EXAMPLES = """examples:
  lth list                                   what there is to run
  lth run lenet-mnist                        the quick profile: minutes
  lth run lenet-mnist --profile quick --seeds 3
  lth run conv2                              a small convolutional network
  lth show lenet-mnist --profile laptop      the recorded run
  lth show lenet-mnist --csv > lenet.csv     every evaluation, tidy
  lth ladder resnet20                        densities round by round
  lth data mnist                             fetch and check a data set

folders (environment variables):
  LTH_RUNS   where finished trainings are kept
  LTH_DATA   where downloaded data sets are kept
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose mistakes are ours: one sentence, exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise LotteryError(
            f"{message[:1].upper()}{message[1:]}. See: {self.prog} --help"
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The words after `lth`; None takes the process's.

    Returns:
        The exit code: 0, 2 after a mistake or if the output cannot be written,
        or 130 after Ctrl-C.
    """
    print_anywhere()
    try:
        words = _parser().parse_args(argv)
        words.do(words)
        print(end="", flush=True)  # here, where a reader that left can be caught
    except LotteryError as error:
        print(f"lth: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("lth: Stopped; run again to go on.", file=sys.stderr)
        return 130
    except OSError as error:
        if error.filename is not None:
            raise
        # It came from the standard output: what is left of that goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            print(f"lth: Stopped: the system says: {error.strerror}.", file=sys.stderr)
            return 2
        # Whoever reads, such as `head`, has seen enough.
    return 0


def print_anywhere() -> None:
    """Let what a terminal cannot show be written out, instead of ending the run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="lth",
        description="Find, train and study lottery tickets.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(
        metavar="command", required=True, parser_class=_Parser
    )
    run = commands.add_parser(
        "run",
        help="train what an experiment lacks, and show it",
        description="Train what the store lacks of an experiment, then show it."
        " Stopped at any moment, it goes on at the last finished round.",
    )
    _add_experiment(run)
    run.add_argument("--workers", type=int, help="processes (default: every core)")
    run.add_argument(
        "--record",
        action="store_true",
        help="also write results/EXPERIMENT/PROFILE (every arm)",
    )
    run.set_defaults(do=_run)
    show = commands.add_parser(
        "show",
        help="show what was run or recorded; trains nothing",
        description="Show an experiment from the store, or else its recorded run.",
    )
    _add_experiment(show)
    show.set_defaults(do=_show)
    listing = commands.add_parser("list", help="list experiments and profiles")
    listing.set_defaults(do=_list)
    ladder = commands.add_parser(
        "ladder",
        help="print a network's densities",
        description="Print round and density (percent of weights remaining) with"
        " the paper's pruning rates; nothing is trained.",
    )
    ladder.add_argument("network", metavar="NETWORK", help=", ".join(_LADDERS))
    ladder.add_argument("--rounds", type=int, default=20, help="default: 20")
    ladder.set_defaults(do=_ladder)
    data = commands.add_parser(
        "data",
        help="list data sets, or fetch and check one",
        description="List the data sets, or fetch one if needed and describe it.",
    )
    data.add_argument("name", nargs="?", metavar="NAME", help=", ".join(DATASETS))
    data.set_defaults(do=_data)
    return parser


def _add_experiment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", metavar="EXPERIMENT", help=", ".join(EXPERIMENTS) + " (see lth list)"
    )
    parser.add_argument("--profile", default="quick", help="default: quick")
    parser.add_argument("--seeds", type=int, help="how many, counted from 0")
    parser.add_argument("--arms", help="some arms, such as ticket,reinit")
    parser.add_argument(
        "--csv", action="store_true", help="print the tidy table: one row an evaluation"
    )


def _chosen(words: argparse.Namespace) -> Plan:
    arms = words.arms.split(",") if words.arms is not None else None
    return experiment(words.name, words.profile, words.seeds, arms)


def _run(words: argparse.Namespace) -> None:
    chosen = _chosen(words)
    if words.record and words.arms:
        raise LotteryError(
            "A record holds every arm of the profile: expected --record without"
            " --arms; leave it out."
        )
    if words.workers is not None and words.workers < 1:
        raise LotteryError(
            f"The number of workers is {words.workers}: expected at least 1; leave"
            " --workers out to use every core."
        )
    from lth_utils.experiments.recording import record
    from lth_utils.experiments.runs import run

    if words.record:  # before the table, whose reader may leave
        place = record(words.name, words.profile, words.workers, seeds=words.seeds)
        print(f"Recorded in {place}", file=sys.stderr)
    _print(chosen.name, run(chosen, workers=words.workers), words.csv)


def _show(words: argparse.Namespace) -> None:
    chosen = _chosen(words)
    from lth_utils.experiments.jobs import jobs_of
    from lth_utils.experiments.records import is_recorded, recorded
    from lth_utils.experiments.runs import stored, table_of

    if is_recorded(chosen.name, chosen.profile):
        table, part = recorded(chosen.name, chosen.profile), chosen.parts[0]
        if words.seeds is None or set(part.seeds) <= set(table["seed"]):
            rows = table["arm"].isin(part.arms) & table["seed"].isin(part.seeds)
            _print(chosen.name, table[rows], words.csv)
            return
    jobs = jobs_of(chosen)
    store, results = stored(jobs)
    if len(results) < len(jobs):
        raise LotteryError(
            f"{len(results)} of the {len(jobs)} trainings of {chosen.name}"
            f" {chosen.profile} are in {store.folder}: expected all of them. Train"
            f" the rest with: lth run {chosen.name} --profile {chosen.profile}"
        )
    _print(chosen.name, table_of(chosen, results, store), words.csv)


def _print(name: str, table: pd.DataFrame, csv: bool) -> None:
    if csv:
        table.to_csv(sys.stdout, index=False)
        return
    from lth_utils.experiments.tables import summary

    source = "recorded" if "provenance" in table.attrs else "from the store"
    print(
        f"{name}, profile {table.attrs['profile']}, data {table.attrs['data']},"
        f" {source}, device {table.attrs['device']}\n"
        "test accuracy at the iteration of least validation loss, over n trainings\n"
    )
    rows = summary(table)
    if rows["experiment"].nunique() == 1:
        rows = rows.drop(columns="experiment")
    percent = dict.fromkeys(("mean", "min", "max", "final"), "{:.2%}".format)
    rows["density"] = rows["density"].map("{:.2%}".format)
    print(
        rows.rename(columns={"early_stop": "early-stop iteration"}).to_string(
            index=False,
            formatters=percent | {"early-stop iteration": "{:.0f}".format},
        )
    )


def _list(words: argparse.Namespace) -> None:
    print(f"{'experiment':<18} {'profile':<8} {'network':<13} {'data':<18} size")
    for name, profiles in EXPERIMENTS.items():
        for profile, plan in profiles.items():
            first, total = (
                plan.parts[0],
                sum(len(list(p.trainings())) for p in plan.parts),
            )
            several = f", {', '.join(part.name for part in plan.parts)} compared"
            print(
                f"{name:<18} {profile:<8} {first.network:<13} {plan.data:<18}"
                f" {total} trainings of {first.recipe.iterations} iterations:"
                f" {len(first.seeds)} seeds, rounds 0-{first.rounds},"
                f" arms {', '.join(first.arms)}"
                + (several if len(plan.parts) > 1 else "")
            )


_LADDERS = tuple(name for name in NETWORKS if name != "conv2-narrow")


def _ladder(words: argparse.Namespace) -> None:
    choose("network", words.network, _LADDERS)
    if words.rounds < 0:
        raise LotteryError(
            f"The number of rounds is {words.rounds}: expected an integer of at"
            " least 0."
        )
    from lth_utils.masking import masked
    from lth_utils.models import network
    from lth_utils.pruning import densities

    pruning = PRUNING[words.network]
    net = masked(network(words.network, seed=0))
    rungs = densities(net, pruning.rates, pruning.scope, words.rounds)
    for round, density in enumerate(rungs):
        print(f"{round:>3} {100 * density:7.2f}")


def _data(words: argparse.Namespace) -> None:
    if words.name is None:
        for name in DATASETS:
            print(name)
        return
    choose("data set", words.name, DATASETS)
    from lth_utils.data.loading import load

    data = load(words.name)
    channels, height, width = data.shape
    print(
        f"{data.name}: {data.classes} classes, images {height} x {width} x {channels};"
        f" {len(data.train.labels)} train, {len(data.validation.labels)} validation,"
        f" {len(data.test.labels)} test\nsha256 of the content: {data.digest}"
    )


if __name__ == "__main__":
    sys.exit(main())
