"""The optimizers of compiled loops: they move parameters in place.

They do what torch's fused optimizers do; a weight whose gradient is always 0
stays where it is, and so do its moments.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lth_utils.training.compiled import compiled
from lth_utils.training.vectors import div, fma, load, mul, splat, sqrt, store, sub

Array = NDArray[Any]


class Moves(NamedTuple):
    """How the optimizer moves parameters."""

    adam: bool  #: else SGD
    lr: float
    momentum: float
    decay: float


@compiled
def adam(
    theta: Array, mean: Array, square: Array, first: int, by: Array, rates: Array
) -> None:
    """Move parameters from `first` on along their gradients g = by.

    m += (1 - beta1) (g - m); s = beta2 s + (1 - beta2) g g;
    theta -= step m / (root sqrt(s) + epsilon).
    """
    step, root = splat(rates[0], 16), splat(rates[1], 16)
    fade, keep = splat(rates[2], 16), splat(rates[3], 16)
    renew, epsilon = splat(rates[4], 16), splat(rates[5], 16)
    for i in range(0, by.size, 16):
        g, m = load(by, i, 16), load(mean, first + i, 16)
        m = fma(sub(g, m), fade, m)
        s = fma(mul(g, g), renew, mul(load(square, first + i, 16), keep))
        store(mean, first + i, m)
        store(square, first + i, s)
        change = div(mul(m, step), fma(sqrt(s), root, epsilon))
        store(theta, first + i, sub(load(theta, first + i, 16), change))


@compiled
def sgd(theta: Array, mean: Array, first: int, by: Array, rates: Array) -> None:
    """Likewise: v = momentum v + g + decay theta; theta -= lr v."""
    lr, momentum, decay = splat(rates[0], 16), splat(rates[1], 16), splat(rates[2], 16)
    for i in range(0, by.size, 16):
        now = load(theta, first + i, 16)
        v = fma(now, decay, load(by, i, 16))
        v = fma(load(mean, first + i, 16), momentum, v)
        store(mean, first + i, v)
        store(theta, first + i, sub(now, mul(v, lr)))


@compiled
def rates_of(moves: Moves, step: int, dtype: Any) -> Array:
    """Return what `adam` or `sgd` takes in a step; the first is number 1."""
    rates = np.empty(6, dtype)
    rates[0], rates[1], rates[2] = moves.lr, moves.momentum, moves.decay
    if moves.adam:
        rates[0], rates[1] = moves.lr / (1 - 0.9**step), 1 / np.sqrt(1 - 0.999**step)
        rates[2], rates[3], rates[4], rates[5] = 1 - 0.9, 0.999, 1 - 0.999, 1e-8
    return rates
