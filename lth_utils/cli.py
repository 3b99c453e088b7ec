"""The command line: lth demo, run, show, list, claims, ladder, data.

Words and numbers are checked before torch is imported; a mistake is one
sentence on the standard error, and exit code 2.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from lth_utils import commands
from lth_utils.errors import LotteryError
from lth_utils.experiments.catalogue import EXPERIMENTS
from lth_utils.words import DATASETS, NETWORKS

_EXAMPLES = """examples:
  lth demo                                   a ticket and its reinit: a minute
  lth list                                   what there is to run
  lth run lenet-mnist                        the quick profile: minutes
  lth run lenet-mnist --profile quick --seeds 3
  lth run conv2                              a small convolutional network
  lth run lenet-mnist --curves               every split, at every evaluation
  lth show lenet-mnist --profile laptop      yours, or else the recorded run
  lth show lenet-gain --profile laptop --csv > gain.csv
                                             its evaluations, tidy
  lth claims --chapter 4                     what replicated, and what did not
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
        print("lth: Stopped; lth run goes on where it was.", file=sys.stderr)
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
    verbs = parser.add_subparsers(
        metavar="command", required=True, parser_class=_Parser
    )
    demo = verbs.add_parser(
        "demo",
        help="find a ticket and train it against its reinit, in under a minute",
        description="Prune, rewind and train a small network, and print what its"
        " ticket and the ticket's reinit reach. Keeps nothing.",
    )
    demo.set_defaults(do=commands.demo)
    run = verbs.add_parser(
        "run",
        help="train what an experiment lacks, and show it",
        description="Train what the store lacks of an experiment, then show it."
        " Stopped at any moment, it goes on at the last finished round.",
    )
    _add_experiment(run)
    run.add_argument("--workers", type=int, help="processes (default: every core)")
    run.add_argument(
        "--curves",
        action="store_true",
        help="whole curves of all: measure every split at every evaluation, where"
        " the profile asks for its figures' curves alone",
    )
    run.add_argument(
        "--record",
        action="store_true",
        help="also write results/EXPERIMENT/PROFILE (every arm)",
    )
    run.add_argument(
        "--again",
        action="store_true",
        help="with --record: beside the first record, as PROFILE-again",
    )
    run.set_defaults(do=commands.run)
    show = verbs.add_parser(
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
    show.set_defaults(do=commands.show)
    listing = verbs.add_parser("list", help="list experiments and profiles")
    listing.set_defaults(do=commands.list)
    claims = verbs.add_parser(
        "claims",
        help="what replicated and what did not, by the recorded runs",
        description="Judge each claim of the paper and of the book by the recorded"
        " runs. Nothing is trained.",
    )
    claims.add_argument("--chapter", help="one chapter's, such as 4 or 9b")
    claims.add_argument(
        "--csv", action="store_true", help="print a row for each claim and record"
    )
    claims.set_defaults(do=commands.claims)
    ladder = verbs.add_parser(
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
    ladder.set_defaults(do=commands.ladder)
    data = verbs.add_parser(
        "data",
        help="list data sets, or fetch and check one",
        description="List the data sets, or fetch one if needed and describe it.",
    )
    data.add_argument("name", nargs="?", metavar="NAME", help=", ".join(DATASETS))
    data.set_defaults(do=commands.data)
    return parser


def _add_experiment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", metavar="EXPERIMENT", help=", ".join(EXPERIMENTS) + " (see lth list)"
    )
    parser.add_argument("--profile", default="quick", help="default: quick")
    parser.add_argument("--seeds", type=int, help="how many, counted from 0")
    parser.add_argument("--arms", help="some arms, such as ticket,reinit")
    parser.add_argument(
        "--data",
        help="another data set, or the name of a folder of pictures in LTH_DATA",
    )
    parser.add_argument(
        "--csv", action="store_true", help="print the tidy table: one row an evaluation"
    )


if __name__ == "__main__":
    sys.exit(main())
