"""Self-checks, sentences and glued values."""

from fractions import Fraction

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from myst_nb.core.variables import format_plain_text
from myst_nb.ext.glue import extract_glue_data_cell
from nbclient import NotebookClient

from lth_utils.errors import LotteryError
from lth_utils.exercises import checks
from lth_utils.exercises.checks import check, exercise
from lth_utils.figures.glue import glue, say

MASK = np.array([[1, 0, 1], [0, 1, 0]], dtype=bool)


@pytest.fixture(autouse=True)
def _exercises(monkeypatch):
    """A few exercises in place of the book's."""
    monkeypatch.setattr(checks, "_EXERCISES", {})

    @exercise("9.1", expects="a number, in percent", right="A fifth goes each round.")
    def _(answer):
        checks.near(checks.number(answer), 21.1, within=0.1, hint="Seven rounds.")

    @exercise("9.2", expects="a whole number", right="All weights are counted.")
    def _(answer):
        checks.near(checks.whole(answer), 266_200, hint="Leave the biases out.")

    @exercise("9.3", expects="masks", right="Both agree.")
    def _(answer):
        checks.same_masks(answer, {"fc1.weight": MASK}, hint="Mind the ties.")

    @exercise("9.4", expects="a tensor of shape (2, 3)", right="It fits.")
    def _(answer):
        checks.demand(checks.array(answer, (2, 3)).sum() == 6, "They sum to six.")

    @exercise("9.5", expects="a function", right="It doubles.")
    def _(answer):
        checks.near(checks.number(checks.returned(answer, 2)), 4, hint="Double it.")

    @exercise("9.6", expects="a table with a column 'test'", right="It is there.")
    def _(answer):
        checks.demand(answer["test"].max() < 1, "Accuracies are fractions.")


@pytest.mark.parametrize(
    ("which", "answer"),
    [
        ("9.1", 21.07),
        ("9.1", np.float32(21.1)),
        ("9.1", torch.tensor([21.1])),
        ("9.2", 266_200),
        ("9.2", 266_200.0),
        ("9.2", np.int64(266_200)),
        ("9.2", Fraction(532_400, 2)),
        ("9.3", {"fc1.weight": MASK}),
        ("9.3", {"fc1.weight": torch.from_numpy(MASK).float()}),
        ("9.4", torch.ones(2, 3, requires_grad=True)),
        ("9.5", lambda n: 2 * n),
        ("9.6", pd.DataFrame({"test": [0.9]})),
    ],
)
def test_right_answers_are_right(which, answer, capsys):
    assert check(which, answer) is True
    said = capsys.readouterr().out
    assert said.startswith(f"{which}: right. ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("which", "answer", "said"),
    [
        ("9.1", 13.5, "13.5 is too small. Seven rounds."),
        ("9.1", 0.211, "0.211 is too small."),
        ("9.1", "21.1", "Expected a number, and got the str '21.1'."),
        ("9.1", True, "got the bool True"),
        ("9.1", float("nan"), "nan is no finite number"),
        ("9.1", None, "got no answer"),
        ("9.1", ..., "got no answer"),
        ("9.1", list(range(99)), "got a value of type list"),
        ("9.2", 266_610, "too large. Leave the biases out."),
        ("9.2", 1.5, "Expected a whole number, and got 1.5."),
        ("9.3", MASK, "as lth.prune returns them, and got a value of type ndarray."),
        ("9.3", {"fc2.weight": MASK}, "returns them, one for each of fc1.weight"),
        ("9.3", {"fc1.weight": MASK.T}, "shape (2, 3), and got (3, 2)"),
        ("9.3", {"fc1.weight": [[1]]}, "Expected an array or a tensor"),
        ("9.3", {"fc1.weight": MASK * 2}, "only 0 and 1"),
        ("9.3", {"fc1.weight": MASK * 0}, "3 weights fewer. Look at fc1.weight."),
        ("9.3", {"fc1.weight": MASK | True}, "3 weights more."),
        ("9.3", {"fc1.weight": MASK[:, [1, 0, 2]]}, "4 differ. Look at fc1.weight"),
        ("9.4", torch.ones(3, 2), "shape (2, 3), and got (3, 2)"),
        ("9.4", torch.zeros(2, 3), "They sum to six."),
        ("9.5", lambda n: n, "2 is too small. Double it."),
        ("9.5", lambda n: n / 0, "stopped with ZeroDivisionError: division by zero"),
        ("9.5", 3, "Expected a function, and got the int 3."),
        ("9.6", 7, "Expected a table with a column 'test', and got the int 7."),
    ],
)
def test_wrong_answers_get_a_sentence_and_no_traceback(which, answer, said, capsys):
    assert check(which, answer) is False
    out = " ".join(capsys.readouterr().out.split())
    assert out.startswith(f"{which}: not yet. ")
    assert said in out


