"""The experiments of the paper's sections 3 to 5: convolutions, dropout, depth.

quick    narrower networks on computed colour digits, a few hundred iterations,
         and fewer rounds, each of which prunes more
laptop   the networks at full width on CIFAR-10, a few thousand iterations, six
         densities for the controls: hours on two cores
paper    the paper's own iterations: for a GPU

The paper does not state how it scales its images: `conv2-scaling` asks which of
three ways has the least validation loss, and all others use that.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from lth_utils.experiments.plans import Experiment, Plan, Study
from lth_utils.experiments.rates import PRUNING, Pruning
from lth_utils.training.recipes import Recipe
from lth_utils.words import SCALINGS

_SEEDS = (0, 1, 2, 3, 4)

# --- section 3: Conv-2, Conv-4, Conv-6 ----------------------------------------

# Learning rate, the paper's iterations, and the laptop's; rounds down to 2 % of the
# weights, and six for the controls, with those that the paper's claims name.
_CONVS = {
    "conv2": (2e-4, 20_000, 3000, 17, (3, 6, 9, 11, 14, 17)),
    "conv4": (3e-4, 25_000, 2000, 21, (3, 7, 11, 12, 15, 21)),
    "conv6": (3e-4, 30_000, 2000, 21, (3, 7, 10, 13, 17, 21)),
}


_NARROW = {"resnet20": "resnet8-narrow"}


def _narrow(name: str) -> Experiment:
    """Return what is trained on digits, with the paper's rates of pruning."""
    return Experiment(
        name=name,
        profile="quick",
        network=_NARROW.get(name, f"{name}-narrow"),
        data="colour-digits",
        recipe=Recipe(lr=1e-3, iterations=200, evaluate_every=40),
        pruning=PRUNING[name],
        rounds=6,
        seeds=(0, 1, 2),
        arms=("dense", "ticket", "reinit", "random"),
        control_rounds=(4, 6),
    )


def _quick(name: str) -> Experiment:
    """Return eleven of the paper's rounds in six, for a page that trains them."""
    return replace(_narrow(name), pruning=_at_once(PRUNING[name], 11 / 6))


def _at_once(pruning: Pruning, rounds: float) -> Pruning:
    """Return the rates that prune in one round what several would."""
    rates = {kind: 1 - (1 - rate) ** rounds for kind, rate in pruning.rates.items()}
    return Pruning(**rates, scope=pruning.scope)


def _laptop(name: str) -> Experiment:
    rate, _, iterations, rounds, controls = _CONVS[name]
    return replace(
        _narrow(name),
        profile="laptop",
        network=name,
        data="cifar10",
        recipe=Recipe(lr=rate, iterations=iterations, evaluate_every=100),
        rounds=rounds,
        seeds=_SEEDS,
        control_rounds=controls,
    )


def _paper(name: str) -> Experiment:
    """Figures F1, F5, F13 and F14: three reinits a seed, as for LeNet."""
    base = _laptop(name)
    recipe = replace(base.recipe, iterations=_CONVS[name][1])
    return replace(base, profile="paper", recipe=recipe, controls={"reinit": 3})


_SECTION_3 = tuple(make(name) for name in _CONVS for make in (_quick, _laptop, _paper))

# --- the pilot of input scalings ----------------------------------------------

_LADDER = replace(
    _laptop("conv2"),
    name="conv2-scaling",
    recipe=Recipe(lr=2e-4, iterations=3000, evaluate_every=100),
    rounds=11,
    seeds=(0,),
    arms=("dense", "ticket"),
    control_rounds=None,
)
_DENSE = replace(
    _LADDER,
    recipe=Recipe(lr=2e-4, iterations=20_000, evaluate_every=250),
    arms=("dense",),
    rounds=0,
)
_SCALING = Study(
    "conv2-scaling",
    "laptop",
    tuple(
        replace(base, name=f"{scaling}-{base.recipe.iterations}", scaling=scaling)
        for base in (_LADDER, _DENSE)
        for scaling in SCALINGS
    ),
)

# --- section 4: dropout (figure F6) -------------------------------------------

# The paper trains three times as long with dropout, at these learning rates.
_DROPOUT_RATES = {"conv2": 3e-4, "conv4": 2e-4, "conv6": 2e-4}


