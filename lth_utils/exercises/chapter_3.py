"""Exercises of chapter 3: The hypothesis, and the algorithm."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from lth_utils.exercises.checks import (
    array,
    called,
    demand,
    exercise,
    named,
    near,
    number,
    returned,
    same_masks,
)
from lth_utils.exercises.toys import (
    adams_end,
    copies,
    examples,
    same,
    small_lenet,
    toy,
)
from lth_utils.masking import apply_masks, masked
from lth_utils.masks import State
from lth_utils.pruning import prune


class _Raced(NamedTuple):
    """What the hypothesis says of a network: its three quantities."""

    accuracy: float
    iteration: int
    weights: int


_DENSE = _Raced(0.95, 900, 1000)
_LARGE = _Raced(0.90, 400, 10_000)
_RACES = [
    (_DENSE, (0.96, 500, 100), "A ticket that is better in all three does not win."),
    (_DENSE, (0.95, 900, 100), "A ticket that is as good, and as early, does not win."),
    (_DENSE, (0.95, 900, 240), "A ticket of less than a quarter does not win."),
    (_DENSE, (0.94, 500, 100), "A ticket that is less accurate wins."),
    (_DENSE, (0.96, 950, 100), "A ticket that needs more iterations wins."),
    (_DENSE, (0.96, 500, 300), "A ticket of more than a quarter of the weights wins."),
    (_DENSE, (0.96, 500, 250), "A ticket of exactly a quarter of the weights wins."),
    (_LARGE, (0.91, 300, 2000), "A ticket of 2,000 of 10,000 weights does not win."),
]


@exercise(
    "3.A",
    expects="a function of (dense, ticket)",
    right="All three at once, and for two of them equality is enough.",
)
def _(answer: Any) -> None:
    for dense, ticket, fault in _RACES:
        wins = fault.endswith("does not win.")
        found = called(answer, dense, _Raced(*ticket))
        demand(found is not None or not wins, "The function returns nothing yet.")
        demand(found is not None, "Where a ticket does not win, return False.")
        single = getattr(found, "shape", ()) == () and found in (True, False)
        demand(single, "Expected True or False for each ticket.")
        demand(bool(found) == wins, fault)


@exercise(
    "3.B",
    expects="a function of (net, init, masks)",
    right="What training has learned is gone. All that is left of it is the mask.",
)
def _(answer: Any) -> None:
    net, masks = toy()
    init = {name: values.sin() + 0.1 for name, values in copies(net).items()}
    old, first = copies(net), {name: values.clone() for name, values in init.items()}
    alive = {name: mask.clone() for name, mask in masks.items()}
    called(answer, net, init, masks)
    now = {name: values.detach() for name, values in net.named_parameters()}
    demand(not same(now, old), "The network is as it was: nothing was rewound.")
    shared = any(now[name].data_ptr() == init[name].data_ptr() for name in now)
    demand(not shared, "A parameter *is* the tensor in `init` now: copy its numbers.")
    alone = same(init, first) and same(masks, alive)
    demand(alone, "`init` or `masks` has changed: read them, and write to the network.")
    for name, values in now.items():
        mask = alive.get(name, torch.ones_like(values))
        demand(not values[mask == 0].any(), f"A pruned weight of {name} is not 0.")
        back = torch.equal(values * mask, first[name] * mask)
        demand(back, f"{name} is not at its first values.")
    learns = all(values.requires_grad for values in net.parameters())
    demand(learns, "The network cannot be trained any more: a gradient is missing.")


@exercise(
    "3.C",
    expects="two rows of four numbers",
    right="XOR has several solutions, and a network may start near any of them.",
)
def _(answer: Any) -> None:
    rows = answer.tolist() if hasattr(answer, "tolist") else answer
    units = np.array([[float(value) for value in row] for row in rows])
    demand(units.shape == (2, 4), f"Expected two rows of four, and got {units.shape}.")
    points = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    hidden = np.maximum(points @ units[:, :2].T + units[:, 2], 0)
    says = hidden @ units[:, 3]
    listed = ", ".join(f"{value:.3g}" for value in says + 0.0)
    solved = np.allclose(says, [0, 1, 1, 0], atol=1e-4)
    demand(solved, f"At (0, 0), (0, 1), (1, 0) and (1, 1) this pair says {listed}.")
    # A unit whose inputs grow while its outgoing weight shrinks is the same unit.
    same = sorted((units[:, :3] * abs(units[:, 3:])).tolist())
    known = np.allclose(same, [[1, 1, 0], [2, 2, -2]], atol=1e-3)
    demand(not known, "That is the pair of the text: find another.")


_RATES = {"fc1.weight": 0.2, "fc2.weight": 0.2, "output.weight": 0.1}


@exercise(
    "3.1",
    expects="a function of (net, x, y, batches, rounds)",
    right="One thing has changed and nothing else: that makes it a control.",
)
def _(answer: Any) -> None:
    net, x, y = small_lenet()
    init = copies(net)
    begun: dict[int, State] = {}

    def batches(round: int) -> Iterator[Tensor]:
        begun.setdefault(round, copies(net))  # when a first batch is asked for
        yield from torch.arange(len(y)).split(10)

    rounds = returned(answer, net, x, y, batches, 3)
    all_at_once = "All masks come at once: hand out each one in its round, by yield."
    demand(not isinstance(rounds, list | tuple), all_at_once)
    seen = called(_handed_out, rounds, net)
    hint = "With rounds=3 there are 4 networks, the dense one first; yours hands out"
    demand(len(seen) == 4, f"{hint} {len(seen)}.")
    masks, ends = zip(*seen, strict=True)
    _ladder(masks)
    for turn, (mask, end) in enumerate(seen):
        demand(turn in begun, f"Nobody asked for the batches of round {turn}.")
        start = {name: init[name] * mask.get(name, 1) for name in init}
        rewound = f"Round {turn} does not begin at the first values under its masks."
        demand(same(begun[turn], start), rewound)
        early = f"Round {turn} hands out its masks before the network is trained."
        demand(not same(end, start), early)
        dead = any(end[name][mask[name] == 0].any() for name in mask)
        demand(not dead, f"In round {turn} training brought pruned weights back.")
    for before, after, end in zip(masks, masks[1:], ends, strict=False):
        _by_lot(before["fc1.weight"], after["fc1.weight"], end["fc1.weight"])


def _handed_out(rounds: Any, net: nn.Module) -> list[tuple[State, State]]:
    """Return each round's masks, and the network at that moment."""
    return [({n: (m != 0) * 1.0 for n, m in ms.items()}, copies(net)) for ms in rounds]


