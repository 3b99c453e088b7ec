"""Chapter 6: dropout, the control of equal length, and what each number says."""

import re
from dataclasses import replace

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from book_fixtures import ROOT, captions, glued, lifted, plain, shown, table_of, told_by

import lth_utils as lth

NAME = "notebooks/06-dropout"
SOURCE = nbformat.read(ROOT / f"{NAME}.ipynb", as_version=4)
PLAIN, DROPOUT = lth.experiment("conv2-dropout", "quick").parts
LONGER = replace(
    DROPOUT,
    name="plain-longer",
    arms=("dense",),
    recipe=replace(DROPOUT.recipe, dropout=0.0),
)
SIXTH = 2  # the round that leaves about a sixth of the weights


@pytest.fixture(scope="module")
def chapter(executed):
    return executed(NAME)


@pytest.fixture(scope="module")
def stops(chapter) -> dict[str, pd.DataFrame]:
    """Return early stops of the two parts and of the control."""
    table = lth.early_stop(lth.run("conv2-dropout"))
    parts = dict(iter(table.groupby("experiment")))
    return parts | {"longer": lth.early_stop(lth.run(LONGER))}


def accuracy(stops: pd.DataFrame, round: int, column: str = "test") -> np.ndarray:
    """Return an accuracy in percent, seed by seed."""
    rows = stops[stops["round"] == round].sort_values("seed")
    return 100 * rows[column].to_numpy()


def gap(stops, one: tuple[str, int], other: tuple[str, int]) -> np.ndarray:
    return accuracy(stops[one[0]], one[1]) - accuracy(stops[other[0]], other[1])


# What the live run must show: half of what three seeds showed, and no more.


def test_at_different_lengths_the_ticket_gains_from_dropout(stops):
    # Seen: 0.3, 5.8 and 8.1 points, mean 4.7.
    assert gap(stops, ("dropout", SIXTH), ("plain", SIXTH)).mean() >= 2.3


def test_at_equal_length_dropout_costs_the_dense_network(stops):
    # Seen: 20.9 to 48.1 points, mean 31.6.
    assert gap(stops, ("dropout", 0), ("longer", 0)).mean() <= -15.7


def test_at_equal_length_its_best_ticket_is_behind_too(stops):
    # Seen: 10.5 to 19.2 points, mean 15.0.
    assert gap(stops, ("dropout", SIXTH), ("longer", 0)).mean() <= -7.4


def test_with_dropout_tickets_are_ahead_of_their_dense_network(stops):
    # Seen: 10.4 to 28.9 points, mean 16.6; without, in a third of the time, 4.5.
    assert gap(stops, ("dropout", SIXTH), ("dropout", 0)).mean() >= 8.3


def test_training_with_dropout_spares_random_halves(chapter):
    # Seen: 45.3 points lost without dropout, 13.4 and 16.8 with it.
    values = glued(chapter)
    assert values["lost_plain"] >= 22
    for with_it in ("lost_dropout", "lost_ticket"):
        assert values["lost_plain"] - values[with_it] >= 14


# What the text says of it


def test_one_dense_network_falls_far_and_tickets_are_ahead(stops):
    dense = gap(stops, ("dropout", 0), ("plain", 0))
    # Seen: -21.3, -1.5 and 0.6 points.
    assert dense.min() < -10
    assert (np.sort(dense)[1:] > -6).all()
    # Seen: 1.8 and 4.7 points.
    fewer, fewest = (gap(stops, ("dropout", r), ("plain", r)).mean() for r in (1, 2))
    assert 0 < fewer < fewest


def test_the_best_of_the_run_is_a_ticket_with_dropout(stops):
    means = {
        (part, round): accuracy(stops[part], round).mean()
        for part in ("plain", "dropout")
        for round in range(3)
    }
    assert max(means, key=means.get) == ("dropout", SIXTH)