SEVERAL = [1.5, 2, 4]


@pytest.mark.parametrize(
    "answer",
    [
        SEVERAL,
        tuple(SEVERAL),
        iter(SEVERAL),
        np.array(SEVERAL),
        torch.tensor(SEVERAL),
        pd.Series(SEVERAL, index=[7, 8, 9]),
        dict(zip("abc", SEVERAL, strict=True)),
        [torch.tensor(1.5), np.float32(2), Fraction(4)],
    ],
)
def test_several_numbers_are_read_in_any_form(answer):
    assert checks.several(answer, 3, "three numbers") == SEVERAL


def test_masks_are_read_as_nested_lists_where_they_may_be():
    for answer in (MASK, MASK.tolist(), [*torch.from_numpy(MASK)]):
        assert np.array_equal(checks.grid(answer, (2, 3)), MASK)


def test_a_check_leaves_the_readers_generator_alone():
    def draws(n):
        torch.manual_seed(1)
        return 2 * n

    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert check("9.5", draws)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_answer_that_cannot_be_shown_is_no_error(capsys):
    class Shy:
        def __repr__(self):
            raise ValueError("no")

    assert check("9.1", Shy()) is False
    assert "got a value of type Shy" in capsys.readouterr().out


def test_the_librarys_own_sentence_is_passed_on(capsys):
    @exercise("9.7", expects="a fraction", right="Good.")
    def _(answer):
        raise LotteryError("The fraction 2 is too large.")

    assert check("9.7", 2) is False
    assert "not yet. The fraction 2 is too large." in capsys.readouterr().out


@pytest.mark.parametrize("which", ["9.9", 9.1])
def test_an_unknown_exercise_is_one_sentence(which):
    with pytest.raises(LotteryError, match=r"one of 9.1, 9.2, .* Did you mean"):
        check(which, 1)


def test_say_wraps_a_sentence(capsys):
    say("word " * 40)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= 72


def test_say_keeps_a_number_and_its_unit_on_one_line(capsys):
    say("x" * 70 + " 5 %")
    assert capsys.readouterr().out == "x" * 70 + "\n5\N{NO-BREAK SPACE}%\n"


@pytest.mark.parametrize("name", ["", " ", "a:b", 3])
def test_a_name_that_a_page_cannot_cite_is_refused(name):
    with pytest.raises(LotteryError, match="cannot name a glued value"):
        glue(name, 1.0)


def test_outside_of_a_notebook_glue_is_silent(capsys):
    glue("gap", 1.5)
    assert capsys.readouterr().out == ""


def test_a_page_finds_what_a_notebook_glued():
    values = {
        "plain": "0.25",
        "numpy": "np.float64(21.0719)",
        "array": "np.array(3)",
        "text": "'mnist-small'",
    }
    lines = ["import numpy as np", "from lth_utils.figures.glue import glue"]
    lines += [f"glue({name!r}, {value})" for name, value in values.items()]
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell("\n".join(lines))]
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    (cell,) = notebook.cells
    kinds = {kind for output in cell.outputs for kind in output["data"]}
    assert kinds == {"application/papermill.record/text/plain"}
    found = {
        key: each["data"]["text/plain"] for key, each in extract_glue_data_cell(cell)
    }
    assert cell.outputs == []
    shown = {key: format_plain_text(text, "") for key, text in found.items()}
    assert shown == {
        "plain": "0.25",
        "numpy": "21.0719",
        "array": "3",
        "text": "mnist-small",
    }
    assert format_plain_text(found["numpy"], ".1f") == "21.1"
