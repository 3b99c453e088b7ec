"""The assignment on a claim: right answers, none, and plausible slips."""

import pytest
from book_fixtures import captions, lifted, plain, shown, told_by
from grading_fixtures import check_slip, edited, lost, solution, untouched

import lth_utils as lth

NAME = "is-the-paper-right"


def test_without_an_id_it_works_as_well(grade):
    found = grade(NAME, {"your-id": untouched(NAME)["your-id"]})
    assert not lost(NAME, found)


def test_the_points_do_not_hang_on_the_claim(grade):
    other = edited(NAME, "your-rule", '"L5"', '"L3-accuracy"')
    assert not lost(NAME, grade(NAME, {"your-rule": other}))


# What is drawn, and from what


@pytest.fixture(scope="module")
def names() -> dict:
    """Return what the assignment's own cells define, up to the seal."""
    cells = ("imports", "claims", "seal", "plan")
    return lifted(f"notebooks/assignments/{NAME}", *cells, lth=lth)


RULE = {"claim": "L5", "tolerance": 0.3}


def test_classmates_run_different_experiments(names):
    plans = [names["plan"](f"s{number}", RULE) for number in range(30)]
    assert len({plan.seeds for plan in plans}) == 30
    assert len({plan.network for plan in plans}) > 20
    assert len({plan.rounds for plan in plans}) > 1
    assert plans == [names["plan"](f"s{number}", RULE) for number in range(30)]


def test_a_changed_rule_has_other_seeds_on_the_same_network(names):
    first = names["plan"]("ada", RULE)
    for rule in (RULE | {"tolerance": 0.2}, RULE | {"claim": "L2"}):
        other = names["plan"]("ada", rule)
        assert not {*first.seeds} & {*other.seeds}
        assert first.network == other.network
    assert names["plan"]("ada", RULE | {"tolerance": 0.30}) == first


def test_each_experiment_is_of_the_size_that_was_promised(names):
    densities = {"L2": 0.8**9, "L3-accuracy": 0.8**15, "L5": 0.8**7}
    for claim, density in densities.items():
        for student in range(12):
            plan = names["plan"](student, RULE | {"claim": claim})
            assert len(plan.seeds) >= 5
            assert plan.recipe.iterations == 300
            left = (1 - plan.pruning.fc) ** plan.rounds
            assert 0.7 < left / density < 1.4


# Slips


def lines(*texts: str) -> str:
    return "\n    ".join(texts)


PAIRS = "100 * (one[seed] - other[seed])"
SLIPS = {
    # The rule
    "a tolerance that calls a loss a replication": (
        "your-rule", "0.3}", "0.8}", "rule", "expected 0 to 0.5 for L5",
    ),
    "a negative tolerance": (
        "your-rule", "0.3}", "-0.1}", "rule", "expected 0 to 0.5",
    ),
    "a claim that is not offered": (
        "your-rule", '"L5"', '"L7"', "rule", "The claim 'L7' is none of L2,",
    ),
    "a tolerance in words": (
        "your-rule", "0.3}", '"0.3"}', "rule", "expected a number, of points",
    ),
    # In pairs
    "fractions": (
        "your-gaps", "100 * ", "", "gaps", "returns fractions: expected points",
    ),
    "the wrong way round": (
        "your-gaps", PAIRS, "100 * (other[seed] - one[seed])", "gaps",
        "subtracts the wrong way round",
    ),
    "paired by position": (
        "your-gaps", "one[seed] - other[seed]",
        "one[seed] - list(other.values())[list(one).index(seed)]", "gaps",
        "matched by the seed and not by position",
    ),
    "unpaired: against the other arm's mean": (
        "your-gaps", "other[seed])", "fmean(other.values()))", "gaps",
        "is not that of its own two networks",
    ),
    "one seed dropped": (
        "your-gaps", "in one\n", "in list(one)[2:]\n", "gaps", "drops a seed",
    ),
    "a seed that one arm lacks": (
        "your-gaps", PAIRS + "\n        for seed in one\n        if seed in other",
        "100 * (one.get(seed, 0) - other.get(seed, 0)) for seed in {**one, **other}",
        "gaps", "keeps a seed that one arm lacks",
    ),
    # The standard error
    "n instead of n - 1": (
        "your-error", "return stdev(values)",
        "return sqrt(sum((v - fmean(values)) ** 2 for v in values) / len(values))",
        "error", "divides by n: expected n - 1",
    ),
    "a standard deviation": (
        "your-error", " / sqrt(len(values))", "", "error",
        "is not divided by the root of n",
    ),
    "divided by n itself": (
        "your-error", "sqrt(len(values))", "len(values)", "error",
        "is divided by n: expected its root",
    ),
    # The interval
    "a normal quantile": (
        "your-interval", "stdtrit(len(values) - 1, 0.975)", "1.96", "interval",
        "as far as with 1.96, the normal quantile",
    ),
    "n degrees of freedom": (
        "your-interval", "len(values) - 1", "len(values)", "interval",
        "as far as with t with n degrees of freedom",
    ),
    "5 % on each side": (
        "your-interval", "0.975", "0.95", "interval", "with t with 5 % on each side",
    ),
    "n - 1 forgotten in the interval": (
        "your-interval", "* standard_error(values)",
        "* standard_error(values) * sqrt(1 - 1 / len(values))", "interval",
        "a deviation that divides by n",
    ),
    "no quantile": (
        "your-interval", "quantile * ", "", "interval", "with the standard error alone",
    ),
    "one difference dropped": (
        "your-interval", "return fmean(values) - reach, fmean(values) + reach",
        "middle = fmean(values[1:])\n    return middle - reach, middle + reach",
        "interval", "The mean of all values is not in the middle",
    ),
    "the library's interval": (
        "your-interval", "quantile = stdtrit",
        "return lth.interval(values)\n    quantile = stdtrit", "interval",
        "interval asks the library: expected lines of your own",
    ),
    # The verdict
    "a verdict from the mean alone": (
        "your-verdict", "low > bound", "(low + high) / 2 > bound", "verdict",
        "the bound lies within; the mean alone decides nothing",
    ),
    "a verdict on three seeds": (
        "your-verdict", 'if n < 5:\n        return "too few seeds"\n    ', "",
        "verdict", "fewer than five seeds decide nothing",
    ),
    "five seeds refused": (
        "your-verdict", "n < 5", "n <= 5", "verdict", "five are enough",
    ),
    "an end on the bound": (
        "your-verdict", "low > bound", "low >= bound", "verdict",
        "an end on the bound is not beyond it",
    ),
    "no difference is no replication": (
        "your-verdict", "high < bound", "high < 0", "verdict",
        "the whole interval is on one side of the bound",
    ),
    "a fifth word": (
        "your-verdict", '"cannot tell"', '"maybe"', "verdict",
        "'maybe': expected one of the four words",
    ),
    # The limits
    "the whole width": (
        "your-limits", "(high - low) / 2", "high - low", "limits",
        "does not say half of the interval's width",
    ),
    "numbers that were typed in": (
        "your-limits", "{n} seeds of {iterations}", "6 seeds of 300", "limits",
        "does not say how many seeds there are",
    ),
    "the paper left out": (
        "your-limits", "50,000", "many more", "limits",
        "does not say the paper's 50,000 iterations",
    ),
    "two sentences": (
        "your-limits", " points, nor one", " points. Nor one", "limits",
        "expected one sentence",
    ),
}  # fmt: skip


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_loses_its_question_alone_and_is_named(grade, slip):
    # The run comes after the last of them, and costs nobody's points there.
    check_slip(grade, NAME, *SLIPS[slip], until="limits")


