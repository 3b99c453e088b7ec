"""The forest plot draws what the ledger says."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import lth_utils as lth
from lth_utils.figures.forest import AXES


@pytest.mark.parametrize("chapter", [4, 8, 9, "9b", 11])
def test_every_number_is_a_dot_with_its_interval(chapter):
    table = lth.claims(chapter)
    before = plt.get_fignums()
    figure = lth.plots.forest(table)
    assert plt.get_fignums() == before  # a notebook shows it once
    units = [unit for unit in AXES if unit in set(table["unit"])]
    assert [axis.get_xlabel() for axis in figure.axes] == [AXES[u] for u in units]
    for axis, unit in zip(figure.axes, units, strict=True):
        rows = table[table["unit"] == unit]
        lines = [line.get_xdata() for line in axis.lines]
        spans = [x for x in lines if len(x) == 2 and x[0] != x[1]]
        ends = rows["high"].where(np.isfinite(rows["high"]), rows["mean"])
        drawn = [span for span in spans if tuple(span) != (0, 1)]  # across the axes
        wide = rows["low"] < ends  # where all seeds say the same there is no line
        assert np.allclose(drawn, np.stack([rows["low"], ends], axis=1)[wide])
        single = [float(x[0]) for x in lines if len(x) == 1]
        papers = rows.drop_duplicates("claim")["paper"]
        assert np.allclose(
            sorted(x for x in single if x == x),
            sorted([*rows["mean"], *papers.dropna()]),
        )
        names = [label.get_text() for label in axis.get_yticklabels()]
        assert names == list(rows["claim"].unique())


def test_what_was_not_run_has_no_picture():
    with pytest.raises(lth.LotteryError, match="has a record with two seeds"):
        lth.plots.forest(lth.claims(7))