def test_the_gaps_are_paired_and_at_early_stop(chapter, stops):
    head, *found = table_of(chapter, "gaps")[1:]
    assert head[0] == "weights left"
    wanted = []
    for round, left in enumerate(("100 %", "41.3 %", "17.1 %")):
        means = [
            f"{accuracy(stops[part], round).mean():.1f}"
            for part in ("plain", "dropout")
        ]
        between = gap(stops, ("dropout", round), ("plain", round))
        wanted.append([left, *means, lth.told(pd.Series(between))])
        value = glued(chapter)[f"dropout_minus_plain_{round}"]
        assert value == pytest.approx(between.mean())
    assert found == wanted


def test_without_dropout_and_as_long_nothing_comes_near(chapter, stops):
    for round in range(3):
        assert (gap(stops, ("dropout", round), ("longer", 0)) < 0).all()
    _, _, *found = table_of(chapter, "length-costs")
    between = [
        gap(stops, one, ("longer", 0))
        for one in (("plain", 0), ("dropout", 0), ("dropout", SIXTH))
    ]
    assert [row[1] for row in found] == [lth.told(pd.Series(b)) for b in between]
    values = glued(chapter)
    assert values["dropout_minus_plain_as_long"] == pytest.approx(between[1].mean())
    assert values["dropout_ticket_minus_plain_as_long"] == pytest.approx(
        between[2].mean()
    )


def test_the_gap_to_training_images_is_small_where_little_is_learned(chapter, stops):
    _, _, *found = table_of(chapter, "length-table")
    wide = {}
    for row, (part, round) in zip(
        found,
        [("plain", 0), ("longer", 0), ("dropout", 0), ("dropout", SIXTH)],
        strict=True,
    ):
        train, test = (
            accuracy(stops[part], round, column) for column in ("train", "test")
        )
        wide[part, round] = (train - test).mean()
        means = f"{train.mean():.1f}", f"{test.mean():.1f}"
        assert row[1:] == [*means, lth.brief(train - test, ".1f")]
    assert max(wide, key=wide.get) == ("longer", 0)
    # Seen: 6.6 points as long without dropout, 2.5 and 1.3 in the others.
    assert wide["longer", 0] - max(wide["plain", 0], wide["dropout", 0]) >= 2


def test_the_curves_are_as_told(stops):
    """Flat, then late or early; the ticket a little behind, and then further."""
    run, long = lth.run("conv2-dropout"), lth.run(LONGER)

    def curve(table, part, arm, round):
        mine = table[(table["experiment"] == part) & (table["split"] == "validation")]
        mine = mine[(mine["arm"] == arm) & (mine["round"] == round)]
        return mine.pivot(index="iteration", columns="seed", values="accuracy")

    dense = curve(run, "dropout", "dense", 0)
    ticket = curve(run, "dropout", "ticket", SIXTH)
    free = curve(long, "plain-longer", "dense", 0)
    assert list(dense.index) == list(free.index) == [180, 360, 540]
    assert (dense.loc[180] < 0.2).all()  # when the plain part is over
    # Seen: 12.1 to 23.9 points in the last third.
    assert (dense.loc[540] > dense.loc[360] + 0.06).all()
    assert (dense.loc[540] > 0.2).all()
    late = (dense > 0.2).idxmax()
    assert late.max() > late.min()
    # Seen: behind by 6.7 points on average, then by 14.4 and 15.8.
    behind = (free - ticket).mean(axis=1)
    assert 0 < behind.loc[180] < 0.1
    assert behind.loc[360] > behind.loc[180] + 0.038
    assert (ticket.loc[180] > dense.loc[360]).all()
    assert (ticket.loc[360:] < free.loc[360:]).all(axis=None)
    # The plain part is the beginning of the control.
    short = curve(run, "plain", "dense", 0)
    assert (short.loc[180] == free.loc[180]).all()


def test_the_control_differs_in_dropout_alone():
    assert LONGER.recipe.iterations == 3 * PLAIN.recipe.iterations
    assert LONGER.recipe.evaluate_every == 3 * PLAIN.recipe.evaluate_every
    assert replace(LONGER.recipe, dropout=0.5) == DROPOUT.recipe


