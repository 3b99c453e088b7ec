"""The one rule, and what the ledger's claims come to by it."""

from dataclasses import replace
from math import exp, inf, log, nan

import pandas as pd
import pytest
from helpers import CLAIM as BETTER

import lth_utils as lth
from lth_utils import cli
from lth_utils.evidence import measures, verdicts
from lth_utils.evidence.measures import MEASURES
from lth_utils.evidence.saying import numbers
from lth_utils.evidence.verdicts import WORDS, judge
from lth_utils.experiments import ledger as ledgers
from lth_utils.experiments import records
from lth_utils.experiments.ledger import UNITS, ledger

SOONER = replace(BETTER, measure="sooner", paper=2.51)


def seeds(*values: float) -> pd.Series:
    return pd.Series(values, dtype=float)


@pytest.mark.parametrize(
    ("values", "rule", "word"),
    [
        (seeds(0.5, 0.4, 0.6, 0.5, 0.5), {"paper": 0.5}, "replicated"),
        (seeds(0.2, 0.1, 0.3, 0.2, 0.2), {"paper": 0.5}, "partly"),  # less than half
        (seeds(0.2, 0.1, 0.3, 0.2, 0.2), {}, "replicated"),
        (seeds(2.0, -0.5, 0.9, 0.1, -0.4), {}, "partly"),  # 0 is in the interval
        (seeds(-0.1, 0.1, -0.2, 0.0, 0.1), {}, "not replicated"),
        (seeds(0.5, 0.4, 0.6, 0.5), {}, "too few seeds"),
        (seeds(0.5, 0.4, 0.6, 0.5), {"seeds": 4}, "replicated"),
        # What a seed is granted counts in the interval and in the mean.
        (seeds(-0.1, 0.1, -0.2, 0.0, 0.1), {"tolerance": 0.3}, "replicated"),
        # A training that is too short says nothing, and three seeds say less.
        (seeds(0.5, 0.4, 0.6, 0.5, 0.5), {"short": True}, "cannot tell at this length"),
        (seeds(0.5, 0.4, 0.6), {"short": True}, "too few seeds"),
    ],
)
def test_the_rule(values, rule, word):
    assert lth.verdict(values, **rule) == word


def test_two_sides_ask_for_more():
    values = seeds(0.1, 0.9, 0.05, 0.8, 0.35)
    assert lth.interval(values)[0] < 0 < lth.interval(values, sides=1)[0]
    assert lth.verdict(values) == "replicated"
    assert lth.verdict(values, sides=2) == "partly"


def test_half_of_2_51_times_is_1_58():
    paper, tolerance = verdicts.on_scale(replace(SOONER, tolerance=1.1))
    assert (exp(paper), exp(tolerance)) == pytest.approx((2.51, 1.1))
    assert exp(paper / 2) == pytest.approx(1.584, abs=1e-3)
    less, more = (seeds(*map(log, times)) for times in ((1.5, 1.6) * 3, (1.6, 1.7) * 3))
    assert lth.verdict(less, paper) == "partly"
    assert lth.verdict(more, paper) == "replicated"


def stops(rows: list[tuple], last: int = 1000) -> pd.DataFrame:
    """Return what `early_stop` would, and whether it was the last iteration."""
    columns = ["arm", "round", "seed", "test", "iteration", "final_train", "loss"]
    table = pd.DataFrame(rows, columns=columns).assign(experiment="toy")
    return table.assign(late=table["iteration"].eq(last), final_test=table["test"])


TOY = stops(
    [
        ("dense", 0, 0, 0.90, 800, 1.0, 0.3),
        ("dense", 0, 1, 0.92, 1000, 1.0, 0.3),
        ("ticket", 1, 0, 0.95, 400, 1.0, 0.2),
        ("ticket", 1, 1, 0.93, 250, 1.0, 0.2),
        ("ticket", 2, 0, 0.89, 800, 1.0, 0.1),
        ("ticket", 2, 1, 0.95, 800, 1.0, 0.1),
        ("reinit", 1, 0, 0.89, 1000, 1.0, 0.4),
        ("reinit", 1, 1, 0.93, 1000, 1.0, 0.4),
        ("reinit", 2, 0, 0.80, 1000, 0.9, 0.4),
        ("reinit", 2, 1, 0.80, 1000, 0.9, 0.4),
    ]
)


def taken(measure: str, other: str, rounds: tuple[int, ...]) -> tuple[list, bool]:
    claim = replace(BETTER, measure=measure, other=other, rounds=rounds)
    found = MEASURES[measure](TOY, claim)
    return [round(float(x), 6) for x in found.values], found.short


