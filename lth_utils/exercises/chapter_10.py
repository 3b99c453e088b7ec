"""Exercises of chapter 10: Generalization."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import cross_entropy

from lth_utils.exercises.checks import (
    called,
    demand,
    exercise,
    listed,
    near,
    number,
    returned,
)
from lth_utils.experiments.records import recorded
from lth_utils.experiments.tables import early_stop


@exercise(
    "10.A",
    expects="a number, in points of accuracy",
    right="Whoever chooses by the gap gets a network that has learned nothing to lose.",
)
def _(answer: Any) -> None:
    value, (gap, below) = number(answer), _gaps()
    expected = below[min(gap, key=gap.__getitem__)]

    def close(other: float) -> bool:
        return abs(value - other) <= 0.02 < abs(expected - other)

    turned = close(-expected) or close(expected / 100)
    demand(not turned, "In points, and above 0 if it is worse than the dense network.")
    nearest = below[min(gap, key=lambda one: abs(gap[one]))]
    demand(not close(nearest), "That gap is the nearest to 0. Another one is smaller.")
    tickets = [one for one in gap if one[0] == "ticket"]
    of_tickets = below[min(tickets, key=gap.__getitem__)]
    demand(
        not close(of_tickets), "That is the best choice among tickets: ask all arms."
    )
    hint = "Average over seeds, choose by the gap, then compare the test accuracies."
    near(value, expected, hint, within=0.02)


def _gaps() -> tuple[dict[tuple[str, int], float], dict[tuple[str, int], float]]:
    """Return each arm's and round's mean gap, and how far it is below dense."""
    ends = early_stop(recorded("lenet-mnist"))
    ends = ends.assign(gap=ends["final_train"] - ends["final_test"])
    means = 100 * ends.groupby(["arm", "round"])[["gap", "final_test"]].mean()
    test: dict[Any, float] = means["final_test"].to_dict()
    below = {one: test["dense", 0] - accuracy for one, accuracy in test.items()}
    gap: dict[Any, float] = means["gap"].to_dict()
    return gap, below


@exercise(
    "10.B",
    expects="a function of training accuracies, test accuracies, and a level",
    right="It stops at the first time, and says so where there is none.",
)
def _(answer: Any) -> None:
    train = np.array([0.90, 0.96, 0.94, 0.955, 0.99, 0.98])
    test = np.array([0.89, 0.93, 0.92, 0.94, 0.95, 0.97])
    found = number(returned(answer, train, test, 0.95))
    demand(
        found != 0.94, "That is the evaluation nearest to the level: take the first."
    )
    demand(found != 0.97, "That is the last time that it is so high: take the first.")
    demand(found not in train, "That is the training accuracy: return the test's.")
    near(found, 0.93, "It is first at 0.95 or above in its second evaluation.")
    dips = np.array([0.2, 0.96, 0.1, 0.3, 0.97, 0.4])
    falls = np.array([0.1, 0.9, 0.2, 0.3, 0.8, 0.4])
    early = number(returned(answer, dips, falls, 0.95))
    hint = "Both accuracies may fall again later: the first time is what counts."
    near(early, 0.9, hint)
    exact = number(returned(answer, train, test, 0.9))
    near(exact, 0.89, "A level that is just reached is reached: at least.")
    jump = number(returned(answer, train, test, 0.97))
    near(jump, 0.95, "Take the first evaluation at the level or above it.")
    never = called(answer, train, test, 0.995)
    none = never is None or bool(np.isnan(np.asarray(never, dtype=float)).all())
    demand(none, f"For a level it never reaches, return np.nan, and not {never}.")


@exercise(
    "10.C",
    expects="a function of confidences, rights and edges",
    right="These are the heights of a reliability diagram.",
)
def _(answer: Any) -> None:
    sure = np.array([0.55, 0.95, 0.6, 0.97, 0.85, 1.0, 0.5, 0.92, 0.9])
    right = np.array([True, True, False, True, False, False, True, True, True])
    found = _numbers(returned(answer, sure, right, [0.5, 0.7, 0.8, 0.9, 1]), 4)
    parts = np.array([2, 0, 0, 4]) / 9
    demand(
        not np.allclose(np.nan_to_num(found), parts),
        "That is right answers among all images: divide by those in the bin.",
    )
    sizes = np.array([3, 0, 1, 5]) / 9
    demand(
        not np.allclose(np.nan_to_num(found), sizes),
        "That is the share of images in each bin: of these, how many are right?",
    )
    demand(np.nan_to_num(found).max() <= 1, "Give fractions: if all are right, 1.")
    demand(not found[3] > 0.99, "The last bin holds a confidence of exactly 1, too.")
    low = np.isclose(found[0], 0.5)
    demand(not low, "A confidence that equals an edge belongs to the bin above it.")
    twice = np.isclose(found[2], 0.5)
    demand(not twice, "An image at an edge counts twice: it belongs above the edge.")
    demand(np.isnan(found[1]), "A bin without an image has no accuracy: np.nan.")
    wanted = np.array([2 / 3, 0, 0.8])
    hint = "In each bin, take the mean of right over the images whose confidence is in."
    demand(np.allclose(found[[0, 2, 3]], wanted), hint)
    again = _numbers(returned(answer, sure[:2], right[:2], [0.0, 0.9, 1]), 2)
    demand(np.allclose(again, 1), "It has to work with other edges as well.")


def _numbers(answer: Any, count: int) -> np.ndarray:
    """Read so many numbers, some of them NaN perhaps, from any sequence."""
    held = listed(answer, f"{count} numbers, one for each bin")
    found: np.ndarray = np.asarray(held, dtype=float)
    demand(found.shape == (count,), f"Expected {count} numbers, one for each bin.")
    return found


@exercise(
    "10.1",
    expects="a number, in points of accuracy",
    right="About the same lead, and another dense network that never arrives.",
)
def _(answer: Any) -> None:
    value = number(answer)
    expected, first = (_ahead_at_99(f"laptop{x}") for x in ("-again", ""))
    same = abs(value - first) <= 0.005
    demand(not same, "That is the first recording: read the second one.")
    turned = abs(value + expected) <= 0.02
    demand(not turned, "Ticket ahead of dense: its gap is the smaller one.")
    fraction = abs(100 * value - expected) <= 0.02
    demand(not fraction, "That is a fraction, and 0.01 is one point.")
    hint = "Subtract seed by seed at 99 %, and average over those that both arrive."
    near(value, expected, hint, within=0.01)


def _ahead_at_99(profile: str) -> float:
    """Return dense's gap minus the ticket's where both first know 99 %."""
    tests = {}
    for arm, seed, mine in _trainings(recorded("lenet-mnist", profile)):
        train, test = mine["accuracy", "train"], mine["accuracy", "test"]
        new = train > train.cummax().shift(fill_value=0)
        there = train.max() >= 0.99
        tests[arm, seed] = np.interp(0.99, train[new], test[new]) if there else np.nan
    found = pd.Series(tests)
    return float(100 * (found["ticket"] - found["dense"]).mean())


def _trainings(table: pd.DataFrame) -> Any:
    """Yield each training of dense and of the ticket at round 7, as a wide table."""
    for arm, at in (("dense", 0), ("ticket", 7)):
        rows = table[(table["arm"] == arm) & (table["round"] == at)]
        for seed, mine in rows.groupby("seed"):
            yield arm, seed, mine.pivot(index="iteration", columns="split")


@exercise(
    "10.2",
    expects="a function of logits and labels that returns a number",
    right="One number, and no answer changes: only how loudly it is given.",
)
def _(answer: Any) -> None:
    noise = torch.Generator().manual_seed(0)
    fair = 2 * torch.randn(2000, 5, generator=noise)
    labels = torch.multinomial(fair.softmax(1), 1, generator=noise)[:, 0]
    for loud in (3.0, 0.6):
        logits = loud * fair
        found = number(returned(answer, logits.clone(), labels.clone()))
        demand(found > 0, f"A temperature is above 0, and not {found:g}.")
        tried = np.arange(0.5, 4.01, 0.05)
        losses = [float(cross_entropy(logits / t, labels)) for t in tried]
        best = float(tried[np.argmin(losses)])
        edge = min(abs(found - 0.5), abs(found - tried[-1])) < 0.01
        demand(
            not edge,
            "That is an end of the range. Accuracy is the same everywhere: take the"
            " least loss, with the logits divided.",
        )
        inverse = abs(found - 1 / best) < 0.06 < abs(best - 1 / best)
        demand(not inverse, "Divide the logits by it: that one multiplies them.")
        near(found, best, "Try all, and keep the one with the least loss.", 0.051)


@exercise(
    "10.3",
    expects="a number, in points of accuracy",
    right="By loss as by accuracy the ticket is ahead on average, and by little.",
)
def _(answer: Any) -> None:
    value, expected = number(answer), _ahead_at_equal_loss()
    fraction = abs(100 * value - expected) <= 0.02 < abs(value - expected)
    demand(not fraction, "That is a fraction, and 0.01 is one point.")
    hint = "Ticket at round 7 minus dense, in the recorded run, at a loss of 0.05."
    near(value, expected, hint, within=0.02)


def _ahead_at_equal_loss() -> float:
    """Return ticket minus dense where the training loss first falls to 0.05."""
    ends: dict[str, list[float]] = {"dense": [], "ticket": []}
    for arm, _, mine in _trainings(recorded("lenet-mnist")):
        loss, test = mine["loss", "train"], mine["accuracy", "test"]
        new = loss < loss.cummin().shift(fill_value=np.inf)
        ends[arm].append(float(np.interp(0.05, loss[new][::-1], test[new][::-1])))
    return float(100 * (np.mean(ends["ticket"]) - np.mean(ends["dense"])))


@exercise(
    "10.4",
    expects="a function of two arrays that returns a number",
    right="Pairs by image, as pairs by seed: what both share drops out.",
)
def _(answer: Any) -> None:
    noise = np.random.default_rng(0)
    one = noise.random(500) < 0.9
    other = np.where(noise.random(500) < 0.9, one, ~one)
    found = number(returned(answer, one.copy(), other.copy()))
    step = one.astype(float) - other
    expected = 100 * step.std() / len(step) ** 0.5

    def close(value: float) -> bool:
        return abs(found - value) <= 0.01 * value

    demand(not close(expected / 100), "That is a fraction, and 0.01 is one point.")
    demand(
        not close(100 * step.std()), "Divide by the root of the number of images, too."
    )
    demand(
        not close(100 * step.var() / len(step) ** 0.5),
        "That is the variance's: take the standard deviation.",
    )
    alone = 100 * np.hypot(one.std(), other.std()) / len(step) ** 0.5
    demand(
        not close(alone), "That takes the networks for independent: pair the images."
    )
    same = 100 * (one != other).std() / len(step) ** 0.5
    demand(not close(same), "That forgets who of the two was right: keep the sign.")
    hint = "The deviation of the differences, over the root of their number, times 100."
    near(found, expected, hint, within=0.01 * expected)
