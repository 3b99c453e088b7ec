"""Chapter 5: convolutional tickets, and what each number says."""

import re

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from book_fixtures import (
    ROOT,
    captions,
    gaps,
    glued,
    lifted,
    plain,
    shown,
    table_of,
    told_by,
)
from torch.nn.functional import conv2d

import lth_utils as lth

NAME = "notebooks/05-convolutional"
SOURCE = nbformat.read(ROOT / f"{NAME}.ipynb", as_version=4)


@pytest.fixture(scope="module")
def chapter(executed):
    return executed(NAME)


@pytest.fixture(scope="module")
def stops() -> pd.DataFrame:
    return lth.early_stop(lth.run("conv2"))


# What the live run must show: half of what three seeds showed, and no more.


def test_the_ticket_is_far_ahead_of_its_reinit(stops):
    # Seen: 30.3 to 31.0 points, mean 30.7; at round 6 39.2 to 45.5.
    assert (gaps(stops, "ticket", "reinit", 4) >= 15).all()
    assert (gaps(stops, "ticket", "reinit", 6) >= 19).all()


def test_neither_half_of_the_sparsest_ticket_does_much_better_than_guessing(stops):
    # Seen: reinit 11.9 % on average, random mask 12.9 %.
    for arm in ("reinit", "random"):
        assert 100 * lth.by_seed(stops, arm, 6).mean() < 16


def test_the_ticket_at_20_percent_is_ahead_of_the_dense_network(stops):
    # Seen: 5.7 to 14.1 points, mean 9.0.
    assert gaps(stops, "ticket", "dense", 4).mean() >= 4.5


# What the text says of it


def test_some_tickets_are_ahead_of_the_dense_network_in_every_seed(stops):
    # Seen: means 7.9, 9.7, 10.4, 9.0, 9.4, 7.5; least 5.3, and 1.6 at round 6.
    for round in range(1, 5):
        assert (gaps(stops, "ticket", "dense", round) > 0).all()
    for round in range(1, 7):
        assert gaps(stops, "ticket", "dense", round).mean() >= 3.5


def test_the_gaps_are_paired_and_at_early_stop(chapter, stops):
    head, *found = table_of(chapter, "gaps")[1:]
    assert head[0] == "weights left"
    wanted = [
        [left, other, lth.told(pd.Series(gaps(stops, "ticket", other, round)))]
        for round, left in ((4, "19.8 %"), (6, "8.87 %"))
        for other in ("dense", "reinit", "random")
    ]
    assert found == wanted
    for round, there in {4: "20", 6: "8_9"}.items():
        for other in ("dense", "reinit", "random"):
            value = glued(chapter)[f"live_ticket_minus_{other}_{there}"]
            mean = gaps(stops, "ticket", other, round).mean()
            assert value == pytest.approx(mean)


def validation(table: pd.DataFrame, arm: str, round: int, iteration: int) -> np.ndarray:
    """Return a validation accuracy in percent, seed by seed."""
    rows = table[(table["arm"] == arm) & (table["round"] == round)]
    rows = rows[(rows["split"] == "validation") & (rows["iteration"] == iteration)]
    return 100 * rows.sort_values("seed")["accuracy"].to_numpy()


def test_the_dense_network_catches_up(chapter):
    table = lth.run("conv2")
    _, _, *found = table_of(chapter, "haste-table")
    assert [row[0] for row in found] == ["40", "80", "120", "160", "200"]
    leads = []
    for at, *told in found:
        ticket = validation(table, "ticket", 4, int(at))
        others = (
            validation(table, "dense", 0, int(at)),
            validation(table, "reinit", 4, int(at)),
        )
        assert told == [lth.brief(ticket - other) for other in others]
        leads.append((ticket - others[0]).mean())
    # Seen: 25.2, 28.9, 18.0, 13.6, 9.9.
    assert leads[1:] == sorted(leads[1:], reverse=True)
    assert leads[-1] < leads[0] / 2


def test_they_are_best_at_their_end(chapter, stops):
    late = (stops["iteration"] == 200).sum()
    assert glued(chapter)["live_best_at_the_end"] == late
    assert glued(chapter)["live_trainings"] == len(stops) == 33
    assert late > 30  # seen: all


def test_the_text_says_how_coarse_the_rounds_are(chapter):
    rates = lth.experiment("conv2", "quick").pruning.rates
    assert (1 - rates["fc"]) ** 6 == pytest.approx(0.8**11)
    text = told_by(chapter, "about-run")
    assert "a convolution loses 17.6% of its remaining" in text
    assert "layer 33.6%, the output layer 17.6%" in text
    assert "6 rounds leave what 11 of the paper's would." in text


