"""Compiled loops on machines where nothing can be kept: slower, never stopped."""

import errno
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core import caching

ROOT = Path(__file__).resolve().parents[2]

HOMELESS = """
import os, pwd, sys, warnings
warnings.simplefilter("error")
def unknown(number):
    raise KeyError(number)
pwd.getpwuid = unknown
"""
LOWER = """
import numpy as np
from lth_utils.training.lenet import kernels
scores = np.arange(2.0 * kernels.LANES)
kernels.lower(scores)
assert set(scores[: kernels.LANES]) == {-kernels.LANES}
assert set(scores[kernels.LANES :]) == {0}
"""
# Dense, and sparse: its weights and losses after some steps, to the last bit.
BITS = """
import zlib
import torch
import lth_utils as lth
from lth_utils.training.choice import engine_for
torch.set_flush_denormal(True)
data, recipe = lth.load("mnist-small"), lth.Recipe(iterations=30)
sparse = lth.masked(lth.LeNet(0))
whole = lth.Masks.ones(sparse)
counts = {(name,): len(mask) * 20 for name, mask in whole.items()}
lth.apply_masks(sparse, lth.keep(lth.random_scores(whole, 0), whole, counts))
for net in (lth.LeNet(0), sparse):
    curve = lth.train(net, data, recipe, device="cpu").curve
    sums = [zlib.crc32(p.detach().numpy().tobytes()) for p in net.parameters()]
    print(type(engine_for(net, recipe, data)).__name__, curve, sums)
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """A copy of the library in whose folders Numba can keep nothing."""
    folder = tmp_path_factory.mktemp("package")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "lth_utils", folder / "lth_utils", ignore=ignored)
    for room in (folder / "lth_utils" / "training").glob("*/__init__.py"):
        # A file of that name stops also root, whom no mode does.
        (room.parent / "__pycache__").write_text("")
    return folder


def run(code: str, package: Path, folder: Path, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", HOMELESS + code],
        cwd=folder,
        env={"PYTHONPATH": str(package)} | variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"HOME": os.devnull},
        {"HOME": "."},
        {"XDG_CACHE_HOME": os.devnull},
        {"NUMBA_CACHE_DIR": os.devnull},
        {"TMPDIR": os.devnull, "HOME": os.devnull},
    ],
    ids=str,
)
def test_loops_run_where_nothing_can_be_kept(package, tmp_path, variables):
    run(LOWER, package, tmp_path, **variables)
    assert list(tmp_path.iterdir()) == []  # above all no folder called "~"


def test_networks_train_where_nothing_can_be_kept_to_the_same_bits(package, tmp_path):
    """What this checkout keeps for the suite and the book computes the same."""
    compiled = run(BITS, package, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert "Pixels [" in compiled
    assert "Sparse [" in compiled
    place = {k: v for k, v in os.environ.items() if k == "NUMBA_CACHE_DIR"}
    for _ in range(2):  # the second time, if not the first, all of it is loaded
        assert run(BITS, ROOT, tmp_path, **place) == compiled


@pytest.mark.parametrize("harm", [b"", b"not what Numba wrote", b"\x80\x05K"])
def test_what_is_kept_is_found_and_may_be_damaged(package, tmp_path, harm):
    kept, folder = tmp_path / "kept", tmp_path / "folder"
    folder.mkdir()
    run(LOWER, package, folder, NUMBA_CACHE_DIR=str(kept))
    files = [path for path in kept.rglob("*lower*") if path.is_file()]
    assert {path.suffix for path in files} == {".nbi", ".nbc"}
    for path in files:
        path.write_bytes(harm)
    run(LOWER, package, folder, NUMBA_CACHE_DIR=str(kept))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
@pytest.mark.parametrize("step", ["save", "load"])
def test_a_full_disk_or_anothers_file_costs_only_time(
    tmp_path, monkeypatch, step, number
):
    file = tmp_path / "loops.py"
    file.write_text(
        "from lth_utils.training.loops.compiled import compiled\n"
        "@compiled\n"
        "def double(values):\n"
        "    for i in range(values.size):\n"
        "        values[i] *= 2\n"
    )
    spec = importlib.util.spec_from_file_location("loops", file)
    loops = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loops)
    asked = []

    def refuse(*words: object) -> None:
        asked.append(words)
        raise OSError(number, "as the system says")

    monkeypatch.setattr(caching.IndexDataCacheFile, step, refuse)
    values = np.ones(3)
    loops.double(values)
    assert values.tolist() == [2, 2, 2]
    assert asked
