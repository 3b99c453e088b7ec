"""The exercises of chapters 1 to 4: what each answer must be, and the hints.

`check` is offered from here, so that whoever has it has all exercises.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lth_utils import exercises_lenet  # noqa: F401  # registers chapters 8 to 11
from lth_utils.checks import (
    array,
    check,
    demand,
    exercise,
    named,
    near,
    number,
    returned,
    same_mask,
    same_masks,
    whole,
)
from lth_utils.masks import State, apply_masks, masked
from lth_utils.pruning import prune
from lth_utils.records import recorded
from lth_utils.tables import early_stop

__all__ = ["check"]

# ---- Chapter 1: What is pruning?


@exercise(
    "1.1",
    expects="a tensor of two rows and three columns",
    right="Magnitude asks how far a weight is from zero, on either side.",
)
def _(answer: Any) -> None:
    found = array(answer, (2, 3))
    signed = np.array_equal(found != 0, [[True, False, True], [False, True, False]])
    demand(not signed, "You kept the largest numbers: compare them without signs.")
    hint = "Half of six stay: the three that are farthest from zero."
    same_mask(answer, [[1, 0, 0], [1, 1, 0]], hint)


@exercise(
    "1.2",
    expects="a number between 0 and 1",
    right="Below it, an address for each survivor is cheaper than a bit for all.",
)
def _(answer: Any) -> None:
    density = number(answer)
    demand(density < 1, f"{density:g} is no density: give a fraction, not percent.")
    dense = abs(density - 0.5) < 0.01
    demand(not dense, "There CSR meets the dense file, of 32 bits a weight.")
    hint = "CSR writes 64 bits for each survivor. And the bitmask, for any weight?"
    near(density, 1 / 32, hint, within=0.0005)


@exercise(
    "1.3",
    expects="what layer_density() returns",
    right="With one threshold for all, the small layers keep most of their weights.",
)
def _(answer: Any) -> None:
    sizes = {"fc1.weight": 235_200, "fc2.weight": 30_000, "output.weight": 1_000}
    found = named(answer, sizes, "densities by layer")
    densities = {name: number(value) for name, value in found.items()}
    kept = sum(sizes[name] * density for name, density in densities.items())
    hint = "Of all weights together a fifth remains: prune a fraction of 0.8."
    near(round(kept / sum(sizes.values()), 4), 0.2, hint)
    alike = max(densities.values()) - min(densities.values()) < 0.01
    demand(not alike, 'Every layer keeps the same: say scope="global".')


@exercise(
    "1.4",
    expects="a number, in percent",
    right="Equally many weights are gone; which ones they are decides.",
)
def _(answer: Any) -> None:
    percent = number(answer)
    demand(1 < percent <= 100, f"{percent:g} is no accuracy in percent.")
    hint = "As good as before? Then the smallest went: turn the scores' signs."
    demand(percent < 90, hint)
    demand(percent > 25, "Only a tenth should go, and nine tenths stay.")


# ---- Chapter 2: Why not train the small network from the start?


@exercise(
    "2.1",
    expects="a whole number of units",
    right="A tenth of the weights buys a little more than a tenth of 300 units.",
)
def _(answer: Any) -> None:
    units = whole(answer)
    demand(units != 30, "A tenth of the units leaves less than a tenth of the weights.")
    hint = "Try every n: 784 n + n n + 10 n shall come nearest to 26,620."
    near(units, 32, hint)


@exercise(
    "2.2",
    expects="a pair such as (12, 4)",
    right="The second layer is cheap, and four units are too few for ten classes.",
)
def _(answer: Any) -> None:
    shape = tuple(whole(units) for units in answer)
    demand(shape in [(12, 12), (12, 4)], "Answer with (12, 12) or (12, 4).")
    hint = "Train both, and compare .at(training.early_stop).accuracy."
    demand(shape == (12, 12), hint)


@exercise(
    "2.3",
    expects="a number of connections",
    right="Most of what the first layer computes, such a unit never sees.",
)
def _(answer: Any) -> None:
    seen = number(answer)
    demand(seen < 300, "There are 300 units before it: count the living only.")
    demand(seen > 1, "Give a number of connections, not a density.")
    hint = "Divide the living weights of fc2.weight by its rows."
    near(seen, 4.32, hint, within=0.05)


@exercise(
    "2.4",
    expects="a pair of numbers, in points",
    right="Time closes a part of the gap. The rest is a matter of the values.",
)
def _(answer: Any) -> None:
    once, twice = (number(gap) for gap in answer)
    demand(once > 0, "Take fine-tuned minus newcomer.")
    demand(once > 0.1, "Give points, not fractions: 0.02 are 2 points.")
    hint = "Twice the iterations should help. Did both start from the same values?"
    demand(twice < once, hint)


# ---- Chapter 3: The hypothesis, and the algorithm


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


# ---- Chapter 4: Fully connected networks


@exercise(
    "4.1",
    expects="a number, in points of accuracy",
    right="If it is positive, the structure alone is worth more than the first values"
    " alone; if negative, less. Hold it against the gap of either to the ticket.",
)
def _(answer: Any) -> None:
    value = number(answer)
    stops = early_stop(recorded("lenet-mnist"))
    means = stops[stops["round"] == 11].groupby("arm")["test"].mean()
    expected = 100 * (means["reinit"] - means["random"])
    fraction = abs(100 * value - expected) <= 0.005 < abs(value - expected)
    demand(not fraction, "That is a fraction, and 0.01 is one point.")
    hint = "Take both arms at round 11 of the recorded run: reinit minus random."
    near(value, expected, hint, within=0.005)


@exercise(
    "4.2",
    expects="two whole numbers, such as (5, 4)",
    right="That is the price that the rounds must be worth.",
)
def _(answer: Any) -> None:
    in_rounds, at_once = answer
    hint = "Count each network that a round prunes, and the ticket's own training."
    near(whole(in_rounds), 8, f"In rounds: {hint}")
    near(whole(at_once), 2, f"At once: {hint}")


@exercise(
    "4.3",
    expects="a function of two arrays that returns two numbers",
    right="One seed with a very early stop moves the second number most.",
)
def _(answer: Any) -> None:
    slow, fast = np.array([3000, 5000, 4000]), np.array([1000, 2500, 4000])
    found = answer(slow, fast)
    demand(found is not None, "The function returns nothing yet.")
    of_means, of_ratios = map(number, found)
    swapped = round(of_means, 6) == 2.0 and round(of_ratios, 6) == 1.6
    demand(not swapped, "The ratio of means comes first.")
    hint = "divide the mean of slow by the mean of fast."
    near(of_means, 1.6, f"Ratio of means: {hint}", within=1e-6)
    hint = "divide seed by seed, then average."
    near(of_ratios, 2.0, f"Mean of ratios: {hint}", within=1e-6)


@exercise(
    "4.4",
    expects="a whole number",
    right="With fewer seeds, not even winning every pair would be so improbable.",
)
def _(answer: Any) -> None:
    hint = "For n seeds the probability is one half to the power n."
    near(whole(answer), 7, hint)
