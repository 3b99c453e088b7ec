"""Exercises of chapter 3: The hypothesis, and the algorithm."""

from typing import Any

import torch
from torch import Tensor, nn

from lth_utils.exercises.checks import (
    array,
    demand,
    exercise,
    named,
    near,
    number,
    returned,
    same_masks,
    whole,
)
from lth_utils.masking import apply_masks, masked
from lth_utils.masks import State
from lth_utils.pruning import prune


@exercise(
    "3.1",
    expects="a whole number",
    right="About 7 % of all weights, but 28 % of the output layer's.",
)
def _(answer: Any) -> None:
    counts = {235_200: 0.2, 30_000: 0.2, 1_000: 0.1}
    left = sum(_after_rounds(count, rate, 12) for count, rate in counts.items())
    value = whole(answer)
    alike = abs(value - 266_200 * 0.8**12) < 5
    demand(not alike, "The output layer loses only 10 % a round.")
    demand(value <= 266_200, "Biases are not counted, and the dead do not return.")
    hint = "Count each layer alone: n becomes n - round(rate * n), twelve times."
    near(value, left, hint, within=3)


def _after_rounds(count: int, rate: float, rounds: int) -> int:
    for _ in range(rounds):
        count -= round(rate * count)
    return count


@exercise(
    "3.2",
    expects="a function of (net, masks, rate)",
    right="One ranking for all layers: a layer of large weights loses less.",
)
def _(answer: Any) -> None:
    net, masks = _toy()
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
    start = dict(_toy()[0].named_parameters())
    trained = any(not torch.equal(ends[0][name], start[name]) for name in start)
    demand(trained, "The network was not trained.")
    alike = all(torch.equal(end[n], ends[0][n]) for end in ends for n in start)
    demand(
        alike,
        "The training itself depends on k: expected the same steps over all batches,"
        " by one optimizer, wherever the copy is taken.",
    )


@exercise(
    "3.4",
    expects="a fraction, such as 0.2",
    right="Every negative weight is below 1e-6, and half of a Gaussian is negative.",
)
def _(answer: Any) -> None:
    hint = "Which weights are smaller than 1e-6? Mind the sign, and give a fraction."
    near(number(answer), 0.5, hint, within=0.01)


def _toy() -> tuple[nn.Module, dict[str, Tensor]]:
    """Return a network of 30 + 15 weights, 7 of them pruned, and its masks."""
    generator = torch.Generator().manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    with torch.no_grad():
        for parameter in net.parameters():
            spread = parameter.numel() ** -0.5  # as in LeNet: fewer are larger
            draws = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(spread * draws)
    masks = {n: torch.ones_like(net.get_parameter(n)) for n in ("0.weight", "2.weight")}
    masks["0.weight"][0, :5] = 0
    masks["2.weight"][0, :2] = 0
    with torch.no_grad():
        for name, mask in masks.items():
            net.get_parameter(name).mul_(mask)
    return net, masks


def _kept_and_end(answer: Any, batches: int, k: int) -> tuple[State, State]:
    """Return what the answer keeps of the toy, and the parameters at its end."""
    net, masks = _toy()
    x = torch.linspace(-1, 1, 180).view(30, 6).sin()
    y = torch.arange(30) % 3
    order = iter(torch.arange(30).split(5)[:batches])
    kept = returned(answer, net, masks, x, y, order, k)
    names = [name for name, _ in net.named_parameters()]
    named(kept, names, "copies of the parameters by name")
    return dict(kept), {name: p.detach() for name, p in net.named_parameters()}
