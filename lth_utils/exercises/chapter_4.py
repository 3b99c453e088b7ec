"""Exercises of chapter 4: Fully connected networks."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lth_utils.evidence.pairs import by_seed, points
from lth_utils.exercises.checks import (
    array,
    demand,
    exercise,
    named,
    near,
    number,
    returned,
    several,
)
from lth_utils.experiments.records import recorded
from lth_utils.experiments.tables import early_stop
from lth_utils.masks import Masks, weights_and_masks
from lth_utils.pruning import keep, random_scores
from lth_utils.tickets import Ticket, from_seed


@exercise(
    "4.A",
    expects="a function of (ticket, seed)",
    right="The structure is the ticket's, to the last connection; the values are not.",
)
def _(answer: Any) -> None:
    ticket = _ticket()
    net = _built(returned(answer, _ticket(), 1), ticket)
    fresh, own = {}, {}
    for name, mask in ticket.masks.items():
        weight = array(net.get_parameter(name), tuple(mask.shape))
        alive = mask.numpy()
        gone = "Weights that the ticket has lost are alive: the masks are missing."
        demand(not weight[~alive].any(), f"{name}: {gone}")
        demand(weight[alive].all(), f"{name}: some of the ticket's weights are 0.")
        fresh[name], own[name] = weight[alive], ticket.init[name].numpy()[alive]
    same = np.mean([np.isin(fresh[name], own[name]).mean() for name in fresh])
    stays = all(np.array_equal(fresh[name], own[name]) for name in fresh)
    demand(not stays, "These are the ticket's own values: draw new ones.")
    demand(same < 0.5, "These are the ticket's own values, in other places.")
    _of_its_law(fresh, {name: mask.shape for name, mask in ticket.masks.items()})
    biases = [p for name, p in net.named_parameters() if name not in ticket.masks]
    demand(not any(array(bias).any() for bias in biases), "Biases start from 0.")
    _holds(net, ticket.masks)
    again, other = (_built(answer(_ticket(), seed), ticket) for seed in (1, 2))
    demand(_alike(net, again), "The same seed gives two networks: use no other chance.")
    demand(not _alike(net, other), "Two seeds give the same network.")


@exercise(
    "4.B",
    expects="a number, such as 0.8",
    right="Above 1, the seeds that were good for one were less good for the other.",
)
def _(answer: Any) -> None:
    stops = early_stop(recorded("lenet-mnist"))
    one, other = (by_seed(stops, arm, 7) for arm in ("ticket", "reinit"))
    together, apart = (one - other).std(), (one.var() + other.var()) ** 0.5
    value, expected = number(answer), together / apart
    paired_only = "That is the paired spread: divide it by the other one."
    found = {
        apart / together: "That is the other way round.",
        expected**2: "That compares variances: take the root of both.",
        together / (one.std() + other.std()): "Spreads do not add up, variances do.",
        together: paired_only,
        100 * together: paired_only,
    }
    for wrong, hint in found.items():
        demand(abs(value - wrong) > 0.005 * wrong, hint)
    hint = "How far do the differences spread, and how far if nothing were shared?"
    near(value, expected, hint, within=0.01)


@exercise(
    "4.C",
    expects="two numbers, in points, such as (0.5, 0.4)",
    right="So much of this lead, too, is only that the ticket is sooner.",
)
def _(answer: Any) -> None:
    table = recorded("lenet-mnist", profile="paper")
    early, late = several(answer, 2, "two numbers, in points")
    soon, end = (_lead(table, "dense", length) for length in (1000, 50_000))
    fraction = abs(100 * early - soon) < 0.01
    demand(not fraction, "Those are fractions, and 0.01 is one point.")
    swapped = abs(early - end) < 0.01 and abs(late - soon) < 0.01
    demand(not swapped, "The shorter training comes first.")
    demand(abs(early + soon) > 0.01, "That is dense minus ticket.")
    reinit = abs(early - _lead(table, "reinit", 1000)) < 0.01
    demand(not reinit, "That is the gap to the reinit, which the text has already.")
    hint = "lth.points(cut(1000), ...), and the mean over the seeds, in points."
    near(early, soon, f"After 1,000: {hint}", within=0.01)
    near(late, end, "After 50,000: nothing is cut off.", within=0.01)


@exercise(
    "4.1",
    expects="a function of (ticket, seed)",
    right="If the sceptic is right, this network learns as well as the ticket.",
)
def _(answer: Any) -> None:
    ticket = _ticket()
    what = "first values by name, as in ticket.init"
    found = _values(returned(answer, _ticket(), 1), ticket, what)
    sizes = {name: np.abs(values) for name, values in _alive(ticket.init, ticket)}
    signs = {name: np.sign(values) for name, values in _alive(ticket.init, ticket)}
    fresh = dict(_alive(found, ticket))
    for name, values in fresh.items():
        moved = np.array_equal(np.sort(np.abs(values)), np.sort(sizes[name]))
        kept = np.allclose(np.abs(values), sizes[name])
        demand(kept or not moved, f"{name}: the sizes are there, in other places.")
        demand(kept, f"{name}: some value has not the size that the ticket gives it.")
    turned = {name: (np.sign(fresh[name]) != signs[name]).mean() for name in fresh}
    hint = "What else does a number have than its size?"
    demand(max(turned.values()) > 0, f"These are the ticket's values still. {hint}")
    demand(min(turned.values()) > 0, f"One layer is the ticket's still. {hint}")
    every = min(turned.values()) == 1
    demand(not every, "All signs are turned: they still know of each other.")
    one = any(abs(np.sign(values).mean()) > 0.9 for values in fresh.values())
    demand(not one, "All of one sign: that is a second change, the mean is not 0 now.")
    for name, share in turned.items():
        near(share, 0.5, f"So many of {name} change sign: toss a coin.", within=0.1)
    again, other = (
        dict(_alive(_values(answer(_ticket(), seed), ticket, what), ticket))
        for seed in (1, 2)
    )
    twice = all(np.array_equal(fresh[name], again[name]) for name in fresh)
    demand(twice, "The same seed gives two answers: let the seed decide.")
    same = all(np.array_equal(fresh[name], other[name]) for name in fresh)
    demand(not same, "Two seeds give the same values: let the seed decide.")


@exercise(
    "4.2",
    expects='pairs of arms by letter, such as {"a": ("dense", "ticket"), ...}',
    right="Each pair differs in one thing.",
)
def _(answer: Any) -> None:
    expected = {
        "a": {"ticket", "reinit"},
        "b": {"reinit", "random"},
        "c": {"ticket", "continued"},
        "d": {"oneshot", "oneshot-reinit"},
    }
    hints = {
        ("b", "ticket"): "The ticket's values were found with its structure: these two"
        " differ in more than one thing.",
        ("c", "oneshot"): "One-shot has fewer trainings, too.",
        ("d", "reinit"): "These two have other masks, too.",
        ("d", "ticket"): "The claim is about masks found at once.",
    }
    answer = answer.to_dict() if hasattr(answer, "to_dict") else answer
    demand(isinstance(answer, Mapping), "Expected a pair of arms for each letter.")
    found = {str(key).strip(" .:()").lower(): pair for key, pair in answer.items()}
    named(found, expected, "a pair of arms")
    for letter, wanted in expected.items():
        pair = _pair(found[letter], letter)
        for (which, arm), hint in hints.items():
            wrong = letter == which and arm in pair - wanted
            demand(not wrong, f"{letter}: {hint}")
        dense = "dense" in pair
        demand(not dense, f"{letter}: the dense network differs in its density, too.")
        hint = "What does the claim name? All else has to be the same in both."
        demand(pair == wanted, f"{letter}: {hint}")


@exercise(
    "4.3",
    expects="a function of two arrays that returns two numbers",
    right="One seed with a very early stop moves the second number most.",
)
def _(answer: Any) -> None:
    slow, fast = np.array([3000, 5000, 4000]), np.array([1000, 2500, 4000])
    found = returned(answer, slow, fast)
    of_means, of_ratios = several(found, 2, "two numbers")
    swapped = round(of_means, 6) == 2.0 and round(of_ratios, 6) == 1.6
    demand(not swapped, "The ratio of means comes first.")
    hint = "divide the mean of slow by the mean of fast."
    near(of_means, 1.6, f"Ratio of means: {hint}", within=1e-6)
    hint = "divide seed by seed, then average."
    near(of_ratios, 2.0, f"Mean of ratios: {hint}", within=1e-6)


@exercise(
    "4.4",
    expects="two shares between 0 and 1, such as (0.9, 0.95)",
    right='So a "95 % interval" of three seeds is wrong once in four times.',
)
def _(answer: Any) -> None:
    three, five = several(answer, 2, "two shares")
    demand(three <= 1 and five <= 1, "A share is at most 1: 75 % is 0.75.")
    demand(three < five, "More seeds are right more often: three come first.")
    hint = "An interval is right if its low end is below 0 and its high end above."
    near(three, 0.75, f"Three seeds: {hint}", within=0.08)
    near(five, 0.83, f"Five seeds: {hint}", within=0.07)


def _lead(table: pd.DataFrame, other: str, length: int) -> float:
    """Return by how many points the ticket leads, had training ended sooner."""
    rows = table[table["arm"].isin(["ticket", other]) & table["round"].isin([0, 7])]
    stops = early_stop(rows[rows["iteration"] <= length])
    return float(points(stops, "ticket", other, 7).mean())


def _ticket() -> Ticket:
    """Return a ticket of LeNet with two fifths of its weights; its mask is by lot."""
    every = from_seed("lenet", 0).masks
    counts: dict[tuple[str, ...], int] = {
        (name,): round(0.4 * mask.numel()) for name, mask in every.items()
    }
    masks = keep(random_scores(every, 7), every, counts)
    return from_seed("lenet", 0, masks)


def _built(answer: Any, ticket: Ticket) -> nn.Module:
    """Read a network; a ticket is one at its start."""
    net = answer.build() if isinstance(answer, Ticket) else answer
    kind = type(net).__name__
    demand(isinstance(net, nn.Module), f"Expected a network, and got a {kind}.")
    lacks = set(ticket.masks) - {name for name, _ in net.named_parameters()}
    demand(not lacks, "Expected a LeNet, as the ticket's network is.")
    return net


def _of_its_law(fresh: Mapping[str, Any], shapes: Mapping[str, Any]) -> None:
    """Demand Gaussian Glorot values in each layer."""
    law = {name: (2 / sum(shape)) ** 0.5 for name, shape in shapes.items()}
    spreads = {name: float(np.std(values)) for name, values in fresh.items()}
    one = max(spreads.values()) / min(spreads.values()) < 1.15
    demand(not one, "All layers are drawn from one law: each has its own.")
    for name, spread in spreads.items():
        hint = f"So far {name} spreads: take the law of the whole layer, as LeNet does."
        near(round(spread, 4), law[name], hint, within=0.15 * law[name])
        bounded = np.abs(fresh[name]).max() < 1.8 * law[name]
        demand(not bounded, f"{name}: these lie evenly between bounds: no Gaussian.")


def _holds(net: nn.Module, masks: Masks) -> None:
    """Demand that training will leave pruned weights at 0."""
    obeyed = weights_and_masks(net)
    hint = "Pruned weights are 0, but nothing will keep them there: lth.masked does."
    demand(set(obeyed) >= set(masks), hint)
    same = all(torch.equal(obeyed[n][1].cpu() != 0, masks[n]) for n in masks)
    demand(same, hint)


def _alike(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(mine, its) for mine, its in pairs)


def _values(answer: Any, ticket: Ticket, what: str) -> dict[str, Tensor]:
    """Read values by name: a mapping, a network, or a ticket."""
    if isinstance(answer, Ticket):
        answer = answer.init
    if isinstance(answer, nn.Module):
        answer = dict(answer.named_parameters())
    demand(isinstance(answer, Mapping), f"Expected {what}.")
    lacks = [name for name in ticket.masks if name not in answer]
    demand(not lacks, f"Expected {what}: {', '.join(lacks)} is missing.")
    return dict(answer)


def _alive(values: Mapping[str, Any], ticket: Ticket) -> Iterable[tuple[str, Any]]:
    """Return each layer's values where the ticket has weights."""
    for name, mask in ticket.masks.items():
        yield name, array(values[name], tuple(mask.shape))[mask.numpy()]


_REINIT = re.compile(r"one-?shot,?[ -]+reinit", re.IGNORECASE)


def _pair(answer: Any, letter: str) -> set[str]:
    """Read two arms, however they are written."""
    one = isinstance(answer, str)  # and in a text a comma may be an arm's own
    words = _REINIT.sub("oneshot-reinit", answer).split(",") if one else list(answer)
    pair = {_arm(str(word)) for word in words}
    arms = "dense, ticket, reinit, random, oneshot, oneshot-reinit, continued"
    known = pair <= set(arms.split(", "))
    demand(known, f"{letter}: the arms are {arms}.")
    demand(len(pair) == 2, f"{letter}: expected two arms.")
    return pair


def _arm(word: str) -> str:
    plain = word.lower().replace("one-shot", "oneshot").replace(" mask", "")
    return "-".join(plain.replace(",", " ").split())