def test_measures_are_one_number_a_seed():
    assert taken("better", "dense", (1,)) == ([5, 1], False)
    assert taken("better", "dense", (1, 2, 3)) == ([2, 2], False)  # 3 was not trained
    assert taken("sooner", "dense", (1,)) == (
        [round(log(2), 6), round(log(4), 6)],
        False,
    )
    assert taken("sooner", "reinit", (1, 2))[1] is False  # half are late: not more
    assert taken("sooner", "reinit", (2,))[1] is False
    late = replace(BETTER, measure="sooner", one="reinit", other="dense", rounds=(1,))
    assert measures.sooner(TOY, late).short  # three of four
    assert taken("better at the end", "dense", (1,)) == ([5, 1], False)
    assert taken("better at the end", "reinit", (2,))[1] is True  # it knows 90 %
    # Round 2 has the least validation loss: the best test accuracy has no say.
    assert taken("best at the end", "dense", (1, 2)) == ([-1, 3], False)
    # Tickets fall in round 2 and never (3); reinits in round 1 and 2.
    assert taken("falls later", "reinit", (1,)) == ([1, 1], False)


def test_a_third_of_the_gap():
    rows = [
        (arm, round, seed, test, 500, 1.0, 0.1)
        for arm, round, test in (
            ("ticket", 1, 0.96),
            ("reinit", 1, 0.93),
            ("resample", 1, 0.935),
        )
        for seed in (0, 1)
    ]
    claim = replace(
        BETTER,
        measure="closes less than a third",
        one="resample",
        rounds=(1,),
    )
    values = measures.under_a_third(stops(rows), claim).values
    assert values.tolist() == pytest.approx([0.5, 0.5])  # 1 point less half a point


def test_an_arm_may_be_of_a_studys_part():
    table = pd.concat([TOY, TOY.assign(experiment="wide", test=TOY["test"] + 0.01)])
    claim = replace(BETTER, one="wide:ticket", other="toy:ticket", rounds=(1, 9))
    assert measures.trained(table, claim) == [1]
    assert measures.better(table, claim).values.tolist() == pytest.approx([1, 1])


def test_the_part_that_agrees_least_counts():
    claim = ledger()["F26"]
    each = {
        part: verdicts.measured(replace(claim, parts=(part,)), "lenet-adam/laptop")
        for part in claim.parts
    }
    least = pd.concat([found.values for found in each.values()], axis=1).min(axis=1)
    both = verdicts.measured(claim, "lenet-adam/laptop")
    assert both.values.tolist() == least.tolist()
    assert least.tolist() == each["0.0002"].values.tolist()


# --- the ledger ----------------------------------------------------------------------


def test_every_claim_comes_to_a_verdict():
    table = lth.claims()
    assert set(table["claim"]) == set(ledger())
    assert set(table["verdict"]) <= set(WORDS)
    told = table[~table["verdict"].isin(["not run yet", "too few seeds"])]
    assert (told["n"] >= 5).all()
    assert set(table.loc[table["n"] == 0, "verdict"]) == {"not run yet"}
    assert set(MEASURES) == set(UNITS)


def test_a_verdict_is_what_the_record_says():
    """By hand, from the table: ticket minus reinit at 21.1 %."""
    stops = lth.early_stop(lth.recorded("lenet-mnist", "paper"))
    mine = stops[stops["round"] == 7].groupby(["arm", "seed"])["test"].mean()
    gaps = 100 * (mine["ticket"] - mine["reinit"])
    found = judge(ledger()["L5"], "lenet-mnist/paper")
    assert found.mean == pytest.approx(gaps.mean())
    assert found.low == pytest.approx(
        gaps.mean() - 2.131847 * gaps.std() / 5**0.5, rel=1e-6
    )
    assert (found.high, found.n, found.word) == (inf, 5, "replicated")
    assert found.agree == (gaps > 0).sum()


def test_times_are_told_as_times():
    stops = lth.early_stop(lth.recorded("lenet-mnist", "paper"))
    mine = stops[stops["round"].isin([0, 7])].groupby(["arm", "seed"])["iteration"]
    ratios = mine.mean()["dense"] / mine.mean()["ticket"]
    found = judge(ledger()["L1"], "lenet-mnist/paper")
    assert found.mean == pytest.approx(exp(ratios.map(log).mean()))
    assert (found.unit, found.paper) == ("times", 1.61)


def test_a_rule_that_changes_after_the_run_shows_up():
    """Every record keeps the fingerprints of the rules that it is judged by."""
    assert not lth.claims()["changed"].any()
    claim = ledger()["L5"]
    for other in (
        replace(claim, tolerance=0.1),
        replace(claim, paper=0.3),
        replace(claim, rounds=(3, 7)),
        replace(claim, seeds=3),
    ):
        assert judge(other, "lenet-mnist/paper").changed
    for same in (replace(claim, says="Otherwise."), replace(claim, chapter="5")):
        assert not judge(same, "lenet-mnist/paper").changed