def test_masks_hold_and_what_rests_moves_on(chapter):
    _, _, *found = table_of(chapter, "undisturbed-table")
    assert [row[:4] for row in found] == [
        [p, "3,277", "0", "819"] for p in ("0.0", "0.5")
    ]
    without, with_it = (int(row[4]) for row in found)
    assert abs(without - with_it) < 40
    assert min(without, with_it) > 600


def test_a_third_is_kept_or_two_thirds(chapter):
    _, _, *found = table_of(chapter, "halves-table")
    whole, half = ([float(row[k]) for row in found] for k in (1, 2))
    assert whole[0] == max(whole)
    # Seen: 0.35, 0.67 and 0.69 of the accuracy; the ticket's half 13.6 points ahead.
    kept = [one / other for one, other in zip(half, whole, strict=True)]
    assert kept[0] == pytest.approx(1 / 3, abs=0.1)
    assert kept[1:] == pytest.approx([2 / 3, 2 / 3], abs=0.1)
    assert half[2] - half[0] >= 6.8


def test_by_hand_the_mean_is_right_and_a_draw_is_not(chapter):
    _, _, *found = table_of(chapter, "by-hand-table")
    heard = {row[0]: [float(cell) for cell in row[5:]] for row in found}
    assert heard["mean of all"] == [5.0, 10.0]
    assert heard["none left out"] == [10.0, 10.0]
    for row in found[:4]:
        assert heard[row[0]][0] == sum(map(float, row[1:5])) == heard[row[0]][1] / 2
    assert len({tuple(row[1:]) for row in found[:4]}) == 4


def test_parts_are_as_the_library_leaves_units_out():
    """With nothing left out, `front` and `part_of` make the network's scores."""
    images = torch.randn(7, 3, 32, 32)
    net = lth.network("conv2-narrow", 0).eval()
    names = lifted(
        NAME,
        "half",
        torch=torch,
    )
    source = {cell.id: cell.source for cell in SOURCE.cells}["front"]
    names["images"] = images
    exec(source.partition("\n\n\n")[2], names)
    said = names["front"](net)
    with torch.no_grad():
        wanted = net(images)
    assert torch.allclose(names["part_of"](net, said, 0, None), wanted, atol=1e-5)
    assert not net.drop1._forward_hooks
    draw = torch.Generator().manual_seed(0)
    parts = [names["part_of"](net, said, 0.5, draw) for _ in range(2)]
    assert not torch.equal(*parts)


def test_the_slider_goes_through_the_rounds_in_words(chapter):
    (slider,) = shown(chapter, "text/html", "at-work-slider")
    labels = re.findall(r'"label": "([^"]*)"', slider)
    assert labels == ["100 %", "41.3 %", "17.1 %"]
    counts = [
        [int(n.replace(",", "")) for n in re.findall(r"[\d,]*\d", text)[:3]]
        for text in captions(slider)
    ]
    works, alive, every = zip(*counts, strict=True)
    assert set(every) == {4096}
    assert alive[0] == 4096
    assert list(works) == sorted(works, reverse=True)
    for some, all_of_them in zip(works, alive, strict=True):
        assert 0.2 < some / all_of_them < 0.3


# Ledger and key


def test_what_the_papers_lengths_are_is_said(chapter):
    assert "20,000 iterations without dropout and 60,000" in told_by(
        chapter, "claims-say"
    )


def test_the_key_says_what_was_found(chapter, stops):
    (key,) = shown(chapter, "text/markdown", "key-table")
    found = [row.split(" | ") for row in plain(key).splitlines()[2:]]
    assert [row[0][2:4] for row in found] == ["1.", "2.", "3."]
    dense = gap(stops, ("dropout", 0), ("plain", 0))
    ticket = gap(stops, ("dropout", SIXTH), ("plain", SIXTH))
    assert lth.told(pd.Series(dense)) in found[0][1]
    cost = gap(stops, ("dropout", 0), ("longer", 0)).mean()
    assert f"{cost:+.1f}" in found[0][1]
    assert lth.told(pd.Series(ticket)) in found[1][1]
    assert lth.brief(ticket - dense) in found[1][1]
    values = glued(chapter)
    assert f"{values['lost_plain']:.1f} points lost without" in found[2][1]
    assert f"{values['lost_dropout']:.1f} with it" in found[2][1]


