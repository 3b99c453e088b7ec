"""The assignment on telling controls apart: right answers, luck, and slips."""

import pytest
from grading_fixtures import assignment, edited, lost, untouched

NAME = "sparsity-detective"
# The case of "ada", written down by hand.
ADA = {
    "A": ("ticket", ["overlap", "start"]),
    "B": ("random", ["structure"]),
    "C": ("shuffled", ["structure", "overlap"]),
    "D": ("one-shot", ["overlap"]),
    "E": ("reinit", ["start"]),
}


# The statistics

SHARE = "return same / sum(int(mask.sum()) for mask in masks.values())"
PRUNED_TOO = """\
return 1 - sum(
        int((values[n] != first[n])[m].sum()) for n, m in masks.items()
    ) / sum(mask.numel() for mask in masks.values())"""
MEAN_SHARE = """\
shares = [(values[n] == first[n])[m].double().mean() for n, m in masks.items()]
    return sum(shares) / len(shares)"""
HITS = "return hits / alive"
MEAN_HITS = """\
best = {n: trained[n].abs().flatten().argsort(descending=True) for n in masks}
    shares = [
        m.flatten()[best[n][: int(m.sum())]].double().mean()
        for n, m in masks.items()
    ]
    return sum(shares) / len(shares)"""
ONE_RANKING = """\
size = torch.cat([trained[name].abs().flatten() for name in masks])
    mask = torch.cat([mask.flatten() for mask in masks.values()])
    return mask[size.argsort(descending=True)[:alive]].double().mean()"""
EXACT = "values[name] == first[name]"
START = [
    (SHARE, PRUNED_TOO, "a share of pruned weights too"),
    (SHARE, MEAN_SHARE, "the mean of the layers' shares"),
    (
        EXACT,
        "values[name].isclose(first[name], atol=0.01)",
        "145 of 145 living weights were moved by 0.0001, and start returns 1.000",
    ),
]
OVERLAP = [
    (".abs()", "", "Here weights have both signs"),
    (HITS, "return hits / (2 * alive - hits)", "both over either (Jaccard)"),
    (HITS, MEAN_HITS, "the mean of the layers' shares"),
    (HITS, ONE_RANKING, "Here layers differ in their weights' size"),
]
STRUCTURE = [
    ("mask.double()", "mask.double().T", "Count for each unit, along its row"),
    ("* (1 - p)", "", "at a density of 0.6, structure says 0.4"),
    (" / chance", "", "Is the variance held against n p (1 - p)?"),
    (".var()", ".mean()", "Of a mask whose units differ, structure says 1.23"),
]
STATISTICS = {"start": START, "overlap": OVERLAP, "structure": STRUCTURE}


@pytest.mark.parametrize("number", range(4))
def test_a_slip_in_a_statistic_costs_nothing_below(grade, number):
    slips = {
        task: slips[number] for task, slips in STATISTICS.items() if slips[number:]
    }
    answers = {
        f"your-{task}": edited(NAME, f"your-{task}", old, new)
        for task, (old, new, _) in slips.items()
    }
    found = grade(NAME, answers, until="structure" if number else "")
    most = assignment(NAME).questions
    assert lost(NAME, found) == {task: most[task] for task in slips}
    for task, (_, _, told) in slips.items():
        assert told in found.messages[task]


# Verdicts and evidence

REINIT = """\
    if facts["start"] < 0.5:
        return "reinit", ["start"]
"""


def accusing(old: str, new: str) -> dict[str, str]:
    return {"your-accuse": edited(NAME, "your-accuse", old, new)}


def test_one_statistic_does_not_tell_five_apart(grade):
    found = grade(NAME, accusing(REINIT, ""))
    # Of the own case, the other four are right and proved.
    assert lost(NAME, found) == pytest.approx({"names": 2, "evidence": 1, "case": 0.4})
    told = "accuse takes a suspect for ticket that is reinit: in which fact"
    assert told in found.messages["names"]
    told = "Called ticket because of ['start', 'overlap']: overlap is superfluous"
    assert told in found.messages["evidence"]
    assert "4 of 5 are right" in found.messages["case"]


def test_a_bound_that_does_not_move_with_the_density_is_found_out(grade):
    wrong = accusing('facts["density"] + 0.1', "0.5")
    found = grade(NAME, wrong, until="names")
    assert lost(NAME, found) == {"names": 2}
    told = "accuse takes a suspect for ticket that is random"
    assert told in found.messages["names"]
    assert "In a case of density 0.64" in found.messages["names"]


def citing(expression: str) -> dict[str, str]:
    """Return an accuse that knows the names, and cites the same of each."""
    wrong = edited(NAME, "your-accuse", "def accuse(", "def inner(")
    return {
        "your-accuse": f"{wrong}\n\n\ndef accuse(facts):\n"
        f"    return inner(facts)[0], {expression}"
    }


@pytest.mark.parametrize(
    ("cited", "told"),
    [
        ("[]", "Called ticket because of []: 4 other suspects fit that as well"),
        ('["density", "output"]', "4 other suspects fit that as well"),
    ],
)
def test_evidence_has_to_rule_out_all_others(grade, cited, told):
    found = grade(NAME, citing(cited), until="evidence")
    assert lost(NAME, found) == {"evidence": 1}
    assert told in found.messages["evidence"]


def test_names_without_good_evidence_earn_a_fifth_of_the_case(grade):
    found = grade(NAME, citing("list(facts)"))
    assert lost(NAME, found) == pytest.approx({"evidence": 1, "case": 1.6})
    told = "'overlap', 'structure']: density is superfluous"
    assert told in found.messages["evidence"]
    assert "5 of 5 are right in the case of 'ada'; 0 of these" in found.messages["case"]


# Ids


def verdicts(table: dict, student: str = "ada") -> dict[str, str]:
    """Return answers with a table that was written by hand, and nothing else."""
    answers = untouched(NAME)
    return answers | {
        "your-id": f'STUDENT = "{student}"',
        "your-verdicts": f"def verdicts():\n    return {table!r}",
    }


def test_a_table_by_hand_earns_the_case_alone(grade):
    found = grade(NAME, verdicts(ADA, student=" Ada\t"))
    earned = {task: points for task, points in found.points.items() if points}
    assert earned == {"case": 2}


def test_a_copied_table_is_of_another_case(grade):
    found = grade(NAME, verdicts(ADA, student="bob"))
    assert found.points["case"] == 0
    told = "0 of 5 are right in the case of 'bob'"
    assert told in found.messages["case"]
    assert "your own id" in found.messages["case"]


@pytest.mark.parametrize(
    ("verdict", "earned"),
    [(("ticket", []), 0.08), (("ticket", ["start", "overlap"]), 0.4)],
)
def test_luck_earns_a_fifth_of_the_case_at_most(grade, verdict, earned):
    found = grade(NAME, verdicts(dict.fromkeys("ABCDE", verdict)))
    assert found.points["case"] == earned
    assert sum(found.points.values()) == earned


def test_an_id_that_is_not_filled_in_has_a_case_as_well(grade):
    answers = {"your-id": untouched(NAME)["your-id"]}
    assert not lost(NAME, grade(NAME, answers))
