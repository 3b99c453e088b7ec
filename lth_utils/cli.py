"""The command line: lth demo, run, show, list, ladder, data.

Words and numbers are checked before torch is imported; a mistake is one
sentence on the standard error, and exit code 2.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from lth_utils.errors import LotteryError, choose
from lth_utils.experiments.catalogue import EXPERIMENTS, experiment
from lth_utils.experiments.plans import PRUNING, Plan
from lth_utils.words import DATASETS, NETWORKS, check_network

if TYPE_CHECKING:
    import pandas as pd

_EXAMPLES = """examples:
  lth demo                                   a ticket and its reinit: a minute
  lth list                                   what there is to run
  lth run lenet-mnist                        the quick profile: minutes
  lth run lenet-mnist --profile quick --seeds 3
  lth run conv2                              a small convolutional network
  lth show lenet-mnist --profile laptop      yours, or else the recorded run
  lth show lenet-gain --profile laptop --csv > gain.csv
                                             every evaluation, tidy
  lth ladder lenet-50-17                     densities round by round
  lth data mnist                             fetch and check a data set

folders (environment variables):
  LTH_RUNS   where finished trainings are kept
  LTH_DATA   where downloaded data sets are kept
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose mistakes are ours: one sentence, exit code 2."""

    def __init__(self, **settings: Any) -> None:
        # Spelled out, lest `show --record` be taken for `--recorded`.
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        raise LotteryError(
            f"{message[:1].upper()}{message[1:]}. See: {self.prog} --help"
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The words after `lth`; None takes the process's.

    Returns:
        The exit code: 0, 2 after a mistake, or 130 after Ctrl-C.
    """
    try:
        words = _parser().parse_args(argv)
        words.do(words)
        print(end="", flush=True)  # here, where a reader that left can be caught
    except LotteryError as error:
        print(f"lth: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("lth: Stopped; lth run goes on where it was.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever reads, such as `head`, has seen enough
        _drop_output()
    except OSError as error:
        _drop_output()
        print(
            f"lth: The system refused: {error}. Mend that, then run again.",
            file=sys.stderr,
        )
        return 2
    return 0


def _drop_output() -> None:
    """Let Python's last flush fail no more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
    demo = commands.add_parser(
        "demo",
        help="find a ticket and train it against its reinit, in under a minute",
        description="Prune, rewind and train a small network, and print what its"
        " ticket and the ticket's reinit reach. Keeps nothing.",
    )
    demo.set_defaults(do=_demo)
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
        description="Show an experiment from the store, or else its recorded run."
        " Nothing is trained, downloaded or written.",
    )
    _add_experiment(show)
    show.add_argument(
        "--recorded",
        action="store_true",
        help="the recorded run, whatever the store holds",
    )
    show.set_defaults(do=_show)
    listing = commands.add_parser("list", help="list experiments and profiles")
    listing.set_defaults(do=_list)
    ladder = commands.add_parser(
        "ladder",
        help="print a network's densities",
        description="Print round and density (percent of weights remaining) with"
        " the paper's pruning rates; nothing is trained.",
    )
    ladder.add_argument(
        "network",
        metavar="NETWORK",
        help=", ".join(NETWORKS) + "; or a variant, such as lenet-50-17",
    )
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


def _demo(words: argparse.Namespace) -> None:
    from lth_utils.demo import demo

    demo()


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
    return experiment(words.name, words.profile, words.seeds, _arms(words))


def _arms(words: argparse.Namespace) -> tuple[str, ...] | None:
    """Return the arms that were named; None if none was asked for."""
    if words.arms is None:
        return None
    return tuple(arm.strip() for arm in words.arms.split(","))


def _run(words: argparse.Namespace) -> None:
    chosen = _chosen(words)
    if words.record and words.arms is not None:
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

    table = run(chosen, workers=words.workers)
    if words.record:  # before the table, whose reader may leave
        place = record(words.name, words.profile, words.workers, seeds=words.seeds)
        print(f"Recorded in {place}", file=sys.stderr)
    _print(chosen.name, table, words.csv)


def _show(words: argparse.Namespace) -> None:
    chosen = _chosen(words)
    from lth_utils.experiments.records import is_recorded, recorded_part

    table, lacks = None, []
    if not words.recorded:
        from lth_utils.experiments.runs import finished

        table, held = finished(chosen)
        lacks = [held]
    if table is None and (words.recorded or is_recorded(chosen.name, chosen.profile)):
        table, seeds = recorded_part(chosen)
        if words.seeds is not None and seeds < words.seeds:
            table, lacks = None, [*lacks, f"its recorded run has {seeds} seeds"]
    if table is None:
        raise LotteryError(
            f"{chosen.name} {chosen.profile} is not there whole:"
            f" {', and '.join(lacks)}. Train the rest with: lth run {chosen.name}"
            f" --profile {chosen.profile}"
            + (f" --seeds {words.seeds}" if words.seeds is not None else "")
            + (f" --arms {','.join(_arms(words) or ())}" if words.arms else "")
        )
    _print(chosen.name, table, words.csv)


def _print(name: str, table: pd.DataFrame, csv: bool) -> None:
    if csv:
        table.to_csv(sys.stdout, index=False)
        return
    from lth_utils.figures.text import summary_text

    print(summary_text(name, table))


def _list(words: argparse.Namespace) -> None:
    from lth_utils.figures.text import experiments_text

    print(experiments_text())


def _ladder(words: argparse.Namespace) -> None:
    pruning = PRUNING[check_network(words.network).base]
    if words.rounds < 0:
        raise LotteryError(
            f"The number of rounds is {words.rounds}: expected an integer of at"
            " least 0."
        )
    from lth_utils.masks import masked
    from lth_utils.models import network
    from lth_utils.pruning import densities

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
