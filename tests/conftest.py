"""What every test shares: one run store, no network, repeatable examples."""

import os
import socket
from functools import cache, wraps
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from lth_utils.data import digits, signals

pytest_plugins = ["book_fixtures", "browser_fixtures", "grading_fixtures"]

ROOT = Path(__file__).resolve().parent.parent

# The same store as under make, so that nothing is trained twice.
os.environ.setdefault("LTH_RUNS", str(ROOT / "_build" / "runs"))
# Here and not in the environment, which the notebooks' kernels inherit.
matplotlib.use("Agg")

# Data sets that are computed take seconds, and many tests load them. Each is still
# made of its numbers anew. A test that needs them computed asks for `__wrapped__`.
signals._draw = cache(signals._draw)


@wraps(digits.colour_digits)
def painted(grey: np.ndarray, seed: int) -> np.ndarray:
    return _painted(grey.shape, grey.tobytes(), seed)


@cache
def _painted(shape: tuple[int, ...], grey: bytes, seed: int) -> np.ndarray:
    original = painted.__wrapped__
    pictures = original(np.frombuffer(grey, np.uint8).reshape(shape), seed)
    pictures.flags.writeable = False
    return pictures


digits.colour_digits = painted

settings.register_profile(
    "suite",
    max_examples=25,
    deadline=None,  # two busy cores say nothing about the code
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")


@pytest.fixture(autouse=True, scope="session")
def no_network() -> None:
    """Refuse every connection that would leave this machine."""
    connect = socket.socket.connect

    def refuse(self, address):
        if isinstance(address, tuple) and address[0] not in (
            "127.0.0.1",
            "::1",
            "localhost",
        ):
            raise OSError(f"The tests use no network, and {address} was called.")
        return connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        yield
