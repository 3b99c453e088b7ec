"""Chapter 4: tickets beat their controls, and each number is what it says."""

import re
from collections.abc import Callable

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from book_fixtures import (
    ROOT,
    captions,
    glued,
    plain,
    printed,
    shown,
    table_of,
    told_by,
)
from torch import nn

import lth_utils as lth

NAME = "notebooks/04-fully-connected"
SOURCE = nbformat.read(ROOT / f"{NAME}.ipynb", as_version=4)
ROUNDS = {"21": 7, "8_7": 11, "3_6": 15}
SEEDS = {"live": 3, "recorded": 5, "long": 5}


@pytest.fixture(scope="module")
def chapter(executed):
    return executed(NAME)


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return {
        "live": lth.run("lenet-mnist"),
        "recorded": lth.recorded("lenet-mnist", profile="laptop"),
        "long": lth.recorded("lenet-mnist", profile="paper"),
    }


def accuracy(table: pd.DataFrame, arm: str, round: int) -> np.ndarray:
    """Return the test accuracy at early stop in percent, seed by seed.

    Repeats of a control are averaged.
    """
    rows = table[(table["arm"] == arm) & (table["round"] == round)]
    found: dict[int, list[float]] = {}
    for (seed, _), mine in rows.groupby(["seed", "control"]):
        validation = mine[mine["split"] == "validation"].sort_values("iteration")
        at = validation["iteration"].iloc[validation["loss"].argmin()]
        (test,) = mine[(mine["split"] == "test") & (mine["iteration"] == at)][
            "accuracy"
        ]
        found.setdefault(seed, []).append(100 * test)
    return np.array([np.mean(repeats) for repeats in found.values()])


# What the live run must show. The tolerances were fixed before it was run.


@pytest.mark.parametrize(("at", "least"), [("21", 0.7), ("8_7", 1.2), ("3_6", 1.5)])
def test_tickets_beat_their_reinits(chapter, at, least):
    assert glued(chapter)[f"live_ticket_minus_reinit_{at}"] >= least


def test_the_gap_grows_as_weights_go(chapter):
    values = glued(chapter)
    least, most = (values[f"live_ticket_minus_reinit_{at}"] for at in ("21", "3_6"))
    assert most > least


@pytest.mark.parametrize("round", ROUNDS.values())
def test_a_random_structure_is_no_ticket_either(tables, round):
    ticket, random = (
        accuracy(tables["live"], arm, round) for arm in ("ticket", "random")
    )
    assert (ticket > random).all()


def test_the_ticket_at_21_percent_beats_the_dense_network(chapter):
    assert glued(chapter)["live_ticket_minus_dense_21"] > 0


# Every number is what it says


def test_each_run_has_one_name(chapter, tables):
    head, *rows = table_of(chapter, "about-runs")
    assert [row[0] for row in rows] == list(SEEDS)
    for (name, *found), table in zip(rows, tables.values(), strict=True):
        about = dict(zip(head[1:], found, strict=True))
        assert about["iterations"] == f"{table['iteration'].max():,}"
        assert about["seeds"] == str(SEEDS[name])
    assert [row[1] for row in rows] == ["12,000", "55,000", "55,000"]
    # A profile's word would be a second name.
    said = printed(chapter) + "".join(shown(chapter, "text/html", "long-slider"))
    said += "".join(cell.source for cell in SOURCE.cells if cell.cell_type != "code")
    assert not re.search(r"(live|recorded) \*?(quick|laptop|paper)\b", said)


@pytest.mark.parametrize("run", SEEDS)
@pytest.mark.parametrize("at", ROUNDS)
def test_the_gaps_are_paired_and_at_early_stop(chapter, tables, run, at):
    ticket, reinit = (
        accuracy(tables[run], arm, ROUNDS[at]) for arm in ("ticket", "reinit")
    )
    gaps = ticket - reinit
    assert len(gaps) == SEEDS[run]
    value = glued(chapter)[f"{run}_ticket_minus_reinit_{at}"]
    assert value == pytest.approx(gaps.mean())
    assert glued(chapter)[f"{run}_ticket_wins_{at}"] == (gaps > 0).sum()
    if at == "21":
        sentence = f"At 21.1 %, {run}: {lth.told(pd.Series(gaps))}."
        assert sentence in told_by(chapter, "gaps-say")


