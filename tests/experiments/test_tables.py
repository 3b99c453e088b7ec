"""What is read off a tidy table, and what is not one."""

import numpy as np
import pandas as pd
import pytest

import lth_utils as lth
from lth_utils import LotteryError


def table(experiment: str = "0.5", lift: float = 0.0) -> pd.DataFrame:
    """Two seeds of the dense network and a ticket, best at iteration 200."""
    return pd.DataFrame(
        [
            {
                "experiment": experiment,
                "arm": arm,
                "seed": seed,
                "control": 0,
                "round": round,
                "density": 0.8**round,
                "iteration": iteration,
                "split": split,
                "loss": abs(iteration - 200) / 1000 + seed,
                "accuracy": 0.9 + lift + 0.01 * seed + iteration / 1e5,
            }
            for arm, round in (("dense", 0), ("ticket", 1))
            for seed in (0, 1)
            for iteration in (100, 200, 300)
            for split in ("train", "validation", "test")
        ]
    )


def test_parts_are_summarised_apart_and_in_the_tables_order():
    both = pd.concat([table("2"), table("0.5", lift=0.05)])
    rows = lth.summary(both)
    assert rows["experiment"].tolist() == ["2", "2", "0.5", "0.5"]
    assert rows["n"].tolist() == [2] * 4
    assert np.allclose(rows["mean"], [0.907, 0.907, 0.957, 0.957])
    assert len(lth.early_stop(both)) == 8


def test_an_arm_of_ones_own_comes_last():
    own = table().replace({"arm": {"dense": "mine"}})
    assert lth.summary(own)["arm"].tolist() == ["ticket", "mine"]


def test_n_counts_the_trainings_with_a_number():
    lost = table()
    lost.loc[lost["arm"].eq("ticket") & lost["seed"].eq(1), "accuracy"] = np.nan
    assert lth.summary(lost)["n"].tolist() == [2, 1]


def test_a_split_that_was_not_measured_is_no_number():
    stops = lth.early_stop(table().query("split == 'validation'"))
    assert stops["iteration"].tolist() == [200] * 4
    assert stops[["train", "test", "final_train", "final_test"]].isna().all(axis=None)


@pytest.mark.parametrize("read", [lth.early_stop, lth.summary])
@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (
            lambda t: pd.concat([t, table(lift=0.05)]),
            r"holds 0.5, dense, seed 0, control 0, round 0 more than once \(36 such",
        ),
        (
            lambda t: pd.concat([t, t[t["round"] == 1].assign(density=0.80001)]),
            r"ticket, seed 0, control 0, round 1 more than once \(2 such",
        ),
        (
            lambda t: pd.concat([t, t]),
            r"more than once.*pd\.concat\(\[one\.assign\(experiment=",
        ),
        (lambda t: t[t["experiment"] == 0.5], "no rows.*Names of experiments are text"),
        (lambda t: t.drop(columns=["loss", "seed"]), "no column seed, loss: expected"),
        (lambda t: pd.concat([t, t.drop(columns="round")]), "column round is empty"),
        (lambda t: t[t["split"] != "validation"], "no validation loss of 0.5, dense"),
        (
            lambda t: t.assign(loss=t["loss"].where(t["arm"] == "dense")),
            "no validation loss of 0.5, ticket, seed 0, round 1",
        ),
        (lambda t: None, "no column experiment"),
    ],
)
def test_what_is_no_tidy_table_is_one_sentence(read, spoil, sentence):
    with pytest.raises(LotteryError, match=sentence):
        read(spoil(table()))


def test_a_summary_needs_test_accuracies():
    with pytest.raises(LotteryError, match="no test accuracy"):
        lth.summary(table().query("split != 'test'"))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("lenet-adam", ["0.0002", "0.0006", "0.0012", "0.002", "0.005"]),
        ("lenet-sgd", ["0.02", "0.1", "0.3"]),
        ("lenet-momentum", ["0.005", "0.02", "0.05"]),
        ("lenet-fraction", ["0.1", "0.2", "0.4", "0.6", "0.8"]),
        ("lenet-gain", ["0.5", "1", "2", "4"]),
        ("lenet-width", ["25-8", "50-17", "100-33", "600-200", "300-100"]),
    ],
)
def test_a_recorded_studys_parts_are_found_by_their_names(name, parts):
    recorded = lth.recorded(name)
    assert recorded["experiment"].unique().tolist() == parts
    plan = lth.experiment(name, "laptop")
    assert parts == [part.name for part in plan.parts]
    for part in parts:
        mine = lth.early_stop(recorded[recorded["experiment"] == part])
        assert len(lth.paired(mine, "ticket", "dense", 1)) == 5


def test_profiles_of_one_experiment_are_told_apart_or_refused():
    laptop, paper = (lth.recorded("lenet-mnist", p) for p in ("laptop", "paper"))
    with pytest.raises(LotteryError, match=r"holds lenet-mnist, .* more than once"):
        lth.summary(pd.concat([laptop, paper]))
    stops = pd.concat([lth.early_stop(laptop), lth.early_stop(paper)])
    with pytest.raises(LotteryError, match="twice: expected one for each seed"):
        lth.by_seed(stops, "ticket", 7)
    named = [laptop.assign(experiment="laptop"), paper.assign(experiment="paper")]
    rows = lth.summary(pd.concat(named)).query("arm == 'dense'")
    assert rows["n"].tolist() == [5, 5]
    assert rows["mean"].nunique() == 2
