"""Adam and SGD as compiled loops, as torch's fused optimizers compute them."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lth_utils.training.loops.compiled import compiled
from lth_utils.training.recipes import Recipe

Array = NDArray[Any]


class Descent(NamedTuple):
    """An optimizer."""

    adam: bool  #: else SGD
    lr: float
    constants: Array  #: see `adam` and `sgd`


def descents(
    recipe: Recipe, dtype: Any, taken: int, order: Array
) -> Iterator[tuple[Descent, Array, int]]:
    """Yield optimizers of one learning rate each, and the steps that they take.

    Args:
        recipe: What they do.
        dtype: Of the parameters.
        taken: How many steps were taken before.
        order: A row for each step, (steps, batch_size).

    Yields:
        An optimizer, its rows, and how many steps were taken before them.
    """
    adam, done = recipe.optimizer == "adam", 0
    for rate, steps in recipe.rates(taken, len(order)):
        rates = [rate, recipe.momentum, recipe.weight_decay]
        constants = [1 - 0.9, 0.999, 1 - 0.999, 1e-8, 0, 0] if adam else rates
        descent = Descent(adam, rate, np.array(constants, dtype))
        yield descent, order[done : done + steps], taken + done
        done += steps


@compiled
def adam(
    theta: Array,
    gradient: Array,
    mean: Array,
    square: Array,
    lr: float,
    taken: int,
    constants: Array,
) -> None:
    """Take one Adam step in place.

    mean += (g - mean) (1 - beta1), square = square beta2 + g^2 (1 - beta2),
    theta -= lr / (1 - beta1^t) mean / (sqrt(square / (1 - beta2^t)) + epsilon).

    Args:
        theta: The parameters.
        gradient: Theirs.
        mean: The running mean of gradients.
        square: That of their squares.
        lr: The learning rate.
        taken: t, which counts this step.
        constants: 1 - beta1, beta2, 1 - beta2, epsilon, and room for two more:
            what depends on t alone.
    """
    constants[4] = lr / (1 - 0.9**taken)
    constants[5] = 1 / np.sqrt(1 - 0.999**taken)
    fade, keep, renew = constants[0], constants[1], constants[2]
    epsilon, step, root = constants[3], constants[4], constants[5]
    for i in range(theta.size):
        g = gradient[i]
        m = mean[i] + (g - mean[i]) * fade
        s = square[i] * keep + g * g * renew
        mean[i], square[i] = m, s
        theta[i] -= step * m / (np.sqrt(s) * root + epsilon)


@compiled
def sgd(theta: Array, gradient: Array, velocity: Array, constants: Array) -> None:
    """Take one step of SGD in place.

    velocity = velocity momentum + g + decay theta, theta -= lr velocity.

    Args:
        theta: The parameters.
        gradient: Theirs.
        velocity: What moves them.
        constants: lr, momentum, weight decay.
    """
    lr, momentum, decay = constants[0], constants[1], constants[2]
    for i in range(theta.size):
        v = velocity[i] * momentum + gradient[i] + decay * theta[i]
        velocity[i] = v
        theta[i] -= lr * v


@compiled
def move(
    theta: Array,
    gradient: Array,
    mean: Array,
    square: Array,
    descent: Descent,
    taken: int,
) -> None:
    """Take a step of whichever optimizer it is, in place."""
    if descent.adam:
        adam(theta, gradient, mean, square, descent.lr, taken, descent.constants)
    else:
        sgd(theta, gradient, mean, descent.constants)
