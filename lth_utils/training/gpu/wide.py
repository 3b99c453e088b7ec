"""Layers that hold several replicas side by side, for grouped convolutions.

A parameter has a leading axis of replicas, and a signal all replicas' channels,
one replica's after another's: (N, R C, H, W) and (N, R units). Pooling, ReLU, means
over a picture and `flatten(1)` keep to that order. So a network whose layers
are these is R networks, by the forward pass it always had.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class _Conv2d(nn.Conv2d):
    """R convolutions: one with R groups. Weights (R, out, in, height, width)."""

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, R in, H, W) to (N, R out, H', W')."""
        bias = None if self.bias is None else self.bias.flatten()
        return F.conv2d(
            input,
            self.weight.flatten(0, 1),
            bias,
            self.stride,
            self.padding,
            self.dilation,
            len(self.weight) * self.groups,
        )


class _Linear(nn.Linear):
    """R linear layers: a batched product. Weights (R, out, in), biases (R, out)."""

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, R in) to (N, R out)."""
        replicas, _, inputs = self.weight.shape
        signals = input.view(-1, replicas, inputs).transpose(0, 1)
        weights = self.weight.transpose(1, 2)
        outputs = torch.baddbmm(self.bias[:, None], signals, weights)
        return outputs.transpose(0, 1).flatten(1)


class _BatchNorm2d(nn.BatchNorm2d):
    """R norms: a channel's moments are its own. Parameters and moments (R, C)."""

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, R C, H, W) to the same shape."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        if self.training:
            self.num_batches_tracked.add_(1)
        return F.batch_norm(
            input,
            self.running_mean.flatten(),  # views, which are written to
            self.running_var.flatten(),
            self.weight.flatten(),
            self.bias.flatten(),
            self.training,
            self.momentum,
            self.eps,
        )


WIDE: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv2d: _Conv2d,
    nn.Linear: _Linear,
    nn.BatchNorm2d: _BatchNorm2d,
}
