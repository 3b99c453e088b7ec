"""The assignments: the students' versions of them, and their grades.

    python book/assignments.py release     _build/release/<assignment>.ipynb
    python book/assignments.py grade FROM  _build/grades/<assignment>/: grades,
                                           a summary, each student's feedback

FROM holds a folder for each student, and in it <assignment>.ipynb. Grading
runs what students wrote, as the user who calls it: do that in a throw-away
environment, such as a container without a network.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from classroom.grade import grade
from classroom.release import release
from classroom.sources import ROOT, SOURCES, assignments

from lth_utils.cli import print_anywhere
from lth_utils.errors import LotteryError


def main(argv: Sequence[str] | None = None, build: Path = ROOT / "_build") -> int:
    options = _parser().parse_args(argv)
    print_anywhere()
    try:
        sources = assignments(options.source or SOURCES, options.assignment)
        if options.command == "release":
            for path in release(sources, build / "release"):
                print(f"For the students: {path}")
        else:
            for folder in grade(options.folder, sources, build / "grades"):
                print(f"The grades, a summary and the feedback: {folder}")
    except LotteryError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped: nothing was written.", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    releasing = commands.add_parser("release", help="write the students' versions")
    grading = commands.add_parser("grade", help="grade FROM/<student>/*.ipynb")
    grading.add_argument("folder", metavar="FROM", type=Path)
    for command in (releasing, grading):
        command.add_argument("--source", type=_folder, help="a folder of sources")
        command.add_argument("--assignment", default="", help="only this one")
    return parser


def _folder(text: str) -> Path | None:
    """Return a folder, or None for the empty text that make gives."""
    return Path(text) if text else None


if __name__ == "__main__":
    sys.exit(main())
