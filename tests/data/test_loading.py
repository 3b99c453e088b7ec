"""What is known of a data set before its images are there."""

import pytest

import lth_utils as lth
from lth_utils.data import loading
from lth_utils.data.loading import digest


@pytest.mark.parametrize("name", ["mnist-small", "mnist-1d", "colour-digits"])
def test_a_digest_is_the_data_sets_own(name):
    assert digest(name) == lth.load(name).digest


def test_a_computed_data_set_is_computed_once_for_its_digest(monkeypatch):
    first = digest("mnist-1d")
    monkeypatch.setattr(loading, "load", None)  # to compute it again would fail
    assert digest("mnist-1d") == first


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_a_digest_needs_no_download(name, monkeypatch, tmp_path):
    monkeypatch.setenv("LTH_DATA", str(tmp_path))
    assert len(digest(name)) == 64
    assert list(tmp_path.iterdir()) == []


def test_recorded_runs_were_made_on_the_data_that_is_read_today():
    for name in ("lenet-mnist", "lenet-fashion"):
        made = lth.recorded(name).attrs
        assert made["provenance"]["data_sha256"] == digest(made["data"])


def test_an_unknown_data_set_has_none():
    with pytest.raises(lth.LotteryError, match="Did you mean 'mnist'"):
        digest("mnits")
