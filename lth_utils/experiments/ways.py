"""Which way convolutional networks train together on a GPU: what was measured."""

import json
import re
from pathlib import Path

import torch

from lth_utils.experiments import records
from lth_utils.training.gpu.replicas import WAYS
from lth_utils.words import check_network

# What `make gpu` measures, and who goes the same way: without BatchNorm, with it.
LIKE = {
    "conv2": (
        "conv2",
        "conv4",
        "conv6",
        "conv2-narrow",
        "conv4-narrow",
        "conv6-narrow",
    ),
    "resnet20": ("resnet20", "vgg19", "resnet8-narrow", "vgg19-narrow"),
}


def speeds_file(results: Path, device: str) -> Path:
    """Return where `make gpu`'s measurements of a GPU of that name are recorded."""
    word = re.sub("[^a-z0-9]+", "-", device.lower())
    return results / "gpu" / f"{word}.json"


def way_for(network: str, device: torch.device) -> str:
    """Return the way that the record of this GPU found fastest, or else the default.

    Args:
        network: The network's word. LeNets have one way, whatever is returned.
        device: Where; without a GPU it is the default.
    """
    if device.type != "cuda":
        return WAYS[0]
    base = check_network(network).base
    for measured, alike in LIKE.items():
        if base in alike:
            name = torch.cuda.get_device_name(device)
            return _fastest(speeds_file(records.results_folder(), name), measured)
    return WAYS[0]


def _fastest(path: Path, network: str) -> str:
    """Return a record's fastest way; the default where it says none."""
    try:
        way = json.loads(path.read_text("utf-8"))["stages"]["ways"]["fastest"][network]
    except (OSError, ValueError, KeyError, TypeError):
        return WAYS[0]  # nothing was measured on this card, or not this
    return way if way in WAYS else WAYS[0]
