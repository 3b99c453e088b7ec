"""The step of a fully connected network, written by hand.

Autograd spends half of a LeNet step on bookkeeping. Here all parameters lie
in one flat buffer, their gradients in another, each product is written where
it belongs, and the optimizer sees a single parameter.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lth_utils.masked_modules import MaskedLinear
from lth_utils.models import LeNet
from lth_utils.training.engines import Descent
from lth_utils.training.recipes import Recipe


def linear_layers(net: nn.Module) -> list[nn.Linear] | None:
    """Return the layers of a LeNet, in order; None for any other network.

    A LeNet of which a layer was exchanged, frozen or hooked is another network.
    """
    if type(net) is not LeNet:
        return None
    layers = [net.fc1, net.fc2, net.output]
    plain = all(type(layer) in (nn.Linear, MaskedLinear) for layer in layers)
    free = all(parameter.requires_grad for parameter in net.parameters())
    return layers if plain and free and not _hooked(net) else None


def _hooked(net: nn.Module) -> bool:
    """Whether someone listens to, or changes, what a module does."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    return any(getattr(part, kind) for part in net.modules() for kind in kinds)


def mask_of(layer: nn.Linear) -> Tensor:
    """Return a layer's mask (out, in) as booleans; all True if it has none."""
    if isinstance(layer, MaskedLinear):
        return layer.mask
    return torch.ones_like(layer.weight, dtype=torch.bool)


class MLP:
    """A ReLU network of linear layers, dense or nearly so.

    Args:
        layers: What `linear_layers` returned; changed by `write` alone.
        recipe: The optimizer.
    """

    def __init__(self, layers: list[nn.Linear], recipe: Recipe) -> None:
        self.layers = layers
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
    def step(self, x: Tensor, y: Tensor) -> None:
        """Take one optimizer step."""
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

    @torch.no_grad()
    def scores(self, x: Tensor) -> Tensor:
        """Return the class scores (N, classes)."""
        return self._forward(x)[-1]

    @torch.no_grad()
    def write(self) -> None:
        """Copy the values into the layers."""
        for layer, (weight, bias) in zip(self.layers, self.values, strict=True):
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
