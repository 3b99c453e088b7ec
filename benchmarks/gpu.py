"""Check and measure the library on a GPU: `python3 benchmarks/gpu.py`, or make gpu.

Nothing needs to be installed but what the library imports. Each stage is saved
as it ends, and figure F4, or the experiment that --record names, batch by batch:
stopped at any moment, by whatever, it goes on at the next start. It ends by itself
within --seconds.
"""

# ruff: noqa: E402
import argparse
import hashlib
import json
import os
import platform
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

START = time.monotonic()  # the budget's: before what takes seconds to import
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch

from benchmarks import gpu_data, gpu_files, gpu_plans
from benchmarks.gpu_adopt import adopt, read_page
from benchmarks.gpu_bench import SCALES, Bench, Found, plan_of
from benchmarks.gpu_stages import STAGES, Stage, ratios
from lth_utils.data.loading import digest, resident
from lth_utils.errors import LotteryError
from lth_utils.experiments.environment import environment
from lth_utils.experiments.jobs import jobs_of
from lth_utils.experiments.plans import Plan
from lth_utils.experiments.recording import versions
from lth_utils.experiments.records import results_folder
from lth_utils.experiments.workers import cores
from lth_utils.files.atomic import atomic_file, sweep

SECONDS = 540.0
RECORD_SECONDS = 480.0


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the words say; 0, 1 if something is wrong, 2 after a mistake."""
    options = _options(argv)
    try:
        _check(options)
        if options.pack:
            packed = gpu_data.pack(options.data or "mnist")
            print(f"{packed}: {packed.stat().st_size / 1e6:.1f} MB")
        elif options.adopt:
            for path in adopt(options.adopt, results_folder()):
                print(f"wrote {path}")
        else:
            return measure(options)
    except LotteryError as error:
        print(f"gpu: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("gpu: Stopped; run again to go on.", file=sys.stderr)
        return 130
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--out", type=Path, default=gpu_files.HOME, help="where results are written")
    add(
        "--seconds",
        type=float,
        help=f"when to have ended: {SECONDS:g}, with --record {RECORD_SECONDS:g}",
    )
    add("--device", choices=("cuda", "cpu"), default="cuda")
    add("--scale", choices=SCALES, default="full", help="tiny: only to try the script")
    add(
        "--record",
        metavar="NAME",
        help="instead: train as much of an experiment's profile paper as there is"
        " time for, and record what is whole",
    )
    add("--profile", choices=("laptop", "paper"), help="its profile: paper")
    add("--tf32", action="store_true", help="let it round the factors of products")
    add("--data", metavar="NAME", help="its data set, as in lth run; or what to pack")
    add("--pack", action="store_true", help="pack MNIST or --data to bring along, end")
    add("--adopt", type=Path, metavar="OUT", help="take what came back into results/")
    return parser.parse_args(argv)


def _check(options: argparse.Namespace) -> None:
    """Refuse words that do not go together, and set the time."""
    if (options.profile or options.tf32) and not options.record:
        raise LotteryError(
            "--profile and --tf32 are of an experiment: expected --record."
        )
    if options.data and not (options.record or options.pack):
        raise LotteryError(
            f"--data is {options.data}: expected it with --record or --pack; leave it"
            " out, since the checks are on MNIST."
        )
    if options.seconds is None:
        options.seconds = RECORD_SECONDS if options.record else SECONDS
    if not options.seconds > 0:
        raise LotteryError(f"--seconds is {options.seconds:g}: expected more than 0.")


class Task(NamedTuple):
    """What is done: the stages, or an experiment, which is one stage of its own.

    Attributes:
        page: What the page is called, one of `gpu_files.PAGES`.
        name: The experiment's; "" for the stages.
        plan: What is trained.
        stages: What is done, one after the other.
    """

    page: str
    name: str
    plan: Plan
    stages: dict[str, Stage]


def measure(options: argparse.Namespace) -> int:
    """Do what is not done yet, as long as there is time."""
    _prepare(options)
    task = _experiment(options) if options.record else _checks(options)
    bench, page = _begin(options, task)
    found: dict[str, Found] = page["stages"]
    guard = _guard(bench)
    for name, stage in task.stages.items():
        if _done(found.get(name)):
            print(f"{name}: done before")
        elif bench.left > 0:
            print(f"{name} …", flush=True)
            found[name] = _run(stage, bench)
            page["ratios"] = _short(ratios(found))
            _save(bench, task, page)
            print(f"  {json.dumps(found[name])}", flush=True)
    guard.cancel()
    return _report(page, task)


def _prepare(options: argparse.Namespace) -> None:
    """Choose the device, and a store that is nobody else's."""
    if options.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # also for the library's own choice
    elif not torch.cuda.is_available():
        raise LotteryError(
            "There is no GPU that this torch can use: expected one with CUDA. To try"
            " the script itself: --device cpu --scale tiny"
        )
    # What came back from elsewhere has no weights, or other numbers in their place,
    # which do for one plan and for nothing else.
    runs = Path(os.environ.get("LTH_RUNS", ROOT / "_build" / "runs"))
    os.environ["LTH_RUNS"] = str(Path(f"{runs}-gpu") / (options.record or ""))
    torch.set_float32_matmul_precision("high" if options.tf32 else "highest")
    torch.manual_seed(0)


