"""Run the chapters of the book, each into _build/executed.

    python book/run_notebooks.py                  those that need it
    python book/run_notebooks.py NAME             one, "notebooks/03-the-algorithm"
    python book/run_notebooks.py --profile laptop longer training

A chapter is run again only when its text, the library, results/, the lock
file or the profile changed. The tests and the book read the same copies.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import nbformat
from nbformat import NotebookNode, ValidationError
from steps import COLOURS, ROOT, step

sys.path.insert(0, str(ROOT / "book" / "ext"))

import executed

from lth_utils.cli import print_anywhere
from lth_utils.errors import LotteryError, choose
from lth_utils.files.atomic import atomic_file
from lth_utils.files.places import check_writable

PROFILES = ("quick", "laptop", "paper")
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def run_all(
    root: Path, names: Sequence[str] = (), profile: str = "quick"
) -> dict[str, float]:
    """Run the chapters whose executed copy is missing or stale.

    Args:
        root: The book's folder.
        names: Which chapters; all of `_toc.yml` if empty.
        profile: The value that replaces `PROFILE` in each.

    Returns:
        Seconds by chapter, for those that ran.

    Raises:
        LotteryError: If `_toc.yml` or a notebook is not as it should be
            or `_build` cannot be written (before anything runs), or if a cell
            fails.
    """
    listed = executed.chapters(root)
    names = [choose("chapter", name, listed) for name in names] or listed
    for name in names:
        _check_parameters(root, name)
    check_writable(root / "_build" / "executed")
    around = executed.surroundings(root)
    took = {}
    print("Running the chapters that changed: 14 minutes on two cores if all did")
    for name in names:
        made = executed.digest(root, name, profile, around)
        if executed.stamp(root, name).get("digest") == made:
            print(f"  {name}: unchanged", flush=True)
        else:
            with step(f"  {name}"):
                took[name] = _run(root, name, profile, made)
    return took


def _check_parameters(root: Path, name: str) -> None:
    notebook = _read(root, name)
    tags = [cell.metadata.get("tags", []) for cell in notebook.cells]
    found = sum("parameters" in each for each in tags)
    if found != 1:
        raise LotteryError(
            f"{name}.ipynb has {found or 'no'} cells tagged `parameters`: expected"
            ' one, with PROFILE = "quick" in it, so that the book can say how long'
            " to train. Tag that cell, and no other."
        )


def _read(root: Path, name: str) -> NotebookNode:
    """Return a chapter as this environment runs it, whoever saved it.

    Elsewhere the kernel has another name, and Colab saves cells without ids.
    """
    path = executed.source(root, name)
    try:
        with catch_warnings():
            simplefilter("ignore")  # about ids, which are mended here
            found = nbformat.v4.upgrade(nbformat.read(path, as_version=4))
            notebook = nbformat.from_dict(found)  # an old one is of another class
            nbformat.validate(notebook)
    except (ValueError, AttributeError, KeyError, ValidationError) as error:
        raise LotteryError(
            f"{name}.ipynb is no whole notebook ({str(error).splitlines()[0][:200]}):"
            " open it in Jupyter and save it, or take it from git again."
        ) from error
    notebook.metadata["kernelspec"] = KERNEL
    return notebook


def _run(root: Path, name: str, profile: str, made: str) -> float:
    """Run one chapter; its copy appears whole, stamped, or not at all."""
    start = time.perf_counter()
    copy = executed.copy(root, name)
    # The copy's folder is the working folder: a file that a chapter writes
    # lands under _build, never among the sources.
    copy.parent.mkdir(parents=True, exist_ok=True)
    # A user's start-up files and kernels are not a part of the book.
    with _environment(
        LTH_BOOK="1",
        LTH_RUNS=_runs(root),
        IPYTHONDIR=str(root / "_build" / "ipython"),
        JUPYTER_PREFER_ENV_PATH="1",
        HOME=_home(root),
    ):
        notebook = _execute(root, name, profile, copy.parent)
    seconds = round(time.perf_counter() - start, 1)
    stamp = {"digest": made, "profile": profile, "seconds": seconds}
    notebook.metadata[executed.KEY] = stamp
    with atomic_file(copy) as temporary:
        nbformat.write(notebook, temporary)
    return seconds


def _execute(root: Path, name: str, profile: str, folder: Path) -> NotebookNode:
    # Slow to import, and an unchanged book does not need it.
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    try:
        notebook = papermill.execute_notebook(
            _read(root, name),
            None,
            parameters={"PROFILE": profile},
            cwd=folder,
            progress_bar=False,
            stderr_file=sys.stderr,
            extra_arguments=["--log-level=CRITICAL"],
        )
    except PapermillExecutionError as error:
        raise LotteryError(_failure(root, name, error)) from error
    except DeadKernelError as error:
        raise LotteryError(
            f"{name}.ipynb: Python itself stopped while a cell ran, as it does when"
            " the machine has no memory left. Close other programs and run again."
        ) from error
    for cell in notebook.cells:
        if "injected-parameters" in cell.metadata.tags:
            cell.metadata.tags.append("remove-cell")
    return notebook


def _failure(root: Path, name: str, error: Any) -> str:
    cells = _read(root, name).cells
    failed = next(cell.id for cell in cells if cell.source == error.source)
    said = f"{name}.ipynb: cell {failed!r} failed with {error.ename}: {error.evalue}\n"
    if error.ename != "LotteryError":  # which says what to do
        said += COLOURS.sub("", "\n".join(error.traceback)) + "\n"
    return f"{said}Correct the cell, or what it uses, and run again."


def _runs(root: Path) -> str:
    """Trained runs stay with the book, unless the user said where."""
    return os.environ.get("LTH_RUNS") or str(root / "_build" / "runs")


def _home(root: Path) -> str:
    """The user's home folder, or one under _build where that takes no files."""
    with suppress(RuntimeError):  # there is none
        if os.access(Path.home(), os.W_OK):
            return str(Path.home())
    home = root / "_build" / "home"
    home.mkdir(parents=True, exist_ok=True)
    return str(home)


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Set environment variables, which a notebook's kernel inherits."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="which chapters")
    parser.add_argument(
        "--profile",
        choices=PROFILES,
        default="quick",
        help="how long to train; paper: in chapters 1 to 5 and 10",
    )
    options = parser.parse_args(argv)
    print_anywhere()
    try:
        run_all(root, options.names, options.profile)
    except LotteryError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped: run it again to go on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
