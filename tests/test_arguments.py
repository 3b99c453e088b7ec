"""Numbers and lists: what is right comes back as Python's own."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from lth_utils import LotteryError
from lth_utils.arguments import distinct, real, several, whole
from lth_utils.seeds import check_seed


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), torch.tensor(3)])
def test_a_whole_number_comes_back_as_an_int(value):
    for found in (whole("It", value, 0, 3), check_seed(value)):
        assert (found, type(found)) == (3, int)


NO_NUMBERS = [True, np.bool_(True), 3.0, np.float64(3), "3", None, [3], 2.5]


@pytest.mark.parametrize("value", [*NO_NUMBERS, torch.tensor(3.0), -1, 5])
def test_what_is_no_whole_number_of_the_range(value):
    with pytest.raises(LotteryError, match=r"It is .*: expected an integer from 0 to"):
        whole("It", value, 0, 4)


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), Fraction(1, 2)])
def test_a_number_comes_back_as_a_float(value):
    assert (real(value), type(real(value))) == (0.5, float)


@pytest.mark.parametrize("value", [True, np.bool_(True), "0.5", None, [0.5], 1j])
def test_what_is_no_number_lies_in_no_range(value):
    assert not -np.inf <= real(value) <= np.inf


@pytest.mark.parametrize("values", [(0, 1), [0, 1], range(2), np.arange(2)])
def test_several_are_a_tuple(values):
    assert several("They", values, "(0, 1)") == (0, 1)


@pytest.mark.parametrize("values", ["01", 1, None, (), []])
def test_one_or_none_are_not_several(values):
    with pytest.raises(LotteryError, match=r"They are .*: expected .* \(0, 1\)"):
        several("They", values, "(0, 1)")
    assert several("They", (), "(0, 1)", may_be_empty=True) == ()


def test_distinct_names_what_is_there_twice():
    assert distinct("They", (1, 2)) == (1, 2)
    with pytest.raises(LotteryError, match="They name 2 twice"):
        distinct("They", (1, 2, 3, 2))
