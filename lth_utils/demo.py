"""The first minute: a ticket against its reinit, trained while you look on.

`lth demo` is the loop of the README with a sentence and a time for each step.
It keeps nothing, and prints plain letters, which every terminal can show.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from lth_utils.controls import control
from lth_utils.data.loading import load
from lth_utils.figures.text import curves_text
from lth_utils.masking import masked, rewind, snapshot
from lth_utils.models import LeNet
from lth_utils.pruning import prune
from lth_utils.tickets import from_seed
from lth_utils.training.evaluation import Training
from lth_utils.training.loop import train
from lth_utils.training.recipes import Recipe

SEED = 0
RECIPE = Recipe(lr=1.2e-3, iterations=1000, evaluate_every=100)
# Half a layer goes in each round, where the paper takes a fifth and needs
# three times as many rounds.
RATES = {"fc": 0.5, "output": 0.25}
ROUNDS = 4

_END = """
One seed is one lottery: these numbers have no interval, and another
seed gives others. Five seeds, at every density and with more controls,
are recorded; chapter 4 of the book draws and judges them:
  lth show lenet-mnist --profile laptop --recorded
Nothing of this demo was kept."""


def demo() -> None:
    """Find a ticket, train it and its reinit, print both beside the dense net."""
    print(f"LeNet-300-100 on digits of MNIST, {RECIPE.iterations:,} steps a training")
    with _step("load 12,000 images, which are in the package"):
        digits = load("mnist-small")
    net = masked(LeNet(SEED))
    init = snapshot(net)
    with _step("train the dense network"):
        trained = {"dense": train(net, digits, RECIPE, SEED)}
    for round in range(1, ROUNDS + 1):
        masks = prune(net, RATES)
        share = f"{100 * masks.density:.3g} %"
        with _step(f"prune to {share} of the weights, rewind them, train these"):
            rewind(net, init, masks)
            trained["ticket"] = train(net, digits, RECIPE, SEED, round)
    ticket = from_seed("lenet", SEED, masks)
    with _step("the same connections with newly drawn values: train these"):
        fresh = control(ticket, "reinit", ROUNDS, 0).build()
        trained["reinit"] = train(fresh, digits, RECIPE, SEED, ROUNDS)
    print(_numbers(trained), _plot(trained), _END, sep="\n")


@contextmanager
def _step(what: str) -> Iterator[None]:
    """Say what is done now and, when it is done, how long it took."""
    print(f"  {what:<60}", end="", flush=True)
    start = perf_counter()
    yield
    print(f"{perf_counter() - start:6.1f} s", flush=True)


def _numbers(trained: dict[str, Training]) -> str:
    """Return what each training reached, and when: a column each."""
    stops = [training.early_stop for training in trained.values()]
    points = [t.at(stop) for t, stop in zip(trained.values(), stops, strict=True)]
    rows = {
        "": list(trained),
        "early-stop iteration": [f"{stop:,}" for stop in stops],
        "test accuracy there": [f"{point.accuracy:.2%}" for point in points],
    }
    lines = [f"{what:<30}" + "".join(f"{x:>12}" for x in rows[what]) for what in rows]
    return "\n".join(["", *lines, ""])


def _plot(trained: dict[str, Training]) -> str:
    """Return the test accuracies as a picture of letters."""
    return curves_text(
        {
            arm: {
                point.iteration: 100 * point.accuracy
                for point in training.curve
                if point.split == "test"
            }
            for arm, training in trained.items()
        },
        "test accuracy (%) against the iteration",
    )
