"""What an experiment is: which networks are trained, on what, and how often.

Nothing here needs torch: a word or a number that is wrong is answered before
anything heavy is imported. The paper's own experiments are in `catalogue.py`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lth_utils.errors import LotteryError, choose
from lth_utils.seeds import check_seed
from lth_utils.training.recipes import Recipe
from lth_utils.words import ARMS, SCALINGS, SCOPES, check_images

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
        LotteryError: If a word is unknown or a number out of range, or the
            network does not take the data set's images.
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
        check_images(self.network, self.data)
        choose("scaling", self.scaling, SCALINGS)
        choose("scope", self.pruning.scope, SCOPES)
        for arm in self.arms:
            choose("arm", arm, ARMS)
        for seed in self.seeds:
            check_seed(seed)

    @property
    def parts(self) -> tuple["Experiment", ...]:
        """The experiment alone; a study has several."""
        return (self,)

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


@dataclass(frozen=True)
class Study:
    """Experiments that differ in one thing, trained and recorded together.

    Args:
        name: What the user says.
        profile: The size: "quick", "laptop" or "paper".
        parts: The experiments; the table's column `experiment` has their names.

    Raises:
        LotteryError: If they are not on one data set, scaled in one way.
    """

    name: str
    profile: str
    parts: tuple[Experiment, ...]

    def __post_init__(self) -> None:
        if len({(part.data, part.scaling) for part in self.parts}) != 1:
            raise LotteryError(
                f"The parts of the study {self.name} use several data sets or"
                " scalings: expected one; make a study for each."
            )

    @property
    def data(self) -> str:
        """The data set's word."""
        return self.parts[0].data

    @property
    def curve_rounds(self) -> tuple[int, ...]:
        """The rounds whose whole curves are recorded."""
        return self.parts[0].curve_rounds


Plan = Experiment | Study
