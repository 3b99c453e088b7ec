"""What a claim measures, against numbers that were worked out by hand."""

from dataclasses import replace
from math import log, sqrt
from types import SimpleNamespace

import helpers
import pandas as pd
import pytest
import torch

import lth_utils as lth
from lth_utils.evidence import measures, study_measures, ticket_measures
from lth_utils.evidence.shapes import (
    apart,
    height,
    incoming,
    needed,
    outgoing,
    peaks,
    positive,
    spread,
    survivors,
)
from lth_utils.evidence.verdicts import judge, measured
from lth_utils.experiments.ledger import ledger

CLAIM = replace(helpers.CLAIM, other="dense", rounds=(1, 2, 3), records=())


def rows(*each: str) -> torch.Tensor:
    """Return a mask, a word of x and - for each unit."""
    return torch.tensor([[sign == "x" for sign in unit] for unit in each])


# --- shapes --------------------------------------------------------------------------


def test_shares_of_units_and_of_inputs():
    mask = rows("xx--", "xxxx")
    assert incoming(mask).tolist() == [0.5, 1]
    assert outgoing(mask).tolist() == [1, 1, 0.5, 0.5]
    assert spread(incoming(mask)) == pytest.approx(sqrt(2) / 3)
    assert spread(outgoing(mask)) == pytest.approx(2 / (3 * sqrt(3)))
    assert spread(torch.ones(3)) == 0


def test_humps_and_how_far_apart_they_must_be():
    few = torch.tensor([True, True, False, False])
    assert apart(torch.tensor([1.0, 2, 5, 7]), few) == pytest.approx(4.5 / sqrt(1.25))
    assert apart(torch.tensor([5.0, 7, 1, 2]), few) < 0  # the few are above
    # Two equal bell curves have two peaks if they are more than two sigmas apart.
    assert (peaks(0.5, 1.9), peaks(0.5, 2.1), peaks(0.1, 2.1)) == (1, 2, 1)
    assert needed(0.5) == pytest.approx(2, abs=0.02)
    assert needed(0.5) < needed(0.3) < needed(0.136) < needed(0.05)


def test_first_values_are_told_in_their_layers_sigma():
    values = torch.tensor([[3.0, -1], [1, -3]])
    ticket = SimpleNamespace(init={"w": values}, masks={"w": rows("xx", "-x")})
    sigma = sqrt(20 / 3)
    found = survivors(ticket, "w")
    assert found.tolist() == pytest.approx([3 / sigma, -1 / sigma, -3 / sigma])
    assert positive(found) == pytest.approx(1 / 3)
    # One in the middle (0.5 wide), two at the sides (together 1 wide).
    assert height(torch.tensor([0.1, -1, 1.2, 2])) == pytest.approx(2 / 2)


# --- what tickets look like ----------------------------------------------------------


def of_tickets(monkeypatch, measure: str, *masks: torch.Tensor) -> list[float]:
    """Return a measure of tickets with one layer, a mask a seed."""
    tickets = [
        SimpleNamespace(seed=seed, masks={"w": mask}) for seed, mask in enumerate(masks)
    ]
    monkeypatch.setattr(ticket_measures, "_tickets", lambda record, round: tickets)
    stops = pd.DataFrame()
    stops.attrs = {"record": "a/record"}
    claim = replace(CLAIM, measure=measure, layers=("w",))
    found = measures.MEASURES[measure](stops, claim)
    assert found.values.index.tolist() == list(range(len(masks)))
    assert not found.short
    return found.values.tolist()


def test_outgoing_connections_spread_more_than_incoming_ones(monkeypatch):
    found = of_tickets(
        monkeypatch, "incoming more even", rows("xx--", "xxxx"), rows("xx-", "x-x")
    )
    # The second: both units have 2 of 3; the inputs 1, 1/2 and 1/2.
    assert found == pytest.approx([2 / 3 / sqrt(3) - sqrt(2) / 3, sqrt(3) / 4])


