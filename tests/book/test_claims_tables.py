"""The tables of claims that chapters without verdicts of their own show."""

import re

import nbformat
import pytest
from book_fixtures import ROOT, table_of, told_by

import lth_utils as lth

CHAPTERS = {
    "5": "notebooks/05-convolutional",
    "6": "notebooks/06-dropout",
    "7": "notebooks/07-deep",
}


@pytest.mark.parametrize("number", CHAPTERS)
def test_verdicts_are_the_ledgers(number, executed):
    chapter, table = executed(CHAPTERS[number]), lth.claims(number)
    _, _, *found = table_of(chapter, "claims-table")
    columns = ["verdict", "claim", "says"]
    assert [row[:3] for row in found] == table[columns].to_numpy().tolist()
    for word, count in table["verdict"].value_counts().items():
        assert f"{count} {word}" in told_by(chapter, "claims-say")


@pytest.mark.parametrize("number", CHAPTERS)
def test_the_text_promises_no_verdict_on_the_live_run(number):
    cells = nbformat.read(ROOT / f"{CHAPTERS[number]}.ipynb", as_version=4).cells
    words = "".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert not re.search(r"\b(not )?replicated\b", words)
