"""What besides the job decides a result's bits: data, torch, device, code."""

import ast
import hashlib
from functools import cache
from pathlib import Path

import torch

from lth_utils.experiments.ways import way_for
from lth_utils.training.gpu.replicas import WAYS
from lth_utils.training.lenet import sparse
from lth_utils.training.probe import rounded
from lth_utils.words import DROPPING, check_network

# The rooms and files whose code decides a result's bits: what lies below
# `experiments/`, but for what only checks, chooses a device or writes files; and
# how a job is done.
_SOURCES = (
    "words.py",
    "seeds.py",
    "data/*.py",
    "models/*.py",
    "mask*.py",
    "pruning.py",
    "training/**/*.py",
    "tickets.py",
    "controls.py",
    "experiments/jobs.py",
    "experiments/perform.py",
)


def environment(data: str, device: torch.device, network: str) -> dict[str, str]:
    """What besides the job decides the bits: data, torch, device, code.

    Args:
        data: The data set's digest.
        device: Where is trained.
        network: A network's word.
    """
    on_gpu = device.type == "cuda"
    return {
        "data": data,
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if on_gpu else "cpu",
        "engine": engine(device, network),
        "source": source_hash(),
    }


def engine(device: torch.device, network: str) -> str:
    """The paths that a network's trainings on `device` take."""
    if device.type != "cpu":
        base, way = check_network(network).base, way_for(network, device)
        # With dropout they go the default way.
        paths = [way, WAYS[0]] if base in DROPPING else [way]
        if base.startswith("lenet"):
            paths = ["autograd", "mlp", "stack"]
        if rounded():
            paths.append("TF32")
        return ", ".join(dict.fromkeys(paths))
    version = sparse.numba_version()
    fast = f", pixels, sparse, lanes (numba {version})" if version else ""
    return "autograd, mlp" + fast


@cache
def source_hash() -> str:
    """A sha256 over the code that decides results, comments left out."""
    digest = hashlib.sha256()
    package = Path(__file__).parents[1]
    for pattern in _SOURCES:
        for path in sorted(package.glob(pattern)):
            digest.update(_code(path.read_text(encoding="utf-8")).encode())
    return digest.hexdigest()


def _code(text: str) -> str:
    """Return Python source without comments, layout and docstrings."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(body, list)
            and body
            and ast.unparse(body[0]).startswith(("'", '"', "r'", 'r"'))
        ):
            body[0] = ast.Pass()
    return ast.unparse(tree)