def test_and_beside_a_random_mask(monkeypatch):
    chance = SimpleNamespace(masks={"w": rows("x---", "xxxx")})
    asked = []
    monkeypatch.setattr(
        "lth_utils.controls.control",
        lambda ticket, arm, round, number: asked.append((arm, round, number)) or chance,
    )
    found = of_tickets(
        monkeypatch, "incoming more even than by chance", rows("xx--", "xxxx")
    )
    # The random mask's spreads are 0.4 outgoing and 0.6 * sqrt(2) incoming.
    assert found == pytest.approx([2 / 3 / sqrt(3) / 0.4 - 1 / 1.8])
    assert asked == [("random", 1, 0)]


PIXELS = rows("--xx", "--xx", "--xx", "-x-x")  # 0, 1, 3 and 4 of 4 units read them


@pytest.mark.parametrize(
    ("measure", "most"),
    [("two peaks, black pixels", 0.0), ("two peaks, faint pixels", 0.01)],
)
def test_two_humps_of_pixels(monkeypatch, measure, most):
    few = {most: torch.tensor([True, True, False, False])}
    monkeypatch.setattr(ticket_measures, "rare", few.__getitem__)
    (found,) = of_tickets(monkeypatch, measure, PIXELS)
    # Means 1/8 and 7/8, variances 1/32: 3 * sqrt(2) sigmas apart.
    assert found == pytest.approx(3 * sqrt(2) / needed(0.5) - 1)


def test_black_pixels_keep_fewer(monkeypatch):
    few = torch.tensor([True, True, False, False])
    monkeypatch.setattr(ticket_measures, "rare", {0.0: few}.__getitem__)
    found = of_tickets(monkeypatch, "black pixels read less", PIXELS, ~PIXELS)
    assert found == pytest.approx([1 - 1 / 7, 1 - 7])


def test_black_and_faint_pixels_are_those_of_the_packaged_digits():
    images = lth.load("mnist-small").train.images.flatten(1)
    assert torch.equal(ticket_measures.rare(0.0), images.amax(0) == 0)
    faint = ticket_measures.rare(ticket_measures.FAINT)
    inked = (images > 0).sum(0)
    assert torch.equal(faint, inked <= 120)  # of 12,000
    assert faint.sum() > ticket_measures.rare(0.0).sum() > 100


# --- studies -------------------------------------------------------------------------


def study(parts: dict[str, list[tuple]]) -> pd.DataFrame:
    """Return stops: for each part rows of seed, round, density, validation, test."""
    columns = ["seed", "round", "density", "validation", "test"]
    return pd.concat(
        pd.DataFrame(each, columns=columns).assign(
            experiment=part,
            arm=lambda rows: rows["round"].map(lambda r: "ticket" if r else "dense"),
        )
        for part, each in parts.items()
    )


def test_rates_are_compared_at_a_density_that_both_reach():
    slow = [(0, 0, 1.0, 0, 0.5), (0, 1, 0.16, 0, 0.95), (0, 2, 0.01, 0, 0.93)]
    fast = [(0, 1, 0.2, 0, 0.96), (0, 2, 0.04, 0, 0.92), (0, 3, 0.008, 0, 0.91)]
    claim = replace(CLAIM, one="0.2:ticket", other="0.8:ticket")
    found = study_measures.better_at_equal_size(
        study({"0.2": slow, "0.8": fast}), claim
    )
    # At 0.04, which lies halfway from 0.16 to 0.01 on a logarithmic axis: 0.94.
    assert found.values.tolist() == pytest.approx([2])
    fast[-1] = (0, 3, 0.0096, 0, 0.91)  # within a twentieth of 0.01
    found = study_measures.better_at_equal_size(
        study({"0.2": slow, "0.8": fast}), claim
    )
    assert found.values.tolist() == pytest.approx([2])  # 0.93 less 0.91


def test_weights_by_width():
    assert study_measures.size("300-100") == 266_200
    assert study_measures.size("20-10") == 784 * 20 + 20 * 10 + 10 * 10 == 15_980


