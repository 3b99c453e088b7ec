"""Exercises of chapter 6: Dropout."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lth_utils.exercises.checks import (
    called,
    demand,
    exercise,
    grid,
    near,
    returned,
    several,
    whole,
)
from lth_utils.exercises.toys import half_silent
from lth_utils.experiments.catalogue import experiment
from lth_utils.experiments.plans import Experiment


@exercise(
    "6.A",
    expects="a function of (signal, chances, p) that returns an array",
    right="Left out or made up for: on average a unit says what it says.",
)
def _(answer: Any) -> None:
    draw = torch.Generator().manual_seed(0)
    signal = torch.rand(6, 9, generator=draw) + 1
    chances = torch.rand(6, 9, generator=draw)
    p, shape = 0.2, (6, 9)
    found = grid(returned(answer, signal.clone(), chances.clone(), p), shape)
    kept = (chances >= p).float()

    def like(values: Tensor) -> bool:
        return np.allclose(found, values, atol=1e-5)

    hints = {
        "All units are still there.": signal,
        "That says who is kept. What do they say?": kept,
        "Half of it: what is kept must make up for what is left out.": signal * kept,
        "Divided by p. How large a share is kept?": signal * kept / p,
        "It is too weak now: divide by the share that is kept.": (
            signal * kept * (1 - p)
        ),
    }
    for hint, values in hints.items():
        demand(not like(values), hint)
    turned = np.array_equal(found != 0, kept.numpy() == 0)
    demand(not turned, "Those that should be left out are kept, and the others not.")
    gone = found[(chances < p).numpy()]
    demand(not gone.any(), "A unit whose chance is below p should say 0.")
    hint = "What is kept is divided by 1 - p, and what is left out is 0."
    demand(like(signal * kept / (1 - p)), hint)
    most = grid(answer(signal.clone(), chances.clone(), 0.75), shape)
    hint = "It has to work for another p."
    demand(np.allclose(most, signal * (chances >= 0.75) * 4, atol=1e-5), hint)


@exercise(
    "6.B",
    expects="a function of (mask, before, behind) that returns a whole number",
    right="A weight works if it is alive, and both units that it joins are there.",
)
def _(answer: Any) -> None:
    draw = torch.Generator().manual_seed(1)
    mask = torch.rand(20, 20, generator=draw) < 0.4
    before = torch.rand(20, generator=draw) < 0.4
    behind = torch.rand(20, generator=draw) < 0.7
    found = whole(returned(answer, mask.clone(), before.clone(), behind.clone()))

    def count(ends: Tensor) -> int:
        return int((mask & ends).sum())

    both = behind[:, None] & before
    hints = {
        int(mask.sum()): "Those are alive. Some of them rest in this step.",
        int(both.sum()): "Some of those are pruned.",
        count(behind[:, None] | before): "Both of its units must be there, not one.",
        count(both.T): "A row of the mask is a unit behind, a column one before.",
        count(~both): "Those are alive and rest. How many work?",
        count(~behind[:, None] & ~before): "Those join two units that are left out.",
        count(before.expand(20, 20)): "Is the unit behind there, too?",
        count(behind[:, None].expand(20, 20)): "Is the unit before there, too?",
    }
    for wrong, hint in hints.items():
        demand(found != wrong, f"{found} is not it. {hint}")
    near(found, count(both), "Alive, and the unit before and the one behind are kept.")
    wide = torch.ones(3, 5, dtype=torch.bool)
    more = whole(called(answer, wide, torch.arange(5) > 1, torch.arange(3) > 0))
    near(more, 6, "It has to work for 3 units behind and 5 before.")


@exercise(
    "6.C",
    expects="a function of (plain, dropout) that returns an experiment",
    right="One thing is changed: no unit is left out, and all else is as it was.",
)
def _(answer: Any) -> None:
    # In this profile the parts differ in their learning rates as well.
    plain, dropout = experiment("conv2-dropout", "laptop").parts
    found = returned(answer, plain, dropout)
    demand(
        isinstance(found, Experiment),
        "Expected an experiment, such as replace(dropout, recipe=...) returns, and"
        f" got a value of type {type(found).__name__}.",
    )
    asked, recipe = dropout.recipe, found.recipe
    demand(recipe != plain.recipe, "So it is trained already: that is the plain part.")
    demand(not recipe.dropout, "It still leaves units out.")
    hint = f"It has {recipe.iterations:,} iterations, and the dropout part others."
    demand(recipe.iterations == asked.iterations, hint)
    hint = "The learning rate is the plain part's: that would be a second change."
    demand(recipe.lr == asked.lr, hint)
    hint = "Something else in the recipe has changed, too."
    demand(recipe == replace(asked, dropout=0.0), hint)
    for name in ("network", "data", "scaling"):
        same = getattr(found, name) == getattr(dropout, name)
        demand(same, f"It has another {name}: change one thing.")
    hint = "Its seeds are others: nothing could be compared in pairs."
    demand(set(found.seeds) <= set(dropout.seeds), hint)
    demand("dense" in found.arms, "The dense network is not among its arms.")


@exercise(
    "6.1",
    expects="a function of four accuracies that returns what is left over",
    right="0 would be two gains that add up. Above it, they help each other.",
)
def _(answer: Any) -> None:
    corners = [pd.Series(c) for c in ([50.0, 52], [57.0, 55], [53.0, 58], [65.0, 60])]
    dense, ticket, dropout, both = (corner.to_numpy() for corner in corners)
    told = returned(answer, *(corner.copy() for corner in corners))
    found = np.array(several(told, 2, "a number a seed"))
    wanted = both - ticket - dropout + dense
    hints = {
        "The sign is turned: more than the sum of the gains is above 0.": -wanted,
        "That is all that both gained.": both - dense,
        "That is what both should reach. By how much do they miss it?": (
            ticket + dropout - dense
        ),
        "That is what dropout does to the ticket. And to the dense network?": (
            both - ticket
        ),
        "That is what pruning does with dropout. And without?": both - dropout,
        "That holds both against the better of the two, not against their sum.": (
            both - np.maximum(ticket, dropout)
        ),
        "The dense network is in each gain: take it away in both.": (
            both - ticket - dropout
        ),
    }
    for hint, values in hints.items():
        demand(not np.allclose(found, values), hint)
    hint = "Both, minus the dense network, minus the one gain, minus the other."
    demand(np.allclose(found, wanted), hint)


@exercise(
    "6.2",
    expects="a function of (subnetwork, count) that returns (images, classes)",
    right="So many subnetworks, each with one vote that says how sure it is.",
)
def _(answer: Any) -> None:
    draw = torch.Generator().manual_seed(2)
    scores = 4 * torch.randn(12, 5, 3, generator=draw)

    def asked(count: int) -> tuple[np.ndarray, int]:
        """Ask the reader's function, and count how often it asks a subnetwork."""
        others = iter(scores)
        found = returned(answer, lambda: next(others).clone(), count)
        return grid(found), 12 - len(list(others))

    found, times = asked(8)
    demand(times > 1, "It asks one subnetwork. Call `subnetwork()` each time anew.")
    demand(times == 8, f"It asks {times} subnetworks, and `count` says 8.")
    hint = f"Expected a row an image, a column a class, and got {found.shape}."
    demand(found.shape == (5, 3), hint)
    eight = scores[:8]
    votes = F.one_hot(eight.argmax(2), 3).float()
    wrong = {
        "That is the sum: divide by the number of subnetworks.": eight.softmax(2).sum(
            0
        ),
        "Those are mean scores: make probabilities of each one's first.": eight.mean(0),
        "Make probabilities first and average afterwards.": eight.mean(0).softmax(1),
        "Each image's probabilities add up to 1, not each class's.": (
            eight.softmax(1).mean(0)
        ),
        "That counts each vote as 1, however sure: average the probabilities.": (
            votes.mean(0)
        ),
        "Those are logarithms of probabilities.": eight.log_softmax(2).mean(0),
    }
    for hint, values in wrong.items():
        demand(not np.allclose(found, values, atol=1e-5), hint)
    hint = "The mean of what softmax makes of each subnetwork's scores."
    demand(np.allclose(found, eight.softmax(2).mean(0), atol=1e-5), hint)
    _, times = asked(3)
    demand(times == 3, "It has to work for another `count`.")