def test_a_claim_that_is_not_offered_is_run_all_the_same(grade):
    found = grade(NAME, {"your-rule": edited(NAME, "your-rule", '"L5"', '"L7"')})
    assert lost(NAME, found) == {"rule": 1}


def test_what_is_wrong_early_costs_nothing_later(grade):
    wrong = "def {}(*_):\n    return {}"
    found = grade(
        NAME,
        {
            "your-gaps": wrong.format("gaps", "{}"),
            "your-error": wrong.format("standard_error", "0.0"),
        },
    )
    assert lost(NAME, found) == {"gaps": 2, "error": 1}


# A rule that is set after the run

LATE = {
    "defined anew": 'def my_rule():\n    return {"claim": "L5", "tolerance": 0.5}',
    "another id": 'STUDENT = "bob"',
    "both sealed anew": (
        'def my_rule():\n    return {"claim": "L5", "tolerance": 0.5}\n'
        "RULE.update(my_rule())\nSEAL = seal(STUDENT, RULE)\n"
        "seal = lambda *_: SEAL"
    ),
}


@pytest.mark.parametrize("late", LATE)
def test_a_rule_set_after_the_run_loses_its_point_alone(grade, late):
    answer = f"{solution(NAME, 'your-verdict')}\n\n\n{LATE[late]}"
    found = grade(NAME, {"your-verdict": answer})
    assert lost(NAME, found) == {"still": 1}
    assert "A rule that is set after the run says nothing" in found.messages["still"]


def test_a_rule_that_follows_the_numbers_is_noticed(grade):
    rule = (
        'def my_rule():\n    granted = 0.5 if "values" in globals() else 0.1\n'
        '    return {"claim": "L5", "tolerance": granted}'
    )
    found = grade(NAME, {"your-rule": rule})
    assert lost(NAME, found) == {"still": 1}


# To the end


def test_the_report_and_the_slider_speak_of_the_claim(to_its_end):
    ran = to_its_end(NAME)
    words = ("replicated", "not replicated", "cannot tell")
    report = told_by(ran, "report")
    assert report.startswith("L5: At 21.1 %, tickets are 0.5 points more accurate")
    assert "n = 6). Your bound is 0.2: replicated." in report
    assert "6 seeds of 300 iterations cannot show a difference below" in report
    (slider,) = shown(ran, "text/html", "explore")
    stops = captions(slider)
    assert len(stops) == 6
    for stop in stops:
        found = plain(stop)
        assert "points, n = 5: " in found
        assert found.rstrip(".").split(": ")[1] in words
