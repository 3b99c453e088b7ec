"""The paper's experiments as values, each in the sizes that a machine can bear.

Nothing here needs torch: a word or a number that is wrong is answered before
anything heavy is imported.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from lth_utils.errors import LotteryError, choose
from lth_utils.recipes import Recipe
from lth_utils.seeds import check_seed
from lth_utils.words import ARMS, DATASETS, SCALINGS, SCOPES, check_network

CHAINS = ("ticket", "continuing")  # each round starts from the one before


@dataclass(frozen=True)
class Pruning:
    """How much of each kind of layer goes in a round, and who competes.

    Args:
        conv: The fraction of the remaining weights of convolutions.
        fc: That of linear layers but the last.
        output: That of the last linear layer.
        scope: "layer-wise" or "global".
    """

    conv: float = 0.0
    fc: float = 0.0
    output: float = 0.0
    scope: str = "layer-wise"

    @property
    def rates(self) -> dict[str, float]:
        """Kind of layer to its fraction, as `prune` takes them."""
        return {"conv": self.conv, "fc": self.fc, "output": self.output}


# The paper's Figure 2. Its ResNet and VGG leave the output layer, and ResNet
# its 1x1 shortcuts, unpruned.
_LENET = Pruning(fc=0.2, output=0.1)
_SHALLOW_CONV = Pruning(conv=0.1, fc=0.2, output=0.1)
PRUNING = {
    "lenet": _LENET,
    "conv2": _SHALLOW_CONV,
    "conv2-narrow": _SHALLOW_CONV,
    "conv4": _SHALLOW_CONV,
    "conv6": Pruning(conv=0.15, fc=0.2, output=0.1),
    "resnet20": Pruning(conv=0.2, scope="global"),
    "vgg19": Pruning(conv=0.2, scope="global"),
    "lenet-1d": _LENET,
}


@dataclass(frozen=True)
class Experiment:
    """Which networks are trained, on what, and how often.

    Args:
        name: What the user says.
        profile: The size: "quick", "laptop" or "paper".
        network: The network's word, as `network` takes it.
        data: The data set's word.
        recipe: How each network is trained.
        pruning: Rates and scope of each round.
        rounds: The number of pruning rounds; round 0 is the dense network.
        seeds: Independent repeats: initial weights and data order.
        arms: What is compared (words.ARMS).
        control_rounds: The rounds at which arms other than the chains are
            trained; None is every round.
        controls: Repeats of an arm for each seed and round (1 if missing).
        curve_rounds: The rounds whose whole curves are recorded, because a
            figure shows them.
        scaling: The input scaling.

    Raises:
        LotteryError: If a word is unknown or a number out of range.
    """

    name: str
    profile: str
    network: str
    data: str
    recipe: Recipe
    pruning: Pruning
    rounds: int
    seeds: tuple[int, ...]
    arms: tuple[str, ...] = ARMS
    control_rounds: tuple[int, ...] | None = None
    controls: Mapping[str, int] = field(default_factory=dict)
    curve_rounds: tuple[int, ...] = ()
    scaling: str = "standardize"

    def __post_init__(self) -> None:
        check_network(self.network)
        choose("data set", self.data, DATASETS)
        choose("scaling", self.scaling, SCALINGS)
        choose("scope", self.pruning.scope, SCOPES)
        for arm in self.arms:
            choose("arm", arm, ARMS)
        for seed in self.seeds:
            check_seed(seed)

    def trainings(self) -> Iterator[tuple[str, int, int, int]]:
        """Yield (arm, seed, control, round) of every training."""
        for arm in self.arms:
            for round in self._rounds(arm):
                for seed in self.seeds:
                    for control in range(self.controls.get(arm, 1)):
                        yield arm, seed, control, round

    def _rounds(self, arm: str) -> tuple[int, ...]:
        if arm == "dense":
            return (0,)
        every = tuple(range(1, self.rounds + 1))
        return every if arm in CHAINS else self.control_rounds or every


_LENET_QUICK = Experiment(
    name="lenet-mnist",
    profile="quick",
    network="lenet",
    data="mnist-small",
    recipe=Recipe(lr=1.2e-3, iterations=1000, evaluate_every=50),
    pruning=PRUNING["lenet"],
    rounds=15,
    seeds=(0, 1, 2),
    arms=tuple(arm for arm in ARMS if not arm.startswith("continu")),
    control_rounds=(7, 11, 15),
)
_LENET_LAPTOP = replace(
    _LENET_QUICK,
    profile="laptop",
    data="mnist",
    recipe=Recipe(lr=1.2e-3, iterations=4000, evaluate_every=100),
    rounds=20,
    seeds=(0, 1, 2, 3, 4),
    arms=tuple(arm for arm in ARMS if arm != "continuing"),
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
_CONV2_QUICK = Experiment(
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

EXPERIMENTS: dict[str, dict[str, Experiment]] = {
    "lenet-mnist": {e.profile: e for e in (_LENET_QUICK, _LENET_LAPTOP, _LENET_PAPER)},
    "conv2": {"quick": _CONV2_QUICK},
}


def experiment(
    name: str,
    profile: str = "quick",
    seeds: int | None = None,
    arms: tuple[str, ...] | None = None,
) -> Experiment:
    """Return an experiment by its words, narrowed if asked.

    Args:
        name: Such as "lenet-mnist".
        profile: "quick", "laptop" or "paper".
        seeds: How many seeds, counted from 0; None keeps the profile's.
        arms: Some of its arms; None keeps all.

    Raises:
        LotteryError: If a word is unknown or `seeds` is no integer above 0.
    """
    profiles = EXPERIMENTS[choose("experiment", name, EXPERIMENTS)]
    found = profiles[choose(f"profile of {name}", profile, profiles)]
    if seeds is not None:
        if check_seed(seeds) < 1:
            raise LotteryError(
                "The number of seeds is 0: expected an integer of at least 1, such"
                " as 3 for the seeds 0, 1 and 2."
            )
        found = replace(found, seeds=tuple(range(seeds)))
    if arms is not None:
        for arm in arms:
            choose(f"arm of {name} {profile}", arm, found.arms)
        found = replace(found, arms=tuple(arms))
    return found
