"""Exercises of chapter 5: Convolutional networks."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lth_utils.exercises.checks import (
    array,
    demand,
    exercise,
    grid,
    named,
    near,
    number,
    returned,
    same_mask,
    whole,
)
from lth_utils.exercises.toys import conv_masks, lost_filters, mixed_net
from lth_utils.masking import kinds
from lth_utils.masks import Masks, masked_weights
from lth_utils.tickets import Ticket, from_seed


@exercise(
    "5.A",
    expects="a function of an image and a filter that returns an array",
    right="One filter, slid over the whole image, gives one number at each place.",
)
def _(answer: Any) -> None:
    draw = torch.Generator().manual_seed(0)
    image = torch.randn(3, 6, 8, generator=draw)
    filter = torch.randn(3, 3, 3, generator=draw)
    found = grid(returned(answer, image.clone(), filter.clone()))
    found = found.squeeze() if found.shape[-2:] == (6, 8) else found
    apart = found.shape == (3, 6, 8)
    hint = "A filter gives one number at a place: add up what its three channels give."
    demand(not apart, hint)
    narrow = found.shape == (4, 6)
    demand(not narrow, "The border is missing: lay zeros around the image.")
    demand(
        found.shape == (6, 8),
        f"Expected the image's 6 x 8 places, and got the shape {found.shape}.",
    )

    def slid(by: Tensor, over: Tensor = image, mode: str = "constant") -> Tensor:
        return F.conv2d(F.pad(over[None], (1, 1, 1, 1), mode), by[None])[0, 0]

    wrong = {
        "The filter is turned round: let its first row meet the upper neighbours.": (
            slid(filter.flip(1, 2))
        ),
        "Rows and columns of the filter are swapped.": slid(filter.transpose(1, 2)),
        "That is the mean of the products: add them up.": slid(filter) / 27,
        "Outside the image there is nothing: zeros, not its edge again.": (
            slid(filter, mode="replicate")
        ),
        "Outside the image there is nothing: zeros, not its other side.": (
            slid(filter, mode="circular")
        ),
        "That is the first channel alone: an image has three.": slid(
            filter[:1], image[:1]
        ),
    }
    for hint, values in wrong.items():
        demand(not np.allclose(found, values, atol=1e-4), hint)
    hint = "At each place, multiply the 27 numbers around it by the filter's, and add."
    demand(np.allclose(found, slid(filter), atol=1e-4), hint)


@exercise(
    "5.B",
    expects="a function of (masks, places) that returns a number",
    right="A weight that is gone saves its multiplication at every place.",
)
def _(answer: Any) -> None:
    masks, places = conv_masks()
    given = Masks(masks), dict(places)
    found = number(returned(answer, *given))
    left = {name: int(mask.sum()) for name, mask in masks.items()}
    every = sum(mask.numel() * places[name] for name, mask in masks.items())
    once = sum(left.values())
    hints = {
        every: "That is what the dense network does: leave out the weights that are"
        " gone.",
        once: "That counts each weight once: it is used at all its places.",
        once * sum(places.values()): "Each layer has its own places: multiply first,"
        " add up afterwards.",
        sum(left[name] * places[name] for name in places if "conv" in name): (
            "Those are the convolutions alone. The other layers work, too."
        ),
        every - sum(left[n] * places[n] for n in places): "That is what is saved. What"
        " is still to do?",
    }
    for wrong, hint in hints.items():
        demand(found != wrong, hint)
    wanted = sum(left[name] * places[name] for name in places)
    demand(
        abs(found * every - wanted) > 1e-6 * wanted,
        "That is a fraction. How many are they?",
    )
    near(found, wanted, "Weights alive, times places, over all layers.")


@exercise(
    "5.C",
    expects="a function of (mask, readers) that returns a whole number",
    right="Either is enough: a filter that sees nothing, or that nobody reads.",
)
def _(answer: Any) -> None:
    mask, readers = lost_filters()
    found = whole(returned(answer, mask.clone(), readers.clone()))
    sees, read = mask.flatten(1).any(1), readers.transpose(0, 1).flatten(1).any(1)
    hints = {
        int((sees & read).sum()): "Those are the filters that stay.",
        int((~sees & ~read).sum()): "Those have lost both. One of the two is enough.",
        int((~sees).sum()): "Those have no weight left. Which others does nobody read?",
        int((~read).sum()): "Those are read by nobody. Which others have no weight?",
        int((~sees).sum() + (~read).sum()): "A filter that has lost both counts twice.",
        int((~mask.transpose(0, 1).flatten(1).any(1)).sum()): (
            "A filter is a row of its own mask, and a column of the next one."
        ),
        int((~mask.flatten(1).all(1)).sum()): (
            "Those have lost some weight. Which have lost all?"
        ),
    }
    for wrong, hint in hints.items():
        demand(found != wrong, f"{found} is not it. {hint}")
    wanted = int((~(sees & read)).sum())
    near(found, wanted, "Which filters have no weight, or no reader, or neither?")
    full = whole(answer(torch.ones(5, 3, 3, 3) > 0, torch.ones(7, 5, 3, 3) > 0))
    near(full, 0, "Here no weight is pruned at all.")


@exercise(
    "5.1",
    expects="a function of (net, rates, rounds) that returns masks",
    right="So deep at once: each kind of layer keeps what its rounds would leave.",
)
def _(answer: Any) -> None:
    rates, net = {"conv": 0.1, "fc": 0.2, "output": 0.15}, mixed_net()
    found = _masks(returned(answer, mixed_net(), dict(rates), 3), net)
    left = {name: mask.mean() for name, mask in found.items()}
    by_kind = {name: rates[kind] for name, kind in kinds(net).items()}

    def leaves(share: Callable[[float], float]) -> bool:
        return all(abs(left[n] - share(p)) < 0.02 for n, p in by_kind.items())

    demand(not leaves(lambda p: 1 - p), "That is one round: what do three leave?")
    demand(
        not leaves(lambda p: 1 - 3 * p), "Each round takes from what is left: no sum."
    )
    demand(
        not leaves(lambda p: 1 - (1 - p) ** 3),
        "The power of 1 - rate is what stays. lth.prune wants what goes.",
    )
    hint = "Every kind of layer has its own rate."
    demand(not leaves(lambda _: 0.8**3), hint)
    demand(not leaves(lambda _: 0.9**3), hint)
    for name, rate in by_kind.items():
        share = f"of {name} is left. How much do three rounds leave?"
        near(left[name], (1 - rate) ** 3, share, within=0.012)
    weights = {n: w.detach().abs().numpy() for n, w in masked_weights(net).items()}
    for name, mask in found.items():
        least, most = weights[name][mask].min(), weights[name][~mask].max()
        demand(least >= most, f"{name}: it keeps a smaller weight and drops a larger.")
    two = _masks(answer(mixed_net(), dict(rates), 2), net)
    near(two["fc1.weight"].mean(), 0.64, "It has to work for two rounds.", within=0.01)


def _masks(answer: Any, net: nn.Module) -> dict[str, np.ndarray]:
    """Read masks of a network as lth.prune returns them."""
    what = "masks, as lth.prune returns them"
    read = named(answer, kinds(net), what)
    weights = masked_weights(net)
    return {n: array(read[n], tuple(weights[n].shape)) != 0 for n in weights}


@exercise(
    "5.2",
    expects="a function of (ticket, layers, seed)",
    right="Some layers keep the values that they were found with, and some do not.",
)
def _(answer: Any) -> None:
    ticket = _ticket()
    convs = ["conv1.weight", "conv2.weight"]
    found = _values(returned(answer, _ticket(), convs, 1), ticket)
    own = {name: value.numpy() for name, value in ticket.init.items()}
    kept = {name for name in own if np.array_equal(found[name], own[name])}
    drawn = {name for name in ticket.masks if name not in kept}
    demand(drawn, "All values are the ticket's own: draw those of `layers` anew.")
    turned = drawn == set(ticket.masks) - set(convs)
    demand(not turned, "Those that should stay are new, and the others are not.")
    more = sorted(drawn - set(convs))
    demand(not more, f"{', '.join(more)}: new, and not among the layers asked for.")
    demand(drawn == set(convs), "One of the two layers still has its own values.")
    biases = [name for name in own if name not in ticket.masks]
    demand(not any(found[name].any() for name in biases), "Biases start from 0.")
    for name in convs:
        _of_its_law(name, found[name], own[name])
    fc = _values(answer(_ticket(), ["fc1.weight"], 1), ticket)
    same = np.array_equal(fc["conv1.weight"], own["conv1.weight"])
    other = np.array_equal(fc["fc1.weight"], own["fc1.weight"])
    demand(same and not other, "It has to work for other layers as well.")
    again, next = (_values(answer(_ticket(), convs, seed), ticket) for seed in (1, 2))
    twice = all(np.array_equal(again[name], found[name]) for name in convs)
    demand(twice, "The same seed gives two answers: let the seed decide.")
    moved = not np.array_equal(next["conv1.weight"], found["conv1.weight"])
    demand(moved, "Two seeds give the same values: let the seed decide.")


def _ticket() -> Ticket:
    """Return a ticket of a narrow Conv-2 with half of its weights, made anew."""
    dense = from_seed("conv2-narrow", 3)
    draw = torch.Generator().manual_seed(3)
    masks = {
        name: torch.rand(mask.shape, generator=draw) < 0.5
        for name, mask in dense.masks.items()
    }
    return from_seed("conv2-narrow", 3, Masks(masks), arm="ticket", round=7)


def _values(answer: Any, ticket: Ticket) -> dict[str, np.ndarray]:
    """Read first values of all parameters, of the ticket's shapes."""
    what = "first values by name, as in ticket.init"
    found: Mapping[str, Any] = named(answer, ticket.init, what)
    return {
        name: array(found[name], tuple(value.shape))
        for name, value in ticket.init.items()
    }


