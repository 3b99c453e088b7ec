"""The lab's networks on disk: `networks.npz`, a byte a weight and a bit a place.

A network is called by its arm and round, "ticket-7"; its arrays are

    ticket-7/fc1/values   int8, the weights alive, in order; times the scale
    ticket-7/fc1/scale    float32, one number a layer
    ticket-7/fc1/bias     float32
    ticket-7/fc1/mask     bits, eight places a byte, first place first

A reinit has its ticket's masks, and the dense network needs none.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lth_utils.errors import LotteryError
from lth_utils.experiments.records import PROVENANCE, results_folder
from lth_utils.masks import Masks, State

NETWORKS = "networks.npz"
LAYERS = {"fc1": (300, 784), "fc2": (100, 300), "output": (10, 100)}

Arrays = Mapping[str, NDArray[Any]]


def folder() -> Path:
    """Return where the lab's networks lie."""
    return results_folder() / "lenet-mnist" / "lab"


def quantised(name: str, weights: State, masks: Masks) -> dict[str, NDArray[Any]]:
    """Return a network's arrays: each layer's weights to 255 levels, zero among them.

    Args:
        name: What the network is called.
        weights: LeNet's state.
        masks: Which weights are alive.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for layer in LAYERS:
        alive = masks[f"{layer}.weight"]
        values = weights[f"{layer}.weight"][alive]
        scale = values.abs().max() / 127
        found = {
            "values": (values / scale).round().to(torch.int8),
            "scale": scale,
            "bias": weights[f"{layer}.bias"],
        }
        arrays |= {f"{name}/{layer}/{what}": v.numpy() for what, v in found.items()}
        if masks_of(name) == name:
            arrays[f"{name}/{layer}/mask"] = np.packbits(alive.numpy())
    return arrays


def masks_of(name: str) -> str:
    """Return the network whose masks a network has; "" if it has all weights."""
    arm, _, round = name.partition("-")
    return {"reinit": f"ticket-{round}", "dense": ""}.get(arm, name)


def network(arrays: Arrays, name: str) -> tuple[State, Masks]:
    """Return the weights, as numbers again, and the masks of a stored network."""
    weights: State = {}
    masks: State = {}
    for layer, shape in LAYERS.items():
        alive = torch.ones(shape, dtype=torch.bool)
        if structure := masks_of(name):
            bits = np.unpackbits(arrays[f"{structure}/{layer}/mask"])
            alive = torch.from_numpy(bits[: alive.numel()]).bool().view(shape)
        weight = torch.zeros(shape)
        values, scale, bias = (
            torch.from_numpy(arrays[f"{name}/{layer}/{what}"])
            for what in ("values", "scale", "bias")
        )
        weight[alive] = values * scale
        weights |= {f"{layer}.weight": weight, f"{layer}.bias": bias}
        masks[f"{layer}.weight"] = alive
    return weights, Masks(masks)


def read() -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return what is known of the stored networks, and their arrays.

    Raises:
        LotteryError: If the file is missing or damaged.
    """
    place = folder() / NETWORKS
    try:
        page: dict[str, Any] = json.loads((folder() / PROVENANCE).read_text("utf-8"))
        content = place.read_bytes()
        if hashlib.sha256(content).hexdigest() != page["sha256"][NETWORKS]:
            raise ValueError("its sha256 is another")
        with np.load(io.BytesIO(content)) as arrays:
            return page, dict(arrays)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LotteryError(
            f"The ticket lab's networks cannot be read: expected {place}, as"
            f" {PROVENANCE} beside it describes it ({error}). Take both anew from the"
            " repository, or install the library again."
        ) from error
