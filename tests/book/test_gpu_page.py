"""The page on speed, on a GPU: what its tables say is what was measured."""

import json

import gpu_page
import pytest
from book_fixtures import ROOT

PAGES = gpu_page.pages(ROOT / "results" / "gpu")


def test_a_card_that_was_not_measured_whole_is_not_shown(tmp_path):
    whole = {stage: {} for stage in gpu_page.SHOWN}
    cut = {stage: {} for stage in gpu_page.SHOWN[1:]}
    broken = whole | {"ways": {"failed": "out of memory"}}
    for name, stages in {"a": whole, "b": cut, "c": broken}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"stages": stages}))
    assert gpu_page.pages(tmp_path) == [{"stages": whole}]
    assert PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page["environment"]["device"])
def test_each_row_is_one_that_was_measured(page):
    stages = page["stages"]
    table = gpu_page.steps(stages)
    measured = [stages["textbook"]] + stages["stacks"]["rows"] + stages["ways"]["rows"]
    known = {gpu_page.number(row["steps"]) for row in measured} | {""}
    assert {cell for row in table for cell in row[2:]} <= known
    assert [row[1] for row in table if row[0] == "LeNet"] == ["1", "10", "100", "400"]
    assert all(len(row) == len(gpu_page.HEAD) for row in table)


def test_the_fastest_way_is_shown_and_numbers_have_three_digits():
    def row(way, replicas, steps, tf32=False):
        about = {"network": "conv2", "way": way, "replicas": replicas}
        return {**about, "steps": steps, "tf32": tf32}

    ways = [row("alone", 1, 5.0), row("grouped", 8, 12345.6), row("streams", 8, 1.0)]
    ways += [row("grouped", 8, 99.0, True)]
    ways += [each | {"network": "resnet20"} for each in ways]
    fastest = dict.fromkeys(gpu_page.NETWORKS, "grouped")
    stages = {
        "textbook": {"steps": 7.0},
        "stacks": {"rows": [row("", 10, 1234.0), row("", 1, 80.0)]},
        "ways": {"rows": ways, "fastest": fastest},
    }
    assert gpu_page.steps(stages)[:5] == [
        ("LeNet, textbook loop", "1", "7", ""),
        ("LeNet", "1", "80", ""),
        ("LeNet", "10", "1,230", ""),
        ("Conv-2, step by step", "1", "5", ""),
        ("Conv-2", "8", "12,300", "99"),
    ]


def test_accuracies_are_in_points():
    found = {"mean_gain": -0.00051, "standard_error": 0.0019, "tf32": [0.5] * 10}
    said = gpu_page.accuracies({"tf32": {"lenet": found, "conv2": found}})
    assert said.endswith("LeNet -0.05 (0.19); Conv-2 -0.05 (0.19).")
    assert "n = 10 seeds" in said
