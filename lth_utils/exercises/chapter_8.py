"""Exercises of chapter 8: Initialization matters."""

from typing import Any

import numpy as np
import torch

from lth_utils.exercises.checks import (
    array,
    called,
    demand,
    exercise,
    grid,
    near,
    number,
    returned,
    same_mask,
)


def _draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _layer() -> tuple[torch.Tensor, torch.Tensor]:
    """Return a made-up layer's first values, and which of them survive."""
    values = torch.randn(20, 30, generator=_draw(0))
    return values, values.abs() > 0.9


def _values(found: Any) -> np.ndarray:
    """Read new first values of that layer, lists too."""
    return grid(found, (20, 30))


@exercise(
    "8.A",
    expects="a function of (first, last, alive)",
    right="Ask it about ~alive, too: are survivors special?",
)
def _(answer: Any) -> None:
    first = torch.tensor(
        [[0.5, -1.0, 0.1, -0.2, 1.2, 0.6], [2.0, -0.4, 0.3, -3.0, -0.7, 0.8]]
    )
    last = torch.tensor(
        [[0.9, -2.0, -0.3, 0.4, 0.9, -0.5], [-1.5, -0.1, 0.2, -2.0, 0.4, 0.7]]
    )
    alive = torch.tensor([[1, 1, 0, 1, 1, 0], [1, 0, 0, 1, 0, 1]]) > 0
    found = returned(answer, first.clone(), last.clone(), alive.clone())
    value = number(found)
    # Of seven survivors five keep their sign; of all twelve weights seven. Four
    # survivors are above 0 at first, as many at last, three both times, three grow.
    demand(abs(value - 5) > 1e-6, "That is their number: divide by all survivors.")
    demand(value <= 1, "Return a share of 1, not a percentage.")
    demand(abs(value - 2 / 7) > 1e-3, "That is the share whose sign has changed.")
    demand(abs(value - 7 / 12) > 1e-3, "That counts the pruned weights too.")
    demand(abs(value - 5 / 12) > 1e-3, "Divide by the survivors alone.")
    hint = "Compare the signs of first and last, where alive is true."
    near(round(value, 4), 5 / 7, hint, within=1e-3)


@exercise(
    "8.B",
    expects="a function of (start, change, keep)",
    right="Now deal the changes at random, and compare.",
)
def _(answer: Any) -> None:
    start = torch.tensor([0.1, -2.0, 0.5, -0.3, 1.0, 0.0])
    change = torch.tensor([0.3, 1.9, -0.7, -0.6, 0.5, -0.2])
    found = returned(answer, start.clone(), change.clone(), 2)
    value = number(found)
    # Largest at the end: 1.5 and -0.9, which moved by 0.5 and 0.6.
    before = (1.9 + 0.5) / 2 / ((0.3 + 0.7 + 0.6 + 0.2) / 4)
    demand(abs(value - before) > 1e-3, "Those are the largest at the start.")
    signed = (0.5 + 0.3) / 2 / ((1.9 - 0.7 - 0.6 - 0.2) / 4)
    demand(abs(value - signed) > 1e-3, "Compare the ends without their signs.")
    hint = "Sort by |start + change|, and average |change| on both sides."
    near(round(value, 4), 0.55 / 0.775, hint, within=1e-3)
    other = number(returned(answer, start.clone(), change.clone(), 3))
    # The third largest at the end is 0.4, which moved by 0.3.
    three = (0.5 + 0.6 + 0.3) / (1.9 + 0.7 + 0.2)
    near(round(other, 4), three, "That is for another `keep`.", within=1e-3)


@exercise(
    "8.C",
    expects="a function of (values, mask, generator)",
    right="Signs are all that it shares with the ticket, and it is as large.",
)
def _(answer: Any) -> None:
    values, mask = _layer()
    found = returned(answer, values.clone(), mask.clone(), _draw(1))
    fresh, alive = _values(found), array(mask)
    own = array(values[mask])
    demand(not fresh[~alive].any(), "A weight that was pruned has to be 0.")
    new = fresh[alive]
    same = (np.sign(new) == np.sign(own)).mean()
    demand(same > 0.75, "Many signs have changed: keep every survivor's.")
    demand(same == 1, "Some signs have changed: keep every survivor's.")
    sizes, its = np.abs(new), np.abs(own)
    tied = sizes.std() > 1e-6 and np.corrcoef(sizes, its)[0, 1] > 0.4
    demand(not tied, "Where a value was large, it still is: that is size that is kept.")
    larger = np.sqrt((new**2).mean() / (own**2).mean())
    hint = "Then two things differ. How large are survivors, all in all?"
    told = f"In root mean square, yours are {larger:.2f} times as large as the ticket's"
    demand(0.85 <= larger <= 1.18, f"{told}. {hint}")


