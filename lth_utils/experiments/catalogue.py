"""The paper's experiments, each in the sizes that a machine can bear.

quick    the packaged digits, 1,000 iterations, 3 seeds: minutes on two cores
laptop   the full data set, 4,000 iterations, 2,000 in the studies of appendix
         G: less than an hour
paper    the paper's 50,000 iterations: hours
gpu      the same, some of its arms, for a GPU: minutes (make gpu)

Those of sections 3 to 5 are in `convolutional.py`.
"""

import shlex
from collections.abc import Sequence
from dataclasses import replace

from lth_utils.errors import choose
from lth_utils.experiments import convolutional
from lth_utils.experiments.plans import Experiment, Plan, Study, narrowed
from lth_utils.experiments.rates import PRUNING, Pruning
from lth_utils.training.recipes import Recipe
from lth_utils.words import NOISES

# --- section 2: LeNet ---------------------------------------------------------

_LENET_QUICK = Experiment(
    name="lenet-mnist",
    profile="quick",
    network="lenet",
    data="mnist-small",
    recipe=Recipe(lr=1.2e-3, iterations=1000, evaluate_every=50),
    pruning=PRUNING["lenet"],
    rounds=15,
    seeds=(0, 1, 2),
    arms=("dense", "ticket", "oneshot", "oneshot-reinit", "reinit", "random"),
    control_rounds=(7, 11, 15),
)
_LENET_LAPTOP = replace(
    _LENET_QUICK,
    profile="laptop",
    data="mnist",
    recipe=Recipe(lr=1.2e-3, iterations=4000, evaluate_every=100),
    rounds=20,
    seeds=(0, 1, 2, 3, 4),
    arms=(*_LENET_QUICK.arms, "continued"),
    control_rounds=None,
    curve_rounds=(0, 3, 7, 12, 15, 18),
)
_LENET_PAPER = replace(
    _LENET_LAPTOP,
    profile="paper",
    recipe=Recipe(lr=1.2e-3, iterations=50_000, evaluate_every=100),
    control_rounds=(3, 7, 11, 15, 18, 20),
    controls={"reinit": 3, "oneshot-reinit": 3},
)
# Figure F4's arms.
_LENET_GPU = replace(
    _LENET_PAPER,
    profile="gpu",
    arms=("dense", "ticket", "oneshot", "oneshot-reinit", "reinit"),
)

# --- appendix F: inside the tickets -------------------------------------------

# Which values: the ticket's connections with other ones (figures F17, F25),
# and the connections that the initial values alone would choose (F18).
_INITS_QUICK = replace(
    _LENET_QUICK,
    name="lenet-inits",
    arms=("dense", "ticket", "reinit", "resample", *NOISES, "initial"),
    control_rounds=(7, 11),
)
_INITS_LAPTOP = replace(
    _LENET_LAPTOP,
    name="lenet-inits",
    arms=_INITS_QUICK.arms,
    control_rounds=(3, 7, 11, 15, 18),
    curve_rounds=(),
)
# Which connections: random ones, and random ones that keep how many enter
# each unit, or leave each input.
_STRUCTURE_QUICK = replace(
    _INITS_QUICK,
    name="lenet-structure",
    arms=("dense", "ticket", "random", "same-fan-in", "same-fan-out"),
)
_STRUCTURE_LAPTOP = replace(
    _INITS_LAPTOP, name="lenet-structure", arms=_STRUCTURE_QUICK.arms
)
# A signal of 40 points: is it their order that a ticket exploits?
_SIGNAL = Experiment(
    name="mnist-1d",
    profile="quick",
    network="lenet-1d",
    data="mnist-1d",
    recipe=Recipe(lr=1.2e-3, iterations=2000, evaluate_every=100),
    pruning=PRUNING["lenet-1d"],
    rounds=12,
    seeds=(0, 1, 2),
    arms=("dense", "ticket", "reinit", "random"),
    control_rounds=(7, 10, 12),
)
_SHUFFLED = replace(
    _SIGNAL,
    name="mnist-1d-shuffled",
    data="mnist-1d-shuffled",
    arms=("dense", "ticket", "random"),
)
_FASHION = replace(
    _LENET_LAPTOP,
    name="lenet-fashion",
    data="fashion-mnist",
    rounds=18,
    arms=("dense", "ticket", "reinit", "random"),
    control_rounds=(3, 7, 11, 15, 18),
    curve_rounds=(),
)

# --- appendix G: hyperparameters, and width -----------------------------------

_CHAIN_LAPTOP = replace(
    _LENET_LAPTOP,
    recipe=Recipe(lr=1.2e-3, iterations=2000, evaluate_every=100),
    rounds=16,
    arms=("dense", "ticket"),
    curve_rounds=(),
)
_CHAIN_QUICK = replace(_LENET_QUICK, arms=("dense", "ticket"), rounds=12)


def _learning_rates(
    base: Experiment, *rates: float, optimizer: str = "adam", momentum: float = 0.0
) -> tuple[Experiment, ...]:
    """Return the experiment with another optimizer and its learning rates."""
    recipe = replace(base.recipe, optimizer=optimizer, momentum=momentum)
    return tuple(
        replace(base, name=f"{rate:g}", recipe=replace(recipe, lr=rate))
        for rate in rates
    )


