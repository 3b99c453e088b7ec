"""The paper's networks, plain: nothing here knows about pruning.

Sizes from the paper's Figure 2. It does not state the activation, the
padding or the biases; here they are ReLU, 1 for 3 x 3 convolutions, and zero
at the start, as in its authors' later code. Biases and BatchNorm parameters
are never pruned and are outside every count of weights. Weights are drawn
from Gaussian Glorot, each network from a generator of its own.

A file a family of networks; `network` builds one by its word, and `makers.py`
also one of your own, by a function from a seed.
"""

from collections.abc import Callable

from torch import nn

from lth_utils.models.conv import Conv2, Conv4, Conv6
from lth_utils.models.layers import initialize
from lth_utils.models.lenet import LeNet
from lth_utils.models.resnet import ResNet20
from lth_utils.models.vgg import VGG19
from lth_utils.words import check_network

__all__ = [
    "VGG19",
    "Conv2",
    "Conv4",
    "Conv6",
    "LeNet",
    "ResNet20",
    "initialize",
    "network",
]


_UNITS = (64, 64)  # of the narrow networks' hidden fully connected layers


def _conv2_narrow(seed: int) -> Conv2:
    """Conv-2 for minutes on a laptop: a quarter of the filters and units."""
    return Conv2(seed, (16, 16), _UNITS)


def _conv4_narrow(seed: int) -> Conv4:
    """Conv-4, likewise."""
    return Conv4(seed, (16, 16, 32, 32), _UNITS)


def _conv6_narrow(seed: int) -> Conv6:
    """Conv-6, likewise."""
    return Conv6(seed, (16, 16, 32, 32, 64, 64), _UNITS)


def _resnet8_narrow(seed: int) -> ResNet20:
    """ResNet-20 with one block a stage in place of three, and half of the filters."""
    return ResNet20(seed, width=8, blocks=1)


def _vgg19_narrow(seed: int) -> VGG19:
    """VGG-19 with an eighth of the filters."""
    return VGG19(seed, width=8)


def _lenet_1d(seed: int) -> LeNet:
    """LeNet for the 40 points of an MNIST-1D signal: 15,000 weights."""
    return LeNet(seed, hidden=(100, 100), inputs=40)


_MAKERS: dict[str, Callable[[int], nn.Module]] = {
    "lenet": LeNet,
    "conv2": Conv2,
    "conv4": Conv4,
    "conv6": Conv6,
    "resnet20": ResNet20,
    "vgg19": VGG19,
    "conv2-narrow": _conv2_narrow,
    "conv4-narrow": _conv4_narrow,
    "conv6-narrow": _conv6_narrow,
    "resnet8-narrow": _resnet8_narrow,
    "vgg19-narrow": _vgg19_narrow,
    "lenet-1d": _lenet_1d,
}


def network(name: str, seed: int = 0) -> nn.Module:
    """Build a network by its word on the command line.

    Args:
        name: One of `words.NETWORKS`. The narrow ones are for the book's live
            cells: `conv2-narrow`, `conv4-narrow` and `conv6-narrow` with a quarter
            of the filters and units, `resnet8-narrow` with half of the filters and
            one block a stage, `vgg19-narrow` with an eighth of the filters.
            `lenet-1d` takes MNIST-1D's 40 points and has 100, 100 hidden units.
            Also `lenet-50-17`: LeNet with 50, 17 hidden units (1 to 10,000). And
            any of these with a gain above 0, which multiplies the initial weights:
            `lenet@0.5`, `lenet-50-17@0.5`.
        seed: Of the initial weights.

    Raises:
        LotteryError: If there is no such network, or the seed is no integer
            of at least 0.
    """
    base, hidden, gain = check_network(name)
    net = LeNet(seed, hidden) if hidden else _MAKERS[base](seed)
    for module in net.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            module.weight.data *= gain
    return net
