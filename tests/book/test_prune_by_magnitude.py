"""The assignment on pruning: right answers, none, and plausible slips."""

from classroom.kernel import Limits
from grading_fixtures import edited, lost, untouched

NAME = "prune-by-magnitude"


def test_the_solution_has_full_marks(grade):
    found = grade(NAME)
    assert not lost(NAME, found)
    assert not found.messages


def test_the_untouched_release_has_none(grade):
    found = grade(NAME, untouched(NAME))
    assert set(found.points.values()) == {0}
    assert set(found.messages.values()) == {"Not answered."}


def test_off_by_one_loses_the_count_alone_and_is_told_why(grade):
    wrong = edited(NAME, "your-keep", "[:k]", "[: k + 1]")
    found = grade(NAME, {"your-keep": wrong})
    assert lost(NAME, found) == {"count": 2}
    assert "expected exactly k = 2" in found.messages["count"]


def test_code_that_never_ends_loses_its_question_alone(grade):
    endless = "def masked_step(*_):\n    while True:\n        pass"
    found = grade(NAME, {"your-step": endless}, limits=Limits(cell=3))
    assert lost(NAME, found) == {"step": 2}
    assert found.messages["step"] == "Stopped: it took longer than 3 seconds."
