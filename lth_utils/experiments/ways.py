"""Which way convolutional networks train together on a GPU: what was measured."""

import json
import re
from pathlib import Path

import torch

from lth_utils.experiments import records
from lth_utils.training.replicas import WAYS
from lth_utils.words import check_network

MEASURED = ("conv2", "resnet20")  # by `make gpu`: without BatchNorm and with it


def speeds_file(results: Path, device: str) -> Path:
    """Return where `make gpu`'s measurements of a GPU of that name are recorded."""
    word = re.sub("[^a-z0-9]+", "-", device.lower())
    return results / "gpu" / f"{word}.json"


def way_for(network: str, device: torch.device) -> str:
    """Return the way that the record of this GPU found fastest, or else the default.

    Args:
        network: The network's word. The other networks go as the one that was
            measured and is like them.
        device: The GPU.
    """
    plain = check_network(network).base.startswith("conv")
    alike = MEASURED[0] if plain else MEASURED[1]
    path = speeds_file(records.results_folder(), torch.cuda.get_device_name(device))
    try:
        page = json.loads(path.read_text("utf-8"))
        way = page["stages"]["ways"]["fastest"][alike]
    except (OSError, ValueError, KeyError, TypeError):
        return WAYS[0]  # nothing was measured, or not this
    return way if way in WAYS else WAYS[0]