@exercise(
    "6.3",
    expects="a function of (net, images) that returns two numbers, in percent",
    right="Counted for each image, over all units of a layer.",
)
def _(answer: Any) -> None:
    net, images = half_silent()
    sides = _said(net, images)
    told = returned(answer, net, images.clone())
    found = several(told, 2, "two numbers: of fc1's units and of fc2's")

    def both(share: Callable[[Tensor], Tensor]) -> list[float]:
        return [share(said == 0).item() for said in sides]

    wanted = [100 * share for share in both(lambda none: none.float().mean())]
    hints = {
        "Those are fractions: in percent, please.": [share / 100 for share in wanted],
        "Those are the units that say something.": [100 - share for share in wanted],
        "fc1 first, and then fc2.": wanted[::-1],
        "Those say 0 to every image. Count each image by itself.": [
            100 * share for share in both(lambda none: none.all(0).float().mean())
        ],
        "That is a number of units. How many percent of the layer's are they?": both(
            lambda none: none.float().sum(1).mean()
        ),
    }
    for hint, values in hints.items():
        demand(not np.allclose(found, values, atol=1e-3), hint)
    for layer, value, share in zip(("fc1", "fc2"), found, wanted, strict=True):
        hint = f"That is {layer}: how many of its outputs, behind ReLU, are 0?"
        near(value, share, hint, within=0.05)
    again = _said(net, images)
    same = all(map(torch.equal, sides, again))
    demand(same, "The network is not as it was: a hook stays until it is removed.")


def _said(net: nn.Module, images: Tensor) -> list[Tensor]:
    """Return what the units of fc1 and of fc2 say to some images."""
    said: list[Tensor] = []
    hooks = [
        net.get_submodule(name).register_forward_hook(
            lambda _, __, out: said.append(out)
        )
        for name in ("drop1", "drop2")
    ]
    with torch.no_grad():
        net(images)
    for hook in hooks:
        hook.remove()
    return said
