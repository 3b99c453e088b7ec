"""The experiments of the paper's section 3, with convolutions, for `catalogue.py`."""

from dataclasses import replace

from lth_utils.experiments.plans import Experiment, Study
from lth_utils.experiments.rates import PRUNING
from lth_utils.training.recipes import Recipe
from lth_utils.words import SCALINGS

CONV2_QUICK = Experiment(
    name="conv2",
    profile="quick",
    network="conv2-narrow",
    data="colour-digits",
    recipe=Recipe(lr=1e-3, iterations=500, evaluate_every=100),
    pruning=PRUNING["conv2-narrow"],
    rounds=11,
    seeds=(0, 1, 2),
    arms=("dense", "ticket", "reinit", "random"),
    control_rounds=(7, 11),
)
# The paper does not state its input scaling. This pilot compares three, dense at the
# paper's length and as a ladder of short trainings; validation loss decides.
_CONV2_LADDER = replace(
    CONV2_QUICK,
    name="conv2-scaling",
    profile="laptop",
    network="conv2",
    data="cifar10",
    recipe=Recipe(lr=2e-4, iterations=3000, evaluate_every=100),
    pruning=PRUNING["conv2"],
    seeds=(0,),
    arms=("dense", "ticket"),
    control_rounds=None,
)
_CONV2_DENSE = replace(
    _CONV2_LADDER,
    recipe=replace(_CONV2_LADDER.recipe, iterations=20_000, evaluate_every=250),
    arms=("dense",),
    rounds=0,
)
CONV2_SCALING = Study(
    "conv2-scaling",
    "laptop",
    tuple(
        replace(base, name=f"{scaling}-{base.recipe.iterations}", scaling=scaling)
        for base in (_CONV2_LADDER, _CONV2_DENSE)
        for scaling in SCALINGS
    ),
)