@pytest.mark.parametrize("run", SEEDS)
def test_the_gap_to_the_dense_network_is_paired(chapter, tables, run):
    gaps = accuracy(tables[run], "ticket", 7) - accuracy(tables[run], "dense", 0)
    value = glued(chapter)[f"{run}_ticket_minus_dense_21"]
    assert value == pytest.approx(gaps.mean())
    assert glued(chapter)[f"{run}_seeds"] == SEEDS[run]
    sentence = f"At 21.1 %, {run}: {lth.told(pd.Series(gaps))}."
    assert sentence in told_by(chapter, "dense-say")


@pytest.mark.parametrize("run", SEEDS)
@pytest.mark.parametrize("other", ["dense", "reinit", "random"])
def test_pairs_buy_next_to_nothing(chapter, tables, run, other):
    """Each quotient is that of the table, and as the text says near 1."""
    rows = tables[run][tables[run]["arm"] == ("ticket" if other == "dense" else other)]
    together, apart = [], []
    for round in rows["round"].unique():
        one = accuracy(tables[run], "ticket", round)
        two = accuracy(tables[run], other, 0 if other == "dense" else round)
        together.append(np.var(one - two, ddof=1))
        apart.append(np.var(one, ddof=1) + np.var(two, ddof=1))
    quotient = (np.mean(together) / np.mean(apart)) ** 0.5
    assert 0.8 < quotient < 1.3
    head, *found = table_of(chapter, "pairs-table")
    column = head.index(f"{run}, n = {SEEDS[run]}")
    (row,) = [row for row in found if row[0] == f"ticket and {other}"]
    assert row[column] == f"{quotient:.2f} ({len(together)} densities)"


def test_the_five_pairs_of_the_first_question_do_not_help():
    assert quotient() > 1


@pytest.mark.parametrize("other", ["dense", "reinit"])
@pytest.mark.parametrize("run", ["recorded", "long"])
def test_speed_is_told_both_ways(chapter, tables, run, other):
    stops = lth.early_stop(tables[run])
    slow, fast = (
        stops.query(f"arm == '{arm}' and round == {at}").groupby("seed")["iteration"]
        for arm, at in ((other, 0 if other == "dense" else 7), ("ticket", 7))
    )
    slow, fast = slow.mean(), fast.mean()  # of the repeats of a control
    each = slow / fast
    (row,) = [r for r in table_of(chapter, "ratios") if r[0] == f"than {other}, {run}"]
    assert row[1:] == [
        f"{slow.mean() / fast.mean():.2f}",
        f"{each.mean():.2f}",
        f"{each.min():.2f} to {each.max():.2f}",
        f"{(each > 1).sum()} of {len(each)} seeds",
    ]


@pytest.mark.parametrize("run", ["recorded", "long"])
def test_38_percent_is_shown_seed_by_seed(chapter, tables, run):
    stops = lth.early_stop(tables[run])
    slow = stops.query("arm == 'dense'").set_index("seed")["iteration"]
    fast = stops.query("arm == 'ticket' and round == 7").set_index("seed")["iteration"]
    earlier = (100 * (1 - fast / slow)).sort_values()
    told = told_by(chapter, "thirty-eight-say")
    each = ", ".join(f"{lead:.0f}" for lead in earlier)
    assert f"{run}, in percent, seed by seed: {each};" in told
    low, high = lth.interval(earlier)
    assert f"95 % interval {low:.0f} to {high:.0f} (n = {len(earlier)})." in told


@pytest.mark.parametrize("run", SEEDS)
def test_it_counts_who_was_best_at_the_very_end(chapter, tables, run):
    stops = lth.early_stop(tables[run]).query("arm == 'reinit'")
    late = stops["iteration"] == tables[run]["iteration"].max()
    head, *rows = table_of(chapter, "late")
    (row,) = [row for row in rows if row[0] == "reinit"]
    assert row[head.index(run)] == f"{late.sum()} of {len(late)}"


def test_no_training_of_the_long_run_is_cut_off(chapter, tables):
    """Which is why the text draws that one."""
    stops = lth.early_stop(tables["long"])
    assert not stops["iteration"].eq(tables["long"]["iteration"].max()).any()
    head, *rows = table_of(chapter, "late")
    assert all(row[head.index("long")].startswith("0 of ") for row in rows)