@exercise(
    "8.1",
    expects="a function of (values, mask, noise)",
    right="The signs are the noisy ticket's, the sizes the ticket's.",
)
def _(answer: Any) -> None:
    values, mask = _layer()
    noise = 3 * torch.randn(20, 30, generator=_draw(2))
    found = returned(answer, values.clone(), mask.clone(), noise.clone())
    fresh, alive = _values(found), array(mask)
    own, noisy = array(values[mask]), array((values + noise)[mask])
    demand(not fresh[~alive].any(), "A weight that was pruned has to be 0.")
    new = fresh[alive]
    demand(not np.allclose(new, noisy), "That is the noisy ticket, sizes and all.")
    demand(not np.allclose(new, own), "That is the ticket: no sign has turned.")
    swapped = np.allclose(np.abs(new), np.abs(noisy))
    demand(not swapped, "The sizes have to be the ticket's own, without the noise.")
    demand(np.allclose(np.abs(new), np.abs(own)), "Keep each survivor's own size.")
    noises = np.sign(array(noise[mask]))
    alone = (np.sign(new) == noises).all()
    demand(not alone, "Those are the noise's signs: add it to the value first.")
    wrong = (np.sign(new) != np.sign(noisy)).sum()
    demand(not wrong, f"{wrong} signs are not those of the value with noise.")


@exercise(
    "8.2",
    expects="a function of (values, mask, generator)",
    right="The histogram is the ticket's, and the places are not.",
)
def _(answer: Any) -> None:
    values, mask = _layer()
    found = returned(answer, values.clone(), mask.clone(), _draw(1))
    fresh = _values(found)
    alive, own = array(mask), array(values[mask])
    demand(not fresh[~alive].any(), "A weight that was pruned has to be 0.")
    inside = np.isin(fresh[alive].astype(own.dtype), own).all()
    demand(inside, "Draw from the survivors' values only.")
    same = (fresh[alive] == own).mean()
    demand(same < 0.5, "Each survivor has kept its own value: draw them at random.")
    same_draw = _values(called(answer, values.clone(), mask.clone(), _draw(1)))
    alike = np.array_equal(same_draw, fresh)
    demand(alike, "Two equal generators give two draws: use no other chance.")
    again = called(answer, values.clone(), mask.clone(), _draw(2))
    differs = not np.array_equal(_values(again), fresh)
    demand(differs, "Another generator gives the same draw: use the one given.")
    drawn = len(np.unique(fresh[alive]))  # 63 %, with replacement
    dealt = drawn == len(own)
    demand(not dealt, "Each value is dealt once: draw them with replacement.")
    few = f"Only {drawn} of {len(own)} values come up: draw from all survivors."
    demand(drawn > 0.5 * len(own), few)


@exercise(
    "8.3",
    expects="a function of one number",
    right="That is for values as they were drawn. Survivors are another matter.",
)
def _(answer: Any) -> None:
    for size in (0.5, 1.0, 3.0):
        found = returned(answer, size)
        expected = 1 - np.arctan(size) / np.pi
        value = number(found)
        demand(value <= 1, "Return a probability, not a percentage.")
        turned = abs(value - (1 - expected)) < 0.005 < abs(value - expected)
        demand(not turned, "That is the probability that the sign turns.")
        hint = f"That is for size {size:g}. In doubt, draw a million pairs and count."
        near(round(value, 4), expected, hint, within=0.005)


@exercise(
    "8.4",
    expects="a function of the images that returns 784 flags",
    right="Now draw their survivors apart from the others'.",
)
def _(answer: Any) -> None:
    # Pixel k has ink, of all strengths, in k of 200 images; the last has much, in one.
    count = torch.arange(784).clamp(max=200)
    count[-1] = 1
    ink = torch.arange(200)[:, None] < count
    images = (ink * (1 + torch.arange(200)[:, None])).to(torch.uint8)
    images[0, -1] = 200
    found = returned(answer, images.view(200, 1, 28, 28).clone())
    flags = np.ravel(np.array(found) if isinstance(found, list | tuple) else found)
    demand(len(flags) == 784, f"Return 784 flags, one a pixel: these are {flags.size}.")
    expected = array(count <= 2)
    over = (flags != 0) == ~expected
    demand(not over.all(), "Those are all the others.")
    black = (flags != 0) == array(count == 0)
    demand(not black.all(), "Those are always black: a little ink is allowed.")
    hint = "Count, for each pixel, the images in which it is above 0."
    edge = (flags != 0) == array(count < 2)
    hint = "1 % itself still is at most 1 %." if edge.all() else hint
    same_mask(flags, expected, hint)
