"""How long an experiment will take: what is timed, multiplied out."""

from dataclasses import replace

import pytest
from helpers import tiny_experiment

from benchmarks import hours
from lth_utils import Recipe

PLAN = tiny_experiment(
    arms=("dense", "ticket", "reinit"),
    seeds=(0, 1),
    rounds=2,
    control_rounds=(2,),
    recipe=Recipe(iterations=40, evaluate_every=10),
)


def test_each_training_counts_at_its_own_density(monkeypatch, capsys):
    timed = {0: (4.0, 3.0), 1: (2.0, 1.0), 2: (1.0, 0.5)}  # a step, a look
    monkeypatch.setattr(hours, "seconds_at", lambda part, round: timed[round])
    # Two seeds: dense, round 1, and two arms at round 2.
    expected = 2 * (40 * 4 + 4 * 3) + 2 * (40 * 2 + 4 * 1) + 4 * (40 * 1 + 4 * 0.5)
    assert hours.seconds_of(PLAN) == pytest.approx(expected)
    assert "round 2: 4 trainings, 1000.0 ms a step" in capsys.readouterr().out


def test_a_step_and_a_look_are_timed():
    short = replace(PLAN, recipe=Recipe(iterations=2, batch_size=8))
    step, look = hours.seconds_at(short, 1)
    assert 0 < step < 5
    assert 0 < look < 60