def sooner(stops: pd.DataFrame, other: str, round: int) -> pd.Series:
    """Return by how many percent the ticket stops before another arm, by seed."""
    at = 0 if other == "dense" else round
    slow = stops.query(f"arm == '{other}' and round == {at}").groupby("seed")
    fast = stops.query(f"arm == 'ticket' and round == {round}").groupby("seed")
    return 100 * (1 - fast["iteration"].mean() / slow["iteration"].mean())


def test_leads_over_dense_are_no_better_known_in_accuracy(chapter, tables):
    """But gaps to the reinit are, where few weights are left, and both ways."""
    widths = {}
    head, *rows = table_of(chapter, "known-table")
    for (other, round), row in zip(
        (("dense", 7), ("reinit", 7), ("reinit", 15)), rows, strict=True
    ):
        at = 0 if other == "dense" else round
        assert row[0].startswith(f"over {other}, ")
        for run in ("recorded", "long"):
            table = tables[run]
            leads = {
                "accuracy": pd.Series(
                    accuracy(table, "ticket", round) - accuracy(table, other, at)
                ),
                "time": sooner(lth.early_stop(table), other, round),
            }
            for what, each in leads.items():
                low, high = lth.interval(each)
                width = widths[what, run, other, round] = (high - low) / 2 / each.mean()
                assert row[head.index(f"{what}, {run}")] == f"{100 * width:.0f} %"
    for run in ("recorded", "long"):
        in_accuracy, in_time = (
            [widths[what, run, *pair] for pair in (("dense", 7), ("reinit", 15))]
            for what in ("accuracy", "time")
        )
        assert in_accuracy[0] > 0.9 * in_time[0]
        assert in_accuracy[1] < in_accuracy[0] / 2
        assert in_time[1] < in_time[0] / 2
        assert abs(in_accuracy[1] - in_time[1]) < 0.1


def test_one_shot_beats_its_reinit_where_it_does_not_win(chapter, tables):
    table, found = tables["long"], {}
    head, *rows = table_of(chapter, "one-shot-table")
    assert head[1:] == ["minus its reinit", "minus dense"]
    for round, row in zip((3, 7, 11, 15, 18, 20), rows, strict=True):
        for (arm, at), cell in zip(
            (("oneshot-reinit", round), ("dense", 0)), row[1:], strict=True
        ):
            gaps = accuracy(table, "oneshot", round) - accuracy(table, arm, at)
            low, high = lth.interval(pd.Series(gaps))
            wins = (gaps > 0).sum()
            said = f"{gaps.mean():+.2f} ({low:+.2f} to {high:+.2f}), {wins} of 5"
            assert cell == said
            found[arm, round] = (gaps.mean(), wins)
    assert found["oneshot-reinit", 15][1] == 5  # "in every seed"
    assert found["dense", 15][0] < 0  # "no longer ahead"
    assert found["oneshot-reinit", 18][1] < 4  # "the lead is gone"
    assert found["oneshot-reinit", 20][0] < 0


def test_at_half_of_the_weights_rounds_buy_nothing(chapter, tables):
    told = told_by(chapter, "one-shot-say")
    gaps = accuracy(tables["long"], "ticket", 3) - accuracy(
        tables["long"], "oneshot", 3
    )
    said = lth.told(pd.Series(gaps))
    assert f"At 51.3 %: ticket minus one-shot {said}." in told
    low, high = lth.interval(pd.Series(gaps))
    assert low < 0 < high
    assert gaps.mean() < 0


def test_cutting_a_record_short_keeps_what_came_before(chapter, tables):
    long = tables["long"]
    short = long[long["iteration"] <= 1000]
    gaps = accuracy(short, "ticket", 7) - accuracy(short, "reinit", 7)
    told = told_by(chapter, "haste-say")
    n = SEEDS["long"]
    assert f"At 21.1 %, points (n = {n}): {gaps.mean():.2f} after 1,000," in told


