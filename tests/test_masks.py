"""Masks: what is alive, and how much of it."""

import pytest
import torch

from lth_utils import LotteryError, Masks


def test_densities_count_weights():
    masks = Masks({"a": torch.tensor([[1, 0], [0, 0]]), "b": torch.ones(4)})
    assert masks.density == 5 / 8
    assert masks.sparsity == 3 / 8
    assert masks.layer_density() == {"a": 0.25, "b": 1.0}
    assert masks.counts() == {"a": 1, "b": 4}


def test_masks_are_copies():
    mine = torch.tensor([1.0, 0.0])
    masks = Masks({"a": mine})
    mine.zero_()
    assert masks.remaining == 1


def test_mask_values_other_than_0_and_1():
    with pytest.raises(LotteryError, match="values other than 0 and 1"):
        Masks({"a": torch.tensor([0.0, 0.5])})
    with pytest.raises(LotteryError, match="values other than 0 and 1"):
        Masks({"a": torch.tensor([1, 2])})
