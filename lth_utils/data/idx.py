"""Idx files of bytes, the format of MNIST's home page; also packed by gzip."""

import gzip
import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lth_utils.errors import LotteryError


def read_idx(
    path: Path, digest: str | None = None, of: str = "MNIST"
) -> NDArray[np.uint8]:
    """Read an idx file of bytes.

    Args:
        path: The file, unpacked or not.
        digest: The sha256 that its unpacked content must have; None trusts it.
        of: The data set that it belongs to, for the message.

    Returns:
        The file's array, of one dimension (labels) or three (images).

    Raises:
        LotteryError: If the file is unreadable, is cut short, is no idx file
            or has another sha256.
    """
    try:
        content = _unpacked(path.read_bytes())
    except OSError as error:
        raise LotteryError(
            f"Cannot read {path}: the system says: {error.strerror}. Make the"
            " file readable, or delete it and load again."
        ) from error
    dimensions = content[3] if content[:3] == b"\0\0\x08" and content[3:] else 0
    start = 4 + 4 * dimensions
    shape = struct.unpack_from(f">{dimensions}I", content.ljust(start), 4)
    whole = dimensions > 0 and len(content) == start + int(np.prod(shape))
    if not whole or digest not in (None, hashlib.sha256(content).hexdigest()):
        raise LotteryError(
            f"The file {path} is damaged: it is not the {of} file of that"
            " name (its sha256 or its length differs). Delete it and load again."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _unpacked(content: bytes) -> bytes:
    """Return the content itself, or what gzip packed; nothing if it is damaged."""
    if content[:2] != b"\x1f\x8b":  # by its mark: a name may have lost its .gz
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        return b""