def test_the_ends_are_means_and_least_seeds(chapter, tables):
    """And what the text says of them: the recorded dense networks know less."""
    stops = {run: lth.early_stop(tables[run]) for run in ("recorded", "long")}
    known = {}
    for name, *found in table_of(chapter, "final-say")[1:]:
        arm, run = name.split(", ")
        at = 0 if arm == "dense" else 7
        rows = stops[run].query(f"arm == '{arm}' and round == {at}").groupby("seed")
        train, test = (100 * rows[f"final_{x}"].mean() for x in ("train", "test"))
        assert found[:2] == [f"{x.mean():.2f} ({x.min():.2f})" for x in (train, test)]
        known[arm, run] = train.mean()
    for arm in ("dense", "reinit"):
        assert known[arm, "recorded"] < known["ticket", "recorded"] - 0.5
        assert known[arm, "long"] > 99.8


# The same seeds, twice, and the claims


@pytest.mark.parametrize(
    ("run", "profile"), [("recorded", "laptop"), ("long", "paper")]
)
def test_the_same_seeds_twice(chapter, tables, run, profile):
    """A run's first row in the table, by hand."""
    again = lth.recorded("lenet-mnist", profile=f"{profile}-again")
    runs = [
        accuracy(table, "ticket", 7) - accuracy(table, "reinit", 7)
        for table in (tables[run], again)
    ]
    spread = (runs[0] - runs[1]).std(ddof=1) / 2**0.5
    seeds = np.mean([each.var(ddof=1) for each in runs]) ** 0.5
    rows = table_of(chapter, "twice-table")
    (at,) = [number for number, row in enumerate(rows) if row[0] == run]
    assert rows[at][1].startswith("ticket minus reinit, 21.1")
    expected = [*(each.mean() for each in runs), spread, seeds]
    assert [float(cell) for cell in rows[at][2:]] == pytest.approx(expected, abs=0.006)
    if run == "long":  # "half as large the second time"
        assert 0.4 < expected[1] / expected[0] < 0.6


@pytest.fixture(scope="module")
def third() -> pd.DataFrame:
    return lth.recorded("lenet-inits", profile="laptop-again")


def test_there_is_a_third_run_of_these_seeds(chapter, third):
    told = told_by(chapter, "third-say")
    ticket = accuracy(third, "ticket", 7)
    for other, at in (("reinit", 7), ("dense", 0)):
        said = lth.told(pd.Series(ticket - accuracy(third, other, at)))
        assert f"At 21.1 %, third: ticket minus {other} {said}." in told
    wins = ticket > accuracy(third, "reinit", 7)
    assert wins.sum() == 4  # "in one seed the other sign"


def test_no_run_is_counted_twice(tables, third):
    """Chapter 8's newer record repeats the recorded run; its older one does not."""
    again = lth.recorded("lenet-mnist", profile="laptop-again")
    newer = lth.recorded("lenet-inits", profile="laptop")
    for round in (1, 2, 7, 20):
        for one, other, same in (
            (tables["recorded"], newer, True),
            (again, third, round <= 2),
        ):
            mine, its = (accuracy(table, "ticket", round) for table in (one, other))
            assert np.array_equal(mine, its) == same
    for claim, rows in lth.claims(chapter=4).groupby("claim"):
        assert "lenet-inits/laptop" not in set(rows["record"]), claim
        numbers = rows[["mean", "low"]].itertuples(index=False, name=None)
        assert len(set(numbers)) == len(rows), claim


def test_reinits_are_not_below_dense_where_l7_says(chapter, tables):
    """L7's verdict is about a distance; its places are told beside it."""
    again = lth.recorded("lenet-mnist", profile="laptop-again")
    here = {"recorded": tables["recorded"], "again": again, "long": tables["long"]}
    here["long again"] = lth.recorded("lenet-mnist", profile="paper-again")
    head, *rows = table_of(chapter, "falls-table")
    assert head[1:] == list(here)
    rows = {name: dict(zip(head[1:], cells, strict=True)) for name, *cells in rows}
    for run, table in here.items():
        dense = accuracy(table, "dense", 0)
        gaps = pd.Series(accuracy(table, "reinit", 7) - dense)
        assert gaps.mean() > 0
        low, high = lth.interval(gaps)
        said = rows["reinit minus dense, 21.1 % (points)"][run]
        assert said == f"{gaps.mean():+.2f}"
        assert rows["95 % interval"][run] == f"{low:+.2f} to {high:+.2f}"
        assert rows["above 0 in"][run] == f"{(gaps > 0).sum()} of n = 5 seeds"
        for arm in ("reinit", "ticket"):
            mine = table[table["arm"] == arm].groupby("round")["density"].first()
            means = pd.Series(
                [accuracy(table, arm, round).mean() for round in mine.index], mine
            )
            last = means[means >= dense.mean()].index.min()
            where = means.index[means.index < last].max()
            said = f"{100 * where:.3g} % (of {len(mine)} densities)"
            assert rows[f"{arm}s below dense from"][run] == said