# Of the live run and of LeNet's: rounds with about as many weights.
ROUNDS = {4: 7, 6: 11}


def test_lenets_rounds_leave_about_as_many_weights():
    runs = lth.run("conv2"), lth.run("lenet-mnist", arms=["dense", "ticket", "reinit"])
    ours, lenets = (table.groupby("round")["density"].first() for table in runs)
    for round, same in ROUNDS.items():
        assert lenets[same] == pytest.approx(ours[round], rel=0.07)


def test_in_errors_avoided_the_lead_is_no_wider_than_lenets(chapter):
    ours = lth.run("conv2")
    lenet = lth.run("lenet-mnist", arms=["dense", "ticket", "reinit"])
    rows = {
        ("Conv-2, narrow", "200"): (ours, {4: "19.8 %", 6: "8.87 %"}),
        ("LeNet", "1,000"): (lenet, {7: "21.1 %", 11: "8.68 %"}),
        ("LeNet, cut off", "200"): (lenet, {7: "21.1 %", 11: "8.68 %"}),
    }
    points, avoided, wanted = {}, {}, []
    for (name, at), (table, left) in rows.items():
        for round, density in left.items():
            ticket, reinit = (
                validation(table, arm, round, int(at.replace(",", "")))
                for arm in ("ticket", "reinit")
            )
            gap = points[name, round] = ticket - reinit
            part = avoided[name, round] = 100 * gap / (100 - reinit)
            told = lth.brief(gap), lth.brief(part, ".0f")
            wanted.append([name, at, density, *told])
    assert table_of(chapter, "lenet-table")[2:] == wanted
    for round, same in ROUNDS.items():
        mine, cut, whole = (
            avoided[key].mean()
            for key in (
                ("Conv-2, narrow", round),
                ("LeNet, cut off", same),
                ("LeNet", same),
            )
        )
        assert cut - mine > 3  # seen: 12 and 7
        assert cut > whole
        most = points["LeNet", same].max()
        assert points["Conv-2, narrow", round].mean() > 5 * most


# Counts


def hooked(net: torch.nn.Module) -> dict[str, int]:
    """Count, on a real image, at how many places each layer's weights are used."""
    found = {}
    for name, layer in net.named_children():
        if hasattr(layer, "weight"):
            layer.register_forward_hook(
                lambda _, given, out, name=name: found.update({name: out[0, 0].numel()})
            )
    net(torch.zeros(1, 3, 32, 32))
    return found


@pytest.mark.parametrize("word", ["conv2", "conv4", "conv6", "conv2-narrow"])
def test_places_are_those_of_the_networks(chapter, word):
    names = lifted(NAME, "places", "costs", pd=pd)
    net = lth.network(word)
    used = hooked(net)
    assert {name: names["places"](name) for name in used} == used
    weights = {name: net.get_submodule(name).weight.numel() for name in used}
    work = {name: weights[name] * used[name] for name in used}
    table = names["costs"](net)
    assert table["weights"].to_dict() == weights
    assert table["multiplications"].to_dict() == work
    head, *found = table_of(chapter, "costs-table")
    title = {"conv2-narrow": "Conv-2, narrow"}.get(word, f"Conv-{word[4]}")
    (row,) = [dict(zip(head, row, strict=True)) for row in found if row[0] == title]
    convs = [name for name in used if name.startswith("conv")]
    assert row["weights"] == f"{sum(weights.values()):,}"
    for count, column in {
        "weights": "in convolutions",
        "work": "of which in them",
    }.items():
        each = {"weights": weights, "work": work}[count]
        share = 100 * sum(each[name] for name in convs) / sum(each.values())
        assert row[column] == f"{share:.1f} %"


def test_a_weight_is_used_at_each_place(chapter):
    assert glued(chapter)["outputs_of_a_weight"] == 32 * 32
    assert told_by(chapter, "one-weight-say") == (
        "1,024 of 65,536 outputs changed, all of them in channel 5."
    )


def test_work_goes_more_slowly_than_weights(chapter):
    text = told_by(chapter, "solution-b-code")
    found = re.findall(r"rounds: ([\d.]+)% of the weights, ([\d.]+)% of the work", text)
    assert len(found) == 2
    assert all(float(work) > 2 * float(weights) for weights, work in found)
    net = lth.masked(lth.Conv2())
    ladder = lth.densities(
        net, {"conv": 0.1, "fc": 0.2, "output": 0.1}, "layer-wise", 11
    )
    for (weights, _), round in zip(found, (7, 11), strict=True):
        assert float(weights) == pytest.approx(100 * ladder[round], abs=0.1)


