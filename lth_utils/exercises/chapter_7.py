"""Exercises of chapter 7: Deep networks."""

from collections.abc import Mapping
from typing import Any

import numpy as np
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
)
from lth_utils.masking import kinds, masked, snapshot
from lth_utils.masks import Masks, masked_weights
from lth_utils.models import network
from lth_utils.pruning import prune
from lth_utils.training.recipes import Recipe


@exercise(
    "7.A",
    expects="a function of (net, before) that returns names",
    right="A rewind that forgets these starts with what another network has seen.",
)
def _(answer: Any) -> None:
    net, before = _trained_with_norms()
    found = returned(answer, net, dict(before))
    demand(not isinstance(found, str), "Expected names, such as a list, not one text.")
    names = {str(name) for name in found}
    state = snapshot(net)
    learnt = {name for name, _ in net.named_parameters()}
    changed = {n for n in state if not torch.equal(state[n], before[n])}
    demand(names, "Nothing? Compare each tensor of lth.snapshot(net) with `before`.")
    strange = sorted(names - set(state))
    demand(not strange, f"{', '.join(strange)}: not among the names of the snapshot.")
    demand(
        not names & learnt,
        "Some of these are parameters: the optimizer changed them. What else changed?",
    )
    same = sorted(names - changed)
    demand(not same, f"{', '.join(same)}: still what it was.")
    counters = {n for n in changed if n.endswith("num_batches_tracked")}
    missing = changed - learnt - counters - names
    demand(not missing, f"{len(missing)} more have changed and are no parameters.")


def _trained_with_norms() -> tuple[nn.Module, dict[str, Tensor]]:
    """Return a network after a step, and what it was: one of its norms stood still."""
    frozen = nn.BatchNorm2d(4).eval()
    layers = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), frozen)
    plain = nn.Sequential(*layers, nn.Flatten(), nn.Linear(16, 3))
    draw = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw))
    net, images = masked(plain), torch.randn(6, 3, 6, 6, generator=draw)
    before = snapshot(net)
    nn.functional.cross_entropy(net(images), torch.arange(6) % 3).backward()
    torch.optim.SGD(net.parameters(), 0.1).step()
    return net, before


@exercise(
    "7.B",
    expects="a function of (weights, left) that returns masks",
    right="One threshold for all: no layer has a rate of its own.",
)
def _(answer: Any) -> None:
    weights, left = _unequal_layers(), 150
    found = _masks(returned(answer, _copies(weights), left), weights)
    total = sum(weight.numel() for weight in weights.values())
    kept = sum(int(mask.sum()) for mask in found.values())
    sizes = {name: weight.abs() for name, weight in weights.items()}
    demand(kept != total - left, f"{left} are to be left, not to go.")
    share = {name: mask.mean() for name, mask in found.items()}
    alike = all(abs(each - left / total) < 0.03 for each in share.values())
    demand(not alike, "Each layer keeps the same share: that is layer-wise.")
    near(kept, left, "Over all layers together, keep as many as `left` says.")
    for scores, hint in (
        ({n: -size for n, size in sizes.items()}, "These are the smallest."),
        (weights, "Compare sizes: a weight of -2 is larger than one of 1."),
    ):
        demand(not _same(found, _largest(scores, left)), hint)
    hint = "A weight that went is larger than one that stays, maybe in another layer."
    demand(_same(found, _largest(sizes, left)), hint)
    few = _masks(returned(answer, _copies(weights), 40), weights)
    demand(_same(few, _largest(sizes, 40)), "It has to work for other numbers as well.")


def _unequal_layers() -> dict[str, Tensor]:
    """Return weights of three layers whose sizes and spreads differ much."""
    draw = torch.Generator().manual_seed(8)
    shapes = {"conv1.weight": (4, 3, 3, 3), "conv2.weight": (8, 4, 3, 3)}
    shapes |= {"conv3.weight": (16, 8, 3, 3)}
    spreads = (0.5, 0.3, 0.15)
    return {
        name: spread * torch.randn(shape, generator=draw)
        for (name, shape), spread in zip(shapes.items(), spreads, strict=True)
    }


def _copies(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: weight.clone() for name, weight in weights.items()}


