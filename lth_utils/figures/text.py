"""What a terminal shows: experiments, tables, verdicts, curves drawn with letters."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import wrap
from typing import TYPE_CHECKING

from lth_utils.evidence.saying import numbers
from lth_utils.experiments.catalogue import EXPERIMENTS
from lth_utils.experiments.plans import Plan
from lth_utils.experiments.records import AGAIN, is_recorded
from lth_utils.experiments.tables import summary

if TYPE_CHECKING:
    import pandas as pd


def experiments_text() -> str:
    """Return a line for each experiment and profile: what it trains."""
    lines = [f"{'experiment':<18} {'profile':<8} {'network':<15} {'data':<18} size"]
    for name, profiles in EXPERIMENTS.items():
        for profile, plan in profiles.items():
            network, *others = {part.network for part in plan.parts}
            lines.append(
                f"{name:<18} {profile:<8} {'several' if others else network:<15}"
                f" {plan.data:<18} {_size(plan)}"
                + ("; recorded" if is_recorded(name, profile) else "")
                + (" twice" if is_recorded(name, profile + AGAIN) else "")
            )
    return "\n".join(lines)


def _size(plan: Plan) -> str:
    parts, first = plan.parts, plan.parts[0]
    total = sum(len(list(part.trainings())) for part in parts)
    rounds = _span({part.rounds for part in parts}, "0-{}")
    iterations = _span({part.recipe.iterations for part in parts}, "{}")
    seeds = f"{len(first.seeds)} seed" + "s" * (len(first.seeds) > 1)
    size = (
        f"{total} trainings of {iterations} iterations: {seeds}, rounds {rounds},"
        f" arms {', '.join(first.arms)}"
    )
    if len(parts) == 1:
        return size
    return f"{size}, {', '.join(part.name for part in parts)} compared"


def _span(numbers: set[int], form: str) -> str:
    """Return the least and the greatest number, once if they are one."""
    return " to ".join(map(form.format, sorted({min(numbers), max(numbers)})))


def summary_text(name: str, table: pd.DataFrame) -> str:
    """Return a run's summary, with what it is of and where it is from.

    Args:
        name: What the run is called.
        table: What `run` or `recorded` returned.
    """
    source = "recorded" if "provenance" in table.attrs else "from the store"
    rows = summary(table)
    if rows["experiment"].nunique() == 1:
        rows = rows.drop(columns="experiment")
    percent = dict.fromkeys(("mean", "min", "max", "final"), "{:.2%}".format)
    rows["density"] = rows["density"].map("{:.2%}".format)
    shown = rows.rename(columns={"early_stop": "early-stop iteration"}).to_string(
        index=False,
        formatters=percent | {"early-stop iteration": "{:.0f}".format},
    )
    return (
        f"{name}, profile {table.attrs['profile']}, data {table.attrs['data']},"
        f" {source}, device {table.attrs['device']}\n"
        "test accuracy at the iteration of least validation loss, over n trainings\n"
        f"\n{shown}"
    )


def claims_text(table: pd.DataFrame) -> str:
    """Return the verdicts as a terminal shows them, with what each claim says.

    Args:
        table: What `claims` returned.
    """
    lines = []
    for _, rows in table.groupby("claim", sort=False):
        first = rows.iloc[0]
        said = f"{first['claim']} (chapter {first['chapter']}): {first['says']}"
        lines += ["", *wrap(said, 72)]
        for _, row in rows.iterrows():
            ours, agree, paper = numbers(row)
            told = [f"{row['record']}: {ours}", f"{agree} seeds"] if ours else []
            told += [f"paper {paper}"] if ours and paper else []
            changed = "; the rule has changed since the run" if row["changed"] else ""
            lines.append(f"  {', '.join([row['verdict'], *told])}{changed}")
    counts = table["verdict"].value_counts()
    found = ", ".join(f"{count} {word}" for word, count in counts.items())
    return "\n".join([f"{len(table)} verdicts: {found}", *lines])


def curves_text(
    curves: Mapping[str, Mapping[int, float]], title: str, rows: int = 12
) -> str:
    """Draw curves with the first letters of their names, 72 columns wide.

    Where curves meet there is a star. The first fifth of the way, where every
    curve is steep, may run out below.

    Args:
        curves: A name to its points, x to y; the same x in all.
        title: What is drawn.
        rows: The height.
    """
    xs = sorted({x for points in curves.values() for x in points})
    shown = [
        y for points in curves.values() for x, y in points.items() if x > xs[-1] / 5
    ]
    least, most = min(shown), max(shown)
    step = (most - least) / (rows - 1) or 1.0
    width = 62 // len(xs)
    grid = [[" "] * len(xs) for _ in range(rows)]
    for name, points in curves.items():
        for x, y in points.items():
            row, column = round((most - y) / step), xs.index(x)
            if row < rows:
                taken = grid[row][column] != " "
                grid[row][column] = "*" if taken else name[0]
    lines = [
        f"{most - number * step:6.2f} |" + "".join(f"{sign:>{width}}" for sign in signs)
        for number, signs in enumerate(grid)
    ]
    names = ", ".join([*(f"{name[0]} {name}" for name in curves), "* several"])
    axis = " " * 7 + "+" + "-" * (width * len(xs))
    ticks = " " * 8 + "".join(f"{x:>{width}}" for x in xs)
    return "\n".join([title, names, *lines, axis, ticks])