def test_every_claim_has_its_verdicts(chapter):
    claims = lth.claims(chapter=4)
    assert {claim[:2] for claim in claims["claim"]} == {f"L{n}" for n in range(1, 10)}
    names = {"lenet-mnist/laptop": "recorded", "lenet-mnist/laptop-again": "again"}
    names |= {"lenet-mnist/paper": "long", "lenet-inits/laptop-again": "third"}
    names |= {"lenet-mnist/paper-again": "long again"}
    found = {}
    for verdict, claim, runs, means, _ in table_of(chapter, "claims-table")[2:]:
        numbers = re.findall(r"[\d.]+", means)
        for run, mean in zip(runs.split(", "), numbers, strict=True):
            assert (claim, run) not in found
            found[claim, run] = (verdict, mean)
    assert found == {
        (row["claim"], names[row["record"]]): (row["verdict"], f"{row['mean']:.2f}")
        for _, row in claims.iterrows()
    }
    said = told_by(chapter, "claims-say")
    for word, count in claims["verdict"].value_counts().items():
        assert f"{count} {word}" in said
    depends = claims.groupby("claim", sort=False)["verdict"].nunique() > 1
    assert f"depends on the run: {', '.join(depends[depends].index)}." in said


def test_the_key_answers_the_three_predictions(chapter, tables):
    (key,) = shown(chapter, "text/markdown", "key-table")
    asked = [("dense", 7), ("reinit", 7), ("oneshot", 15)]
    rows = plain(key).split("\n")[2:]
    for number, ((other, round), row) in enumerate(zip(asked, rows, strict=True), 1):
        assert row.startswith(f"| {number}. ")
        for run, table in tables.items():
            at = 0 if other == "dense" else round
            gaps = accuracy(table, "ticket", round) - accuracy(table, other, at)
            assert f"{run} {gaps.mean():+.2f}" in row
            assert f"{run} {(gaps > 0).sum()} of n = {len(gaps)} (" in row


# Figures and sliders


def test_the_slider_has_a_stop_for_each_recorded_density(chapter, tables):
    (slider,) = shown(chapter, "text/html", "slider-show")
    whole = lth.experiment("lenet-mnist", "laptop").curve_rounds
    table = tables["recorded"]
    density = table.groupby("round")["density"].first()[list(whole)]
    labels = [f"{100 * d:.3g} %" for d in density if d < 1]
    assert re.findall(r'"label": "([^"]*)"', slider) == labels
    for label, said in zip(labels, captions(slider), strict=True):
        assert said.startswith(f"With {label} of the weights:")
        assert "n = 5 seeds" in said


def test_the_sliders_sentence_is_the_pictures(chapter, tables):
    (slider,) = shown(chapter, "text/html", "slider-show")
    rows = tables["recorded"].query("split == 'test'")
    for round, said in zip((3, 7, 12, 15, 18), captions(slider), strict=True):
        for arm in ("dense", "ticket", "reinit"):
            at = 0 if arm == "dense" else round
            mine = rows.query(f"arm == '{arm}' and round == {at}")
            mean = 100 * mine.groupby("iteration")["accuracy"].mean()
            assert f"{arm} {mean[500]:.1f} and {mean[4000]:.1f} %" in said


def test_no_picture_of_the_slider_is_wider_or_higher_than_the_front_page(chapter):
    (slider,) = shown(chapter, "text/html", "slider-show")
    width, height = re.search(r'width="(\d+)" height="(\d+)"', slider).groups()
    assert int(width) <= 5.6 * 96
    assert int(height) <= 4 * 96


