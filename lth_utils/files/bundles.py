"""A folder of tensors with a page of JSON that says what they are.

Tickets and finished trainings are kept so: safetensors and JSON, no pickle.
The JSON holds the tensor file's sha256, so a damaged bundle, or a folder of
something else, is recognised before anything is made of it.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from lth_utils.errors import LotteryError
from lth_utils.files.atomic import Kind, atomic_folder, holds, restore

TENSORS = "tensors.safetensors"


def write_bundle(
    folder: str | Path,
    kind: str,
    about: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    remedy: str = "",
) -> None:
    """Write `about` and `tensors` as the bundle `folder`, whole or not at all.

    Args:
        folder: Absent, empty, or a whole bundle of this kind, which is replaced.
        kind: What it is ("ticket"); its JSON file is named after it.
        about: What JSON can hold.
        tensors: Name to tensor, of any device.
        remedy: The last words of the sentence if the disk refuses.

    Raises:
        LotteryError: If the folder holds anything else or cannot be written;
            what is there is then unharmed.
    """
    content = save({name: t.detach().cpu().contiguous() for name, t in tensors.items()})
    page = {
        "kind": kind,
        **about,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    known = Kind(kind, partial(_is_bundle, kind))
    with atomic_folder(folder, known, remedy) as temporary:
        (temporary / TENSORS).write_bytes(content)
        text = json.dumps(page, indent=1, allow_nan=False)
        (temporary / f"{kind}.json").write_text(text + "\n", encoding="utf-8")


def read_bundle(
    folder: str | Path, kind: str
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return what `write_bundle` wrote: the page and the tensors (on the CPU).

    Raises:
        LotteryError: If the folder is missing, damaged or something else.
    """
    page_file = Path(folder) / f"{kind}.json"
    restore(Path(folder))
    try:
        page = json.loads(page_file.read_text(encoding="utf-8"))
        content = (Path(folder) / TENSORS).read_bytes()
        if page["kind"] != kind:
            raise ValueError(f"it says it is a {page['kind']}")
        if hashlib.sha256(content).hexdigest() != page["sha256"]:
            raise ValueError(
                f"{TENSORS} does not have the sha256 that {kind}.json says"
            )
        # The reader's order differs from process to process.
        return page, dict(sorted(load(content).items()))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise LotteryError(
            f"{folder} is no whole {kind}: expected a folder with {kind}.json and"
            f" {TENSORS} as this library writes them ({_reason(error)}). Delete it,"
            " or take an undamaged copy."
        ) from error


def labelled(label: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Prefix each name with "label:", to keep two states in one file."""
    return {f"{label}:{name}": tensor for name, tensor in tensors.items()}


def part(label: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors that `labelled` prefixed with "label:"."""
    return {
        name.removeprefix(f"{label}:"): tensor
        for name, tensor in tensors.items()
        if name.startswith(f"{label}:")
    }


def _is_bundle(kind: str, folder: Path) -> bool:
    """Whether a folder holds a whole bundle of a kind, and nothing else."""
    try:
        read_bundle(folder, kind)
    except LotteryError:
        return False
    return holds(folder, (f"{kind}.json", TENSORS))


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{Path(str(error.filename)).name}: {error.strerror}"
    if isinstance(error, KeyError):
        return f"its page has no {error}"
    return str(error)
