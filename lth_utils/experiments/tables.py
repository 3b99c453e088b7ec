"""Tidy tables: one row an evaluation, and what is read off them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lth_utils.errors import LotteryError
from lth_utils.words import ARMS, SPLITS

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


def checked(table: pd.DataFrame) -> pd.DataFrame:
    """Return a tidy table, if it is one.

    Raises:
        LotteryError: If it has no rows, lacks a column, leaves a name empty, or
            holds a training or an evaluation twice, as two profiles of one
            experiment do when they are put together.
    """
    missing = [c for c in COLUMNS if c not in getattr(table, "columns", ())]
    if missing:
        raise LotteryError(
            f"The table has no column {', '.join(missing)}: expected"
            f" {', '.join(COLUMNS)}, as lth.run and lth.recorded return them."
        )
    if table.empty:
        raise LotteryError(
            "The table has no rows: expected at least one training. Was it filtered"
            " by a name that it does not hold? Names of experiments are text."
        )
    names = [*TRAINING, "iteration", "split"]
    empty = [name for name in names if table[name].isna().any()]
    if empty:
        raise LotteryError(
            f"The column {', '.join(empty)} is empty in some rows: expected each row"
            " to say which training it belongs to."
        )
    trainings = table[TRAINING].drop_duplicates()
    # Records round a density: a live run's trainings then differ in nothing else.
    twice = trainings[trainings.duplicated(TRAINING[:-1])]
    if twice.empty:
        twice = table[table.duplicated(names)]
    if len(twice):
        row = twice.iloc[0]
        raise LotteryError(
            f"The table holds {row['experiment']}, {row['arm']}, seed {row['seed']},"
            f" control {row['control']}, round {row['round']} more than once"
            f" ({len(twice):,} such rows): expected each training, and each of its"
            " evaluations, once. If it is two runs put together, name them apart"
            ' before: pd.concat([one.assign(experiment="one"),'
            ' other.assign(experiment="other")]).'
        )
    return table


def one_experiment(table: pd.DataFrame, what: str) -> pd.DataFrame:
    """Return the table, if all its rows are of one experiment.

    Args:
        table: With or without a column `experiment`.
        what: What needs that, for the message ("A comparison").

    Raises:
        LotteryError: If it holds several; names them.
    """
    parts = table["experiment"].unique().tolist() if "experiment" in table else []
    if len(parts) > 1:
        raise LotteryError(
            f"{what} is of one experiment, and the table holds {len(parts)}:"
            f" {', '.join(map(str, parts))}. Choose one, as in"
            f' table[table["experiment"] == {parts[0]!r}].'
        )
    return table


def early_stop(table: pd.DataFrame) -> pd.DataFrame:
    """Read each training's early stop, and its end, off a tidy table.

    Args:
        table: The columns of `COLUMNS`, as `run` and `recorded` return it.

    Returns:
        One row a training: experiment, arm, seed, control, round, density,
        `iteration` (of least validation loss, the first on ties), `loss`
        (that validation loss), the accuracies there (`train`, `validation`,
        `test`), and those at the last iteration (`final_train`, `final_test`).
        Accuracies are fractions; NaN where the table holds none.

    Raises:
        LotteryError: If the table is no tidy one, or has a training without
            any validation loss.
    """
    import pandas as pd

    points = checked(table).pivot(
        index=[*TRAINING, "iteration"], columns="split", values=["loss", "accuracy"]
    )
    measured = pd.MultiIndex.from_product([["loss", "accuracy"], SPLITS])
    points = points.reindex(columns=measured).sort_index()
    groups = points["loss", "validation"].groupby(level=TRAINING, sort=False)
    without = groups.count().eq(0)
    if without.any():
        training = without[without].index.to_frame().iloc[0]
        raise LotteryError(
            f"The table has no validation loss of {training['experiment']},"
            f" {training['arm']}, seed {training['seed']}, round"
            f" {training['round']}: expected rows of the split 'validation', which"
            " decide where training would have stopped."
        )
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
        One row an experiment, arm and density, arms in the fixed order and
        arms of your own after them, densities falling: experiment, arm,
        density, n (trainings with a test accuracy), mean, min and max of the
        test accuracy at early stop, early_stop (mean iteration), and final
        (mean test accuracy at the last iteration).

    Raises:
        LotteryError: As `early_stop`, or if there is no test accuracy.
    """
    rows = early_stop(table).dropna(subset="test")
    if rows.empty:
        raise LotteryError(
            "The table has no test accuracy: expected rows of the split 'test'."
        )
    grouped = rows.groupby(["experiment", "arm", "density"], sort=False)
    means = grouped.agg(
        n=("test", "size"),
        mean=("test", "mean"),
        min=("test", "min"),
        max=("test", "max"),
        early_stop=("iteration", "mean"),
        final=("final_test", "mean"),
    ).reset_index()
    parts = list(table["experiment"].unique())
    arms = [*ARMS, *means["arm"].unique()]
    part, arm = means["experiment"].map(parts.index), means["arm"].map(arms.index)
    return (
        means.assign(part=part, order=arm)
        .sort_values(["part", "order", "density"], ascending=[True, True, False])
        .drop(columns=["part", "order"])
        .reset_index(drop=True)
    )


def thin(
    table: pd.DataFrame, curve_rounds: Sequence[int], curve_arms: Sequence[str]
) -> pd.DataFrame:
    """Keep what a record needs: early stop, the end, and some whole curves.

    Args:
        table: A tidy table, as `run` returns it.
        curve_rounds: The rounds whose curves are kept whole, because a figure
            shows them.
        curve_arms: The arms of which that is so.
    """
    stops = early_stop(table)[[*TRAINING, "iteration"]]
    merged = table.merge(stops, on=TRAINING, suffixes=("", "_stop"))
    at_stop = merged["iteration"] == merged["iteration_stop"]
    at_end = merged["iteration"] == merged.groupby(TRAINING)["iteration"].transform(
        "max"
    )
    whole = merged["round"].isin(curve_rounds) & merged["arm"].isin(curve_arms)
    kept: pd.DataFrame = merged[at_stop | at_end | whole]
    return kept[list(COLUMNS)].reset_index(drop=True)