# 15,980 weights: 12,784, 7,990 and 3,995 in rounds 1 to 3. Seed 0 dips and comes back
# (0.3 points below, exactly), then falls; seed 1 does not fall.
NARROW = [
    (0, 0, 1.0, 0.950, 0.96),
    (0, 1, 0.8, 0.940, 0.96),
    (0, 2, 0.5, 0.947, 0.93),
    (0, 3, 0.25, 0.900, 0.99),
    (1, 0, 1.0, 0.950, 0.96),
    (1, 1, 0.8, 0.960, 0.90),
    (1, 2, 0.5, 0.960, 0.90),
    (1, 3, 0.25, 0.960, 0.95),
]


def fallen_at(width: str, *rounds: int) -> list[tuple]:
    """Return rows of a width whose seeds hold up to a round."""
    return [
        (seed, r, density, 0.95 if r <= last else 0.9, 0.95)
        for seed, last in enumerate(rounds)
        for r, density in enumerate((1.0, 0.8, 0.5, 0.25))
    ]


def test_the_fewest_weights_are_chosen_by_validation():
    table = study({"20-10": NARROW, "10-10": NARROW})
    found = study_measures.fewest(table, "20-10:ticket")
    assert found.index.tolist() == [0, 1]
    assert found["weights"].tolist() == [7990, 3995]
    assert found["fallen"].tolist() == [True, False]
    assert found["test"].tolist() == [0.93, 0.95]
    strict = study_measures.fewest(table, "20-10:ticket", held=0)
    assert strict["weights"].tolist() == [15_980, 3995]
    shuffled = table.assign(test=table["test"].to_numpy()[::-1])
    again = study_measures.fewest(shuffled, "20-10:ticket")
    assert again["weights"].tolist() == [7990, 3995]


def test_their_test_accuracy_is_told():
    claim = replace(CLAIM, one="20-10:ticket", other="20-10:dense")
    found = study_measures.better_at_fewest(study({"20-10": NARROW}), claim)
    assert found.values.tolist() == pytest.approx([-3, -1])


def test_inside_the_papers_range():
    claim = replace(CLAIM, one="20-10:ticket")
    table = study({"20-10": NARROW})
    # The second's line ends below 9,000: outside, however much further it would go.
    assert study_measures.in_range(table, claim).values.tolist() == [-1010, -5005]
    assert not study_measures.in_range(table, claim).short
    two = replace(claim, rounds=(1,))  # then seed 1 ends at 12,784 weights
    found = study_measures.in_range(table, two)
    assert found.values.tolist() == pytest.approx([15_000 - 0.8 * 15_980, 3784])
    assert found.short
    wide = replace(claim, one="40-10:ticket")  # 31,860: falls after 15,930
    found = study_measures.in_range(study({"40-10": fallen_at("40-10", 2, 2)}), wide)
    assert found.values.tolist() == pytest.approx([15_000 - 0.8 * 15_930] * 2)
    assert not found.short


def test_the_same_size_for_all_widths():
    def room(**widths: tuple[int, ...]) -> tuple[list[float], bool]:
        parts = {
            name.replace("w", "").replace("_", "-"): r for name, r in widths.items()
        }
        table = study({part: fallen_at(part, *r) for part, r in parts.items()})
        found = study_measures.same_size(table, CLAIM)
        return [round(float(x), 3) for x in found.values], found.short

    # 15,980 weights: 7,990 in round 2; 31,860: 15,930; 8,040: 8,040 in round 0.
    assert room(w20_10=(2, 2), w10_10=(0, 0)) == ([5276.667] * 2, False)
    assert room(w20_10=(2, 2), w40_10=(2, 2)) == ([-2613.333] * 2, False)
    # A width that has not fallen is left out, and then it cannot be told ...
    assert room(w20_10=(2, 2), w10_10=(0, 0), w40_10=(2, 3)) == ([5276.667] * 2, True)
    # ... unless the others differ too much already.
    assert room(w20_10=(2, 2), w40_10=(2, 2), w10_10=(0, 3)) == ([-2613.333] * 2, False)
    assert room(w20_10=(3, 3), w40_10=(3, 3))[1]


