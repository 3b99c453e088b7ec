"""What an experiment is: which networks are trained, on what, and how often.

Nothing here needs torch: a word or a number that is wrong is answered before
anything heavy is imported. The paper's own experiments are in `catalogue.py`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from lth_utils.arguments import check_crop, distinct, several, whole
from lth_utils.errors import LotteryError, choose
from lth_utils.experiments.rates import Pruning
from lth_utils.seeds import check_seed
from lth_utils.training.recipes import Recipe
from lth_utils.words import (
    ARMS,
    DRAWN,
    DROPPING,
    SCALINGS,
    TAKES,
    TRAIN_IMAGES,
    check_images,
    check_network,
)

CHAINS = ("ticket", "continuing")  # each round starts from the one before
_ARMS = '("dense", "ticket")'  # an example


@dataclass(frozen=True)
class Experiment:
    """Which networks are trained, on what, and how often.

    Args:
        name: What the user says: words that can name a folder.
        profile: The size, likewise: "quick", "laptop" or "paper".
        network: The network's word, as `network` takes it.
        data: The data set's word.
        recipe: How each network is trained.
        pruning: Rates and scope of each round.
        rounds: The number of pruning rounds; round 0 is the dense network.
        seeds: Independent repeats: initial weights and data order.
        arms: What is compared (words.ARMS).
        control_rounds: The rounds at which arms other than the chains are
            trained; None is every round.
        controls: Repeats of an arm for each seed and round (1 if missing),
            for arms that draw something of their own (words.DRAWN).
        curve_rounds: The rounds whose whole curves are measured and recorded,
            because a figure shows them: all splits at every evaluation. Of the
            others there is the validation split at every evaluation, and all
            splits at early stop and at the end.
        curve_arms: The arms of which that is so.
        scaling: The input scaling.

    Raises:
        LotteryError: If a word is unknown, a number out of range, something
            said twice, the network does not take the data set's images, a batch
            is larger than the train split, or the network has no place for the
            recipe's dropout or the images none for its crop.
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
    curve_arms: tuple[str, ...] = ("dense", "ticket", "reinit")
    scaling: str = "standardize"

    def __post_init__(self) -> None:
        _check_name("experiment", self.name)
        _check_name("profile", self.profile)
        _check_type("recipe", self.recipe, Recipe)
        _check_type("pruning", self.pruning, Pruning)
        check_images(self.network, self.data)
        choose("scaling", self.scaling, SCALINGS)
        self._check_recipe()
        seeds = several("The seeds", self.seeds, "(0, 1, 2)")
        arms = _checked_arms("The arms", self.arms)
        least = 0 if arms == ("dense",) else 1
        rounds = whole("The number of rounds", self.rounds, least)
        # Into `vars`, since a frozen value refuses to be set.
        vars(self).update(
            seeds=distinct("The seeds", tuple(map(check_seed, seeds))),
            arms=arms,
            rounds=rounds,
            controls=_checked_controls(self.controls, arms),
            curve_rounds=_checked_rounds("curve_rounds", self.curve_rounds, 0, rounds),
            curve_arms=_checked_arms("The curve_arms", self.curve_arms),
        )
        if self.control_rounds is not None:
            # Without an arm that is trained at them they say nothing.
            used = any(arm not in ("dense", *CHAINS) for arm in arms)
            most = rounds if used else None
            found = _checked_rounds("control_rounds", self.control_rounds, 1, most)
            vars(self)["control_rounds"] = found

    def _check_recipe(self) -> None:
        """Refuse what the network or the data set cannot do."""
        base = check_network(self.network).base
        self.recipe.check_places(repr(self.network), base in DROPPING)
        check_crop(self.recipe.crop, self.data, TAKES[base])
        if self.data in TRAIN_IMAGES:
            self.recipe.steps_per_epoch(TRAIN_IMAGES[self.data])

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

    def shows(self, arm: str, round: int) -> bool:
        """Whether a figure shows the whole curves of an arm at a round."""
        return arm in self.curve_arms and round in self.curve_rounds

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
        LotteryError: If there is none, two have one name, or they are not on
            one data set.
    """

    name: str
    profile: str
    parts: tuple[Experiment, ...]

    def __post_init__(self) -> None:
        _check_name("study", self.name)
        _check_name("profile", self.profile)
        what = f"The parts of the study {self.name}"
        parts = several(what, self.parts, "(one, other)")
        distinct(what, tuple(part.name for part in parts))
        vars(self)["parts"] = parts
        if len({part.data for part in parts}) != 1:
            raise LotteryError(
                f"The parts of the study {self.name} use several data sets: expected"
                " one; make a study for each."
            )

    @property
    def data(self) -> str:
        """The data set's word."""
        return self.parts[0].data