def test_the_slider_of_accuracies_is_the_papers_figure_4(chapter):
    (slider,) = shown(chapter, "text/html", "long-slider")
    assert re.findall(r'"label": "([^"]*)"', slider) == [
        "test, at early stop",
        "test, at the end",
        "training, at the end",
    ]


def test_the_ways_to_a_mask_part_as_weights_go(chapter, tables):
    """As its captions say, seed by seed; and what the text says of their order."""
    (slider,) = shown(chapter, "text/html", "one-shot-seeds-slider")
    said = iter(captions(slider))
    stops = lth.early_stop(tables["long"]).set_index("seed").sort_index()
    for round in (3, 7, 11, 15, 18, 20):
        for column in ("test", "final_test"):
            ways = {
                name: 100 * stops.query(f"arm == '{arm}' and round == {at}")[column]
                for name, arm, at in (
                    ("dense", "dense", 0),
                    ("ticket", "ticket", round),
                    ("continued", "continued", round),
                    ("one-shot", "oneshot", round),
                )
            }
            means = {name: way.mean() for name, way in ways.items()}
            caption = next(said)
            for name, mean in means.items():
                assert f"{name} {mean:.2f} %" in caption
            wins = (ways["ticket"] > ways["one-shot"]).sum()
            assert f"one-shot in {wins} of 5 seeds" in caption
            if round >= 11:  # 8.7 %
                assert means["ticket"] > means["continued"] > means["one-shot"]
            if round >= 15:  # 3.6 %
                assert (ways["ticket"] > ways["continued"]).all()
                assert (ways["continued"] > ways["one-shot"]).all()
    assert next(said, None) is None
    labels = re.findall(r'"label": "([^"]*)"', slider)
    assert labels[0] == "51.3 %"
    assert labels[-2:] == ["early stop", "the end"]


# Exercises


def test_the_readers_reinit_is_the_runs(chapter):
    """Its solution trains to the bit as the live run's reinit did."""
    found = re.search(
        r"yours (\S+%), the run's (\S+%)", told_by(chapter, "solution-a-train")
    )
    assert found[1] == found[2]


def test_sizes_alone_are_no_ticket(chapter):
    """What the solution of 4.1 says of its control, which it trains."""
    told = told_by(chapter, "solution-1-train")
    gaps = dict(re.findall(r"minus (\w+), live: (\S+) points", told))
    assert "minus ticket, live: -" in told
    assert "above 0 in 0 of n = 3 seeds" in told
    assert abs(float(gaps["reinit"])) < abs(float(gaps["ticket"])) / 2


def reinit(ticket: lth.Ticket, seed: int) -> nn.Module:
    net = lth.masked(lth.LeNet(seed=seed))
    lth.apply_masks(net, ticket.masks)
    return net


def drawn(
    ticket: lth.Ticket, seed: int, values: Callable[[torch.Tensor], torch.Tensor]
) -> nn.Module:
    """Return a masked LeNet whose weights are what `values` makes of theirs."""
    torch.manual_seed(seed)
    net = reinit(ticket, seed)
    init = lth.snapshot(net)
    init |= {name: values(init[name]) for name in ticket.masks}
    lth.rewind(net, init, ticket.masks)
    return net


def by_xavier(ticket: lth.Ticket, seed: int) -> nn.Module:
    return drawn(ticket, seed, nn.init.xavier_normal_)


def of_one_law(ticket: lth.Ticket, seed: int) -> nn.Module:
    return drawn(ticket, seed, lambda values: 0.07 * torch.randn_like(values))


def as_torch_draws(ticket: lth.Ticket, seed: int) -> nn.Module:
    return drawn(
        ticket, seed, lambda values: nn.init.kaiming_uniform_(values, a=5**0.5)
    )


def evenly(ticket: lth.Ticket, seed: int) -> nn.Module:
    return drawn(ticket, seed, nn.init.xavier_uniform_)


def dealt(ticket: lth.Ticket, seed: int) -> nn.Module:
    """The ticket's own values, in other places."""
    net, init = ticket.build(), dict(ticket.init)
    generator = torch.Generator().manual_seed(seed)
    for name, mask in ticket.masks.items():
        own = init[name][mask]
        init[name] = init[name].clone()
        init[name][mask] = own[torch.randperm(len(own), generator=generator)]
    lth.rewind(net, init, ticket.masks)
    return net