def test_a_wide_ticket_is_held_against_a_narrow_dense_network_of_its_size():
    def part(*tests: float) -> list[tuple]:
        densities = (1.0, 0.8, 0.5, 0.25)
        return [
            (0, r, d, 0, t)
            for r, (d, t) in enumerate(zip(densities, tests, strict=True))
        ]

    table = study(
        {
            "10-10": part(0.90, 0, 0, 0),  # 8,040
            "20-10": part(0.93, 0, 0.92, 0),  # 7,990 in round 2
            "40-10": part(0.99, 0, 0.94, 0.95),  # 15,930 in round 2, 7,965 in round 3
        }
    )
    found = study_measures.wide_beats_narrow(table, CLAIM)
    assert found.values.tolist() == pytest.approx([1])  # of 2, 5 and 1 points


# --- the records ---------------------------------------------------------------------


def test_a_part_is_held_against_each_of_the_others():
    claim = ledger()["F29-tenth"]
    record = "lenet-fraction/laptop"
    alone = [
        measured(replace(claim, other=f"{rate}:ticket", parts=()), record).values
        for rate in claim.parts
    ]
    least = pd.concat(alone, axis=1).min(axis=1)
    assert measured(claim, record).values.tolist() == least.tolist()
    assert len({tuple(values) for values in alone}) == len(claim.parts) == 3


def test_what_chapter_11_says_of_rates_is_what_its_record_says():
    """By hand: 0.2 against 0.8, whose line has two rounds."""
    stops = lth.early_stop(lth.recorded("lenet-fraction"))
    fast = stops[(stops["experiment"] == "0.8") & (stops["round"] == 2)]
    density = fast["density"].iloc[0]
    slow = stops[(stops["experiment"] == "0.2") & (stops["arm"] == "ticket")]
    ladder = slow.groupby("round")["density"].first()
    above = ladder[ladder >= density].index.max()
    tests = slow.pivot(index="seed", columns="round", values="test")
    part = log(ladder[above] / density) / log(ladder[above] / ladder[above + 1])
    read = tests[above] + part * (tests[above + 1] - tests[above])
    gaps = 100 * (read - fast.set_index("seed")["test"])
    claim = replace(ledger()["F29-fifth"], parts=("0.8",))
    found = measured(claim, "lenet-fraction/laptop").values
    assert found.tolist() == pytest.approx(gaps.tolist())


@pytest.mark.parametrize(
    ("id", "side"), [("F22-first-21", "fc1"), ("F22-second-21", "fc2")]
)
def test_the_spreads_are_those_of_the_recorded_tickets(id, side):
    found = measured(ledger()[id], "lenet-mnist/paper").values
    for ticket in lth.recorded_tickets("lenet-mnist", "paper", round=7):
        left = ticket.masks[f"{side}.weight"].double().numpy()
        out, into = left.mean(0), left.mean(1)
        wide = out.std(ddof=1) / out.mean() - into.std(ddof=1) / into.mean()
        assert found[ticket.seed] == pytest.approx(wide)


@pytest.mark.parametrize("id", ["F27", "F28"])
def test_the_rate_was_chosen_by_validation_loss(id):
    claim = ledger()[id]
    stops = lth.early_stop(lth.recorded(*claim.records[0].split("/")))
    dense = stops[stops["arm"] == "dense"]
    assert claim.parts == (dense.groupby("experiment")["loss"].mean().idxmin(),)


@pytest.mark.parametrize(
    ("id", "word"),
    [
        ("F31-100-33", "not replicated"),
        ("F31-300-100", "not replicated"),  # has not fallen, and is below the range
        ("F31-600-200", "cannot tell at this length"),
        ("F31-same", "cannot tell at this length"),
    ],
)
def test_sizes_are_judged_width_by_width(id, word):
    assert judge(ledger()[id], "lenet-width/laptop").word == word
