"""The first minute, in seconds: the same steps with fewer iterations."""

import io
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import replace

import pytest

import lth_utils as lth
from lth_utils import demo

SHORT = replace(demo.RECIPE, iterations=60, evaluate_every=20)


@pytest.fixture(scope="module")
def said() -> str:
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as out:
        patch.setattr(demo, "RECIPE", SHORT)
        demo.demo()
    return out.getvalue()


def test_its_numbers_are_the_librarys(said):
    digits = lth.load("mnist-small")
    found = lth.find_ticket("lenet", digits, SHORT, demo.RATES, demo.ROUNDS)[-1]
    reinit = lth.control(found, "reinit", demo.ROUNDS, 0)
    nets = [(lth.masked(lth.LeNet(0)), 0)]
    nets += [(ticket.build(), demo.ROUNDS) for ticket in (found, reinit)]
    runs = [lth.train(net, digits, SHORT, 0, round) for net, round in nets]
    stops = re.search(r"^early-stop iteration(.*)$", said, re.MULTILINE)[1].split()
    tests = re.search(r"^test accuracy there(.*)$", said, re.MULTILINE)[1].split()
    assert [int(stop) for stop in stops] == [run.early_stop for run in runs]
    assert tests == [f"{run.at(run.early_stop).accuracy:.2%}" for run in runs]
    assert re.search(r"^ +dense +ticket +reinit$", said, re.MULTILINE)
    assert f"prune to {100 * found.masks.density:.3g} % of the weights" in said


def test_every_step_has_its_seconds(said):
    steps = re.findall(r"^  .+ \d+\.\d s$", said, re.MULTILINE)
    assert len(steps) == demo.ROUNDS + 3


def test_a_narrow_terminal_without_unicode_can_show_it(said):
    assert said.isascii()
    assert max(map(len, said.splitlines())) <= 72


def test_it_says_that_it_is_one_lottery(said):
    assert "One seed is one lottery" in said
    assert "lth show lenet-mnist --profile laptop --recorded" in said


ALONE = """
import sys
sys.modules["numba"] = None  # as if it were not installed
from dataclasses import replace
from lth_utils import cli, demo
def refuse(event, _):
    if event.startswith("socket."):
        raise SystemExit("a socket was used: " + event)
sys.addaudithook(refuse)
demo.RECIPE = replace(demo.RECIPE, iterations=20, evaluate_every=20)
sys.exit(cli.main(["demo"]))
"""


def test_it_needs_neither_numba_nor_a_network_and_keeps_nothing(tmp_path):
    places = dict.fromkeys(("HOME", "LTH_RUNS", "LTH_DATA", "XDG_CACHE_HOME"))
    done = subprocess.run(
        [sys.executable, "-c", ALONE],
        cwd=tmp_path,
        env=os.environ | {name: str(tmp_path / name) for name in places},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "test accuracy there" in done.stdout
    assert list(tmp_path.iterdir()) == []
