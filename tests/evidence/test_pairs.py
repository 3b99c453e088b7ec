"""Comparisons in pairs."""

import numpy as np
import pandas as pd
import pytest

import lth_utils as lth

ROWS = [
    # arm, seed, control, round, test, iteration
    ("dense", 0, 0, 0, 0.90, 400),
    ("dense", 1, 0, 0, 0.94, 800),
    ("ticket", 0, 0, 7, 0.91, 200),
    ("ticket", 1, 0, 7, 0.96, 200),
    ("reinit", 0, 0, 7, 0.88, 500),
    ("reinit", 0, 1, 7, 0.90, 700),
    ("reinit", 1, 0, 7, 0.93, 400),
    ("reinit", 1, 1, 7, 0.93, 400),
]
STOPS = pd.DataFrame(
    ROWS, columns=["arm", "seed", "control", "round", "test", "iteration"]
)


def test_pairs_are_formed_within_a_seed_and_repeats_averaged():
    gaps = lth.paired(STOPS, "ticket", "reinit", 7)
    assert gaps.to_dict() == pytest.approx({0: 0.02, 1: 0.03})


def test_dense_is_taken_at_round_0():
    gaps = lth.paired(STOPS, "ticket", "dense", 7, "iteration")
    assert gaps.to_dict() == {0: -200, 1: -600}


def test_the_two_ratios():
    of_means, of_ratios = lth.speedup(STOPS, "ticket", "dense", 7)
    assert (of_means, of_ratios) == (1200 / 400, (2 + 4) / 2)
    of_means, of_ratios = lth.speedup(STOPS, "dense", "reinit", 7)
    assert of_means == pytest.approx(1000 / 1200)
    assert of_ratios == pytest.approx((600 / 400 + 400 / 800) / 2)


def test_an_interval_holds_the_mean_and_stays_within_what_was_seen():
    values = pd.Series([0.1, 0.4, 0.2, 0.9, 0.5])
    low, high = lth.interval(values)
    assert values.min() < low < values.mean() < high < values.max()
    assert lth.interval(values) == (low, high)
    inner = lth.interval(values, level=0.5)
    assert low < inner[0] < inner[1] < high


def test_an_interval_covers_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(200):
        low, high = lth.interval(pd.Series(rng.normal(size=40)))
        inside += low < 0 < high
    assert 0.88 < inside / 200 <= 0.99


def test_an_arm_that_is_not_there():
    with pytest.raises(lth.LotteryError, match=r"no training of arm 'random'.*reinit"):
        lth.paired(STOPS, "ticket", "random", 7)