def _ladder(rounds: Iterable[State]) -> None:
    """Demand the weights that the rates leave, layer by layer; none comes back."""
    alive = {"fc1.weight": 600, "fc2.weight": 300, "output.weight": 30}
    last: State = {}
    for turn, masks in enumerate(rounds):
        named(masks, _RATES, "masks by name")
        for name, mask in masks.items():
            kept, count = int(mask.sum()), alive[name]
            hint = f"In round {turn} {name} should keep {count} weights"
            demand(kept == count, f"{hint}, and keeps {kept}.")
            back = (mask > last.get(name, mask)).any()
            demand(not back, f"In round {turn} a weight of {name} is alive again.")
            alive[name] -= round(_RATES[name] * count)
        last = masks


def _by_lot(before: Tensor, after: Tensor, weight: Tensor) -> None:
    """Demand that sizes and places have no say in what goes."""
    living = before.flatten() != 0
    gone = after.flatten()[living] == 0
    count = int(gone.sum())
    smallest = weight.abs().flatten()[living].argsort()[:count]
    share = gone[smallest].double().mean().item()  # a fifth, by chance
    demand(0.05 < share < 0.5, "Size decides what goes, as before: draw lots.")
    place = gone.nonzero().double().mean().item() / len(gone)  # a half, by chance
    demand(0.35 < place < 0.65, "Their places decide what goes: draw lots.")


@exercise(
    "3.2",
    expects="a function of (net, masks, rate)",
    right="One ranking for all layers: a layer of large weights loses less.",
)
def _(answer: Any) -> None:
    net, masks = toy()
    obedient = masked(net)
    apply_masks(obedient, masks)
    wanted = prune(obedient, 0.4, scope="global")
    found = returned(answer, net, {n: m.clone() for n, m in masks.items()}, 0.4)
    named(found, masks, "masks under the names of those given")
    alive = {name: array(found[name], tuple(masks[name].shape)) for name in masks}
    back = any((alive[name] > masks[name].numpy()).any() for name in masks)
    demand(not back, "A weight that was pruned before is alive again.")
    left = sum(int(mask.sum()) for mask in alive.values())
    total = f"At a rate of 0.4, {wanted.remaining} of 38 living weights should be left"
    demand(left == wanted.remaining, f"{total}, and yours leave {left}.")
    same_masks(found, wanted, "Rank all living weights together, as one long layer.")


@exercise(
    "3.3",
    expects="a function of (net, masks, x, y, batches, k)",
    right="With k = 0 these are the starting values, and nothing else changes.",
)
def _(answer: Any) -> None:
    ends = []
    for k in (0, 2, 6):
        kept, end = _kept_and_end(answer, batches=6, k=k)
        expected = _kept_and_end(answer, batches=k, k=k)[1]
        shared = any(kept[n].data_ptr() == end[n].data_ptr() for n in end)
        demand(not shared, "These are the network's own tensors: return copies.")
        same = all(torch.equal(kept[name], expected[name]) for name in end)
        demand(same, f"For k = {k} it did not return the parameters after {k} steps.")
        ends.append(end)
    start = dict(toy()[0].named_parameters())
    trained = any(not torch.equal(ends[0][name], start[name]) for name in start)
    demand(trained, "The network was not trained.")
    alike = all(torch.equal(end[n], ends[0][n]) for end in ends for n in start)
    demand(
        alike,
        "The training itself depends on k: expected the same steps over all batches,"
        " by one optimizer, wherever the copy is taken.",
    )
    back = any(ends[0][name][mask == 0].any() for name, mask in toy()[1].items())
    demand(not back, "Training brought pruned weights back: are its steps masked?")
    adams = adams_end()
    close = all(torch.allclose(ends[0][n], adams[n], atol=1e-5) for n in start)
    demand(close, "Its steps are not those of `train`: the same optimizer, and rate?")


@exercise(
    "3.4",
    expects="a fraction, such as 0.2",
    right="Every negative weight is below 1e-6, and half of a Gaussian is negative.",
)
def _(answer: Any) -> None:
    hint = "Which weights are smaller than 1e-6? Mind the sign, and give a fraction."
    near(number(answer), 0.5, hint, within=0.01)


def _kept_and_end(answer: Any, batches: int, k: int) -> tuple[State, State]:
    """Return what the answer keeps of the toy, and the parameters at its end."""
    net, masks = toy()
    x, y = examples()
    order = iter(torch.arange(30).split(5)[:batches])
    kept = returned(answer, net, masks, x, y, order, k)
    names = [name for name, _ in net.named_parameters()]
    named(kept, names, "copies of the parameters by name")
    return dict(kept), {name: p.detach() for name, p in net.named_parameters()}
