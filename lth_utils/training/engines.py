"""Engines: how a network takes its steps. The generic one is here.

An engine is made for one training. The rooms `lenet/` and `convs/` hold faster
ones, and `choice.py` chooses. All of them do the same arithmetic: in float64 they
agree to the last few digits, in float32 only on average, because another order of
summation soon leads elsewhere.
"""

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from lth_utils.data.datasets import Dataset
from lth_utils.data.splits import Split
from lth_utils.masked_modules import MaskedModule
from lth_utils.masking import unmasked
from lth_utils.masks import weights_and_masks
from lth_utils.training.dropping import Drops
from lth_utils.training.measuring import LOW, exact, measured
from lth_utils.training.probe import dtype_of, own_modes
from lth_utils.training.recipes import Recipe


class Engine(Protocol):
    """What `train` asks of an engine."""

    def steps(self, order: Tensor) -> None:
        """Take an optimizer step for each row of train images' numbers.

        Args:
            order: int64 (steps, batch_size).
        """

    def measure(self, sample: Split) -> tuple[float, float]:
        """Return the mean loss in nats and the accuracy, a fraction."""

    def write(self) -> None:
        """Bring the network's parameters up to date."""

    def read(self) -> None:
        """Take the network's parameters over: `write` the other way."""


class Autograd:
    """Any network, on any device: backward by autograd.

    A network in evaluation mode is put into training mode; in one that trains,
    each module keeps its own mode, so that a frozen BatchNorm stays frozen.

    Args:
        net: The network, trained in place.
        recipe: Its optimizer.
        data: What it is trained on.
        key: (seed, round), which names what is dropped.
    """

    def __init__(
        self,
        net: nn.Module,
        recipe: Recipe,
        data: Dataset,
        key: tuple[int, int] = (0, 0),
    ) -> None:
        self.drops = Drops(net, recipe, key)  # first: it may refuse the network
        self.net = net if net.training else net.train()
        self.data, self.dtype = data, dtype_of(net)
        self.masked = [m for m in net.modules() if isinstance(m, MaskedModule)]
        self.layout = self.swift = torch.contiguous_format
        on_cpu = next(net.parameters()).device.type == "cpu"
        if on_cpu and any(isinstance(part, nn.Conv2d) for part in net.modules()):
            # Channels side by side, as a CPU's convolutions and pooling want
            # them; signals follow the weights.
            self.swift = torch.channels_last
        self._lay_out(self.swift)
        self.masks = [
            (weight, mask.to(weight))
            for weight, mask in weights_and_masks(net).values()
            if not bool(mask.all())
        ]
        self.descent = Descent(net.parameters(), recipe)

    def steps(self, order: Tensor) -> None:
        """Take an optimizer step for each row of images' numbers."""
        self._lay_out(self.swift)
        with self.drops:
            for index in order:
                self.begin()
                self.step(index)

    def begin(self) -> None:
        """Draw what the next step needs, and cannot draw on a GPU itself."""
        self.descent.begin()
        self.drops.draw(self.descent.taken)

    def step(self, index: Tensor) -> None:
        """Take an optimizer step that has begun, on images by their numbers (N,)."""
        x, y = self.data.batch(index, self.dtype)
        self.net.zero_grad(set_to_none=True)
        with unmasked(self.masked):
            F.cross_entropy(exact(self.net(x)), y).backward()
        rows = [(w.grad, m) for w, m in self.masks if w.grad is not None]
        if rows:
            gradients, masks = map(list, zip(*rows, strict=True))
            torch._foreach_mul_(gradients, masks)
        self.descent.step()

    def measure(self, sample: Split) -> tuple[float, float]:
        """Return loss and accuracy; BatchNorm uses its running statistics."""
        with own_modes(self.net), unmasked(self.masked):
            self.net.eval()
            (found,) = measured(self.net, self.data, self.dtype, sample)
        return found

    def write(self) -> None:
        """Lay the parameters out row by row, as they were found."""
        self._lay_out(torch.contiguous_format)

    def read(self) -> None:
        """Lay the parameters out for speed; they are the network's own."""
        self._lay_out(self.swift)

    def _lay_out(self, layout: torch.memory_format) -> None:
        if layout != self.layout:
            self.net.to(memory_format=layout)
            self.layout = layout


class Descent:
    """A fresh optimizer: torch's fused step, without torch's class.

    The class imports torch's compiler: seconds and 120 MB in every process.
    Fused is one pass over memory, and has no slow path for the zeros of pruned
    weights' moments, where the stock Adam takes 2.6 times as long.

    Args:
        parameters: What to move; those without a gradient stay.
        recipe: Says how.
    """

    def __init__(self, parameters: Iterable[Tensor], recipe: Recipe) -> None:
        self.recipe, self.taken = recipe, 0
        self.state = [  # parameter, mean and mean square of gradients, steps
            (
                p,
                torch.zeros_like(exact(p)),
                torch.zeros_like(exact(p)),
                torch.zeros((), dtype=torch.float32, device=p.device),
            )
            for p in parameters
        ]
        self.inexact = any(p.is_complex() or p.dtype in LOW for p, *_ in self.state)
        self.rate: float | Tensor = recipe.lr
        place = self.state[0][0].device
        if place.type == "cuda" and not recipe.steady:
            # A graph reads it anew.
            self.rate = torch.zeros((), dtype=torch.float32, device=place)

    def begin(self) -> None:
        """Set the learning rate of the next step."""
        self.taken += 1
        rate = self.recipe.rate(self.taken)
        if isinstance(self.rate, Tensor):
            self.rate.fill_(rate)
        else:
            self.rate = rate

    def tensors(self) -> list[Tensor]:
        """Return all that a step changes."""
        return [tensor for row in self.state for tensor in row]

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter along its gradient, in a step that has begun."""
        moving = [row for row in self.state if row[0].grad is not None]
        if not moving:
            return
        parameters, mean, square, steps = map(list, zip(*moving, strict=True))
        values, gradients = parameters, [p.grad for p in parameters]
        if self.inexact:
            values, gradients = list(map(exact, values)), list(map(exact, gradients))
        lists, lr = (values, gradients, mean), self.rate
        if self.recipe.optimizer == "adam":
            adam(
                *lists,
                square,
                [],
                steps,
                fused=True,
                lr=lr,
                beta1=0.9,
                beta2=0.999,
                eps=1e-8,
                weight_decay=0.0,
                amsgrad=False,
                maximize=False,
            )
        else:
            sgd(
                *lists,
                fused=True,
                lr=lr,
                momentum=self.recipe.momentum,
                weight_decay=self.recipe.weight_decay,
                dampening=0.0,
                nesterov=False,
                maximize=False,
            )
        if self.inexact:
            for parameter, value in zip(parameters, values, strict=True):
                if parameter.dtype in LOW:
                    parameter.copy_(value)
