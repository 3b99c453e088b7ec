"""Which weights go: scores, groups of layers, and exactly k.

A *group* is a tuple of layers whose weights compete with each other: each
layer alone (layer-wise), or all prunable layers together (global). Everything
here is arithmetic on groups, so the two scopes share one path, and a ladder
of densities needs no training.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from lth_utils.arguments import check_fraction, check_rates, whole
from lth_utils.errors import LotteryError, choose
from lth_utils.masking import kinds
from lth_utils.masks import Masks, State, masked_weights, masks_of
from lth_utils.seeds import check_seed, seed_of
from lth_utils.words import SCOPES, SCORES

Group = tuple[str, ...]
Rates = Mapping[str, float]
KINDS = ("conv", "fc", "output", "shortcut")


def prune(
    net: nn.Module,
    fraction: float | Rates,
    score: str = "magnitude",
    scope: str = "layer-wise",
    seed: int | None = None,
    init: State | None = None,
) -> Masks:
    """Choose the weights that survive one more round; `net` is unchanged.

    From each group exactly k = round(fraction * remaining) weights go, those
    of the lowest score; among equal scores the earlier position goes first.

    Args:
        net: A masked network.
        fraction: The fraction of the remaining weights to prune, in [0, 1):
            one number for every layer, or one for each kind of layer
            ("conv", "fc", "output", "shortcut"; a missing kind is not pruned).
        score: "magnitude" (`|w|`, the paper's), "random" (needs `seed`), or
            "initial" (`|w_0|`, needs `init`; paper's figure 18).
        scope: "layer-wise" (LeNet, Conv-2/4/6) or "global" (ResNet, VGG).
        seed: The seed of random scores.
        init: The initial weights, for the score "initial".

    Returns:
        New masks, whose ones are all ones in the masks that `net` obeys.

    Raises:
        LotteryError: For an unknown word, a fraction out of range or for a kind
            of layer that `net` lacks, a round that would prune nothing, or
            weights that are no numbers, as a training that diverged leaves them.
    """
    choose("score", score, SCORES)
    shared = groups(kinds(net), fraction, scope)
    masks = masks_of(net)
    before = group_counts(masks, shared)
    after = step(before, shared)
    if after == before:
        raise LotteryError(
            f"This round would prune nothing: {fraction!r} of {masks.remaining:,}"
            " remaining weights rounds to none in every layer; expected at least"
            " one weight to go. Raise the fraction, or stop pruning here."
        )
    return keep(_scores(net, score, seed, init), masks, after)


def groups(
    layer_kinds: Mapping[str, str], fraction: float | Rates, scope: str
) -> dict[Group, float]:
    """Return the groups of layers that compete, each with its rate.

    Raises:
        LotteryError: For an unknown scope or kind, a fraction out of range,
            a kind that no layer is of, or different rates inside one global
            group.
    """
    choose("scope", scope, SCOPES)
    if isinstance(fraction, Mapping):
        for kind in fraction:
            choose("kind of layer", kind, KINDS)
        by_kind = check_rates(fraction, scope)
        _check_kinds(by_kind, layer_kinds)
    else:
        by_kind = dict.fromkeys(KINDS, check_fraction(fraction))
    rates = {name: by_kind.get(kind, 0.0) for name, kind in layer_kinds.items()}
    if scope == "layer-wise":
        return {(name,): rate for name, rate in rates.items()}
    pool = tuple(name for name, rate in rates.items() if rate)
    kept: dict[Group, float] = {(n,): 0.0 for n, rate in rates.items() if not rate}
    return kept | ({pool: rates[pool[0]]} if pool else {})


def _check_kinds(by_kind: Mapping[str, float], layer_kinds: Mapping[str, str]) -> None:
    """Refuse a rate that would prune nothing, for want of such a layer."""
    there = dict.fromkeys(layer_kinds.values())
    for kind, rate in by_kind.items():
        if rate and kind not in there:
            raise LotteryError(
                f"There is a pruning fraction for {kind!r}, but this network's layers"
                f" are of the kinds {', '.join(there)}: expected fractions for these;"
                " leave the others out. (The last linear layer is the 'output'.)"
            )


def group_counts(masks: Masks, shared: Iterable[Group]) -> dict[Group, int]:
    """Return the number of weights alive in each group."""
    alive = masks.counts()
    return {group: sum(alive[name] for name in group) for group in shared}


def step(
    counts: Mapping[Group, int], shared: Mapping[Group, float]
) -> dict[Group, int]:
    """Return the counts after one more round: n - round(rate * n) each."""
    return {group: n - round(shared[group] * n) for group, n in counts.items()}


def check_ladder(
    net: nn.Module, fraction: float | Rates, scope: str, rounds: int
) -> None:
    """Find out without any training whether each of `rounds` rounds prunes.

    Args:
        net: A masked network, as it is before round 1.
        fraction: As `prune` takes it.
        scope: "layer-wise" or "global".
        rounds: The number of pruning rounds.

    Raises:
        LotteryError: As `groups`, or if a round would prune nothing.
    """
    shared = groups(kinds(net), fraction, scope)
    counts = group_counts(masks_of(net), shared)
    for round in range(1, rounds + 1):
        before, counts = counts, step(counts, shared)
        if counts == before:
            fewer = f", or prune at most {round - 1} rounds" if round > 1 else ""
            raise LotteryError(
                f"Round {round} of {rounds} would prune nothing: {fraction!r} of the"
                f" {sum(counts.values()):,} weights that are then left rounds to none"
                " in every layer; expected at least one weight to go in each round."
                f" Raise the fraction{fewer}."
            )


def ladder(
    sizes: Mapping[str, int], shared: Mapping[Group, float], rounds: int
) -> list[dict[Group, int]]:
    """Return the weights alive in each group at rounds 0, 1, …, `rounds`.

    Args:
        sizes: Each layer's number of weights.
        shared: What `groups` returned.
        rounds: The number of pruning rounds.
    """
    counts = [{group: sum(sizes[name] for name in group) for group in shared}]
    for _ in range(rounds):
        counts.append(step(counts[-1], shared))
    return counts


def densities(
    net: nn.Module, fraction: float | Rates, scope: str, rounds: int
) -> list[float]:
    """Return the density ladder of a masked network, without training it.

    Returns:
        Weights remaining over all weights (biases excluded) at rounds 0, 1,
        …, `rounds`, each in (0, 1] (the paper's P_m).

    Raises:
        LotteryError: As `groups`, or if `rounds` is no integer of at least 0.
    """
    rounds = whole("The number of rounds", rounds, 0)
    sizes = {name: m.numel() for name, m in masks_of(net).items()}
    rungs = ladder(sizes, groups(kinds(net), fraction, scope), rounds)
    total = sum(sizes.values())
    return [sum(counts.values()) / total for counts in rungs]


def keep(
    scores: Mapping[str, Tensor], masks: Masks, counts: Mapping[Group, int]
) -> Masks:
    """Keep the `counts` highest scores of each group among the living.

    Ties are broken by position, so the result is the same on every machine.

    Args:
        scores: Name to a tensor of the weight's shape; infinities are numbers
            too, the scores of the dead are not looked at.
        masks: The living; the others never come back.
        counts: How many weights each group keeps; each layer is in one group.

    Raises:
        LotteryError: If a layer is in no group or in two, a group has fewer
            weights alive than it should keep, or a living weight has no score.
    """
    _check_groups(counts, masks)
    _check_scores(scores, masks)
    kept: dict[str, Tensor] = {}
    for group, count in counts.items():
        alive = torch.cat([masks[name].flatten() for name in group])
        count = whole(f"The number of weights to keep in {', '.join(group)}", count, 0)
        dying = int(alive.sum()) - count
        if dying < 0:
            raise LotteryError(
                f"Cannot keep {count:,} weights in {', '.join(group)}: expected at"
                f" most the {int(alive.sum()):,} that are alive."
            )
        flat = torch.cat([scores[name].detach().cpu().flatten() for name in group])
        where = alive.nonzero().squeeze(1)
        order = flat[where].argsort(stable=True)
        alive[where[order[:dying]]] = False
        parts = alive.split([masks[name].numel() for name in group])
        kept |= {n: p.view_as(masks[n]) for n, p in zip(group, parts, strict=True)}
    return Masks({name: kept[name] for name in masks})


def _check_groups(counts: Mapping[Group, int], masks: Masks) -> None:
    """Refuse groups that do not hold each layer exactly once."""
    for group in counts:
        if not isinstance(group, tuple):
            raise LotteryError(
                f"{group!r} is no group of layers: expected a tuple of names, such as"
                " ('fc1.weight',); lth.layer_counts(masks) makes them."
            )
    held = Counter(name for group in counts for name in group)
    for name in (*masks, *held):
        if name not in masks or held[name] != 1:
            where = f"in {held[name]} groups" if name in masks else "not in the masks"
            raise LotteryError(
                f"The layer {name!r} is {where}: expected each of {', '.join(masks)} in"
                " exactly one group of the counts."
            )


def _check_scores(scores: Mapping[str, Tensor], masks: Masks) -> None:
    """Refuse scores that leave a living weight without one."""
    for name, mask in masks.items():
        shape = tuple(scores[name].shape) if name in scores else "no tensor"
        if shape != tuple(mask.shape):
            raise LotteryError(
                f"The scores of {name!r} are {shape}: expected a tensor of the"
                f" weight's shape, {tuple(mask.shape)}; take those of this network."
            )
        if scores[name].detach().cpu()[mask].isnan().any():
            raise LotteryError(
                f"The scores of {name!r} hold NaN, which is neither high nor low:"
                " expected a number for each weight that is alive. If they are a"
                " network's weights, its training diverged; lower the learning rate."
            )


def layer_counts(masks: Masks) -> dict[Group, int]:
    """Return the weights alive layer by layer, in the form `keep` takes."""
    return {(name,): count for name, count in masks.counts().items()}


def random_scores(masks: Masks, seed: int) -> State:
    """Return uniform random scores of the masks' shapes.

    Each layer has a stream of its own, named after it, so that the scores do
    not depend on the order of the layers.
    """
    check_seed(seed)
    scores: State = {}
    for name, mask in masks.items():
        generator = torch.Generator().manual_seed(seed_of("scores", seed, name))
        scores[name] = torch.rand(mask.shape, generator=generator)
    return scores


def magnitudes(net: nn.Module) -> State:
    """Return `|w|` of each masked weight."""
    return {name: w.detach().abs() for name, w in masked_weights(net).items()}


def _scores(net: nn.Module, score: str, seed: int | None, init: State | None) -> State:
    if score == "random":
        return random_scores(masks_of(net), check_seed(seed))
    if score == "magnitude":
        return magnitudes(net)
    if init is None:
        raise LotteryError(
            "The score 'initial' needs the initial weights: expected"
            " init=lth.snapshot(net), taken before training."
        )
    return {n: init[n].abs() for n in masked_weights(net) if n in init}
