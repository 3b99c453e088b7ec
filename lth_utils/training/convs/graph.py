"""From one of the library's convolutional networks to its layers side by side.

The network's own forward pass is run once on stand-ins, those of `torch.fx`, so that
no second description of it is kept here.
"""

import operator
from copy import deepcopy
from functools import partial
from typing import Any

from torch import fx, nn
from torch.nn import functional as F

from lth_utils.models.layers import Dropout
from lth_utils.training.convs.layers import Layer, Norm, Sparse
from lth_utils.training.convs.movers import Average, Drop, Pool, Quarter
from lth_utils.training.convs.planes import Planes
from lth_utils.training.plain import LAYERS, mask_of


class Unknown(Exception):
    """A network that does something that no layer here does."""


def _nodes(net: nn.Module) -> list[fx.Node]:
    """Return what a network's forward pass calls, one after the other.

    The layers of a copy write down that they were called. (`fx.Tracer` would change
    `nn.Module` itself for as long as it runs, also for other threads' networks.)
    """
    graph = fx.Graph()
    tracer = fx.proxy.GraphAppendingTracer(graph)

    def called(name: str, signal: fx.Proxy) -> fx.Proxy:
        return fx.Proxy(graph.call_module(name, (signal.node,)), tracer)

    tensors = [*net.parameters(), *net.buffers()]
    copy = deepcopy(net, {id(tensor): tensor for tensor in tensors})  # but for these
    for name, part in copy.named_modules():
        if isinstance(part, (*LAYERS, Dropout)):
            part.__dict__["forward"] = partial(called, name)
    images = fx.Proxy(graph.placeholder("images"), tracer)
    graph.output(copy(images).node)
    return list(graph.nodes)