def _checks(options: argparse.Namespace) -> Task:
    scale = SCALES[options.scale]
    gpu_data.find(scale.data)
    return Task("stages", "", scale.plan, STAGES)


def _experiment(options: argparse.Namespace) -> Task:
    if options.data:
        gpu_data.find(options.data)  # before it is asked for by its name
    scale = SCALES[options.scale]
    plan = plan_of(options.record, options.data, scale, options.profile)
    if not options.data:
        gpu_data.find(plan.data)
    command = f"make gpu RECORD={plan.name}"
    command += f" DATA={options.data}" if options.data else ""
    command += f" PROFILE={options.profile}" if options.profile else ""
    command += " TF32=1" if options.tf32 else ""
    stages = {plan.name: lambda bench: gpu_plans.train(bench, plan, command)}
    return Task("record", plan.name, plan, stages)


def _begin(options: argparse.Namespace, task: Task) -> tuple[Bench, dict[str, Any]]:
    """Return the bench, and the page of what was found so far."""
    device, data = torch.device(options.device), task.plan.data
    resident(data, "standardize", device)  # if it is not to be had, now
    made_by = environment(digest(data), device, task.plan.parts[0].network)
    label, end = _label(task, made_by, options.scale), START + options.seconds
    bench = Bench(device, SCALES[options.scale], options.out, label, end)
    sweep(bench.out, older_than=0)
    before = _place(bench, task)
    if not before.exists():
        gpu_files.go_on(gpu_files.HOME, bench.out, label)
    found = read_page(before)["stages"] if before.exists() else {}
    page = {
        "environment": made_by,
        "scale": options.scale,
        "machine": f"{platform.machine()}, {cores()} cores",
        "versions": versions(),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "stages": found,
        "ratios": _short(ratios(found)),
    }
    _save(bench, task, page)  # a folder that cannot be written is found out now
    print(f"{made_by['device']}: {bench.left:.0f} s left, results in {bench.out}")
    return bench, page


def _label(task: Task, made_by: dict[str, str], scale: str) -> str:
    """Return what tells this run's files from those of another one."""
    jobs = [job.content() for job in jobs_of(task.plan)]
    text = json.dumps([made_by, scale, jobs], sort_keys=True)
    label = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{task.name}-{label}" if task.name else label


def _guard(bench: Bench) -> threading.Timer:
    """Let the process end when the time is up, whatever it does then."""
    guard = threading.Timer(bench.left, _time_is_up)
    guard.daemon = True
    guard.start()
    return guard


def _run(stage: Stage, bench: Bench) -> Found:
    """Return what a stage finds; one that fails does not stop the others."""
    start = time.monotonic()
    try:
        found = stage(bench)
    except LotteryError as error:
        found = {"failed": str(error)}
    except Exception:
        found = {"failed": traceback.format_exc()}
    return _short({"seconds": time.monotonic() - start, **found})


def _done(found: Found | None) -> bool:
    return found is not None and "failed" not in found and not found.get("left")


def _place(bench: Bench, task: Task) -> Path:
    return bench.out / f"{task.page}-{bench.label}.json"


def _save(bench: Bench, task: Task, page: dict[str, Any]) -> None:
    with atomic_file(_place(bench, task)) as temporary:
        temporary.write_text(json.dumps(page, indent=1) + "\n", "utf-8")


def _short(value: Any) -> Any:
    """Return what JSON can hold with four digits a number."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _short(each) for key, each in value.items()}
    return [_short(each) for each in value] if isinstance(value, list) else value


def _report(page: dict[str, Any], task: Task) -> int:
    """Print the speeds, and what is wrong or left; 1 if something is wrong."""
    found: dict[str, Found] = page["stages"]
    for row in page["ratios"]:
        print(
            f"{row['replicas']:>4} LeNets{', TF32' if row['tf32'] else '':6}"
            f" {row['steps']:>10,.0f} replica-steps/s"
            f" {row['over_textbook']:>8.1f} times the textbook's"
            f" {row['share']:>6.1%} of the roofline"
        )
    wrong = [
        f"{name}: {sentence}"
        for name, each in found.items()
        for sentence in [
            *each.get("wrong", []),
            *each.get("failed", "").splitlines()[-1:],
        ]
    ]
    for sentence in wrong:
        print(f"wrong: {sentence}")
    if left := [name for name in task.stages if not _done(found.get(name))]:
        print(f"Not finished: {', '.join(left)}. Run again to go on.")
    return 1 if wrong else 0


def _time_is_up() -> None:
    """End the process in the middle of a stage: what was finished is saved."""
    print("The time is up. Run again to go on.", flush=True)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
