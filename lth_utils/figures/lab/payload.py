"""What the lab's page is given: networks, test images, and what they are called."""

import base64
import gzip
from typing import Any

import numpy as np

from lth_utils.data import load
from lth_utils.figures.drawing import STYLE, percent
from lth_utils.figures.lab import stored

ARMS = ("dense", "ticket", "reinit", "random")
BROKEN = 0.01  # more test images wrong than of the dense network, as a fraction
_SIGNS = {"": "\N{BOX DRAWINGS HEAVY TRIPLE DASH HORIZONTAL}", "o": "\N{BLACK CIRCLE}"}
_SIGNS |= {"X": "\N{MULTIPLICATION X}", "v": "\N{BLACK DOWN-POINTING TRIANGLE}"}
_EACH = 4  # test images of each digit


def payload() -> dict[str, Any]:
    """Return what `lab.js` reads, as JSON can hold it; the same at every call.

    Returns:
        `levels` from the densest on, `arms` with their looks, what is known of
        each network by its name, `layers`, the input's `gain` and `shift`, the
        test images' `labels`, and `data`: all arrays behind each other, of which
        `arrays` says where they begin and how many bytes they have.

    Raises:
        LotteryError: If the networks are missing or damaged.
    """
    page, arrays = stored.read()
    known = {network["name"]: network for network in page["networks"]}
    images, labels = _images()
    where, content = _joined(dict(arrays) | {"images": images})
    return {
        "levels": levels(known, page["rounds"]["beyond it"]),
        "broken": BROKEN,
        "arms": {arm: _look(arm) for arm in ARMS},
        "networks": {
            name: {
                "masks": stored.masks_of(name),
                "test": round(each["test_stored"], 4),
                "exact": round(each["test"], 4),
            }
            for name, each in known.items()
        },
        "layers": [[name, *shape] for name, shape in stored.LAYERS.items()],
        "gain": 1 / page["std"],
        "shift": -page["mean"] / page["std"],
        "labels": labels,
        "arrays": where,
        "data": base64.b64encode(gzip.compress(content, 9, mtime=0)).decode(),
    }


def levels(known: dict[str, Any], beyond: list[int]) -> list[dict[str, Any]]:
    """Return the slider's positions: round, density, and whether it was recorded."""
    tickets = [each for each in known.values() if each["arm"] == "ticket"]
    return [
        {
            "round": each["round"],
            "label": percent(each["density"]).replace(" ", "\N{NO-BREAK SPACE}"),
            "recorded": each["round"] not in beyond,
        }
        for each in sorted(tickets, key=lambda each: int(each["round"]))
    ]


def _look(arm: str) -> dict[str, str]:
    look = STYLE[arm]
    # What is black on paper is white in the dark.
    colour = "currentColor" if look.colour == "#000000" else look.colour
    return {
        "label": look.label.partition(" (")[0],
        "colour": colour,
        "sign": _SIGNS[look.marker],
    }


def _images() -> tuple[np.ndarray, list[int]]:
    """Return the first test images of each digit, digit by digit."""
    test = load("mnist-small").test
    labels = test.labels.numpy()
    first = [np.flatnonzero(labels == digit)[:_EACH] for digit in range(10)]
    chosen = np.concatenate(first)
    return test.images.numpy()[chosen], labels[chosen].tolist()


def _joined(arrays: stored.Arrays) -> tuple[dict[str, tuple[int, int]], bytes]:
    """Lay arrays behind each other; return each one's first byte and length."""
    where, parts, at = dict[str, tuple[int, int]](), list[bytes](), 0
    for name in sorted(arrays):
        array = arrays[name]
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        parts.append(little.tobytes())
        where[name] = at, len(parts[-1])
        at += len(parts[-1])
    return where, b"".join(parts)
