"""Figures on made-up tables: what is drawn, and what is refused."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from lth_utils.errors import LotteryError
from lth_utils.experiments.tables import COLUMNS
from lth_utils.figures import drawing, plots
from lth_utils.words import ARMS

DENSITY = {0: 1.0, 1: 0.8, 3: 0.512, 7: 0.211, 11: 0.0868, 15: 0.0358}
POINTS = (100, 200, 300, 400, 500, 600)
LIFT = {arm: -0.002 * i for i, arm in enumerate(ARMS)}


def training(arm: str, seed: int, control: int, round: int) -> list[dict]:
    """One training whose least validation loss is at 400 + 100 * (seed % 2)."""
    stop = 400 + 100 * (seed % 2)
    rows = []
    for iteration, split in itertools.product(POINTS, ("train", "validation", "test")):
        accuracy = 0.98 - 20 / iteration + LIFT[arm] * round + 0.001 * seed
        loss = 0.1 + abs(iteration - stop) / 5000 + 0.01 * round
        rows.append(
            {
                "experiment": "toy",
                "arm": arm,
                "seed": seed,
                "control": control,
                "round": round,
                "density": DENSITY[round],
                "iteration": iteration,
                "split": split,
                "loss": loss,
                "accuracy": accuracy,
            }
        )
    return rows


def table(**rounds: tuple[int, ...]) -> pd.DataFrame:
    """Three seeds of the dense network and of the arms at their rounds."""
    rows = []
    for arm, numbers in {"dense": (0,), **rounds}.items():
        for number, seed in itertools.product(numbers, range(3)):
            rows += training(arm, seed, 0, number)
    return pd.DataFrame(rows)[list(COLUMNS)]


@pytest.fixture(scope="module")
def run() -> pd.DataFrame:
    return table(ticket=(1, 3, 7, 11, 15), reinit=(7, 15), random=(7, 15))


def series(axis) -> dict[str, tuple[list[float], list[float]]]:
    """The lines of some length in an axis, by colour."""
    return {
        line.get_color(): (list(line.get_xdata()), list(line.get_ydata()))
        for line in axis.lines
        if len(line.get_xdata()) > 1
    }


def test_every_arm_has_a_look_of_its_own():
    assert tuple(plots.STYLE) == ARMS
    for part in ("label", "colour", "dash"):
        assert len({getattr(look, part) for look in plots.STYLE.values()}) == len(ARMS)
    markers = [look.marker for arm, look in plots.STYLE.items() if arm != "dense"]
    assert len(set(markers)) == len(markers)
    assert "" not in markers


def test_accuracy_lines_are_means_in_percent(run):
    figure = plots.accuracy_by_density(run)
    lines = series(figure.axes[0])
    x, y = lines[plots.STYLE["reinit"].colour]
    assert np.allclose(sorted(x), [3.58, 21.1])
    stops = [400, 500, 400]
    expected = np.mean(
        [
            0.98 - 20 / stop + LIFT["reinit"] * 7 + 0.001 * seed
            for seed, stop in enumerate(stops)
        ]
    )
    assert np.isclose(y[x.index(max(x))], 100 * expected)


def test_a_line_starts_at_the_dense_network_only_without_a_gap(run):
    lines = series(plots.accuracy_by_density(run).axes[0])
    assert max(lines[plots.STYLE["ticket"].colour][0]) == 100
    assert max(lines[plots.STYLE["random"].colour][0]) < 22


def test_the_axis_falls_to_the_right_with_the_papers_ticks(run):
    figure = plots.accuracy_by_density(run)
    figure.draw_without_rendering()
    axis = figure.axes[0]
    left, right = axis.get_xlim()
    assert left > 100 > 3.58 > right
    assert axis.get_xscale() == "log"
    shown = [label.get_text() for label in axis.get_xticklabels()]
    assert shown[:5] == ["100", "51.3", "21.1", "8.7", "3.6"]


def test_the_band_reaches_from_least_to_greatest(run):
    axis = plots.accuracy_by_density(run, arms=("reinit",), at="final").axes[0]
    (band,) = axis.collections
    heights = band.get_paths()[0].vertices[:, 1]
    final = 100 * (0.98 - 20 / 600 + LIFT["reinit"] * 15)
    assert np.isclose(heights.min(), final)
    assert np.isclose(
        heights.max(), 100 * (0.98 - 20 / 600 + LIFT["reinit"] * 7 + 0.002)
    )


def test_a_live_run_stands_beside_the_record(run):
    record = table(ticket=(1, 3), continued=(1, 3))
    record.attrs = {"profile": "laptop", "data": "mnist", "provenance": {}}
    figure = plots.accuracy_by_density(run, record)
    assert [axis.get_title() for axis in figure.axes] == [
        "toy, n = 3",
        "recorded run (mnist), n = 3",
    ]
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    arms = ("dense", "ticket", "continued", "reinit", "random")
    assert shown == [plots.STYLE[arm].label for arm in arms]
    assert "min to max" in figure.legends[0].get_title().get_text()


def test_repeats_of_a_control_are_counted(run):
    more = pd.concat([run, pd.DataFrame(training("reinit", 0, 1, 7))])
    title = plots.accuracy_by_density(more).axes[0].get_title()
    assert title == "toy, n = 3 to 4"


def test_an_arm_of_ones_own_is_drawn_in_its_look(run, monkeypatch):
    own = run.replace({"arm": {"random": "narrow"}})
    monkeypatch.setitem(plots.STYLE, "narrow", plots.Look("narrow", "#707070", "D", ()))
    figure = plots.accuracy_by_density(own, arms=["narrow"])
    assert "#707070" in series(figure.axes[0])


def test_early_stop_is_drawn_in_iterations(run):
    axis = plots.early_stop_by_density(run, arms=("ticket",)).axes[0]
    _, y = series(axis)[plots.STYLE["ticket"].colour]
    assert np.allclose(y, 1300 / 3)


def test_curves_have_a_panel_an_arm_and_a_line_a_density(run):
    figure = plots.curves(run, rounds=(0, 7, 15), arms=("ticket", "reinit"))
    assert len(figure.axes) == 2
    for axis in figure.axes:
        assert len(series(axis)) == 3
    shown = [text.get_text() for text in figure.legends[0].get_texts()]
    assert shown == ["100 % (dense)", "21.1 %", "3.58 %"]


def test_validation_loss_curves_mark_the_least_mean(run):
    axis = plots.curves(run, value="loss", split="validation", rounds=(0,)).axes[0]
    (dot,) = [line for line in axis.lines if len(line.get_xdata()) == 1]
    assert dot.get_xdata()[0] == 400


def test_curves_skip_thinned_trainings_and_say_which_are_whole(run):
    ends = run["iteration"].isin([400, 600]) | ~run["round"].isin([7])
    thinned = run[ends]
    assert len(series(plots.curves(thinned).axes[0])) == 5
    with pytest.raises(LotteryError, match=r"'ticket' at round 7: .* 0, 1, 3, 11, 15"):
        plots.curves(thinned, rounds=(0, 7))


def test_figures_are_closed_and_white(run):
    before = plt.get_fignums()
    mask = np.eye(16, dtype=bool)
    for figure in (
        plots.accuracy_by_density(run),
        plots.curves(run),
        plots.mask_image(mask),
        plots.input_image(mask),
    ):
        assert figure.get_facecolor() == (1, 1, 1, 1)
    assert plt.get_fignums() == before


def test_masks_are_pictured():
    mask = np.zeros((3, 4), dtype=bool)
    mask[0, 1] = mask[2, 1] = mask[2, 3] = True
    axis = plots.mask_image(mask).axes[0]
    assert axis.get_title() == "3 of 12 weights remain (25 %)"
    assert np.array_equal(axis.images[0].get_array(), mask)
    pixels = plots.input_image(mask).axes[0].images[0].get_array()
    assert np.array_equal(pixels, [[0, 2], [0, 1]])


# Several experiments in one table


@pytest.fixture(scope="module")
def study(run) -> pd.DataFrame:
    """The same trainings as two experiments: the second is a point better."""
    better = run.assign(accuracy=run["accuracy"] + 0.01, experiment="0.5")
    return pd.concat([run.assign(experiment="2"), better], ignore_index=True)


def lines_of(axis) -> dict[str, tuple[list[float], list[float]]]:
    """The lines over density in an axis, by colour; without level lines."""
    return {
        line.get_color(): (list(line.get_xdata()), list(line.get_ydata()))
        for line in axis.lines
        if len(line.get_xdata()) > 2
    }


@pytest.mark.parametrize("words", ["a", "a word or two", "as many words as fit" * 2])
def test_no_legend_is_wider_than_its_figure(words):
    looks = [drawing.Look(f"{words} {n}", "#000000", "o", ()) for n in range(5)]
    with drawing.canvas(1) as (figure, _):
        drawing.legend(figure, looks, "")
    figure.canvas.draw()
    (shown,) = figure.legends
    assert shown.get_window_extent().width <= figure.bbox.width


def legend_of(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


@pytest.mark.parametrize(
    ("draw", "apart"),
    [(plots.accuracy_by_density, 1), (plots.early_stop_by_density, 0)],
)
def test_each_part_of_a_study_has_a_line_that_the_legend_names(study, draw, apart):
    figure = draw(study, arms=["ticket"])
    (axis,) = figure.axes
    assert legend_of(figure) == ["2", "0.5"]
    handles = figure.legends[0].get_lines()
    first, second = (lines_of(axis)[handle.get_color()] for handle in handles)
    assert first[0] == second[0]
    assert np.allclose(np.subtract(second[1], first[1]), apart)
    assert axis.get_title() == "2 experiments, n = 3"
    assert (
        "ticket (iterative); dashed: dense" in figure.legends[0].get_title().get_text()
    )


def test_each_part_has_its_own_dense_level(study):
    axis = plots.accuracy_by_density(study, arms=["ticket"]).axes[0]
    levels = [line.get_ydata()[0] for line in axis.lines if len(line.get_xdata()) == 2]
    assert np.isclose(levels[0] - levels[1], 1)  # by name: 0.5, then 2


def test_parts_keep_their_looks_from_panel_to_panel(study):
    two = study[study["experiment"] == "0.5"]
    figure = plots.accuracy_by_density(study, two, arms="ticket")
    left, right = (lines_of(axis) for axis in figure.axes)
    assert set(right) < set(left)
    assert legend_of(figure) == ["2", "0.5"]


def test_names_that_came_back_as_numbers_are_drawn_as_names(study):
    numbers = study.assign(experiment=study["experiment"].astype(float))
    figure = plots.accuracy_by_density(numbers, arms=["ticket"])
    assert legend_of(figure) == ["2.0", "0.5"]


def test_two_tables_of_one_experiment_each_are_drawn_as_ever(run):
    other = run.assign(experiment="other")
    figure = plots.accuracy_by_density(run, other)
    arms = ("dense", "ticket", "reinit", "random")
    assert legend_of(figure) == [plots.STYLE[arm].label for arm in arms]


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        (plots.accuracy_by_density, r"2 experiments \(2, 0.5\) and 3 arms .*Choose"),
        (plots.early_stop_by_density, "Choose an arm, as in arms="),
        (plots.curves, "A figure of curves is of one experiment.*2: 2, 0.5. Choose"),
    ],
)
def test_what_cannot_be_told_apart_is_not_drawn(study, draw, sentence):
    with pytest.raises(LotteryError, match=sentence):
        draw(study)


@pytest.mark.parametrize(
    "draw", [plots.accuracy_by_density, plots.early_stop_by_density, plots.curves]
)
@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda t: pd.concat([t, t.assign(loss=1.0)]), r"more than once.*assign\("),
        (lambda t: t.iloc[:0], "has no rows"),
        (lambda t: t[t["experiment"] == 2], "has no rows.*are text"),
        (lambda t: t.drop(columns="control"), "no column control: expected experiment"),
        (lambda t: pd.concat([t, t.drop(columns="arm")]), "column arm is empty"),
        (lambda t: t.replace({"arm": {"ticket": "mine"}}), "'mine', which has no look"),
    ],
)
def test_what_is_no_tidy_table_is_one_sentence(run, draw, spoil, sentence):
    arms = {"arms": None} if draw is plots.curves else {}
    with pytest.raises(LotteryError, match=sentence):
        draw(spoil(run), **arms)


def test_n_counts_what_is_drawn(run):
    lost = run.copy()
    diverged = (lost["arm"] == "reinit") & (lost["seed"] == 2)
    lost.loc[diverged, "accuracy"] = np.nan
    axis = plots.accuracy_by_density(lost, arms=["reinit"]).axes[0]
    assert axis.get_title() == "toy, n = 2 to 3"
    axis = plots.early_stop_by_density(lost, arms=["reinit"]).axes[0]
    assert axis.get_title() == "toy, n = 3"
    axis = plots.curves(lost, arms=["reinit"]).axes[0]
    assert axis.get_title() == "reinit, n = 2 to 3"
    fewer = run[~diverged]
    axis = plots.accuracy_by_density(fewer, arms=["reinit"]).axes[0]
    assert axis.get_title() == "toy, n = 2 to 3"


@pytest.mark.parametrize("draw", [plots.accuracy_by_density, plots.curves])
def test_without_a_number_nothing_is_drawn(run, draw):
    untested = run[run["split"] != "test"]
    with pytest.raises(LotteryError, match=r"no number to draw in '(test|accuracy)'"):
        draw(untested)


def test_the_dense_network_alone_is_a_level_and_a_curve(run):
    dense = run[run["arm"] == "dense"]
    figure = plots.accuracy_by_density(dense)
    assert legend_of(figure) == ["dense"]
    assert figure.axes[0].get_xlim() == (110, 1)
    figure = plots.curves(run, arms=["dense"])
    assert figure.axes[0].get_title() == "dense, n = 3"
    with pytest.raises(LotteryError, match="expected one of dense"):
        plots.curves(dense)


def test_the_legend_names_only_what_is_drawn(run):
    alone = run[run["arm"] == "ticket"]
    assert legend_of(plots.accuracy_by_density(alone)) == ["ticket (iterative)"]


def test_a_run_without_curves_still_draws_its_validation(run):
    stops = run["seed"].map(lambda seed: 400 + 100 * (seed % 2))
    ends = run["iteration"].isin([600]) | (run["iteration"] == stops)
    lean = run[ends | (run["split"] == "validation")]
    panel = {"value": "loss", "split": "validation", "rounds": (7,)}
    mine, whole = (series(plots.curves(t, **panel).axes[0]) for t in (lean, run))
    assert mine == whole
    with pytest.raises(LotteryError, match=r"no whole curve .*lth\.run\(.*curves=True"):
        plots.curves(lean)
    for at in ("early-stop", "final"):
        mine, whole = (
            series(plots.accuracy_by_density(t, at=at).axes[0]) for t in (lean, run)
        )
        assert mine == whole


def test_an_arm_without_a_whole_curve_has_no_panel(run):
    thinned = run[run["iteration"].isin([400, 600]) | (run["arm"] == "dense")]
    with pytest.raises(LotteryError, match=r"of arm 'ticket': expected .* whole, 0\."):
        plots.curves(thinned)


def measured(**lines: list[float]) -> pd.DataFrame:
    """What a chapter measured itself: two repeats at 100 and 10 %."""
    rows = [
        {"how": how, "density": density, "kB": value + repeat}
        for how, values in lines.items()
        for density, value in zip((1, 0.1), values, strict=True)
        for repeat in (0, 2)
    ]
    return pd.DataFrame(rows)


def test_what_a_chapter_measured_is_drawn_over_the_density():
    looks = {"csr": plots.STYLE["oneshot"], "dense": plots.STYLE["random"]}
    table = measured(csr=[20, 3], dense=[10, 10])
    figure = plots.over_density(table, "kB", "size", looks, title="lenet", log=True)
    figure.draw_without_rendering()
    (axis,) = figure.axes
    assert series(axis)[looks["csr"].colour] == ([10, 100], [4, 21])
    assert [label.get_text() for label in axis.get_xticklabels()] == ["10", "100"]
    assert (axis.get_yscale(), axis.get_ylabel()) == ("log", "size")
    assert axis.get_title() == "lenet, n = 2"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["csr", "dense"]
    assert "min to max" in legend.get_title().get_text()


def test_a_line_of_several_experiments_is_refused():
    looks = {"csr": plots.STYLE["oneshot"]}
    both = measured(csr=[20, 3]).assign(experiment=["a", "b", "a", "b"])
    with pytest.raises(LotteryError, match="The line 'csr' is of one experiment"):
        plots.over_density(both, "kB", "size", looks)


def test_n_of_ones_own_measurements_counts_what_is_drawn():
    looks = {"csr": plots.STYLE["oneshot"]}
    table = measured(csr=[20, 3])
    table.loc[0, "kB"] = np.nan
    figure = plots.over_density(table, "kB", "size", looks, title="lenet")
    assert figure.axes[0].get_title() == "lenet, n = 1 to 2"


def test_a_single_measurement_has_no_band():
    looks = {"csr": plots.STYLE["oneshot"]}
    table = measured(csr=[20, 3]).drop_duplicates(["how", "density"])
    figure = plots.over_density(table, "kB", "size", looks, title="lenet")
    assert figure.axes[0].get_title() == "lenet"
    assert figure.legends[0].get_title().get_text() == ""


def test_units_are_pictured():
    weight = np.array([[1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0]])
    mask = weight > 0
    (picture,) = plots.unit_images(weight, mask, grid=(1, 2)).axes[0].images
    colours = np.asarray(picture.get_array())
    assert colours.shape == (4, 8, 4)
    first, second = colours[1:3, 1:3], colours[1:3, 5:7]
    assert (colours[0] == 1).all()
    red, _, blue, _ = first[0, 0]
    assert red > blue, "a positive weight is orange"
    grey = first[0, 1]
    assert len(set(grey[:3])) == 1
    assert (first[:, 1] == grey).all()
    assert (second[1] == grey).all()
    assert (second[0] == first[0, 0]).all()


def test_a_picture_goes_into_given_axes():
    figure, axes = plt.subplots(1, 2)
    assert plots.mask_image(np.ones((2, 4)), ax=axes[1]) is figure
    assert len(axes[1].images) == 1
    assert not axes[0].images


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        (lambda t: plots.accuracy_by_density(t, arms=("tickets",)), "mean 'ticket'"),
        (lambda t: plots.curves(t, arms=("oneshot",)), "arm of this table 'oneshot'"),
        (lambda t: plots.accuracy_by_density(t, at="end"), "moment 'end'"),
        (lambda t: plots.accuracy_by_density(t, split="valid"), "'validation'"),
        (
            lambda t: plots.accuracy_by_density(t, at="final", split="validation"),
            "one of train, test",
        ),
        (lambda t: plots.curves(t, value="error"), "one of accuracy, loss"),
        (lambda t: plots.mask_image(np.ones(3)), r"shape \(3,\) is no picture"),
        (lambda t: plots.input_image(np.ones((3, 5))), r"\(3, 5\) has no input"),
        (lambda t: plots.unit_images(np.ones(4), np.ones(4)), r"has no input image"),
        (
            lambda t: plots.over_density(measured(cs=[1, 1]), "kB", "", {"csr": None}),
            "line 'cs': expected one of csr",
        ),
        (
            lambda t: plots.over_density(measured(cs=[1, 1]), "mB", "", {}),
            "column of this table 'mB': expected one of how, density, kB",
        ),
        (lambda t: plots.over_density(measured().assign(kB=0), "kB", "", {}), "'how'"),
    ],
)
def test_a_wrong_word_or_mask_is_one_sentence(run, draw, sentence):
    with pytest.raises(LotteryError, match=sentence):
        draw(run)


def test_densities_are_written_for_readers():
    assert drawing.percent(1.0) == "100 %"
    assert drawing.percent(0.21072) == "21.1 %"
    assert drawing.percent(0.0358) == "3.58 %"


@pytest.mark.parametrize(
    ("profile", "name"),
    [
        ("laptop", "recorded run"),
        ("laptop-again", "recorded run again"),
        ("paper", "long run"),
    ],
)
def test_a_record_has_the_name_that_the_chapters_give_it(run, profile, name):
    record = run.copy()
    record.attrs = {"profile": profile, "data": "mnist", "provenance": {}}
    title = plots.accuracy_by_density(record).axes[0].get_title()
    assert title.startswith(f"{name} (mnist), ")


@pytest.mark.parametrize("profile", ["quick", "paper"])
def test_a_run_of_ones_own_is_live_however_long(run, profile):
    mine = run.copy()
    mine.attrs = {"profile": profile, "data": "mnist"}
    title = plots.accuracy_by_density(mine).axes[0].get_title()
    assert title.startswith("live run (mnist), ")
