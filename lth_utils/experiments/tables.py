"""Tidy tables: one row an evaluation, and what is read off them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lth_utils.words import ARMS

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "experiment",
    "arm",
    "seed",
    "control",
    "round",
    "density",
    "iteration",
    "split",
    "loss",
    "accuracy",
)
# What names one training in a table.
TRAINING = ["experiment", "arm", "seed", "control", "round", "density"]


def early_stop(table: pd.DataFrame) -> pd.DataFrame:
    """Read each training's early stop, and its end, off a tidy table.

    Args:
        table: The columns of `COLUMNS`, as `run` and `recorded` return it.

    Returns:
        One row a training: experiment, arm, seed, control, round, density,
        `iteration` (of least validation loss, the first on ties), `loss`
        (that validation loss), the accuracies there (`train`, `validation`,
        `test`), and those at the last iteration (`final_train`, `final_test`).
        Accuracies are fractions.
    """
    points = table.pivot(
        index=[*TRAINING, "iteration"], columns="split", values=["loss", "accuracy"]
    ).sort_index()
    loss = points["loss", "validation"]
    groups = loss.groupby(level=TRAINING, sort=False)
    stop = points.loc[groups.idxmin()]
    last = points.groupby(level=TRAINING, sort=False).tail(1)["accuracy"]
    rows = stop["accuracy"].assign(loss=stop["loss", "validation"]).reset_index()
    rows["final_train"] = last["train"].to_numpy()
    rows["final_test"] = last["test"].to_numpy()
    rows.columns.name = None
    read = ["iteration", "loss", "train", "validation", "test"]
    return rows[[*TRAINING, *read, "final_train", "final_test"]]


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Summarise the trainings of each arm and density.

    Returns:
        One row an experiment, arm and density, arms in the fixed order,
        densities falling: experiment, arm, density, n (trainings), mean, min
        and max of the test accuracy at early stop, early_stop (mean
        iteration), and final (mean test accuracy at the last iteration).
    """
    rows = early_stop(table)
    grouped = rows.groupby(["experiment", "arm", "density"], sort=False)
    means = grouped.agg(
        n=("test", "size"),
        mean=("test", "mean"),
        min=("test", "min"),
        max=("test", "max"),
        early_stop=("iteration", "mean"),
        final=("final_test", "mean"),
    ).reset_index()
    parts = list(means["experiment"].unique())
    part, arm = means["experiment"].map(parts.index), means["arm"].map(ARMS.index)
    return (
        means.assign(part=part, order=arm)
        .sort_values(["part", "order", "density"], ascending=[True, True, False])
        .drop(columns=["part", "order"])
        .reset_index(drop=True)
    )


def thin(table: pd.DataFrame, curve_rounds: tuple[int, ...]) -> pd.DataFrame:
    """Keep what a record needs: early stop, the end, and some whole curves.

    Args:
        table: A whole tidy table.
        curve_rounds: The rounds whose curves of dense, ticket and reinit are
            kept whole, because a figure shows them.
    """
    stops = early_stop(table)[[*TRAINING, "iteration"]]
    merged = table.merge(stops, on=TRAINING, suffixes=("", "_stop"))
    at_stop = merged["iteration"] == merged["iteration_stop"]
    at_end = merged["iteration"] == merged.groupby(TRAINING)["iteration"].transform(
        "max"
    )
    shown = merged["round"].isin(curve_rounds)
    whole = shown & merged["arm"].isin(["dense", "ticket", "reinit"])
    kept: pd.DataFrame = merged[at_stop | at_end | whole]
    return kept[list(COLUMNS)].reset_index(drop=True)
