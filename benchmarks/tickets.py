"""The tickets whose masks are timed, kept in `_build/bench`.

lenet-0 … lenet-20     a real ladder, from 100 iterations a round
conv2-11, conv4-12,    as many weights a layer as those rounds leave, the
conv6-14               largest of theta_0: nothing is trained for them
resnet20-12, vgg19-7   the same so many percent of all convolutions' weights
"""

from functools import cache
from pathlib import Path

import lth_utils as lth
from benchmarks.processes import ROOT
from lth_utils.experiments.environment import source_hash
from lth_utils.files.atomic import Kind, atomic_folder
from lth_utils.tickets import oneshot_masks

LADDER = 20  # rounds of LeNet's, down to 1.2 % of the weights
DEEP = ("conv2-11", "conv4-12", "conv6-14", "resnet20-12", "vgg19-7")
NAMES = {*DEEP, *(f"lenet-{number}" for number in range(LADDER + 1))}


@cache
def folder() -> Path:
    """Return where the tickets are; make them if they are not there."""
    place = ROOT / "_build" / "bench" / f"tickets-{source_hash()[:12]}"
    kind = Kind("tickets", lambda old: {each.name for each in old.iterdir()} == NAMES)
    if not place.exists():
        found = _ladder() | {name: _deep(name) for name in DEEP}
        with atomic_folder(place, kind) as temporary:
            for name, each in found.items():
                each.save(temporary / name)
    return place


def ticket(name: str) -> lth.Ticket:
    """Return a ticket by its name."""
    return lth.Ticket.load(folder() / name)


def _ladder() -> dict[str, lth.Ticket]:
    recipe = lth.Recipe(lr=1.2e-3, iterations=100)
    data, rates = lth.load("mnist-small"), lth.PRUNING["lenet"].rates
    found = lth.find_ticket("lenet", data, recipe, rates, LADDER)
    every = [lth.from_seed("lenet", 0), *found]
    return {f"lenet-{number}": each for number, each in enumerate(every)}


def _deep(name: str) -> lth.Ticket:
    word, number = name.split("-")
    net = lth.masked(lth.network(word, 0))
    rates = lth.PRUNING[word]
    if rates.scope == "global":
        gone = {"conv": 1 - int(number) / 100}
        masks = lth.prune(net, gone, scope="global")
    else:
        masks = oneshot_masks(net, rates.rates, rates.scope, int(number))
    return lth.from_seed(word, 0, masks)