def unheld(ticket: lth.Ticket, seed: int) -> nn.Module:
    """Zeros that nothing keeps at zero."""
    net = lth.LeNet(seed=seed)
    with torch.no_grad():
        for name, mask in ticket.masks.items():
            net.get_parameter(name).mul_(mask)
    return net


def lost(ticket: lth.Ticket, seed: int) -> nn.Module:
    net = lth.masked(lth.LeNet(seed=seed))
    lth.apply_masks(net, lth.random_masks(ticket.masks, seed, 7, 0))
    return net


def biased(ticket: lth.Ticket, seed: int) -> nn.Module:
    net = reinit(ticket, seed)
    nn.init.ones_(net.get_parameter("fc1.bias"))
    return net


def signs(flip: Callable[..., torch.Tensor]) -> Callable[..., dict[str, torch.Tensor]]:
    """Return a control whose signs are what `flip` makes of them."""

    def control(ticket, seed):
        torch.manual_seed(seed)
        init = dict(ticket.init)
        return init | {name: flip(init[name]) for name in ticket.masks}

    return control


def tossed(values: torch.Tensor) -> torch.Tensor:
    return values * (2 * torch.randint(0, 2, values.shape) - 1)


def tossed_in_place(ticket, seed):
    torch.manual_seed(seed)
    for name in ticket.masks:
        ticket.init[name].copy_(tossed(ticket.init[name]))
    return ticket.init


def shuffled(values: torch.Tensor) -> torch.Tensor:
    return values.flatten()[torch.randperm(values.numel())].view_as(values)


def first_layer(ticket, seed):
    torch.manual_seed(seed)
    return ticket.init | {"fc1.weight": tossed(ticket.init["fc1.weight"])}


def quotient() -> float:
    table = lth.recorded("lenet-mnist")
    one, two = (pd.Series(accuracy(table, arm, 7)) for arm in ("ticket", "reinit"))
    return (one - two).std() / (one.var() + two.var()) ** 0.5


def leads(other: str = "dense") -> tuple[float, float]:
    table = lth.recorded("lenet-mnist", profile="paper")
    cut = [table[table["iteration"] <= length] for length in (1000, 50_000)]
    at = 0 if other == "dense" else 7
    return tuple(
        (accuracy(rows, "ticket", 7) - accuracy(rows, other, at)).mean() for rows in cut
    )


CLAIMS = {
    "a": ("ticket", "reinit"),
    "b": ("reinit", "random"),
    "c": ("ticket", "continued"),
    "d": ("oneshot", "oneshot-reinit"),
}
OTHERWISE = {
    "A": "reinit, ticket",
    "B": ["random mask", "Reinit"],
    "C": {"continued", "ticket"},
    "D": ("one-shot, reinit", "one-shot"),
}


@pytest.mark.parametrize(
    ("which", "answer"),
    [
        ("4.A", lambda: reinit),
        ("4.A", lambda: by_xavier),
        ("4.A", lambda: lambda t, seed: lth.control(t, "reinit", 7, seed)),
        ("4.B", quotient),
        ("4.B", lambda: torch.tensor([quotient()])),
        ("4.C", leads),
        ("4.C", lambda: np.array(leads())),
        ("4.C", lambda: dict(zip((1000, 50_000), leads(), strict=True))),
        ("4.1", lambda: signs(tossed)),
        ("4.1", lambda: tossed_in_place),
        ("4.2", lambda: CLAIMS),
        ("4.2", lambda: OTHERWISE),
        ("4.2", lambda: pd.Series(CLAIMS)),
        ("4.2", lambda: {f"{letter}.": pair for letter, pair in CLAIMS.items()}),
        ("4.2", lambda: CLAIMS | {"d": "one-shot, one-shot, reinit"}),
        ("4.3", lambda: lambda s, f: (s.mean() / f.mean(), (s / f).mean())),
        ("4.4", lambda: (0.74, 0.84)),
        ("4.4", lambda: {3: 0.74, 5: 0.84}),
        ("4.4", lambda: torch.tensor([0.77, 0.81])),
    ],
)
def test_a_right_answer_is_right(capsys, which, answer):
    assert lth.check(which, answer()), capsys.readouterr().out