# Filters


def test_no_filter_goes(chapter):
    assert "0 of 72 masks have lost a whole filter." in told_by(chapter, "left-say")
    for seed in range(3):
        for round in range(1, 7):
            masks = lth.ticket("conv2", seed=seed, round=round).masks
            for name in ("conv1.weight", "conv2.weight"):
                assert masks[name].flatten(1).any(1).all()


def test_left_of_counts_filters_and_pieces():
    left_of = lifted(NAME, "left-of")["left_of"]
    mask = torch.zeros(4, 5, 3, 3, dtype=torch.bool)
    mask[0] = True
    mask[1, 2, 1, 1] = mask[3, 0, 0, 0] = mask[3, 4, 2, 2] = True
    assert left_of(mask) == pytest.approx((75, 100 * 8 / 20))


def test_tickets_first_layers_lose_more_pieces_than_chance_takes(chapter):
    text = told_by(chapter, "left-say").partition("weight: ")[2]
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    first, second, by_chance, and_second = numbers
    assert first > by_chance + 4  # seen: 10 and 1
    assert abs(second - and_second) <= 3  # seen: 4 and 3


def test_chance_empties_a_filter_only_far_down(chapter):
    """Each density, by drawing masks of it: one filter is lost on average."""
    draw = torch.Generator().manual_seed(0)
    filters = {"16": 16, "64": 64}
    _, _, *found = table_of(chapter, "chance")
    assert len(found) == 4
    for name, size, alive, slow, fast in found:
        count = filters["16" if name.startswith("narrow") else "64"]
        share = float(alive.rstrip(" %")) / 100
        masks = torch.rand(400, count, int(size), generator=draw) < share
        lost = (~masks.any(2)).sum(1).float().mean().item()
        assert lost == pytest.approx(1, abs=0.35)
        for rounds, rate in ((slow, 0.1), (fast, 0.2)):
            assert (1 - rate) ** int(rounds) <= share * 1.05
            assert (1 - rate) ** (int(rounds) - 1) >= share * 0.95
    assert int(found[0][4]) == 11  # "eleven rounds would just empty a first filter"
    assert all(int(row[3]) > 11 for row in found)


def test_the_slider_goes_through_the_rounds_in_words(chapter):
    (slider,) = shown(chapter, "text/html", "filters-slider")
    labels = re.findall(r'"label": "([^"]*)"', slider)
    assert labels == [
        "100 %",
        "66.6 %",
        "44.4 %",
        "29.6 %",
        "19.8 %",
        "13.2 %",
        "8.87 %",
    ]
    left = [int(re.match(r"First layer: (\d+)", text)[1]) for text in captions(slider)]
    assert left == sorted(left, reverse=True)
    turned = [int(re.search(r"(\d+) of them", text)[1]) for text in captions(slider)]
    assert turned[0] > 20
    assert turned[-1] <= 2
    assert all("0 of 16 filters" in text for text in captions(slider))


# What the text says of the recorded run


@pytest.fixture(scope="module")
def ends() -> pd.DataFrame:
    return lth.early_stop(lth.recorded("conv2", "laptop"))


def test_the_recorded_dense_network_is_as_good_as_the_papers(chapter, ends):
    found = 100 * lth.by_seed(ends, "dense", 0, "validation")
    assert len(found) == 5
    assert glued(chapter)["recorded_dense_validation"] == pytest.approx(found.mean())
    assert lth.interval(found)[1] > 67.6


def test_recorded_tickets_are_level_with_the_dense_network_and_then_fall(ends):
    leads = [lth.points(ends, "ticket", "dense", r).mean() for r in range(1, 18)]
    assert all(abs(lead) < 0.5 for lead in leads[:11])
    assert leads[-1] < -1
    assert max(leads) < 0.5 * 3.4  # the paper's


def test_recorded_reinits_fall_with_every_cut(chapter, ends):
    rounds = sorted(set(ends.loc[ends["arm"] == "reinit", "round"]))
    gaps = [lth.points(ends, "ticket", "reinit", r).mean() for r in rounds]
    assert gaps == sorted(gaps)
    assert glued(chapter)["recorded_ticket_minus_reinit_8_8"] == pytest.approx(gaps[3])
    assert gaps[3] > 10
    assert [row[0] for row in table_of(chapter, "rec-gaps")[2:]][3] == "8.81 %"