# Exercises: what their solutions find


def test_together_they_lose_less_than_the_sum(chapter):
    # Seen: 10.8 to 30.8 points, mean 17.9; pruning alone -1.9 to -0.2.
    assert glued(chapter)["surplus"] >= 8.9
    assert -4 < glued(chapter)["pruning_as_long"] < 0
    _, _, *found = table_of(chapter, "solution-1-table")
    assert "above 0 in 3 of n = 3" in found[-1][1]


def test_votes_come_to_the_whole_only_after_dropout(chapter):
    # Seen: -0.7 with dropout, -8.8 without it.
    assert abs(glued(chapter)["votes_minus_whole_dropout"]) < 3
    assert glued(chapter)["votes_minus_whole_no_dropout"] <= -4.4


def test_dropout_prepares_for_a_cut(chapter):
    # Seen: -1.4 with dropout, -13.7 without it; fc1 silent 92 and 72 %.
    assert glued(chapter)["cut_no_dropout"] <= -6.8
    assert glued(chapter)["cut_dropout"] > -4
    _, _, without, with_it = table_of(chapter, "solution-3-table")
    quiet, quieter = (int(row[1].split()[0]) for row in (without, with_it))
    assert quieter > quiet + 9
    # Seen: 55.5 and 39.2 %.
    assert float(without[3]) - float(with_it[3]) >= 8


# Answers


def drop(signal, chances, p):
    return signal * (chances >= p) / (1 - p)


def drop_by_loops(signal, chances, p):
    return [
        [0 if c < p else float(s) / (1 - p) for s, c in zip(row, chance, strict=True)]
        for row, chance in zip(signal, chances, strict=True)
    ]


def drop_in_place(signal, chances, p):
    signal[chances < p] = 0
    return (signal / (1 - p)).numpy()


def working(mask, before, behind):
    return int((mask & before & behind[:, None]).sum())


def working_cut_out(mask, before, behind):
    return np.int64(mask.numpy()[behind.numpy()][:, before.numpy()].sum())


def control(plain, dropout):
    return replace(dropout, recipe=replace(dropout.recipe, dropout=0))


def from_plain(plain, dropout):
    longer = replace(
        plain.recipe, iterations=dropout.recipe.iterations, lr=dropout.recipe.lr
    )
    return replace(plain, name="mine", recipe=longer, arms=("dense",))


def changed(**what):
    """Return the control with something else changed, too."""
    recipe = {k: v for k, v in what.items() if k in ("lr", "batch_size", "dropout")}

    def make(plain, dropout):
        mine = control(plain, dropout)
        rest = {k: v for k, v in what.items() if k not in recipe}
        return replace(mine, recipe=replace(mine.recipe, **recipe), **rest)

    return make


def surplus(dense, ticket, dropout, both):
    return both - ticket - dropout + dense


def vote(subnetwork, count):
    return sum(subnetwork().softmax(1) for _ in range(count)) / count


def one_for_all(subnetwork, count):
    scores = subnetwork()
    return sum(scores.softmax(1) for _ in range(count)) / count


def of_many(make):
    """Return a vote that makes something else of the stacked scores."""
    return lambda subnetwork, n: make(torch.stack([subnetwork() for _ in range(n)]))


def said_by(net, images):
    found = []
    hooks = [
        place.register_forward_hook(lambda _, __, out: found.append(out))
        for place in (net.drop1, net.drop2)
    ]
    with torch.no_grad():
        net(images)
    for hook in hooks:
        hook.remove()
    return found


def silent(net, images):
    return [100 * (each == 0).float().mean().item() for each in said_by(net, images)]


