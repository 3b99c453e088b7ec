"""The step of a dense network on images most of whose pixels are 0."""

from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lth_utils.data.datasets import Dataset
from lth_utils.data.splits import Split
from lth_utils.training.compiled import aligned
from lth_utils.training.mlp import mask_of
from lth_utils.training.recipes import Recipe
from lth_utils.training import pixel_kernels as kernels

Array = NDArray[Any]
TILE = 64


def line(data):
    P = int(np.prod(data.shape))
    if hasattr(data, "line"):
        return data.line()
    if data.scaling == "l2":
        return np.ones(P), np.zeros(P)
    g, h = data._line(torch.float64)
    C, H, W = data.shape
    return [np.broadcast_to(t.numpy().reshape(C, 1), (C, H * W)).reshape(-1).copy() for t in (g, h)]


def factors_of(data, images):
    if data.scaling != "l2":
        return np.ones(len(images))
    n = torch.linalg.vector_norm(images.flatten(1).double(), dim=1).clamp_min(1)
    return (1 / n).numpy()


def blocks_of(units):
    return -(-units // kernels.LANES)


def laid_out(matrix: Array, dtype) -> Array:
    """(units, inputs) -> flat (blocks, inputs, LANES)."""
    units, inputs = matrix.shape
    out = aligned((blocks_of(units), inputs, kernels.LANES), dtype)
    for b in range(blocks_of(units)):
        part = matrix[b * kernels.LANES : (b + 1) * kernels.LANES].T
        out[b, :, : part.shape[1]] = part
    return out.reshape(-1)


class Pixels:
    def __init__(self, layers, recipe: Recipe, data: Dataset) -> None:
        self.targets, self.recipe, self.data, self.taken = layers, recipe, data, 0
        self.dtype = layers[0].weight.detach().numpy().dtype
        dt = self.dtype
        gain, shift = line(data)
        self.gain = gain.astype(dt)
        self.listed = self._listed(data.train)
        self.tile = max(TILE, recipe.batch_size)
        most = int(np.diff(self.listed[0].starts).max())
        room = self.tile
        masks = [mask_of(l).numpy() for l in layers]
        self.masked = not all(m.all() for m in masks)
        self.layers = []
        for k, (l, m) in enumerate(zip(layers, masks)):
            w = l.weight.detach().numpy(); units, inputs = w.shape
            weights = laid_out(w, dt)
            width = blocks_of(units) * kernels.LANES
            bias = aligned(width, dt); bias[:units] = l.bias.detach().numpy()
            s = shift.astype(dt) if k == 0 else np.zeros(inputs, dt)
            size = room * (inputs if k == 0 else inputs) + 1
            self.layers.append(kernels.Layer(
                units, weights, aligned(weights.size, dt), aligned(weights.size, dt),
                laid_out(m.astype(np.uint8), np.uint8) if self.masked else aligned(64, np.uint8),
                bias, aligned(width, dt), aligned(width, dt), s, aligned(width, dt),
                aligned(width * room, dt),
                kernels.Some(np.zeros(room + 1, np.uint64), np.zeros(size, np.uint32), np.zeros(size, dt)),
                kernels.Some(np.zeros(inputs + 1, np.uint64), np.zeros(size, np.uint32), np.zeros(size, dt)),
            ))
        self.layers = tuple(self.layers)
        widest = max(l.base.size for l in self.layers)
        size = max(l.units for l in self.layers) * room + 1
        self.room = (
            kernels.Some(np.zeros(room + 1, np.uint64), np.zeros(size, np.uint32), np.zeros(size, dt)),
            aligned(widest, dt),
            aligned(max([1] + [self.layers[k - 1].base.size * self.layers[k].units for k in range(1, len(layers))]), dt),
            aligned(widest * room, dt),
        )
        for l in self.layers:
            kernels.set_base(l)
        r = recipe
        self.moves = kernels.Moves(r.optimizer == "adam", self.masked, r.lr, r.momentum, r.weight_decay)
        self.known = {}

    def _listed(self, split):
        images = split.images.flatten(1).numpy()
        starts = np.zeros(len(images) + 1, np.uint64)
        kind = np.uint16 if images.shape[1] <= 65536 else np.uint32
        count = kernels.squeeze(images, starts, np.zeros(0, kind), np.zeros(0, np.uint8))
        pixels, greys = np.zeros(count, kind), np.zeros(count, np.uint8)
        kernels.squeeze(images, starts, pixels, greys)
        return kernels.Some(starts, pixels, greys), split.labels.numpy().copy(), factors_of(self.data, split.images).astype(self.dtype)

    def steps(self, order: Tensor) -> None:
        listed, labels, factors = self.listed
        kernels.steps(listed, labels, order.numpy(), self.gain, factors, self.layers, self.room, self.taken, self.moves)
        self.taken += len(order)

    def measure(self, sample: Split):
        key = id(sample.images)
        if key not in self.known:
            self.known[key] = (sample, self._listed(sample))
        listed, labels, factors = self.known[key][1]
        loss, right = kernels.measure(listed, labels, self.gain, factors, self.layers, self.tile)
        return loss / len(labels), right / len(labels)

    @torch.no_grad()
    def write(self):
        for t, l in zip(self.targets, self.layers):
            units, inputs = t.weight.shape
            w = l.weights.reshape(-1, inputs, kernels.LANES)
            w = w.transpose(0, 2, 1).reshape(-1, inputs)[:units]
            t.weight.copy_(torch.from_numpy(np.ascontiguousarray(w)))
            t.bias.copy_(torch.from_numpy(l.bias[:units]))