def test_convolutions_are_registered_and_wait():
    waiting = lth.claims().query("verdict == 'not run yet'")
    assert set(waiting["claim"].str[:2]) == {"C4", "C6", "C7", "D1", "V1", "R1"}


def test_a_chapter_without_claims_is_one_sentence():
    there = "4, 5, 6, 7, 8, 9, 9b, 10, 11"
    with pytest.raises(
        lth.LotteryError, match=rf"of chapter 1: expected one of {there}\."
    ):
        lth.claims(chapter=1)


def test_a_chapter_is_a_number_or_a_word(capsys):
    assert set(lth.claims(chapter=10)["chapter"]) == {"10"}
    assert lth.claims(10).equals(lth.claims("10"))
    page = lth.claims("9b")
    assert set(page["chapter"]) == {"9b"}
    assert not set(page["claim"]) & set(lth.claims(9)["claim"])
    assert cli.main(["claims", "--chapter", "9b"]) == 0
    told = capsys.readouterr().out
    for id in page["claim"]:
        assert f"\n{id} (chapter 9b): " in told


def test_weights_are_told_without_decimals():
    row = {"n": 5, "agree": 0, "unit": "weights", "paper": nan}
    row |= {"mean": -3128.4, "low": -4584.42, "high": inf}
    told = "-3,128 weights (95 %: at least -4,584)"
    assert numbers(row) == (told, "0 of 5", "")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("paper = 0.5", "papper = 0.5", r"key of claim L5 'papper'.*mean 'paper'"),
        ("paper = 0.5", 'paper = "half"', r"L5 has paper = 'half': expected float"),
        ("rounds = [7]", "rounds = 7", r"has rounds = 7: expected a list of int"),
        ('measure = "better"', 'measure = "bigger"', "measure of claim L2 'bigger'"),
        ('one = "ticket"\n', "", r"Claim L1 lacks a key \(.*'one'\)"),
        ("[L1]", "[L1", r"claims.toml cannot be read \("),
    ],
)
def test_an_entry_that_is_none_is_one_sentence(
    tmp_path, monkeypatch, old, new, sentence
):
    text = (records.results_folder() / ledgers.FILE).read_text("utf-8")
    assert old in text
    changed = text if old == "paper = 0.5" else text.replace(old, new, 1)
    if old == "paper = 0.5":
        at = text.index("[L5]")
        changed = text[:at] + text[at:].replace(old, new, 1)
    (tmp_path / ledgers.FILE).write_text(changed, "utf-8")
    monkeypatch.setattr(records, "results_folder", lambda: tmp_path)
    with pytest.raises(lth.LotteryError, match=sentence):
        ledger()


def test_without_a_ledger_there_are_no_claims(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "results_folder", lambda: tmp_path)
    assert ledger() == {}
    with pytest.raises(lth.LotteryError, match=r"those in results/claims\.toml"):
        lth.claims()


def test_a_record_that_is_not_there_yet(monkeypatch):
    there = records.results_folder() / "lenet-mnist" / "quick"
    assert not there.exists()
    found = judge(BETTER, "lenet-mnist/quick")
    assert (found.word, found.n) == ("not run yet", 0)
    with pytest.raises(lth.LotteryError, match="experiment 'lenet-mnits'"):
        judge(BETTER, "lenet-mnits/laptop")
    with pytest.raises(lth.LotteryError, match=r"has no pair of ticket and noise-3"):
        judge(replace(BETTER, other="noise-3"), "lenet-mnist/laptop")


def test_no_run_is_counted_twice():
    """Two experiments may share trainings; a claim is judged on one of the two."""
    table = lth.claims().dropna(subset="mean")
    assert len(table) > 100
    twice = table.duplicated(["claim", "mean", "low"], keep=False)
    assert not table[twice]["claim"].tolist()


def test_where_there_is_no_gap_nothing_is_closed():
    rows = [
        (arm, 1, 0, test, 500, 1.0, 0.1)
        for arm, test in (("ticket", 0.92), ("reinit", 0.93), ("resample", 0.9))
    ]
    claim = replace(BETTER, measure="closes less than a third", rounds=(1,))
    claim = replace(claim, one="resample")
    found = measures.under_a_third(stops(rows), claim).values
    assert found.tolist() == pytest.approx([-1 / 3])  # the ticket is a point behind


def test_a_seed_with_a_training_missing_has_no_fall():
    claim = replace(BETTER, measure="falls later", one="ticket", other="reinit")
    whole = measures.falls_later(TOY, claim).values
    gone = (TOY["arm"] == "reinit") & (TOY["seed"] == 0) & (TOY["round"] == 2)
    assert gone.sum() == 1
    found = measures.falls_later(TOY[~gone], claim).values.dropna()
    assert found.to_dict() == whole.drop(0).to_dict()