def test_recorded_tickets_need_less_than_half_of_the_iterations(ends):
    dense = lth.by_seed(ends, "dense", 0, "iteration").mean()
    for round in range(5, 11):
        assert lth.by_seed(ends, "ticket", round, "iteration").mean() < dense / 2


def test_slower_arms_are_cut_off(ends):
    late = ends["iteration"] == 3000
    assert 0 < late[ends["arm"] == "dense"].mean() < 1
    assert late[ends["arm"] == "reinit"].mean() > 0.8
    mid = ends["arm"].eq("ticket") & ends["round"].between(1, 14)
    assert late[mid].mean() < 0.1


def test_at_the_end_tickets_know_their_images_better_and_no_more(ends):
    known = [
        lth.by_seed(ends, arm, 11, "final_train").mean() for arm in ("dense", "ticket")
    ]
    assert known[0] < known[1] < 0.999
    assert abs(lth.points(ends, "ticket", "dense", 11, "final_test").mean()) < 0.5


def test_a_few_recorded_filters_go_at_the_very_end(chapter):
    table = table_of(chapter, "rec-left")[2:]
    assert [row[3] for row in table[:4]] == ["100 %"] * 4
    assert table[4][1] == "first"
    assert 80 < float(table[4][3].split()[0]) < 100


def test_rounding_makes_no_difference_that_five_seeds_tell(chapter):
    exact, rounded = (
        lth.early_stop(lth.recorded("conv2", f"laptop{again}"))
        for again in ("-again", "")
    )
    pairs = [("dense", 0), *(("ticket", r) for r in range(1, 9))]
    each = [
        100 * (lth.by_seed(rounded, arm, r) - lth.by_seed(exact, arm, r))
        for arm, r in pairs
    ]
    gained = pd.DataFrame(each).mean()
    low, high = lth.interval(gained)
    assert low < 0 < high
    assert glued(chapter)["rounded_minus_exact"] == pytest.approx(gained.mean())


# Ledger and key


def test_the_key_says_what_was_found(chapter, stops):
    (key,) = shown(chapter, "text/markdown", "key-table")
    found = [row.split(" | ") for row in plain(key).splitlines()[2:]]
    assert [row[0][2:4] for row in found] == ["1.", "2.", "3."]
    assert found[0][1] == "0.9 % of the weights, 90.3 % of the work."
    assert lth.told(pd.Series(gaps(stops, "ticket", "reinit", 4))) in found[1][1]
    assert found[2][1] == "0 of 48."


# Exercises: what their solutions find


def test_convolutions_are_to_be_spared(chapter):
    # Seen: 15.3 to 17.6 points, mean 16.3; whole filters -13.4 to -7.4, mean -9.8.
    assert glued(chapter)["spared_minus_alike"] > 8
    assert glued(chapter)["filters_minus_scattered"] < -4.9


def test_both_halves_of_the_values_matter_and_neither_alone_is_all(chapter):
    # Seen: -7.4 and -8.5 of -30.7.
    values = glued(chapter)
    convolutions, others = values["new_convolutions"], values["new_fully"]
    assert max(convolutions, others) < -3.7
    assert convolutions + others > values["new_all"]
    (line,) = re.findall(r": ([\d.]+)%", told_by(chapter, "solution-2-say"))
    assert float(line) < 5


# Answers


def slide(image, filter):
    return conv2d(image[None], filter[None], padding=1)[0, 0]


def by_loops(image, filter):
    framed = np.pad(image.numpy(), ((0, 0), (1, 1), (1, 1)))
    height, width = image.shape[1:]
    return [
        [
            float((framed[:, r : r + 3, c : c + 3] * filter.numpy()).sum())
            for c in range(width)
        ]
        for r in range(height)
    ]


def rolled(image, filter):
    total = torch.zeros(image.shape[1:])
    for r in range(3):
        for c in range(3):
            seen = image.roll((1 - r, 1 - c), (1, 2))
            total += (seen * filter[:, r, c, None, None]).sum(0)
    return total


def edged(image, filter):
    wide = torch.nn.functional.pad(image[None], (1, 1, 1, 1), "replicate")
    return conv2d(wide, filter[None])[0, 0]


def to_do(masks, places):
    return sum(int(masks[n].sum()) * places[n] for n in places)