class Graph:
    """A network's layers, in order, and the signals between them.

    Args:
        net: A network that `plain.convolutional` knows.
        shape: Of its images, (channels, height, width).
        tiles: Of 16 images, a multiple of four.

    Attributes:
        images: The first signal.
        scores: The last one, flat.
        layers: What leads from the one to the other.

    Raises:
        Unknown: If that is not possible.
    """

    def __init__(self, net: nn.Module, shape: tuple[int, int, int], tiles: int) -> None:
        self.net, self.tiles = net, tiles
        self.dtype = next(net.parameters()).detach().numpy().dtype
        self.images = self._planes(shape)
        self.layers: list[Layer] = []
        self.signals: dict[fx.Node, Planes] = {}
        self.quarters: dict[int, Planes] = {}
        nodes = _nodes(net)
        self.signals[nodes[0]] = self.images
        self.scores = self._signal(nodes[-1].args[0])
        modules = [layer.module for layer in self.layers if hasattr(layer, "module")]
        parameters = {id(p) for m in modules for p in m.parameters()}
        _check(len(modules) == len(set(modules)))
        _check(parameters == {id(p) for p in net.parameters()})
        _check(self.scores.flat)
        self._share_deltas()

    def _signal(self, node: Any) -> Planes:
        """Return what a node computes; its layer comes after those that it needs."""
        if node not in self.signals:
            self.signals[node] = self._make(node)
        return self.signals[node]

    def _make(self, node: fx.Node) -> Planes:
        rectified = node.target is F.relu
        if rectified:
            node = _only(node, node.args[0])
        other = None
        if node.target is operator.add:
            first, second = node.args
            node = _only(node, first)
            _check(isinstance(self._module(node), nn.BatchNorm2d))
            other = self._signal(second)
        source = self._signal(node.args[0])
        if node.op == "call_module":
            return self._module_layer(self._module(node), source, rectified, other)
        if node.target is F.max_pool2d:
            _check(node.args[1:] == (2,))
            return self._pool(source, rectified)
        _check(not rectified and node.op == "call_method")
        if node.target == "flatten":
            _check(node.args[1:] == (1,))
            return source  # linear layers read planes as they are
        _check((node.target, node.args[1:]) == ("mean", ((2, 3),)))
        return self._average(source)

    def _module(self, node: fx.Node) -> Any:
        _check(node.op == "call_module")
        return self.net.get_submodule(str(node.target))

    def _module_layer(
        self, module: Any, source: Planes, rectified: bool, other: Planes | None
    ) -> Planes:
        if isinstance(module, nn.BatchNorm2d):
            return self._norm(module, source, rectified, other)
        if isinstance(module, Dropout):
            _check(not rectified and other is None)
            return self._drop(module, source)
        if isinstance(module, nn.Conv2d):
            return self._convolution(module, source, rectified)
        return self._linear(module, source, rectified)

    def _planes(self, shape: tuple[int, int, int], **about: bool) -> Planes:
        planes = Planes(shape, self.tiles, self.dtype, **about)
        _check(planes.values.size < 2**31)  # offsets have 32 bits
        return planes

    def _add(self, layer: Layer) -> Planes:
        self.layers.append(layer)
        return layer.target

    def _convolution(
        self, module: nn.Conv2d, source: Planes, rectified: bool
    ) -> Planes:
        side, stride = module.kernel_size[0], module.stride[0]
        shape = (module.out_channels, source.channels, side, side)
        _check(side in (1, 3) and stride in (1, 2) and not source.flat)
        _check(module.stride == (stride, stride) and module.dilation == (1, 1))
        _check(module.padding == (side // 2, side // 2))
        _check(module.groups == 1 and module.padding_mode == "zeros")
        _check_shapes(module, shape)
        if stride == 2:
            source = self._quarter(source)
        size = (module.out_channels, source.height, source.width)
        target = self._planes(size, rectified=rectified)
        return self._add(Sparse(module, source, target))

    def _quarter(self, source: Planes) -> Planes:
        """Return a signal's pixels by whether their y and x are odd."""
        if id(source) not in self.quarters:
            half = -(-source.height // 2), -(-source.width // 2)
            shape = (4 * source.channels, *half)
            target = self._planes(shape, rectified=source.rectified)
            self.quarters[id(source)] = self._add(Quarter(source, target))
        return self.quarters[id(source)]

    def _linear(self, module: nn.Linear, source: Planes, rectified: bool) -> Planes:
        inputs = source.channels * source.height * source.width
        _check_shapes(module, (module.out_features, inputs))
        shape = (module.out_features, 1, 1)
        target = self._planes(shape, flat=True, rectified=rectified)
        return self._add(Sparse(module, source, target))

    def _norm(
        self,
        module: nn.BatchNorm2d,
        source: Planes,
        rectified: bool,
        other: Planes | None,
    ) -> Planes:
        tensors = (module.weight, module.bias, module.running_mean, module.running_var)
        for tensor in tensors:
            _check(tensor is not None and tensor.shape == (source.channels,))
            _check(tensor is not None and tensor.dtype == module.weight.dtype)
        _check(module.momentum is not None and source is not self.images)
        _check(other is None or other.shape == source.shape)
        target = self._planes(source.shape, rectified=rectified)
        return self._add(Norm(module, source, target, other))

    def _pool(self, source: Planes, rectified: bool) -> Planes:
        size = (source.height // 2, source.width // 2)
        _check(min(size) > 0 and source is not self.images)
        rectified = rectified or source.rectified
        target = self._planes((source.channels, *size), rectified=rectified)
        return self._add(Pool(source, target))

    def _drop(self, module: Dropout, source: Planes) -> Planes:
        _check(source.flat and source.rectified and module.units == source.channels)
        target = self._planes(source.shape, flat=True, rectified=True)
        return self._add(Drop(module, source, target))

    def _average(self, source: Planes) -> Planes:
        _check(source.rectified)
        shape = (source.channels, 1, 1)
        target = self._planes(shape, flat=True, rectified=True)
        return self._add(Average(source, target))

    def _share_deltas(self) -> None:
        """Find room for the gradients: what one has left, another takes.

        What is added to a norm's output has that output's gradient, in the same
        room; a ReLU is seen to by the convolution that adds to it.

        Raises:
            Unknown: If a layer would have to add to a gradient, but cannot; or
                a gradient would pass where a ReLU has been, unheeded.
        """
        begun, loose = {id(self.scores)}, set[int]()
        free: dict[tuple[int, ...], list[Any]] = {}
        self.scores.find_delta([])
        for layer in reversed(self.layers):
            source, target, other = layer.source, layer.target, layer.other
            _check(id(target) in begun - loose)
            if source is self.images:
                continue
            layer.more = id(source) in begun
            sparse = isinstance(layer, Sparse)
            _check(source.rectified if sparse else not layer.more)
            if not layer.more:
                source.find_delta(free.setdefault(source.form, []))
            begun.add(id(source))
            loose.discard(id(source))
            if other is None:
                free.setdefault(target.form, []).append(target.delta)
            else:
                _check(id(other) not in begun)
                other.delta = target.delta
                begun.add(id(other))
                loose |= {id(other)} if other.rectified else set()


def _check(fits: object) -> None:
    if not fits:
        raise Unknown


def _check_shapes(module: Any, shape: tuple[int, ...]) -> None:
    """Check that weight, mask and bias have the shapes that a loop will trust."""
    _check(module.weight.shape == mask_of(module).shape == shape)
    _check(module.bias is None or module.bias.shape == shape[:1])


def _only(user: fx.Node, node: Any) -> fx.Node:
    """Return a node that nobody else uses, so that a layer may be merged with it."""
    _check(isinstance(node, fx.Node) and list(node.users) == [user])
    return node
