"""How one network is trained, as a value that can be hashed and compared."""

from dataclasses import dataclass

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
        momentum: For "sgd".
        weight_decay: For "sgd": the L2 penalty's factor.

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
        for name in ("iterations", "batch_size", "evaluate_every"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise LotteryError(
                    f"The recipe's {name} is {value!r}: expected an integer of at"
                    " least 1."
                )
        if not self.lr > 0:
            raise LotteryError(
                f"The recipe's lr is {self.lr!r}: expected a learning rate above 0,"
                " such as 1.2e-3."
            )
        if self.optimizer == "adam" and (self.momentum or self.weight_decay):
            raise LotteryError(
                "The recipe gives Adam a momentum or a weight decay: expected them"
                ' with optimizer="sgd" only.'
            )