def _of_its_law(name: str, fresh: np.ndarray, own: np.ndarray) -> None:
    """Demand values from the same Gaussian that are not the old ones moved about."""
    moved = np.isin(fresh[fresh != 0], own).mean() > 0.5
    demand(not moved, f"{name}: these are its own values, in other places.")
    demand(fresh.all(), f"{name}: some values are 0. Masks come later, by themselves.")
    ratio = fresh.std() / own.std()
    hint = f"{name}: the values spread {ratio:.2f} times as far as its own. A network"
    demand(0.8 < ratio < 1.25, f"{hint} of another seed has values of the right law.")


@exercise(
    "5.3",
    expects="a function of (weight, count) that returns a mask",
    right="What is left of such a layer is a smaller layer.",
)
def _(answer: Any) -> None:
    draw = torch.Generator().manual_seed(4)
    weight = torch.randn(10, 4, 3, 3, generator=draw)
    weight *= torch.linspace(0.6, 1.4, 10)[torch.randperm(10, generator=draw)].view(
        -1, 1, 1, 1
    )
    weight[2] += 0.6  # a filter of one sign, whose plain sum is the largest
    found = grid(returned(answer, weight.clone(), 4), tuple(weight.shape)) != 0
    kept = _rows(found)
    sizes = weight.abs().flatten(1).sum(1)
    sums, largest = weight.flatten(1).sum(1), weight.abs().flatten(1).amax(1)
    demand(kept is not None, "Some filters are left in part: keep all of it, or none.")
    for score, hint in {
        -sizes: "These are the four smallest.",
        sums: "Add up sizes: a weight of -2 is larger than one of 1.",
        largest: "These have the largest single weights. Add up all of a filter's.",
    }.items():
        same = kept == set(score.topk(4).indices.tolist())
        right = kept == set(sizes.topk(4).indices.tolist())
        demand(right or not same, hint)
    columns = _rows(found.swapaxes(0, 1))
    demand(columns is None or len(kept or ()) == 4, "A filter is a row of the weight.")
    near(len(kept or ()), 4, "Keep as many filters as `count` says.")
    wanted = torch.zeros_like(weight)
    wanted[sizes.topk(4).indices] = 1
    same_mask(found, wanted, "Keep those whose sizes add up to most.")
    two = grid(answer(weight.clone(), 2), tuple(weight.shape)) != 0
    near(len(_rows(two) or ()), 2, "Keep as many filters as `count` says.")


def _rows(mask: np.ndarray) -> set[int] | None:
    """Return which rows are kept; None if one is kept in part."""
    flat: Iterable[np.ndarray] = mask.reshape(len(mask), -1)
    if any(row.any() != row.all() for row in flat):
        return None
    return {k for k, row in enumerate(mask) if row.all()}