def could_go(mask, readers):
    return int((~(mask.flatten(1).any(1) & readers.any(3).any(2).any(0))).sum())


def numpy_could_go(mask, readers):
    mask, readers = mask.numpy(), readers.numpy()
    gone = {k for k in range(len(mask)) if not mask[k].any()}
    return np.int64(
        len(gone | {k for k in range(len(mask)) if not readers[:, k].any()})
    )


def gone(mask):
    return ~mask.flatten(1).any(1)


def at_once(net, rates, rounds):
    return lth.prune(net, {k: 1 - (1 - p) ** rounds for k, p in rates.items()})


def round_by_round(net, rates, rounds):
    for _ in range(rounds):
        masks = lth.prune(net, rates)
        lth.apply_masks(net, masks)
    return masks


def randomly(net, rates, rounds):
    cut = {k: 1 - (1 - p) ** rounds for k, p in rates.items()}
    return lth.prune(net, cut, score="random", seed=0)


def always_three(net, rates, rounds):
    return at_once(net, rates, 3)


def renewed(ticket, layers, seed):
    fresh = lth.snapshot(lth.network(ticket.network, seed))
    return ticket.init | {name: fresh[name] for name in layers}


def by_state(ticket, layers, seed):
    values = {name: value.clone() for name, value in ticket.init.items()}
    fresh = lth.network(ticket.network, seed + 100).state_dict()
    values.update((name, fresh[name].numpy()) for name in layers)
    return values


def the_others(ticket, layers, seed):
    return renewed(ticket, [n for n in ticket.masks if n not in layers], seed)


def torchs_own(ticket, layers, seed):
    torch.manual_seed(seed)
    new = {name: torch.randn(ticket.init[name].shape) for name in layers}
    return ticket.init | new


def moved_about(ticket, layers, seed):
    draw = torch.Generator().manual_seed(seed)
    new = {}
    for name in layers:
        value = ticket.init[name]
        order = torch.randperm(value.numel(), generator=draw)
        new[name] = value.flatten()[order].view_as(value)
    return ticket.init | new


def whole_filters(weight, count):
    kept = weight.abs().flatten(1).sum(1).topk(count).indices
    mask = torch.zeros(weight.shape)
    mask[kept] = 1
    return mask


def numpy_filters(weight, count):
    sizes = np.abs(weight.numpy()).sum((1, 2, 3))
    return np.isin(np.arange(len(sizes)), np.argsort(sizes)[-count:])[
        :, None, None, None
    ] & np.ones(weight.shape, bool)


def by_score(score, largest=True):
    def mask_of(weight, count):
        mask = torch.zeros(weight.shape, dtype=torch.bool)
        mask[score(weight.flatten(1)).topk(count, largest=largest).indices] = True
        return mask

    return mask_of


def scattered(weight, count):
    least = weight.abs().flatten().sort().values[-count * weight[0].numel()]
    return weight.abs() >= least


def whole_channels(weight, count):
    return whole_filters(weight.transpose(0, 1), count).transpose(0, 1)


