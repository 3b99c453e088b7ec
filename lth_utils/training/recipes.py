"""How one network is trained, as a value that can be hashed and compared."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from lth_utils.arguments import check_fraction, distinct, real, several, whole
from lth_utils.errors import LotteryError, choose

OPTIMIZERS = ("adam", "sgd")
_HUGE = 1e38  # nearly the greatest of float32, as which a rate is kept on a GPU


@dataclass(frozen=True)
class Recipe:
    """How one network is trained.

    Args:
        lr: Learning rate (LeNet: 1.2e-3 with Adam; paper, Figure 2).
        iterations: Optimizer steps.
        optimizer: "adam" or "sgd".
        batch_size: Images a step; an epoch's last, short batch is dropped.
        evaluate_every: Iterations between two evaluations.
        momentum: For "sgd"; at least 0 and below 1.
        weight_decay: For "sgd": the L2 penalty's factor, at least 0.
        warmup: Iterations over which the learning rate rises to `lr`, in equal
            steps from 0.
        milestones: Iterations after which it falls to a tenth of what it was: from
            the warm-up's last to the last but one.
        dropout: The chance of a hidden unit to be left out of a step, at least 0
            and below 1, in networks that have places for it: Conv-2, Conv-4 and
            Conv-6 behind each hidden fully connected layer.
        flip: Whether a training image is mirrored half of the time.
        crop: How many pixels of black are laid around a training image, from
            which a window of its size is then cut anywhere.

    Raises:
        LotteryError: If a value is out of range.
    """

    lr: float = 1.2e-3
    iterations: int = 1000
    optimizer: str = "adam"
    batch_size: int = 60
    evaluate_every: int = 100
    momentum: float = 0.0
    weight_decay: float = 0.0
    warmup: int = 0
    milestones: tuple[int, ...] = ()
    dropout: float = 0.0
    flip: bool = False
    crop: int = 0

    def __post_init__(self) -> None:
        choose("optimizer", self.optimizer, OPTIMIZERS)
        # Into `vars`, since a frozen value refuses to be set.
        for name in ("iterations", "batch_size", "evaluate_every"):
            vars(self)[name] = whole(f"The recipe's {name}", getattr(self, name), 1)
        self._check_descent()
        self._check_schedule()
        vars(self)["dropout"] = check_fraction(self.dropout, "recipe's dropout")
        vars(self)["crop"] = whole("The recipe's crop", self.crop, 0)
        if not isinstance(self.flip, bool):
            raise LotteryError(
                f"The recipe's flip is {self.flip!r}: expected True or False."
            )

    def _check_descent(self) -> None:
        """Refuse what an optimizer cannot do."""
        if not 0 < real(self.lr) < _HUGE:
            raise LotteryError(
                f"The recipe's lr is {self.lr!r}: expected a learning rate above 0,"
                " such as 1.2e-3."
            )
        if not 0 <= real(self.momentum) < 1:
            raise LotteryError(
                f"The recipe's momentum is {self.momentum!r}: expected a number of at"
                " least 0 and below 1, such as 0.9."
            )
        if not 0 <= real(self.weight_decay) < _HUGE:
            raise LotteryError(
                f"The recipe's weight_decay is {self.weight_decay!r}: expected a"
                " number of at least 0, such as 1e-4."
            )
        if self.optimizer == "adam" and (self.momentum or self.weight_decay):
            raise LotteryError(
                "The recipe gives Adam a momentum or a weight decay: expected them"
                ' with optimizer="sgd" only.'
            )
        for name in ("lr", "momentum", "weight_decay"):
            vars(self)[name] = real(getattr(self, name))

    def _check_schedule(self) -> None:
        """Refuse a learning rate that would rise or fall when all is over."""
        last = self.iterations
        what = f"Of {last} iterations, the recipe's warmup"
        vars(self)["warmup"] = whole(what, self.warmup, 0, last)
        what = "The recipe's milestones"
        found = several(what, self.milestones, "(20_000, 25_000)", may_be_empty=True)
        least, most = max(self.warmup, 1), last - 1
        if found and least > most:
            raise LotteryError(
                f"{what} are {found}, but there is no room for one between a warm-up of"
                f" {self.warmup} iterations and the end at {last}: expected none, or a"
                " longer training. Leave them out."
            )
        checked = tuple(
            whole("One of the recipe's milestones", at, least, most) for at in found
        )
        vars(self)["milestones"] = tuple(sorted(distinct(what, checked)))

    def rate(self, iteration: int) -> float:
        """Return the learning rate of a step, the first of which is 1."""
        fallen = sum(iteration > milestone for milestone in self.milestones)
        risen = min(1.0, iteration / self.warmup) if self.warmup else 1.0
        return self.lr * risen * 10.0**-fallen

    def rates(self, taken: int, steps: int) -> Iterator[tuple[float, int]]:
        """Yield each learning rate, and of how many steps, after `taken` others."""
        every = map(self.rate, range(taken + 1, taken + steps + 1))
        for rate, same in groupby(every):
            yield rate, len(list(same))

    @property
    def steady(self) -> bool:
        """Whether the learning rate stays what it is."""
        return not (self.warmup or self.milestones)

    def left(self, done: int) -> "Recipe":
        """Return what is left of the recipe after so many iterations.

        Raises:
            LotteryError: If nothing is, or the warm-up is not over by then.
        """
        if 0 < done < self.warmup:
            raise LotteryError(
                f"Iteration {done} lies within the recipe's warm-up of {self.warmup}"
                f" iterations: expected 0, or one from {self.warmup} on, since a"
                " warm-up is not begun in its middle. Choose another."
            )
        fallen = sum(done >= milestone for milestone in self.milestones)
        return replace(
            self,
            lr=self.lr * 10.0**-fallen,
            iterations=self.iterations - done,
            warmup=0 if done else self.warmup,
            milestones=tuple(at - done for at in self.milestones[fallen:]),
        )

    def check_places(self, network: str, there: bool) -> None:
        """Check that a network has places for dropout, if there shall be some.

        Args:
            network: What it is called.
            there: Whether it has any.

        Raises:
            LotteryError: If it has none, but needs them.
        """
        if self.dropout and not there:
            raise LotteryError(
                f"The network {network} has no place for the recipe's dropout of"
                f" {self.dropout}: expected Conv-2, Conv-4 or Conv-6, which have one"
                " behind each hidden fully connected layer. Leave dropout out."
            )

    def steps_per_epoch(self, images: int) -> int:
        """Return the number of whole batches among so many training images.

        Raises:
            LotteryError: If there is none.
        """
        if images < self.batch_size:
            raise LotteryError(
                f"A batch of {self.batch_size} is more than the {images} training"
                " images: expected a smaller one; lower the recipe's batch_size."
            )
        return images // self.batch_size
