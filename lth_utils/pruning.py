"""Which weights go: scores, groups of layers, and exactly k.

A *group* is a tuple of layers whose weights compete with each other: each
layer alone (layer-wise), or all prunable layers together (global). Everything
here is arithmetic on groups, so the two scopes share one path, and a ladder
of densities needs no training.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from lth_utils.errors import LotteryError, choose
from lth_utils.masking import kinds
from lth_utils.masks import Masks, State, masked_weights, masks_of
from lth_utils.seeds import check_seed, seed_of
from lth_utils.words import SCOPES, SCORES

Group = tuple[str, ...]
Rates = Mapping[str, float]
KINDS = ("conv", "fc", "output", "shortcut")


def check_fraction(fraction: float, what: str = "pruning fraction") -> float:
    """Return `fraction` if it lies in [0, 1).

    Raises:
        LotteryError: If it does not.
    """
    if not isinstance(fraction, int | float) or not 0 <= fraction < 1:
        raise LotteryError(
            f"The {what} {fraction!r} is out of range: expected a number of at"
            " least 0 and below 1, such as 0.2 for 20 %."
        )
    return fraction


def check_density(density: float) -> float:
    """Return `density` if it lies in (0, 1].

    Raises:
        LotteryError: If it does not.
    """
    if not isinstance(density, int | float) or not 0 < density <= 1:
        raise LotteryError(
            f"The density {density!r} is out of range: expected a fraction above 0"
            " and at most 1, such as 0.2 for 20 % of the weights."
        )
    return density


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
        LotteryError: For an unknown word, a fraction out of range, or a round
            that would prune nothing.
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
            or different rates inside one global group.
    """
    choose("scope", scope, SCOPES)
    by_kind = (
        dict(fraction)
        if isinstance(fraction, Mapping)
        else dict.fromkeys(KINDS, fraction)
    )
    for kind, rate in by_kind.items():
        choose("kind of layer", kind, KINDS)
        check_fraction(rate, f"pruning fraction of {kind!r}")
    rates = {name: by_kind.get(kind, 0.0) for name, kind in layer_kinds.items()}
    if scope == "layer-wise":
        return {(name,): rate for name, rate in rates.items()}
    pool = tuple(name for name, rate in rates.items() if rate)
    if len({rates[name] for name in pool}) > 1:
        raise LotteryError(
            f"Global pruning has one rate, but the fractions are {by_kind}:"
            " expected the same number for every kind that is pruned; leave a"
            " kind out to keep it whole."
        )
    whole: dict[Group, float] = {(n,): 0.0 for n, rate in rates.items() if not rate}
    return whole | ({pool: rates[pool[0]]} if pool else {})


def group_counts(masks: Masks, shared: Iterable[Group]) -> dict[Group, int]:
    """Return the number of weights alive in each group."""
    alive = masks.counts()
    return {group: sum(alive[name] for name in group) for group in shared}


def step(
    counts: Mapping[Group, int], shared: Mapping[Group, float]
) -> dict[Group, int]:
    """Return the counts after one more round: n - round(rate * n) each."""
    return {group: n - round(shared[group] * n) for group, n in counts.items()}


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
    """
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
        scores: Name to a tensor of the weight's shape.
        masks: The living; the others never come back.
        counts: How many weights each group keeps.

    Raises:
        LotteryError: If a group has fewer weights alive than it should keep.
    """
    kept: dict[str, Tensor] = {}
    for group, count in counts.items():
        alive = torch.cat([masks[name].flatten() for name in group])
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
    return {name: init[name].abs() for name in masked_weights(net)}