@pytest.mark.parametrize(
    ("which", "answer", "hint"),
    [
        ("5.A", lambda image, filter: None, "returns nothing yet"),
        ("5.A", lambda i, f: slide(i, f.flip(1, 2)), "turned round"),
        ("5.A", lambda i, f: slide(i, f.transpose(1, 2)), "are swapped"),
        ("5.A", lambda i, f: conv2d(i[None], f[None])[0, 0], "border is missing"),
        ("5.A", lambda i, f: conv2d(i[None], f[None], padding=2)[0, 0], "6 x 8 places"),
        ("5.A", lambda i, f: slide(i, f) / 27, "mean of the products"),
        ("5.A", lambda i, f: slide(i[:1], f[:1]), "first channel alone"),
        ("5.A", rolled, "not its other side"),
        ("5.A", edged, "not its edge again"),
        ("5.A", lambda i, f: slide(i, f).abs(), "multiply the 27 numbers"),
        (
            "5.A",
            lambda i, f: torch.stack(
                [slide(i[k : k + 1], f[k : k + 1]) for k in (0, 1, 2)]
            ),
            "add up what its three channels",
        ),
        ("5.B", lambda m, p: None, "returns nothing yet"),
        ("5.B", lambda m, p: sum(m[n].numel() * p[n] for n in p), "dense network does"),
        ("5.B", lambda m, p: m.remaining, "counts each weight once"),
        ("5.B", lambda m, p: m.remaining * sum(p.values()), "its own places"),
        (
            "5.B",
            lambda m, p: sum(int(m[n].sum()) * p[n] for n in p if "conv" in n),
            "convolutions alone",
        ),
        (
            "5.B",
            lambda m, p: to_do(m, p) / sum(m[n].numel() * p[n] for n in p),
            "That is a fraction",
        ),
        (
            "5.B",
            lambda m, p: sum(int((~m[n]).sum()) * p[n] for n in p),
            "what is saved",
        ),
        ("5.B", lambda m, p: to_do(m, p) + 1, "too large"),
        ("5.C", lambda m, r: 25 - could_go(m, r), "that stay"),
        ("5.C", lambda m, r: (gone(m) & gone(r.transpose(0, 1))).sum(), "lost both"),
        ("5.C", lambda m, r: gone(m).sum(), "no weight left. Which others"),
        ("5.C", lambda m, r: gone(r.transpose(0, 1)).sum(), "read by nobody"),
        ("5.C", lambda m, r: gone(m).sum() + gone(r.transpose(0, 1)).sum(), "twice"),
        ("5.C", lambda m, r: gone(m.transpose(0, 1)).sum(), "a row of its own mask"),
        ("5.C", lambda m, r: (~m.flatten(1).all(1)).sum(), "lost some weight"),
        ("5.C", lambda m, r: 10, "no weight is pruned at all"),
        ("5.1", lambda net, rates, rounds: lth.prune(net, rates), "That is one round"),
        (
            "5.1",
            lambda net, rates, n: lth.prune(net, {k: n * p for k, p in rates.items()}),
            "no sum",
        ),
        (
            "5.1",
            lambda net, rates, n: lth.prune(
                net, {k: (1 - p) ** n for k, p in rates.items()}
            ),
            "wants what goes",
        ),
        ("5.1", lambda net, rates, n: lth.prune(net, 1 - 0.8**n), "its own rate"),
        ("5.1", randomly, "keeps a smaller weight"),
        ("5.1", always_three, "two rounds"),
        (
            "5.2",
            lambda ticket, layers, seed: ticket.init,
            "All values are the ticket's",
        ),
        ("5.2", the_others, "Those that should stay are new"),
        (
            "5.2",
            lambda t, layers, s: renewed(t, list(t.masks), s),
            "not among the layers",
        ),
        (
            "5.2",
            lambda t, layers, s: renewed(t, layers[:1], s),
            "One of the two layers",
        ),
        ("5.2", lambda t, layers, s: renewed(t, layers, 7), "Two seeds"),
        (
            "5.2",
            lambda t, _, s: renewed(t, ["conv1.weight", "conv2.weight"], s),
            "work for other layers",
        ),
        ("5.2", torchs_own, "spread"),
        ("5.2", moved_about, "in other places"),
        ("5.3", scattered, "left in part"),
        ("5.3", by_score(lambda w: w.abs().sum(1), largest=False), "four smallest"),
        ("5.3", by_score(lambda w: w.sum(1)), "Add up sizes"),
        ("5.3", by_score(lambda w: w.abs().amax(1)), "largest single"),
        ("5.3", whole_channels, "a row of the weight"),
        ("5.3", lambda w, count: whole_filters(w, 4), "as `count` says"),
        ("5.3", lambda w, count: whole_filters(w, 5), "as `count` says"),
    ],
)
def test_a_wrong_answer_gets_a_hint(capsys, which, answer, hint):
    assert not lth.check(which, answer)
    assert hint in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("which", "answer"),
    [
        ("5.A", slide),
        ("5.A", by_loops),
        ("5.A", lambda image, filter: slide(image, filter)[None, None]),
        ("5.A", lambda image, filter: slide(image.double(), filter.double()).numpy()),
        ("5.B", to_do),
        ("5.B", lambda m, p: torch.tensor(float(to_do(m, p)))),
        ("5.B", lambda m, p: sum(n * p[name] for name, n in m.counts().items())),
        ("5.C", could_go),
        ("5.C", numpy_could_go),
        ("5.C", lambda m, r: torch.tensor(could_go(m, r))),
        ("5.1", at_once),
        ("5.1", round_by_round),
        ("5.2", renewed),
        ("5.2", by_state),
        ("5.3", whole_filters),
        ("5.3", numpy_filters),
        ("5.3", lambda w, count: whole_filters(w, count).tolist()),
    ],
)
def test_a_right_answer_is_right(which, answer):
    assert lth.check(which, answer)
