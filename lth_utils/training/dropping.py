"""Dropout: which hidden units a step leaves out, by (seed, round, iteration) alone."""

from types import TracebackType

import torch
from torch import Tensor, nn

from lth_utils.models.layers import Dropout
from lth_utils.seeds import seed_of
from lth_utils.training.recipes import Recipe


class Drops:
    """The dropout of one training.

    They are drawn on the CPU, so that every device leaves out the same units.
    While a step is taken, and only then, the network's places have them: a
    context.

    Args:
        net: The network.
        recipe: Has the chance, and how many images a step has.
        key: (seed, round).

    Raises:
        LotteryError: If there shall be dropout, and the network has no place for it.
    """

    def __init__(self, net: nn.Module, recipe: Recipe, key: tuple[int, int]) -> None:
        self.chance, self.key = recipe.dropout, key
        self.places = [part for part in net.modules() if isinstance(part, Dropout)]
        recipe.check_places(type(net).__name__, bool(self.places))
        first = next(net.parameters())
        self.kept: list[Tensor] = [
            torch.ones(
                (recipe.batch_size, place.units), dtype=first.dtype, device=first.device
            )
            for place in self.places
            if self.chance
        ]

    def draw(self, iteration: int) -> None:
        """Draw what an iteration keeps: 0, or what makes up for the others."""
        for number, kept in enumerate(self.kept):
            seed = seed_of("dropout", *self.key, iteration, number)
            generator = torch.Generator().manual_seed(seed)
            chances = torch.rand(
                kept.shape, generator=generator, dtype=torch.float32, device="cpu"
            )
            kept.copy_((chances >= self.chance).to(kept.dtype).div_(1 - self.chance))

    def __enter__(self) -> None:
        for place, kept in zip(self.places, self.kept, strict=False):
            place.kept = kept

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for place in self.places:
            place.kept = None
