"""Measure how fast the library is: `python -m benchmarks.bench`, or make bench.

Prints a table of ratios and writes them to `_build/bench.json`; with --record
also to `results/bench/`, with every engine's time at each density and a page
that says how they were made.
"""

import argparse
import csv
import gzip
import io
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import torch

from benchmarks import convolutions, lenet, rivals, runs
from benchmarks.rivals import Rivals
from benchmarks.targets import TARGETS, missed
from benchmarks.today import COMMIT
from lth_utils.cli import print_anywhere
from lth_utils.experiments import recording
from lth_utils.experiments.workers import cores
from lth_utils.files.atomic import (
    Kind,
    atomic_file,
    atomic_folder,
    check_folder,
    holds,
)
from lth_utils.files.places import check_writable
from lth_utils.training.convs import lanes
from lth_utils.training.lenet.sparse import CROSSOVER, numba_version

ROOT = Path(__file__).resolve().parents[1]
FILES = ("bench.json", "steps.csv.gz", "provenance.json")
KIND = Kind("record of speed", partial(holds, names=FILES))
COLUMNS = ("contender", "round", "density", "repeat", "microseconds")
PARTS = {
    "lenet": lenet.steps,
    "evaluations": lenet.evaluations,
    "ladder": lenet.ladder,
    "processes": lenet.processes,
    "layers": convolutions.layers,
    "networks": convolutions.networks,
    "memory": runs.memory,
    "book": runs.book,
    "sweep": runs.sweep,
}


def measure(
    names: Sequence[str], rounds: int, here: Rivals
) -> tuple[dict[str, float], list[lenet.Row]]:
    """Measure some parts; return the ratios by key, and the ladder's rows."""
    found: dict[str, float] = {}
    rows: list[lenet.Row] = []
    for name in names:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        if name == "ladder":
            rows = lenet.ladder(rounds, here)
            part = {"crossover": lenet.crossings(rows)["dense"]}
        else:
            part = PARTS[name](rounds, here)
        told = ", ".join(f"{key} {value:.3g}" for key, value in part.items())
        print(f"  {told or 'left out'}", file=sys.stderr, flush=True)
        found |= part
    return found, rows


def table(found: Mapping[str, float]) -> str:
    """Return the ratios as lines: key, what it is, ratio, floor, aim, verdict."""
    lines = [("", "", "ratio", "floor", "aim", "")]
    for target in TARGETS:
        if target.key in found:
            value = found[target.key]
            words = (target.key, target.words, f"{value:.3g}")
            lines.append((*words, *target.asked(), target.verdict(value)))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )


def crossings(found: Mapping[str, float], rows: Sequence[lenet.Row]) -> list[str]:
    """Say where sparse and dense steps take as long, and what the library thinks."""
    lines = []
    if rows:
        where = lenet.crossings(rows)
        lines.append(
            "Surviving weights take as long as a step of non-zero pixels at"
            f" {where['pixels']:.2f} and of whole products at {where['mlp']:.2f};"
            f" LeNet changes at {CROSSOVER:g}."
        )
    if "conv_crossover" in found:
        lines.append(
            "Sparse convolutions take as long as torch's at"
            f" {found['conv_crossover']:.2f} of the weights in the worst shape;"
            f" networks change at {lanes.CROSSOVER:g}."
        )
    return lines


def as_json(found: Mapping[str, float]) -> str:
    """Return the ratios as a flat object, four digits each."""
    rounded = {key: float(f"{value:.4g}") for key, value in found.items()}
    return json.dumps(rounded, indent=1) + "\n"


def as_csv(rows: Sequence[lenet.Row]) -> bytes:
    """Return the ladder's rows as a compressed CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for loop, number, density, repeat, microseconds in rows:
        writer.writerow((loop, number, f"{density:.6g}", repeat, f"{microseconds:.5g}"))
    # No time stamp inside, so that the same rows give the same bytes.
    return gzip.compress(text.getvalue().encode(), mtime=0)


def provenance(rounds: int) -> dict[str, object]:
    """Say how a record was made, with both rivals here."""
    capability = torch.backends.cpu.get_cpu_capability()
    return {
        "command": "make bench RECORD=1",
        "commit": recording.commit(),
        "made": datetime.now(UTC).date().isoformat(),
        "rounds": rounds,
        "today": COMMIT,
        "versions": recording.versions()
        | {"numba": numba_version(), "sparseprop": rivals.PEER_VERSION},
        "machine": f"{platform.machine()}, {cores()} cores, {capability}",
    }


def record(
    place: Path,
    found: Mapping[str, float],
    rows: Sequence[lenet.Row],
    page: Mapping[str, object],
) -> None:
    """Write `results/bench/`, whole or not at all."""
    with atomic_folder(place, KIND) as folder:
        (folder / "bench.json").write_text(as_json(found), "utf-8")
        (folder / "steps.csv.gz").write_bytes(as_csv(rows))
        (folder / "provenance.json").write_text(json.dumps(page, indent=1) + "\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write, print; 1 if a ratio misses its floor."""
    print_anywhere()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="turns of each contender")
    parser.add_argument("--skip", nargs="+", choices=PARTS, default=[], metavar="PART")
    parser.add_argument("--record", action="store_true", help="write results/bench/")
    options = parser.parse_args(argv)
    if options.record and options.skip:
        parser.error("a record holds every part: leave out --skip")
    if options.rounds < 7:
        parser.error("fewer than 7 rounds say too little")
    ratios, place = ROOT / "_build" / "bench.json", ROOT / "results" / "bench"
    check_writable(ratios.parent)
    if options.record:
        check_folder(place, KIND)
    here = rivals.find()
    for sentence in here.absent:
        print(sentence, file=sys.stderr)
    if options.record and here.absent:
        parser.error("a record holds every row: both rivals must be here")
    names = [name for name in PARTS if name not in options.skip]
    found, rows = measure(names, options.rounds, here)
    with atomic_file(ratios) as temporary:
        temporary.write_text(as_json(found), "utf-8")
    if options.record:
        record(place, found, rows, provenance(options.rounds))
    print(table(found))
    print("\n".join([*crossings(found, rows), *here.absent]))
    return 1 if missed(found) else 0


if __name__ == "__main__":
    sys.exit(main())
