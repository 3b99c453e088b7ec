"""Small networks and masks on which answers of chapters 3, 5 and 6 are tried."""

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lth_utils.masking import masked
from lth_utils.masks import State
from lth_utils.models import Conv2


def toy() -> tuple[nn.Module, dict[str, Tensor]]:
    """Return a network of 30 + 15 weights, 7 of them pruned, and its masks."""
    generator = torch.Generator().manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    with torch.no_grad():
        for parameter in net.parameters():
            spread = parameter.numel() ** -0.5  # as in LeNet: fewer are larger
            draws = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(spread * draws)
    masks = {n: torch.ones_like(net.get_parameter(n)) for n in ("0.weight", "2.weight")}
    masks["0.weight"][0, :5] = 0
    masks["2.weight"][0, :2] = 0
    with torch.no_grad():
        for name, mask in masks.items():
            net.get_parameter(name).mul_(mask)
    return net, masks


def examples() -> tuple[Tensor, Tensor]:
    """Return the toy's inputs and labels."""
    return torch.linspace(-1, 1, 180).view(30, 6).sin(), torch.arange(30) % 3


def adams_end() -> State:
    """Return where chapter 3's `train` ends with the toy."""
    net, masks = toy()
    x, y = examples()
    adam = torch.optim.Adam(net.parameters(), lr=1.2e-3)
    for index in torch.arange(30).split(5):
        adam.zero_grad()
        nn.functional.cross_entropy(net(x[index]), y[index]).backward()
        for name, mask in masks.items():
            weight = net.get_parameter(name)
            weight.grad = None if weight.grad is None else weight.grad * mask
        adam.step()
    return copies(net)


def small_lenet() -> tuple[nn.Module, Tensor, Tensor]:
    """Return a network with LeNet's names of layers, and data to train it on."""
    layers = OrderedDict(fc1=nn.Linear(20, 30), relu1=nn.ReLU())
    layers |= OrderedDict(fc2=nn.Linear(30, 10), relu2=nn.ReLU())
    layers |= OrderedDict(output=nn.Linear(10, 3))
    net, generator = nn.Sequential(layers), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
    x = torch.randn(40, 20, generator=generator)
    return net, x, torch.arange(40) % 3


def copies(net: nn.Module) -> State:
    """Return copies of a network's parameters by name."""
    return {name: p.detach().clone() for name, p in net.named_parameters()}


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    """Whether two states are the same to the bit."""
    return all(torch.equal(one[name], other[name]) for name in one)


def conv_masks() -> tuple[dict[str, Tensor], dict[str, int]]:
    """Return masks of a small network, and at how many places each is used."""
    draw = torch.Generator().manual_seed(1)
    shapes = {
        "conv1.weight": (4, 3, 3, 3),
        "conv2.weight": (6, 4, 3, 3),
        "fc1.weight": (10, 24),
    }
    masks = {
        name: torch.rand(shape, generator=draw) < 0.6 for name, shape in shapes.items()
    }
    return masks, {"conv1.weight": 64, "conv2.weight": 16, "fc1.weight": 1}


def lost_filters() -> tuple[Tensor, Tensor]:
    """Return masks of two convolutions: 25 filters, read by 12."""
    draw = torch.Generator().manual_seed(2)
    mask = torch.rand(25, 8, 3, 3, generator=draw) < 0.5
    readers = torch.rand(12, 25, 3, 3, generator=draw) < 0.5
    mask[[0, 3, 4, 9, 15]] = False
    mask[:, [2, 5, 6]] = False  # as many as no other count
    readers[:, [3, 4, 11, 12, 13, 14, 16]] = False
    return mask, readers


def mixed_net() -> nn.Module:
    """Return a masked network with a kind of layer each, as if trained."""
    layers = OrderedDict(conv1=nn.Conv2d(3, 8, 3), relu=nn.ReLU(), flat=nn.Flatten())
    layers |= OrderedDict(fc1=nn.Linear(32, 20), output=nn.Linear(20, 10))
    net, draw = nn.Sequential(layers), torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw))
    return masked(net)


def half_silent() -> tuple[nn.Module, Tensor]:
    """Return a small Conv-2 some of whose hidden units say nothing, and images."""
    net = Conv2(0, filters=(4, 4), units=(15, 10))
    with torch.no_grad():
        net.fc1.bias[:4] = -9.0  # silent to every image
        net.fc2.bias[:5] = -0.5
    draw = torch.Generator().manual_seed(6)
    return net, torch.randn(30, 3, 32, 32, generator=draw)
