"""How long an experiment will take here: `python -m benchmarks.hours conv2 laptop`.

A few steps and one evaluation are timed at each round's density, in one thread,
and multiplied out. A mask is that of the largest initial weights: what a step
costs depends on its size, and hardly on which weights it leaves.
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable
from itertools import islice

import torch

import lth_utils as lth
from lth_utils.data.loading import resident
from lth_utils.experiments.plans import Experiment
from lth_utils.experiments.workers import cores
from lth_utils.tickets import oneshot_masks
from lth_utils.training.choice import engine_for
from lth_utils.training.order import batches

STEPS = 5


def main() -> None:
    """Print each part's hours of one core, and those of all on every core."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="an experiment, as in lth list")
    parser.add_argument("profile", nargs="?", default="laptop")
    parser.add_argument("--data", help="another data set, as in lth run")
    words = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    plan = lth.experiment(words.name, words.profile, data=words.data)
    total = 0.0
    for part in plan.parts:
        hours = seconds_of(part) / 3600
        total += hours
        print(f"{part.name}: {hours:.1f} hours of one core", flush=True)
    print(f"{plan.name}: {total / cores():.1f} hours on {cores()} cores")


def seconds_of(part: Experiment) -> float:
    """Return the processor's seconds that all trainings of a part will take."""
    rounds = Counter(round for _, _, _, round in part.trainings())
    total = 0.0
    for round, count in sorted(rounds.items()):
        step, look = seconds_at(part, round)
        looks = part.recipe.iterations / part.recipe.evaluate_every
        total += count * (part.recipe.iterations * step + looks * look)
        print(
            f"  round {round}: {count} trainings, {1000 * step:.1f} ms a step,"
            f" {look:.1f} s an evaluation",
            flush=True,
        )
    return total


def seconds_at(part: Experiment, round: int) -> tuple[float, float]:
    """Return the processor's seconds of a step, and of a look at the validation split.

    Args:
        part: The experiment.
        round: The pruning round, whose number of weights is left.
    """
    data = resident(part.data, part.scaling, torch.device("cpu"))
    data = data.augmented(part.recipe.flip, part.recipe.crop)
    net = lth.masked(lth.network(part.network))
    if round:
        rates, scope = part.pruning.rates, part.pruning.scope
        lth.apply_masks(net, oneshot_masks(net, rates, scope, round))
    engine = engine_for(net, part.recipe, data)
    order = batches(data.train.size, part.recipe, 0, round, data.views)
    rows = torch.stack(list(islice(order, STEPS + 1)))
    engine.steps(rows[:1])
    step = _timed(lambda: engine.steps(rows[1:])) / STEPS
    return step, _timed(lambda: engine.measure(data.validation))


def _timed(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


if __name__ == "__main__":
    main()