def silent_by_layers(net, images):
    signal = torch.relu(net.conv2(torch.relu(net.conv1(images))))
    signal = torch.max_pool2d(signal, 2).flatten(1)
    first = net.fc1(signal)
    second = net.fc2(torch.relu(first))
    return np.array([100 * float((x <= 0).double().mean()) for x in (first, second)])


def of_said(make):
    return lambda net, images: [make(each) for each in said_by(net, images)]


def leaves_a_hook(net, images):
    found = silent(net, images)
    net.drop2.register_forward_hook(lambda _, __, out: out + 1)
    return found


@pytest.mark.parametrize(
    ("which", "answer", "hint"),
    [
        ("6.A", lambda s, c, p: None, "returns nothing yet"),
        ("6.A", lambda s, c, p: s, "still there"),
        ("6.A", lambda s, c, p: c >= p, "What do they say"),
        ("6.A", lambda s, c, p: s * (c >= p), "make up for"),
        ("6.A", lambda s, c, p: s * (c >= p) / p, "Divided by p"),
        ("6.A", lambda s, c, p: s * (c >= p) * (1 - p), "too weak"),
        ("6.A", lambda s, c, p: s * (c < p) / (1 - p), "kept, and the others not"),
        ("6.A", lambda s, c, p: s * (c < p) / p, "kept, and the others not"),
        ("6.A", lambda s, c, p: s / (1 - p), "should say 0"),
        ("6.A", lambda s, c, p: s * (c >= p) * 2, "divided by 1 - p"),
        ("6.A", lambda s, c, p: s * (c >= 0.2) / 0.8, "another p"),
        ("6.A", lambda s, c, p: drop(s, c, p)[0], "shape"),
        ("6.B", lambda m, a, b: None, "returns nothing yet"),
        ("6.B", lambda m, a, b: m.sum(), "rest in this step"),
        ("6.B", lambda m, a, b: (a & b[:, None]).sum(), "are pruned"),
        ("6.B", lambda m, a, b: (m & (a | b[:, None])).sum(), "Both of its units"),
        ("6.B", lambda m, a, b: (m & b & a[:, None]).sum(), "A row of the mask"),
        ("6.B", lambda m, a, b: m.sum() - working(m, a, b), "alive and rest"),
        ("6.B", lambda m, a, b: (m & ~a & ~b[:, None]).sum(), "two units that are"),
        ("6.B", lambda m, a, b: (m & a).sum(), "Is the unit behind"),
        ("6.B", lambda m, a, b: (m & b[:, None]).sum(), "Is the unit before"),
        ("6.B", lambda m, a, b: working(m, a, b) + 1, "too large"),
        (
            "6.B",
            lambda m, a, b: working(m, a, b) if len(m) > 3 else 0,
            "3 units behind",
        ),
        ("6.C", lambda p, d: None, "returns nothing yet"),
        ("6.C", lambda p, d: p, "plain part"),
        ("6.C", lambda p, d: d, "leaves units out"),
        ("6.C", lambda p, d: d.recipe, "Expected an experiment"),
        (
            "6.C",
            lambda p, d: replace(p, recipe=replace(p.recipe, dropout=0.5)),
            "leaves units out",
        ),
        (
            "6.C",
            lambda p, d: replace(p, recipe=replace(p.recipe, iterations=3000 * 2)),
            "6,000 iterations",
        ),
        (
            "6.C",
            lambda p, d: replace(
                p, recipe=replace(p.recipe, iterations=d.recipe.iterations)
            ),
            "learning rate",
        ),
        ("6.C", changed(batch_size=30), "Something else in the recipe"),
        ("6.C", changed(network="conv4"), "another network"),
        ("6.C", changed(scaling="l2"), "another scaling"),
        ("6.C", changed(seeds=(7, 8)), "in pairs"),
        ("6.C", changed(arms=("ticket",)), "dense network is not"),
        ("6.1", lambda *four: None, "returns nothing yet"),
        ("6.1", lambda d, t, o, b: -surplus(d, t, o, b), "sign is turned"),
        ("6.1", lambda d, t, o, b: b - d, "all that both gained"),
        ("6.1", lambda d, t, o, b: t + o - d, "both should reach"),
        ("6.1", lambda d, t, o, b: b - t, "does to the ticket"),
        ("6.1", lambda d, t, o, b: b - o, "pruning does with dropout"),
        ("6.1", lambda d, t, o, b: b - np.maximum(t, o), "better of the two"),
        ("6.1", lambda d, t, o, b: b - t - o, "in each gain"),
        ("6.1", lambda d, t, o, b: b + d, "minus the one gain"),
        ("6.1", lambda d, t, o, b: surplus(d, t, o, b).mean(), "one number"),
        ("6.2", lambda sub, count: None, "returns nothing yet"),
        ("6.2", one_for_all, "each time anew"),
        ("6.2", lambda sub, count: vote(sub, 5), "asks 5 subnetworks"),
        ("6.2", lambda sub, count: vote(sub, 8), "another `count`"),
        ("6.2", lambda sub, n: vote(sub, n).argmax(1), "a column a class"),
        ("6.2", lambda sub, n: vote(sub, n) * n, "divide by the number"),
        ("6.2", of_many(lambda all: all.mean(0)), "Those are mean scores"),
        ("6.2", of_many(lambda all: all.mean(0).softmax(1)), "average afterwards"),
        ("6.2", of_many(lambda all: all.softmax(1).mean(0)), "not each class's"),
        (
            "6.2",
            of_many(lambda all: torch.eye(3)[all.argmax(2)].mean(0)),
            "however sure",
        ),
        ("6.2", of_many(lambda all: all.log_softmax(2).mean(0)), "logarithms"),
        ("6.2", of_many(lambda all: all.softmax(2)[0]), "The mean of what softmax"),
        ("6.3", lambda net, images: None, "returns nothing yet"),
        ("6.3", lambda net, images: 50, "one number"),
        ("6.3", of_said(lambda out: (out == 0).float().mean()), "fractions"),
        ("6.3", of_said(lambda out: 100 * (out > 0).float().mean()), "say something"),
        ("6.3", lambda net, images: silent(net, images)[::-1], "fc1 first"),
        (
            "6.3",
            of_said(lambda out: 100 * (out == 0).all(0).float().mean()),
            "every image",
        ),
        ("6.3", of_said(lambda out: (out == 0).sum(1).float().mean()), "number of"),
        ("6.3", of_said(lambda out: 12.0), "That is fc1"),
        ("6.3", leaves_a_hook, "not as it was"),
    ],
)
def test_a_wrong_answer_gets_a_hint(capsys, which, answer, hint):
    assert not lth.check(which, answer)
    assert hint in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("which", "answer"),
    [
        ("6.A", drop),
        ("6.A", drop_by_loops),
        ("6.A", drop_in_place),
        ("6.B", working),
        ("6.B", working_cut_out),
        (
            "6.B",
            lambda m, a, b: torch.einsum("ij,j,i->", *map(torch.Tensor.int, (m, a, b))),
        ),
        ("6.C", control),
        ("6.C", from_plain),
        ("6.C", changed(seeds=(0, 1, 2))),
        ("6.1", surplus),
        ("6.1", lambda d, t, o, b: ((b - d) - (t - d) - (o - d)).tolist()),
        ("6.1", lambda d, t, o, b: np.array(b - o) - np.array(t - d)),
        ("6.2", vote),
        ("6.2", of_many(lambda all: all.softmax(2).mean(0).numpy())),
        ("6.2", of_many(lambda all: all.softmax(-1).mean(0).tolist())),
        ("6.3", silent),
        ("6.3", silent_by_layers),
        ("6.3", lambda net, images: tuple(map(torch.tensor, silent(net, images)))),
    ],
)
def test_a_right_answer_is_right(which, answer):
    assert lth.check(which, answer)