def _dropout(base: Experiment) -> Study:
    """Return an experiment's dense networks and tickets, without and with dropout."""
    plain = replace(
        base, name="plain", arms=("dense", "ticket"), control_rounds=None, controls={}
    )
    rate, every = _DROPOUT_RATES[base.name], base.recipe.evaluate_every
    if base.profile == "quick":  # four of the paper's rounds in one
        plain = replace(
            plain,
            recipe=replace(base.recipe, iterations=180, evaluate_every=60),
            pruning=_at_once(PRUNING[base.name], 4),
            rounds=2,
        )
        rate, every = base.recipe.lr, 3 * plain.recipe.evaluate_every
    longer = replace(
        plain.recipe,
        lr=rate,
        iterations=3 * plain.recipe.iterations,
        evaluate_every=every,
        dropout=0.5,
    )
    parts = (plain, replace(plain, name="dropout", recipe=longer))
    return Study(f"{base.name}-dropout", base.profile, parts)


_SECTION_4 = tuple(map(_dropout, _SECTION_3))

# --- section 5: ResNet-20 (figure F8) and VGG-19 (F7) -------------------------

_RESNET = Recipe(
    lr=0.1,
    iterations=30_000,
    optimizer="sgd",
    batch_size=128,
    momentum=0.9,
    weight_decay=1e-4,
    milestones=(20_000, 25_000),
    flip=True,
    crop=4,
)
_VGG = replace(
    _RESNET, iterations=112_000, batch_size=64, milestones=(56_250, 84_375)
)  # that is 80 and 120 of 160 epochs
# A part's learning rate, and over how many of the paper's iterations it rises.
_Rates = dict[str, tuple[float, int]]
_RATES: dict[str, _Rates] = {
    "resnet20": {"0.1": (0.1, 0), "0.01": (0.01, 0), "warmup": (0.03, 20_000)},
    "vgg19": {"0.1": (0.1, 0), "0.01": (0.01, 0), "warmup": (0.1, 10_000)},
}


def _deep(
    base: Experiment, recipe: Recipe, iterations: int, rates: _Rates | None = None
) -> Study:
    """Return a network's study of learning rates, with the schedule shortened alike.

    Args:
        base: What its parts share.
        recipe: The paper's.
        iterations: How many there shall be.
        rates: Other rates than the paper's.
    """
    rates, share = rates or _RATES[base.name], iterations / recipe.iterations

    def part(name: str, lr: float, warmup: int) -> Experiment:
        schedule = replace(
            recipe,
            lr=lr,
            iterations=iterations,
            warmup=round(share * warmup),
            milestones=tuple(round(share * at) for at in recipe.milestones),
        )
        return replace(base, name=name, recipe=schedule)

    return Study(base.name, base.profile, tuple(part(n, *r) for n, r in rates.items()))


def _in_rounds(quick: Experiment, digits: Recipe) -> Study:
    """Return the paper's study, on digits."""
    return _deep(quick, digits, 600)


def _one_cut(quick: Experiment, digits: Recipe) -> Study:
    """Return the study of live cells: one cut, and nothing but the warm-up differs.

    It warms up to the high rate, as the paper does with VGG-19: on so few images the
    paper's 0.03 learns less.
    """
    cut = replace(
        quick, pruning=_at_once(quick.pruning, 6), rounds=1, control_rounds=(1,)
    )
    short = replace(digits, batch_size=30, evaluate_every=120)
    return _deep(cut, short, 360, {"0.1": (0.1, 0), "warmup": (0.1, 20_000)})


def _depths(
    name: str,
    recipe: Recipe,
    iterations: int,
    controls: tuple[int, ...],
    live: Callable[[Experiment, Recipe], Study],
) -> Iterator[Study]:
    """Yield a network's study in three profiles; `live` makes the quick one."""
    quick = replace(
        _narrow(name),
        rounds=7,
        arms=("dense", "ticket", "reinit"),
        control_rounds=(4, 7),
    )
    laptop = replace(
        quick,
        profile="laptop",
        network=name,
        data="cifar10",
        seeds=_SEEDS,
        rounds=controls[-1],
        control_rounds=controls,
    )
    # Digits are not what they are in a mirror, and these are moved already.
    digits = replace(recipe, flip=False, crop=0, batch_size=60)
    yield live(quick, digits)
    yield _deep(laptop, recipe, iterations)
    yield _deep(replace(laptop, profile="paper"), recipe, recipe.iterations)


_SECTION_5 = (
    *_depths("resnet20", _RESNET, 1000, (4, 6, 7, 10), _one_cut),
    *_depths("vgg19", _VGG, 1000, (8, 12, 15, 19), _in_rounds),
)

PLANS: tuple[Plan, ...] = (*_SECTION_3, _SCALING, *_SECTION_4, *_SECTION_5)
