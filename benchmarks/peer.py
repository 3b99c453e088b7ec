"""SparseProp's layers in place of torch's, checked before they are timed.

SparseProp (Nikdan and others, ICML 2023; PyPI, version 0.1.14) is the public
library for training with unstructured sparsity on a CPU. It is no dependency:
README.md says how to install it for a comparison.
"""

import torch
from torch import Tensor, nn

CLOSE = 1e-4  # of the largest entry: float32 sums in another order


def network(net: nn.Module, x: Tensor) -> nn.Sequential:
    """Return a masked LeNet with SparseProp's layers.

    Args:
        net: The LeNet.
        x: A batch (N, 1, 28, 28), on which both must agree.

    Raises:
        RuntimeError: If they do not.
    """
    from sparseprop.modules import SparseLinear

    theirs: list[nn.Module] = [nn.Flatten()]
    for layer in (net.fc1, net.fc2, net.output):
        bias = nn.Parameter(layer.bias.detach().clone())
        theirs += [SparseLinear(layer.weight.detach(), bias=bias), nn.ReLU()]
    found = nn.Sequential(*theirs[:-1])
    with torch.no_grad():
        check("SparseProp's LeNet", found(x), net(x))
    return found


def convolution(weight: Tensor, over_width: bool) -> nn.Module:
    """Return a 3x3 convolution of the weights (out, in, 3, 3) that are not 0.

    Args:
        weight: The weights.
        over_width: Whether its inner loop runs along a picture's row; else over
            the batch, which must then be a multiple of 8: the outputs of the
            last images are wrong otherwise.
    """
    from sparseprop.modules import SparseConv2d

    return SparseConv2d(weight, None, padding=1, vectorizing_over_on=over_width)


def check(what: str, found: Tensor, right: Tensor) -> None:
    """Refuse to time what computes something else.

    Raises:
        RuntimeError: If an entry is off by more than rounding.
    """
    apart = (found - right).abs().max() / right.abs().max()
    if not apart < CLOSE:
        raise RuntimeError(
            f"{what} is off by {apart:.2g} of the largest entry: expected less than"
            f" {CLOSE:g}. Nothing that computes something else is timed."
        )
