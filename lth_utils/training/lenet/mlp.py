"""The step of a fully connected network, written by hand.

Autograd spends half of a LeNet step on bookkeeping. Here all parameters lie
in one flat buffer, their gradients in another, each product is written where
it belongs, and the optimizer sees a single parameter.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lth_utils.data.datasets import Dataset
from lth_utils.data.splits import Split
from lth_utils.masked_modules import MaskedLinear
from lth_utils.models import LeNet
from lth_utils.training.engines import Descent
from lth_utils.training.measuring import measured
from lth_utils.training.plain import mask_of, ordinary_parameters, plain
from lth_utils.training.recipes import Recipe

# The files whose forward passes the fast engines compute.
_HOMES = {kind.__module__ for kind in (LeNet, nn.Linear, MaskedLinear)}


def linear_layers(net: nn.Module) -> list[nn.Linear] | None:
    """Return the layers of a plain LeNet, in order; None for any other network.

    Plain is what the fast engines compute: float32 or float64, ordinary layers
    and parameters, all free to move, and nobody who listens or has changed
    anything. Under autocast nothing is plain.
    """
    if type(net) is not LeNet or list(net._modules) != ["fc1", "fc2", "output"]:
        return None
    layers = [net.fc1, net.fc2, net.output]
    if any(type(layer) not in (nn.Linear, MaskedLinear) for layer in layers):
        return None
    named = [name for name, _ in net.named_parameters()]
    if named != [f"{la}.{kind}" for la in net._modules for kind in ("weight", "bias")]:
        return None
    as_made = all(plain(part, _HOMES) for part in net.modules())
    as_made = as_made and ordinary_parameters(list(net.parameters()))
    fit = all(map(_fits, layers)) and all(
        before.weight.shape[0] == layer.weight.shape[1]
        for before, layer in pairwise(layers)
    )
    if not as_made or not fit or torch.is_autocast_enabled(net.fc1.weight.device.type):
        return None
    return layers


def _fits(layer: nn.Linear) -> bool:
    """Whether a layer's mask and bias have the shapes that its weight asks for."""
    weight = layer.weight
    return (
        weight.dim() == 2
        and layer.bias.shape == weight.shape[:1]
        and mask_of(layer).shape == weight.shape
    )


class MLP:
    """A ReLU network of linear layers, dense or nearly so.

    Args:
        layers: What `linear_layers` returned; changed by `write` alone.
        recipe: The optimizer.
        data: What it is trained on.
    """

    def __init__(self, layers: list[nn.Linear], recipe: Recipe, data: Dataset) -> None:
        self.layers, self.data = layers, data
        tensors = [t.detach() for la in layers for t in (la.weight, la.bias)]
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        self.parameter = nn.Parameter(flat)
        self.parameter.grad = torch.zeros_like(flat)
        self.descent = Descent([self.parameter], recipe)
        sizes, shapes = [t.numel() for t in tensors], [t.shape for t in tensors]

        def views(whole: Tensor) -> list[tuple[Tensor, Tensor]]:
            parts = whole.detach().split(sizes)
            shaped = [p.view(s) for p, s in zip(parts, shapes, strict=True)]
            return list(zip(shaped[::2], shaped[1::2], strict=True))

        self.values, self.gradients = views(flat), views(self.parameter.grad)
        alive = [(mask_of(la), torch.ones_like(la.bias)) for la in layers]
        mask = torch.cat([t.flatten().to(flat) for pair in alive for t in pair])
        self.mask = None if bool(mask.all()) else mask

    @torch.no_grad()
    def steps(self, order: Tensor) -> None:
        """Take an optimizer step for each row of images' numbers."""
        for index in order:
            self._step(*self.data.batch(index, self.parameter.dtype))

    def _step(self, x: Tensor, y: Tensor) -> None:
        self.descent.begin()
        signals = self._forward(x)
        delta = signals.pop().softmax(1)
        delta[torch.arange(len(y), device=y.device), y] -= 1
        delta /= len(y)
        for (weight, _), (by_weight, by_bias) in zip(
            reversed(self.values), reversed(self.gradients), strict=True
        ):
            signal = signals.pop()
            torch.mm(delta.t(), signal, out=by_weight)
            torch.sum(delta, 0, out=by_bias)
            if signals:
                delta = (delta @ weight).mul_(signal > 0)
        if self.mask is not None:
            assert self.parameter.grad is not None
            self.parameter.grad.mul_(self.mask)
        self.descent.step()

    def _forward(self, x: Tensor) -> list[Tensor]:
        """Return the input (N, inputs), each hidden layer's output, the scores."""
        signals = [x.flatten(1)]
        for weight, bias in self.values:
            if len(signals) > 1:
                signals[-1].relu_()
            signals.append(F.linear(signals[-1], weight, bias))
        return signals

    def measure(self, sample: Split) -> tuple[float, float]:
        """Return the mean loss and the accuracy."""
        dtype = self.parameter.dtype
        (found,) = measured(self._scores, self.data, dtype, sample)
        return found

    def _scores(self, x: Tensor) -> Tensor:
        return self._forward(x)[-1]

    @torch.no_grad()
    def write(self) -> None:
        """Copy the values into the layers."""
        for layer, (weight, bias) in zip(self.layers, self.values, strict=True):
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)

    @torch.no_grad()
    def read(self) -> None:
        """Copy the layers' values."""
        for layer, (weight, bias) in zip(self.layers, self.values, strict=True):
            weight.copy_(layer.weight)
            bias.copy_(layer.bias)
