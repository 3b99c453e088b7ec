"""How one network is trained, as a value that can be hashed and compared."""

import math
from dataclasses import dataclass

from lth_utils.arguments import real, whole
from lth_utils.errors import LotteryError, choose

OPTIMIZERS = ("adam", "sgd")


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

    def __post_init__(self) -> None:
        choose("optimizer", self.optimizer, OPTIMIZERS)
        # Into `vars`, since a frozen value refuses to be set.
        for name in ("iterations", "batch_size", "evaluate_every"):
            vars(self)[name] = whole(f"The recipe's {name}", getattr(self, name), 1)
        if not 0 < real(self.lr) < math.inf:
            raise LotteryError(
                f"The recipe's lr is {self.lr!r}: expected a learning rate above 0,"
                " such as 1.2e-3."
            )
        if not 0 <= real(self.momentum) < 1:
            raise LotteryError(
                f"The recipe's momentum is {self.momentum!r}: expected a number of at"
                " least 0 and below 1, such as 0.9."
            )
        if not 0 <= real(self.weight_decay) < math.inf:
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
