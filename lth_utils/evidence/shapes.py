"""The histogram of a ticket's first values: what the paper's figure 15 shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
