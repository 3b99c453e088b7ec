"""Where jobs run: one-thread processes that take one job at a time.

Two processes of one thread beat one process of two threads by half, and one
thread fixes the order of every sum, so a result's bits depend neither on the
number of workers nor on which of them trained it. A worker is a plain
subprocess (`python -m lth_utils.experiments.workers`) that reads jobs as JSON
lines and answers each with one; it ends at once when its parent does, however
that died. Unlike `multiprocessing` it never imports the user's script again.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lth_utils.data.loading import digest
from lth_utils.data.pictures import RESIZED
from lth_utils.errors import LotteryError
from lth_utils.experiments.jobs import Job, Result
from lth_utils.experiments.perform import perform
from lth_utils.experiments.store import Store

if TYPE_CHECKING:
    import torch

_KEPT = "Finished rounds are kept: run again to go on."

# One thread, of Numba's too, which would undo what the others were told; and a
# glibc that keeps the memory which a step frees for the next one, up to 32 MB a
# piece (more it may refuse), instead of asking the system for zeroed pages each
# time: 1.1 times as fast for convolutions, 1.4 when they are evaluated.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
}


def cores() -> int:
    """The number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Worker:
    """A one-thread process that trains one job at a time.

    Args:
        store: Where it finds parents and keeps results.
        device: Where it trains, such as "cpu".
    """

    def __init__(self, store: Store, device: str) -> None:
        self._order = {
            "folder": str(store.folder),
            "environment": dict(store.environment),
            "device": device,
        }
        package = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lth_utils.experiments.workers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if sys.stderr else subprocess.DEVNULL,  # ours may be closed
            text=True,
            env=os.environ | ENVIRONMENT | {"PYTHONPATH": path},
        )

    def train(self, jobs: Sequence[Job]) -> None:
        """Have the jobs trained, together if they are several, and kept.

        Raises:
            LotteryError: If it failed for a reason that a sentence can say.
            RuntimeError: If it failed for any other; holds the traceback.
        """
        order = self._order | {"jobs": [asdict(job) for job in jobs]}
        answer = self._ask(json.dumps(order))
        if not answer:
            code, job = self._process.wait(), jobs[0]
            raise LotteryError(
                f"A worker process died (exit code {code}) while training {job.arm},"
                f" seed {job.seed}, round {job.round}: expected it to finish; the"
                f" usual cause is too little memory, so try fewer workers. {_KEPT}"
            )
        reply: dict[str, str] = json.loads(answer)
        if sentence := reply.get("sentence"):
            raise LotteryError(sentence)
        if trace := reply.get("traceback"):
            raise RuntimeError(f"A worker failed:\n{trace}")

    def _ask(self, line: str) -> str:
        to, back = self._process.stdin, self._process.stdout
        assert to is not None
        assert back is not None
        try:
            to.write(line + "\n")
            to.flush()
        except BrokenPipeError:
            return ""
        return back.readline()

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.communicate()


def work(
    jobs: Sequence[Job],
    store: Store,
    device: str,
    workers: int,
    report: Callable[[Job], None],
) -> None:
    """Train all jobs, each after its parent; return when all are kept.

    Args:
        jobs: What the store lacks, parents before children.
        store: Where results are kept.
        device: Where to train.
        workers: How many processes.
        report: Called after each job.

    Raises:
        LotteryError: The first failure; what was finished is kept.
    """
    # A GPU is one place, where what is ready and alike trains together.
    together = device.startswith("cuda")
    crew = (
        [Worker(store, device)]
        if together
        else [Worker(store, device) for _ in range(min(workers, len(jobs)))]
    )
    idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
    for worker in crew:
        idle.put(worker)

    def train(jobs: list[Job]) -> None:
        worker = idle.get()
        worker.train(jobs)
        idle.put(worker)

    waiting, running = list(jobs), dict[Future[None], list[Job]]()
    with ThreadPoolExecutor(len(crew)) as threads:
        try:
            while waiting or running:
                free = len(crew) - len(running)
                for batch in _ready(waiting, running.values(), store, free, together):
                    waiting = [job for job in waiting if job not in batch]
                    running[threads.submit(train, batch)] = batch
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    batch = running.pop(future)
                    future.result()
                    for job in batch:
                        report(job)
        finally:  # inside the pool, whose threads may be waiting for an answer
            for worker in crew:
                worker.stop()