def _gains(base: Experiment, *gains: float) -> tuple[Experiment, ...]:
    """Return the experiment with initial weights drawn wider or narrower."""
    return tuple(
        replace(base, name=f"{gain:g}", network=f"lenet@{gain:g}") for gain in gains
    )


def _widths(base: Experiment, *widths: tuple[int, int]) -> tuple[Experiment, ...]:
    """Return the experiment with other hidden layers."""
    return tuple(
        replace(base, name=f"{a}-{b}", network=f"lenet-{a}-{b}") for a, b in widths
    )


def _named(base: Experiment) -> Experiment:
    """Return the paper's own widths under the name of a study's part."""
    return replace(base, name="300-100")


def _fractions(base: Experiment, rounds: dict[float, int]) -> tuple[Experiment, ...]:
    """Return the experiment with other pruning rates, each with its rounds.

    The output layer is pruned at half the rate, as in the paper.
    """
    return tuple(
        replace(
            base,
            name=f"{rate:g}",
            pruning=Pruning(fc=rate, output=rate / 2),
            rounds=count,
        )
        for rate, count in rounds.items()
    )


_STUDIES = (
    # Figures F26 to F28: the part's name is the learning rate.
    Study(
        "lenet-adam",
        "laptop",
        _learning_rates(_CHAIN_LAPTOP, 2e-4, 6e-4, 1.2e-3, 2e-3, 5e-3),
    ),
    # At 0.5 some trainings diverge, and the order in which sums are made says which:
    # seed 2 with `pixels`, seed 4 with `mlp`. At 0.3 none of ten seeds did with either.
    Study(
        "lenet-sgd",
        "laptop",
        _learning_rates(_CHAIN_LAPTOP, 0.02, 0.1, 0.3, optimizer="sgd"),
    ),
    Study(
        "lenet-momentum",
        "laptop",
        _learning_rates(
            _CHAIN_LAPTOP, 0.005, 0.02, 0.05, optimizer="sgd", momentum=0.9
        ),
    ),
    # Figure F29: each rate ends near 3 % of the weights.
    Study(
        "lenet-fraction",
        "laptop",
        _fractions(_CHAIN_LAPTOP, {0.1: 32, 0.2: 16, 0.4: 7, 0.6: 4, 0.8: 2}),
    ),
    # Figure F30: standard deviations of theta_0, over Glorot's.
    Study("lenet-gain", "laptop", _gains(_CHAIN_LAPTOP, 0.5, 1, 2, 4)),
    # Figure F31: the two hidden layers' units.
    Study(
        "lenet-width",
        "quick",
        (*_widths(_CHAIN_QUICK, (50, 17), (100, 33)), _named(_CHAIN_QUICK)),
    ),
    Study(
        "lenet-width",
        "laptop",
        (
            *_widths(_CHAIN_LAPTOP, (25, 8), (50, 17), (100, 33), (600, 200)),
            _named(_CHAIN_LAPTOP),
        ),
    ),
)


def _by_name(*plans: Plan) -> dict[str, dict[str, Plan]]:
    found: dict[str, dict[str, Plan]] = {}
    for plan in plans:
        found.setdefault(plan.name, {})[plan.profile] = plan
    return found


EXPERIMENTS = _by_name(
    _LENET_QUICK,
    _LENET_LAPTOP,
    _LENET_PAPER,
    _LENET_GPU,
    _INITS_QUICK,
    _INITS_LAPTOP,
    _STRUCTURE_QUICK,
    _STRUCTURE_LAPTOP,
    _SIGNAL,
    _SHUFFLED,
    _FASHION,
    *_STUDIES,
    *convolutional.PLANS,
)


def experiment(
    name: str,
    profile: str = "quick",
    seeds: int | None = None,
    arms: Sequence[str] | None = None,
    data: str | None = None,
) -> Plan:
    """Return an experiment, or a study, by its words; narrowed if asked.

    Args:
        name: Such as "lenet-mnist".
        profile: "quick", "laptop" or "paper".
        seeds: How many seeds, counted from 0; None keeps the profile's.
        arms: Some of its arms; None keeps all.
        data: Another data set, as `load` takes it; None keeps the profile's.

    Raises:
        LotteryError: If a word is unknown, `seeds` is no integer above 0, or the
            network does not take the data set's images.
    """
    profiles = EXPERIMENTS[choose("experiment", name, EXPERIMENTS)]
    found = profiles[choose(f"profile of {name}", profile, profiles)]
    return narrowed(found, seeds, arms, data=data)


def command(
    name: str,
    profile: str,
    seeds: int | None = None,
    arms: Sequence[str] | None = None,
    data: str | None = None,
) -> str:
    """Return what is typed to run what `experiment` returns for the same words."""
    return (
        f"lth run {name} --profile {profile}"
        + (f" --seeds {seeds}" if seeds is not None else "")
        + (f" --arms {','.join(arms)}" if arms else "")
        + (f" --data {shlex.quote(data)}" if data else "")
    )
