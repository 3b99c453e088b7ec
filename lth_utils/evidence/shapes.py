"""The shapes of a ticket: its first values, and where its connections are.

The paper's figure 15 is about the histogram of the first values; figures 21 to 24
are about how many connections each unit and each input keeps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    from lth_utils.tickets import Ticket


def survivors(ticket: Ticket, layer: str) -> Tensor:
    """Return the first values of a layer's living weights, in its own sigma."""
    values = ticket.init[layer]
    return values[ticket.masks[layer]] / values.std()


def height(values: Tensor) -> float:
    """Return the height around zero over the height around one sigma.

    It is 1.6 for a bell curve; below 1 there are two peaks.
    """
    size = values.abs()
    centre = (size < 0.25).sum() / 0.5  # its bin is 0.5 wide
    sides = ((size > 0.75) & (size < 1.25)).sum() / 1.0  # two of 0.5
    return (centre / sides).item()


def positive(values: Tensor) -> float:
    """Return the share of the values that lie above zero."""
    return (values > 0).double().mean().item()


def incoming(mask: Tensor) -> Tensor:
    """Return the share of its inputs that each unit of a layer still reads."""
    return mask.double().mean(1)


def outgoing(mask: Tensor) -> Tensor:
    """Return the share of a layer's units that still read each of its inputs."""
    return mask.double().mean(0)


def spread(shares: Tensor) -> float:
    """Return the standard deviation over the mean: 0 if all have alike."""
    return (shares.std() / shares.mean()).item()


def apart(shares: Tensor, few: Tensor) -> float:
    """Return how far the few lie below the others: their means, in sigmas.

    Args:
        shares: Such as `outgoing` of the first layer.
        few: Which of them are the few, a boolean for each.
    """
    one, two = shares[few], shares[~few]
    noise = ((one.var() + two.var()) / 2).sqrt()
    return ((two.mean() - one.mean()) / noise).item()


def peaks(few: float, far: float) -> int:
    """Return how many peaks two bell curves of one sigma show together.

    Args:
        few: The share of all values that the smaller one holds.
        far: How far apart they are, in sigmas.
    """
    x = np.linspace(-3, 9, 1201)
    small = few * np.exp(-((x - far) ** 2) / 2)
    rises = np.diff((1 - few) * np.exp(-(x**2) / 2) + small) > 0
    return int((rises[:-1] & ~rises[1:]).sum())


def needed(few: float) -> float:
    """Return how far apart two bell curves must be to show two peaks, in sigmas.

    It is 2 if each holds one half. The smaller one stands on the larger one's
    slope, and must be further off the smaller it is.
    """
    return float(next(far for far in np.arange(2, 6, 0.01) if peaks(few, far) > 1))