def _largest(scores: Mapping[str, Tensor], left: int) -> dict[str, np.ndarray]:
    """Return masks of the highest scores of all layers together."""
    every = torch.cat([score.flatten() for score in scores.values()])
    least = every.topk(left).values[-1]
    return {name: (score >= least).numpy() for name, score in scores.items()}


def _same(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in other)


def _masks(answer: Any, weights: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Read masks of the weights' names and shapes."""
    found = named(answer, list(weights), "masks by name")
    read = {n: array(found[n], tuple(w.shape)) for n, w in weights.items()}
    for name, mask in read.items():
        right = np.isin(mask, (0, 1)).all()
        demand(right, f"{name}: a mask holds only 0 and 1 (or bools).")
    return {name: mask != 0 for name, mask in read.items()}


@exercise(
    "7.C",
    expects="a function of (iteration, lr, warmup, milestones) that returns a number",
    right="A straight way up, and then a tenth at each milestone.",
)
def _(answer: Any) -> None:
    recipe = Recipe(0.4, 100, warmup=40, milestones=(60, 80))

    def rate(iteration: int, recipe: Recipe = recipe) -> float:
        rises = (recipe.lr, recipe.warmup, recipe.milestones)
        return number(returned(answer, iteration, *rises))

    demand(rate(1) != 0, "The first iteration is 1: it already takes a step.")
    demand(rate(1) < 0.4, "Iteration 1 already has the full rate: let it rise first.")
    near(rate(10), 0.1, "It rises in equal steps: a quarter of the way at 10.", 1e-9)
    near(rate(40), 0.4, "At the warm-up's end the rate is `lr`.", 1e-9)
    near(rate(50), 0.4, "After the warm-up, and before a milestone: `lr`.", 1e-9)
    near(rate(60), 0.4, "The milestone itself still has the higher rate.", 1e-9)
    near(rate(61), 0.04, "After a milestone it is a tenth.", 1e-9)
    near(rate(100), 0.004, "The second milestone takes another tenth.", 1e-9)
    steady = rate(1, Recipe(0.4, 100))
    near(steady, 0.4, "Without a warm-up it is `lr` from the first iteration on.", 1e-9)


@exercise(
    "7.1",
    expects="a function of (net, masks) that returns masks",
    right="As many weights, spread evenly: the scope alone has changed.",
)
def _(answer: Any) -> None:
    net = masked(network("resnet8-narrow", 5))
    whole = prune(net, {"conv": 0.6}, scope="global")
    weights = {name: w.detach() for name, w in masked_weights(net).items()}
    found = _masks(returned(answer, net, whole), weights)
    by_kind = kinds(net)
    spared = [name for name, kind in by_kind.items() if kind != "conv"]
    cut = sorted(name for name in spared if not found[name].all())
    demand(not cut, f"{', '.join(cut)}: left whole by the global cut, so here too.")
    hint = "The layers have as many weights each as before: that is no other scope."
    counts = {name: int(mask.sum()) for name, mask in found.items()}
    demand(counts != whole.counts(), hint)
    shares = {n: found[n].mean() for n, kind in by_kind.items() if kind == "conv"}
    even = max(shares.values()) - min(shares.values())
    demand(even < 0.02, "Some layers keep a larger share than others.")
    alive = sum(found[n].sum() for n in shares) / sum(found[n].size for n in shares)
    demand(abs(alive - 0.6) > 0.01, "That is the share that goes. Which stays?")
    # Rounding: half a weight a layer.
    total = sum(counts.values())
    near(total, whole.remaining, "Keep as many weights as the masks do.", len(found))
    for name, mask in found.items():
        size = weights[name].abs().numpy()
        least, most = size[mask].min(), size[~mask].max(initial=0)
        demand(least >= most, f"{name}: it keeps a smaller weight and drops a larger.")
    fewer = prune(net, {"conv": 0.8}, scope="global")
    again = _masks(returned(answer, net, fewer), weights)
    kept = sum(int(mask.sum()) for mask in again.values())
    near(kept, fewer.remaining, "It has to work for other masks, too.", len(found))


@exercise(
    "7.2",
    expects="a function of (masks, init) that returns a fraction",
    right="So much of what was kept was already large before training.",
)
def _(answer: Any) -> None:
    masks, init = _moved()
    found = number(returned(answer, Masks(masks), _copies(init)))
    sizes = {name: value.abs() for name, value in init.items()}
    own = {
        name: _largest({name: sizes[name]}, int(m.sum())) for name, m in masks.items()
    }
    kept = {name: mask.numpy() for name, mask in masks.items()}
    alive = sum(int(mask.sum()) for mask in kept.values())
    total = sum(mask.size for mask in kept.values())
    both = {name: kept[name] & own[name][name] for name in kept}
    wanted = sum(int(each.sum()) for each in both.values()) / alive
    everywhere = sum(int((kept[n] == own[n][n]).sum()) for n in kept) / total
    together = _largest(sizes, alive)
    one_cut = sum(int((kept[n] & together[n]).sum()) for n in kept) / alive
    signed = {n: _largest({n: init[n]}, int(m.sum()))[n] for n, m in masks.items()}
    no_size = sum(int((kept[n] & signed[n]).sum()) for n in kept) / alive
    layers = [both[name].sum() / kept[name].sum() for name in kept]
    for wrong, hint in {
        everywhere: "That counts the weights that both leave out as well.",
        wanted * alive: "That is a number of weights. Which share of the kept ones?",
        wanted * alive / total: "That is a share of all weights. Ask it of those kept.",
        one_cut: "That is one cut through all layers. Take as many in each layer.",
        no_size: "Compare sizes: a first value of -2 is larger than one of 1.",
        1 - wanted: "That is the share that was not among the largest.",
        float(np.mean(layers)): "That is a mean over layers. Count weights.",
        100 * wanted: "That is in percent. Expected a fraction.",
    }.items():
        demand(abs(found - wrong) > 1e-6, hint)
    hint = "In each layer, mark as many first values as are kept, the largest."
    near(found, wanted, hint, within=1e-6)


def _moved() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return first values of two layers, and masks by what became of them."""
    draw = torch.Generator().manual_seed(9)
    shapes = {"conv1.weight": (6, 3, 3, 3), "conv2.weight": (8, 6, 3, 3)}
    init = {
        name: spread * torch.randn(shape, generator=draw)
        for (name, shape), spread in zip(shapes.items(), (0.8, 0.3), strict=True)
    }
    masks = {}
    for (name, value), left in zip(init.items(), (40, 90), strict=True):
        end = value + value.std() * torch.randn(value.shape, generator=draw)
        masks[name] = torch.from_numpy(_largest({name: end.abs()}, left)[name])
    return masks, init


@exercise(
    "7.3",
    expects="a function of (net, images) that returns the network",
    right="No weight has moved: the network has only looked at images.",
)
def _(answer: Any) -> None:
    net, images = _stale()
    before = snapshot(net)
    found = returned(answer, net, images.clone())
    hint = "Return the network, after it has looked at the images."
    demand(isinstance(found, nn.Module), hint)
    after = snapshot(found)
    moved = [
        n for n, _ in net.named_parameters() if not torch.equal(after[n], before[n])
    ]
    demand(not moved, f"{', '.join(moved)}: has moved. No step is to be taken.")
    with torch.no_grad():
        signal = found.get_submodule("0")(images)
    mean, var = signal.mean((0, 2, 3)), signal.var((0, 2, 3))
    old, new = before["1.running_mean"], after["1.running_mean"]
    hint = "The statistics are the old ones: BatchNorm looks only while it trains."
    demand(not torch.allclose(old, new), hint)
    demand(new.abs().max() > 0, "The statistics are those of a new network: look now.")
    apart = (new - mean).abs().max() / (old - mean).abs().max()
    hint = "The means lie between the old ones and the images': forget the old ones."
    demand(apart < 0.02, hint)
    ratio = (after["1.running_var"] / var - 1).abs().max()
    demand(
        ratio < 0.05, "The means are right. The variances are not those of the images."
    )
    demand(not found.training, "Set the network back to evaluation at the end.")


def _stale() -> tuple[nn.Module, Tensor]:
    """Return a network whose statistics are of other images than these."""
    draw = torch.Generator().manual_seed(10)
    conv, norm = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5)
    with torch.no_grad():
        conv.weight.copy_(torch.randn(conv.weight.shape, generator=draw))
        conv.bias = None
    for name, value in (("mean", 4.0), ("var", 9.0)):
        norm.get_buffer(f"running_{name}").fill_(value)
    images = 2 * torch.randn(400, 3, 8, 8, generator=draw) + 0.5
    return masked(nn.Sequential(conv, norm, nn.ReLU()).eval()), images