Plan = Experiment | Study


def narrowed(
    plan: Plan,
    seeds: int | None,
    arms: Iterable[str] | None,
    curves: bool = False,
    data: str | None = None,
) -> Plan:
    """Return the experiment, or each of a study's, with fewer seeds or arms.

    Args:
        plan: The experiment or study.
        seeds: How many seeds, counted from 0; None keeps the plan's.
        arms: Some of its arms; None keeps all.
        curves: Whether to show the whole curves of all that is left.
        data: Another data set's word; None keeps the plan's.

    Raises:
        LotteryError: If `seeds` is no integer above 0, an arm is not there, or
            the network does not take the data set's images.
    """
    if seeds is not None:
        seeds = whole("The number of seeds", seeds, 1)
    if arms is not None:
        arms = distinct("The arms", several("The arms", arms, _ARMS))
        for arm in arms:
            choose(f"arm of {plan.name} {plan.profile}", arm, plan.parts[0].arms)
    parts = tuple(_narrowed(part, seeds, arms) for part in plan.parts)
    if data is not None:
        parts = tuple(replace(part, data=data) for part in parts)
    if curves:
        parts = tuple(_whole(part) for part in parts)
    return replace(plan, parts=parts) if isinstance(plan, Study) else parts[0]


def _narrowed(
    part: Experiment, seeds: int | None, arms: tuple[str, ...] | None
) -> Experiment:
    if seeds is not None:
        part = replace(part, seeds=tuple(range(seeds)))
    if arms is not None:
        controls = {arm: n for arm, n in part.controls.items() if arm in arms}
        part = replace(part, arms=arms, controls=controls)
    return part


def _whole(part: Experiment) -> Experiment:
    return replace(
        part, curve_rounds=tuple(range(part.rounds + 1)), curve_arms=part.arms
    )


def _checked_arms(what: str, arms: Iterable[str]) -> tuple[str, ...]:
    """Return arms of a plan, checked."""
    found = distinct(what, several(what, arms, _ARMS))
    for arm in found:
        choose("arm", arm, ARMS)
    return found


def _checked_rounds(
    what: str, rounds: tuple[int, ...], least: int, most: int | None
) -> tuple[int, ...]:
    """Return rounds of a plan, checked."""
    found = several(f"The {what}", rounds, "(3, 7)", may_be_empty=least == 0)
    checked = (whole(f"A round of {what}", round, least, most) for round in found)
    return distinct(f"The {what}", tuple(checked))


def _checked_controls(
    controls: Mapping[str, int], arms: tuple[str, ...]
) -> dict[str, int]:
    """Return the repeats of each arm, checked."""
    if not isinstance(controls, Mapping):
        raise LotteryError(
            f"The controls are {controls!r}: expected the repeats of each arm, such"
            ' as {"reinit": 3}.'
        )
    checked = {}
    for arm, count in controls.items():
        choose("arm", arm, ARMS)
        checked[arm] = whole(f"The number of controls of {arm!r}", count, 1)
        if arm not in arms:
            raise LotteryError(
                f"There are controls of {arm!r}, which is none of the arms"
                f" {', '.join(arms)}: expected repeats of these; leave the others out."
            )
        if arm not in DRAWN and checked[arm] > 1:
            raise LotteryError(
                f"Repeats of {arm!r} would be the same training again: expected"
                f" controls of arms that draw something anew: {', '.join(DRAWN)}."
            )
    return checked


def _check_type(what: str, value: object, right: type) -> None:
    if not isinstance(value, right):
        raise LotteryError(
            f"The {what} is {value!r}: expected an lth.{right.__name__}, such as"
            f" that of lth.experiment('lenet-mnist').{what}."
        )


def _check_name(what: str, name: object) -> None:
    """Refuse a name that can name no folder, and no line of a table."""
    usable = isinstance(name, str) and name.strip() and name.isprintable()
    if not usable or set(str(name)) & set("/\\"):
        raise LotteryError(
            f"The {what}'s name {name!r} cannot be used: expected a word or a few, on"
            " one line and without slashes, such as 'lenet-mnist'."
        )
