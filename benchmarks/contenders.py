"""What is timed: loops that take steps, in processes that take orders.

A contender stays in its own process, with its own number of threads and its
own allocator, and waits while another one has its turn.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import cache
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import torch

import lth_utils as lth
from benchmarks import textbook
from lth_utils.experiments.environment import source_hash
from lth_utils.files.atomic import Kind, atomic_folder
from lth_utils.training.engines import Autograd, Descent
from lth_utils.training.measuring import TRAIN_SAMPLE
from lth_utils.training.mlp import MLP, linear_layers
from lth_utils.training.order import batches
from lth_utils.training.sparse import Sparse

ROOT = Path(__file__).resolve().parents[1]
BATCH = 60  # the paper's
ROUNDS = 20  # of LeNet's ladder, down to 1.2 % of the weights
RECIPE = lth.Recipe(lr=1.2e-3, iterations=10**9, batch_size=BATCH)

Steps = Callable[[int], None]


class Contender(NamedTuple):
    """A loop, and what it trains.

    Attributes:
        loop: A word of `LOOPS`.
        network: The network's word.
        data: The data set's word.
        round: The round of the ticket whose masks are trained; 0 is dense.
    """

    loop: str
    network: str = "lenet"
    data: str = "mnist-small"
    round: int = 0


# --- what they do -------------------------------------------------------------


@cache
def tickets() -> list[lth.Ticket]:
    """Return LeNet's ladder: real masks, from 100 iterations a round."""
    place = ROOT / "_build" / "bench" / f"tickets-{source_hash()[:12]}"
    numbers = range(1, ROUNDS + 1)
    names = {str(number) for number in numbers}
    ladder = Kind("ladder", lambda old: {each.name for each in old.iterdir()} == names)
    if not place.exists():
        recipe = lth.Recipe(lr=1.2e-3, iterations=100)
        data, rates = lth.load("mnist-small"), lth.PRUNING["lenet"].rates
        found = lth.find_ticket("lenet", data, recipe, rates, ROUNDS)
        with atomic_folder(place, ladder) as temporary:
            for number, ticket in zip(numbers, found, strict=True):
                ticket.save(temporary / str(number))
    return [lth.Ticket.load(place / str(number)) for number in numbers]


def ticket_of(contender: Contender) -> lth.Ticket:
    """Return what a contender trains."""
    if contender.round:
        return tickets()[contender.round - 1]
    return lth.from_seed(contender.network, 0)


def _ours(contender: Contender) -> Steps:
    """An engine of the library, fed as `training.train` feeds it."""
    net, data = ticket_of(contender).build(), lth.load(contender.data)
    if contender.loop == "autograd":
        engine = Autograd(net, RECIPE, data)
    else:
        layers = linear_layers(net)
        assert layers is not None
        engine = {"mlp": MLP, "sparse": Sparse}[contender.loop](layers, RECIPE, data)
    order = batches(len(data.train.labels), RECIPE, 0, 0)

    def steps(count: int) -> None:
        engine.steps(torch.stack(list(islice(order, count))))

    return steps


def _textbook(contender: Contender) -> Steps:
    torch.manual_seed(0)
    net, data = textbook.pruned(ticket_of(contender)), lth.load(contender.data)
    order = textbook.forever(textbook.loader(data, data.train, BATCH, shuffle=True))
    optimizer = torch.optim.Adam(net.parameters(), lr=RECIPE.lr)

    def steps(count: int) -> None:
        textbook.train(net, order, optimizer, count)

    return steps


def _evaluation(contender: Contender) -> Steps:
    """The textbook's evaluation of validation, test and 5,000 training images."""
    net, data = textbook.pruned(ticket_of(contender)), lth.load(contender.data)
    some = lth.Split(*(each[:TRAIN_SAMPLE] for each in data.train))
    splits = (data.validation, data.test, some)
    loaders = [textbook.loader(data, each, 1000, shuffle=False) for each in splits]

    def steps(count: int) -> None:
        for _ in range(count):
            for each in loaders:
                textbook.evaluate(net, each)

    return steps


def _limit(_: Contender) -> Steps:
    """The least that a dense LeNet step needs: its eight products, one Adam sweep."""
    units = (784, 300, 100, 10)
    layers = list(pairwise(units))
    parameter = torch.zeros(sum((inputs + 1) * outputs for inputs, outputs in layers))
    parameter.grad = torch.randn_like(parameter)
    descent = Descent([parameter], RECIPE)
    weights = [torch.randn(outputs, inputs) for inputs, outputs in layers]
    gradients = [torch.empty_like(weight) for weight in weights]
    signals = [torch.randn(BATCH, count) for count in units]
    deltas = [torch.randn(BATCH, count) for count in units]

    def steps(count: int) -> None:
        for _ in range(count):
            for number, weight in enumerate(weights):
                torch.mm(signals[number], weight.t(), out=signals[number + 1])
            for number, weight in enumerate(weights):
                after = deltas[number + 1]
                torch.mm(after.t(), signals[number], out=gradients[number])
                if number:
                    torch.mm(after, weight, out=deltas[number])
            descent.step()

    return steps


LOOPS: dict[str, Callable[[Contender], Steps]] = {
    "textbook": _textbook,
    "textbook evaluation": _evaluation,
    "autograd": _ours,
    "mlp": _ours,
    "sparse": _ours,
    "limit": _limit,
}


# --- the processes that they live in ------------------------------------------


class Process:
    """A process that builds contenders when it is first asked for them.

    Args:
        threads: Its number of threads.
        environment: More variables, such as a worker's.
    """

    def __init__(
        self, threads: int, environment: Mapping[str, str] | None = None
    ) -> None:
        count = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.contenders"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **(environment or {}), **count},
        )

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def order(self, contender: Contender, steps: int) -> None:
        """Have a contender take its turn; `answer` waits for it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([*contender, steps]) + "\n")
        self._process.stdin.flush()

    def answer(self) -> float:
        """Return the seconds that the turn took.

        Raises:
            RuntimeError: If the process died; it has said why.
        """
        assert self._process.stdout is not None
        if not (line := self._process.stdout.readline()):
            raise RuntimeError("A contender failed; its traceback is above.")
        return float(line)

    def seconds(self, contender: Contender, steps: int) -> float:
        """Return the seconds that so many steps take now."""
        self.order(contender, steps)
        return self.answer()


def serve() -> None:
    """Take orders from the standard input, one a line."""
    threads = int(os.environ["OMP_NUM_THREADS"])
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # in every contender: only time is compared
    # One thread's own time: what else runs on the machine does not count.
    now = time.process_time if threads == 1 else time.perf_counter
    build = cache(lambda contender: LOOPS[contender.loop](contender))
    for line in sys.stdin:
        *words, count = json.loads(line)
        steps = build(Contender(*words))
        start = now()
        steps(count)
        print(now() - start, flush=True)


if __name__ == "__main__":
    serve()