@pytest.mark.parametrize(
    ("which", "answer", "hint"),
    [
        ("4.A", lambda: lambda t, seed: t.build(), "the ticket's own values: draw"),
        ("4.A", lambda: dealt, "the ticket's own values, in other places"),
        ("4.A", lambda: lambda t, seed: lth.LeNet(seed=seed), "the masks are missing"),
        ("4.A", lambda: lost, "the masks are missing"),
        ("4.A", lambda: of_one_law, "drawn from one law"),
        ("4.A", lambda: as_torch_draws, "take the law of the whole layer"),
        ("4.A", lambda: evenly, "no Gaussian"),
        ("4.A", lambda: unheld, "nothing will keep them there"),
        ("4.A", lambda: biased, "Biases start from 0"),
        ("4.A", lambda: lambda t, seed: reinit(t, 5), "Two seeds give the same"),
        ("4.A", lambda: lambda t, seed: t.masks, "Expected a network"),
        ("4.B", lambda: 1 / quotient(), "the other way round"),
        ("4.B", lambda: quotient() ** 2, "compares variances"),
        ("4.B", lambda: 0.5 * quotient(), "too small"),
        ("4.C", lambda: leads()[::-1], "The shorter training comes first"),
        ("4.C", lambda: tuple(lead / 100 for lead in leads()), "Those are fractions"),
        ("4.C", lambda: tuple(-lead for lead in leads()), "dense minus ticket"),
        ("4.C", lambda: leads("reinit"), "the gap to the reinit"),
        ("4.C", lambda: (leads()[0], 0.0), "nothing is cut off"),
        ("4.1", lambda: lambda t, seed: t.init, "the ticket's values still"),
        ("4.1", lambda: signs(torch.neg), "All signs are turned"),
        ("4.1", lambda: signs(torch.abs), "All of one sign"),
        ("4.1", lambda: signs(torch.randn_like), "not the size"),
        ("4.1", lambda: signs(shuffled), "not the size"),
        ("4.1", lambda: lambda t, seed: dealt(t, seed), "in other places"),
        ("4.1", lambda: first_layer, "One layer is the ticket's still"),
        ("4.1", lambda: lambda t, seed: signs(tossed)(t, 3), "Two seeds give the same"),
        ("4.1", lambda: lambda t, seed: 1.0, "Expected first values by name"),
        ("4.2", lambda: CLAIMS | {"b": ("ticket", "random")}, "b: The ticket's values"),
        ("4.2", lambda: CLAIMS | {"a": ("ticket", "dense")}, "a: the dense network"),
        ("4.2", lambda: CLAIMS | {"c": ("ticket", "oneshot")}, "c: One-shot has fewer"),
        ("4.2", lambda: CLAIMS | {"d": ("oneshot", "reinit")}, "d: These two have"),
        ("4.2", lambda: CLAIMS | {"d": ("oneshot", "ticket")}, "d: The claim is about"),
        ("4.2", lambda: CLAIMS | {"a": ("ticket",)}, "a: expected two arms"),
        ("4.2", lambda: CLAIMS | {"a": ("ticket", "twin")}, "a: the arms are"),
        ("4.2", lambda: {"a": CLAIMS["a"]}, "one for each of a, b, c, d"),
        (
            "4.3",
            lambda: lambda s, f: ((s / f).mean(), s.mean() / f.mean()),
            "The ratio of means comes first",
        ),
        ("4.3", lambda: lambda s, f: (f.mean() / s.mean(), 2.0), "mean of slow by"),
        ("4.3", lambda: lambda s, f: (1.6, 1.6), "seed by seed"),
        ("4.4", lambda: (0.95, 0.99), "Three seeds: "),
        ("4.4", lambda: (75, 83), "A share is at most 1"),
    ],
)
def test_a_wrong_answer_gets_a_hint(capsys, which, answer, hint):
    assert not lth.check(which, answer())
    assert hint in " ".join(capsys.readouterr().out.split())


# The long run


def test_the_long_run_is_the_papers(tables):
    made = tables["long"].attrs["provenance"]["experiment"]
    assert made["recipe"]["iterations"] == 50_000
    assert made["rounds"] == 20
    assert made["seeds"] == list(range(SEEDS["long"]))
    reinits = tables["long"].query("arm == 'reinit' and round == 7")
    assert reinits["control"].nunique() == 3