def _ready(
    waiting: Sequence[Job],
    running: Collection[Sequence[Job]],
    store: Store,
    free: int,
    together: bool,
) -> list[list[Job]]:
    """Return the first `free` batches of jobs whose parents are finished.

    A batch is a single job, or, where jobs train together, all that are alike.
    """
    found: list[list[Job]] = []
    # A parent in the store that is trained again, for its curves, is replaced.
    open_ = {*waiting, *chain.from_iterable(running)}
    for job in waiting:
        parent = job.parent()
        if parent is not None and (parent in open_ or not store.has(parent)):
            continue
        alike = [batch for batch in found if together and _alike(batch[0], job)]
        if alike:
            alike[0].append(job)
        elif len(found) < free:
            found.append([job])
        elif not together:
            break
    return found


def _alike(one: Job, other: Job) -> bool:
    """Whether two jobs can train in one stack."""
    kinds = [(j.network, j.data, j.scaling, j.recipe) for j in (one, other)]
    return kinds[0] == kinds[1]


# --- the worker's side -------------------------------------------------------


def _serve() -> None:
    """Train the jobs that come as lines on the standard input."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # denormals slow long runs by up to 1.3 times
    for said in ("Sparse networks train", RESIZED):  # by the parent
        warnings.filterwarnings("ignore", message=said)
    # NumPy 2.0 looks for denormals after they were switched off.
    warnings.filterwarnings("ignore", message="The value of the smallest subnormal")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else is printed goes to the standard error
    orders: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    while True:
        print(json.dumps(_answer(json.loads(orders.get()))), file=answers, flush=True)


def _listen(orders: "queue.SimpleQueue[str]") -> None:
    """Queue the lines that come; end the process when the parent is gone."""
    for line in sys.stdin:
        orders.put(line)
    os._exit(0)


def _answer(order: dict[str, Any]) -> dict[str, str]:
    """Train one job; return {} or what went wrong."""
    import torch

    store = Store(Path(order["folder"]), order["environment"])
    jobs = [Job.from_json(job) for job in order["jobs"]]
    try:
        _check_data(jobs[0].data, order["environment"]["data"])
        parents = [store.read(p) if (p := job.parent()) else None for job in jobs]
        results = _performed(jobs, parents, torch.device(order["device"]))
        for job, result in zip(jobs, results, strict=True):
            store.write(job, result)
    except LotteryError as error:
        return {"sentence": str(error)}
    except torch.OutOfMemoryError as error:
        return {"sentence": f"The GPU's memory is full: use fewer workers. {error}"}
    except Exception:
        return {"traceback": traceback.format_exc()}
    return {}


def _check_data(name: str, started_with: str) -> None:
    """Refuse pictures that were changed since the run began."""
    if digest(name) != started_with:
        raise LotteryError(
            f"The pictures of {name!r} were changed while the run went on: expected"
            f" them to stay as they are, since a result belongs to its data. {_KEPT}"
        )


def _performed(
    jobs: Sequence[Job], parents: Sequence[Result | None], device: "torch.device"
) -> list[Result]:
    """Train the jobs; what goes wrong says where, and that nothing is lost."""
    try:
        return perform(jobs, parents, device)
    except LotteryError as error:
        job, more = jobs[0], len(jobs) - 1
        beside = f", or one of the {more} trained beside it" if more else ""
        raise LotteryError(
            f"{error} It was {job.arm} of {job.network}, seed {job.seed}, round"
            f" {job.round}{beside}. Finished rounds are kept."
        ) from error


if __name__ == "__main__":
    _serve()
