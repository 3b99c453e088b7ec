"""Chapter 7: deep networks, and what each number says."""

import re
from html import unescape

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from book_fixtures import ROOT, captions, gaps, glued, lifted, plain, shown, told_by
from torch import nn
from torch.nn.functional import conv2d, relu

import lth_utils as lth

NAME = "notebooks/07-deep"
SOURCE = nbformat.read(ROOT / f"{NAME}.ipynb", as_version=4)
PARTS = ("0.1", "warmup")


@pytest.fixture(scope="module")
def chapter(executed):
    return executed(NAME)


@pytest.fixture(scope="module")
def stops() -> pd.DataFrame:
    return lth.early_stop(lth.run("resnet20"))


def part_of(stops: pd.DataFrame, name: str) -> pd.DataFrame:
    return stops[stops["experiment"] == name]


def rows(chapter, cell: str) -> list[list[str]]:
    """Return the table that a cell shows, head first, its cells as text."""
    (html,) = shown(chapter, "text/html", cell)
    each = re.findall(r"<tr.*?</tr>", html, re.DOTALL)
    found = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in each]
    return [[plain(unescape(text)).strip() for text in row] for row in found]


# LIVE

# Answers


def changed(net, before):
    learned = dict(net.named_parameters())
    now = lth.snapshot(net)
    return [n for n in now if n not in learned and not torch.equal(now[n], before[n])]


def without_counters(net, before):
    return {n for n in changed(net, before) if "running" in n}


def all_changed(net, before):
    now = lth.snapshot(net)
    return [n for n in now if not torch.equal(now[n], before[n])]


def prune_globally(weights, left):
    every = torch.cat([w.abs().flatten() for w in weights.values()])
    threshold = every.topk(left).values[-1]
    return {name: w.abs() >= threshold for name, w in weights.items()}


def numpy_globally(weights, left):
    flat = np.concatenate([w.numpy().ravel() for w in weights.values()])
    kept = np.zeros(len(flat))
    kept[np.argsort(np.abs(flat))[-left:]] = 1
    ends = np.cumsum([w.numel() for w in weights.values()])[:-1]
    pieces = np.split(kept, ends)
    return {
        n: piece.reshape(tuple(w.shape))
        for (n, w), piece in zip(weights.items(), pieces, strict=True)
    }


def each_its_share(weights, left):
    total = sum(w.numel() for w in weights.values())
    return {
        n: prune_globally({n: w}, round(left / total * w.numel()))[n]
        for n, w in weights.items()
    }


def by_value(weights, left):
    every = torch.cat([w.flatten() for w in weights.values()])
    return {n: w >= every.topk(left).values[-1] for n, w in weights.items()}


def smallest(weights, left):
    every = torch.cat([w.abs().flatten() for w in weights.values()])
    least = every.topk(left, largest=False).values[-1]
    return {n: w.abs() <= least for n, w in weights.items()}


def turned(weights, left):
    return {n: ~mask for n, mask in prune_globally(weights, left).items()}


def without_one(weights, left):
    """Another choice of as many: the first weight for the last that stays."""
    masks = prune_globally(weights, left)
    flat = masks["conv2.weight"].view(-1)
    flat[int(flat.int().argmax())] = False
    flat[int((~flat).int().argmax())] = True
    return masks


def rate(iteration, lr, warmup, milestones):
    risen = min(1, iteration / warmup) if warmup else 1
    return lr * risen * 0.1 ** sum(iteration > each for each in milestones)


def by_steps(iteration, lr, warmup, milestones):
    found = lr
    if iteration < warmup:
        found = lr / warmup * iteration
    for each in milestones:
        if iteration >= each + 1:
            found = found / 10
    return torch.tensor(found, dtype=torch.float64)


def spread_evenly(net, masks):
    names = [n for n, kind in lth.kinds(net).items() if kind == "conv"]
    left = sum(int(masks[n].sum()) for n in names)
    share = left / sum(masks[n].numel() for n in names)
    return lth.prune(net, {"conv": 1 - share})


def by_hand(net, masks):
    even = spread_evenly(net, masks)
    found = {}
    for name, mask in masks.items():
        weight = net.get_parameter(name).detach().abs()
        count = int(even[name].sum())
        least = weight.flatten().topk(count).values[-1]
        found[name] = mask if mask.all() else (weight >= least).float()
    return found


def all_layers(net, masks):
    return lth.prune(net, 1 - masks.remaining / masks.total)


def what_goes(net, masks):
    names = [n for n, kind in lth.kinds(net).items() if kind == "conv"]
    left = sum(int(masks[n].sum()) for n in names)
    return lth.prune(net, {"conv": left / sum(masks[n].numel() for n in names)})


def at_random(net, masks):
    names = [n for n, kind in lth.kinds(net).items() if kind == "conv"]
    left = sum(int(masks[n].sum()) for n in names)
    share = left / sum(masks[n].numel() for n in names)
    return lth.prune(net, {"conv": 1 - share}, score="random", seed=0)


def foreseen(masks, init):
    sizes = {name: init[name].abs() for name in masks}
    own = lth.keep(sizes, lth.Masks.ones(masks), lth.layer_counts(masks))
    both = sum(int((masks[n] & own[n]).sum()) for n in masks)
    return both / masks.remaining


def numpy_foreseen(masks, init):
    both = 0
    for name, mask in masks.items():
        size, alive = init[name].abs().numpy().ravel(), mask.numpy().ravel()
        top = np.argsort(-size)[: alive.sum()]
        both += alive[top].sum()
    return np.float64(both / masks.remaining)


def marked(masks, init, one_cut=False, size=torch.abs):
    scores = {n: size(init[n]) for n in masks}
    counts = lth.layer_counts(masks)
    if one_cut:
        counts = {tuple(masks): masks.remaining}
    return lth.keep(scores, lth.Masks.ones(masks), counts)


def agree(masks, init):
    own = marked(masks, init)
    return sum(int((masks[n] == own[n]).sum()) for n in masks) / masks.total


def in_one(masks, init):
    own = marked(masks, init, one_cut=True)
    return sum(int((masks[n] & own[n]).sum()) for n in masks) / masks.remaining


def signed(masks, init):
    own = marked(masks, init, size=torch.clone)
    return sum(int((masks[n] & own[n]).sum()) for n in masks) / masks.remaining


def mean_of_layers(masks, init):
    own = marked(masks, init)
    return np.mean([float((masks[n] & own[n]).sum() / masks[n].sum()) for n in masks])


def norms(net):
    return [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]


def look_again(net, images):
    for norm in norms(net):
        norm.reset_running_stats()
        norm.momentum = None
    with torch.no_grad():
        net.train()(images)
    return net.eval()


def in_batches(net, images):
    for norm in norms(net):
        norm.reset_running_stats()
        norm.momentum = None
    net.train()
    with torch.no_grad():
        for batch in images.split(100):
            net(batch)
    return net.eval()


def whole_momentum(net, images):
    for norm in norms(net):
        norm.momentum = 1.0
    net.train()(images)
    return net.eval()


def evaluated(net, images):
    net.eval()(images)
    return net


def mixed(net, images):
    net.train()(images)
    return net.eval()


def only_forgotten(net, images):
    for norm in norms(net):
        norm.reset_running_stats()
    return net.eval()


def trained(net, images):
    step = torch.optim.SGD(net.parameters(), 0.1)
    net.train()(images).sum().backward()
    step.step()
    return net.eval()


def left_training(net, images):
    return look_again(net, images).train()


def only_means(net, images):
    old = [norm.running_var.clone() for norm in norms(net)]
    look_again(net, images)
    for norm, var in zip(norms(net), old, strict=True):
        norm.running_var.copy_(var)
    return net


@pytest.mark.parametrize(
    ("which", "answer", "hint"),
    [
        ("7.A", lambda net, before: None, "returns nothing yet"),
        ("7.A", lambda net, before: [], "Nothing? Compare"),
        ("7.A", lambda net, before: "1.running_mean", "not one text"),
        ("7.A", all_changed, "the optimizer changed them"),
        (
            "7.A",
            lambda net, before: [n for n in before if "running" in n],
            "still what it was",
        ),
        ("7.A", lambda net, before: ["1.running_mean"], "1 more have changed"),
        ("7.A", lambda net, before: ["norm1"], "not among the names"),
        ("7.B", lambda weights, left: None, "returns nothing yet"),
        ("7.B", each_its_share, "that is layer-wise"),
        ("7.B", by_value, "a weight of -2 is larger"),
        ("7.B", smallest, "These are the smallest"),
        ("7.B", turned, "are to be left, not to go"),
        ("7.B", lambda w, left: prune_globally(w, left + 1), "too large"),
        ("7.B", lambda w, left: prune_globally(w, 150), "other numbers"),
        ("7.B", without_one, "maybe in another layer"),
        ("7.C", lambda i, lr, w, m: None, "returns nothing yet"),
        ("7.C", lambda i, lr, w, m: rate(i - 1, lr, w, m), "already takes a step"),
        ("7.C", lambda i, lr, w, m: rate(i, lr, 0, m), "let it rise first"),
        (
            "7.C",
            lambda i, lr, w, m: lr * ((i + 1) / w if i < w else 1),
            "a quarter of the way",
        ),
        (
            "7.C",
            lambda i, lr, w, m: rate(i, lr, w, [each - 1 for each in m]),
            "still has the higher rate",
        ),
        ("7.C", lambda i, lr, w, m: rate(i, lr, w, m[:1]), "another tenth"),
        ("7.C", lambda i, lr, w, m: lr * min(1, i / w), "After a milestone"),
        (
            "7.C",
            lambda i, lr, w, m: rate(i, lr, w, m) if w else 0,
            "Without a warm-up",
        ),
        ("7.1", lambda net, masks: None, "returns nothing yet"),
        ("7.1", lambda net, masks: masks, "no other scope"),
        ("7.1", all_layers, "left whole by the global cut"),
        ("7.1", what_goes, "Which stays"),
        ("7.1", at_random, "keeps a smaller weight"),
        (
            "7.1",
            lambda net, masks: lth.prune(net, {"conv": 0.6}),
            "work for other masks",
        ),
        ("7.2", lambda masks, init: None, "returns nothing yet"),
        ("7.2", agree, "both leave out as well"),
        ("7.2", in_one, "one cut through all layers"),
        ("7.2", signed, "-2 is larger than one of 1"),
        ("7.2", lambda m, init: 1 - foreseen(m, init), "not among the largest"),
        ("7.2", lambda m, init: foreseen(m, init) * m.remaining, "number of weights"),
        ("7.2", lambda m, init: foreseen(m, init) * m.density, "share of all"),
        ("7.2", lambda m, init: 100 * foreseen(m, init), "in percent"),
        ("7.2", mean_of_layers, "mean over layers"),
        ("7.2", lambda m, init: 0.5, "the largest"),
        ("7.3", lambda net, images: None, "returns nothing yet"),
        ("7.3", lambda net, images: images, "Return the network"),
        ("7.3", evaluated, "looks only while it trains"),
        ("7.3", mixed, "forget the old ones"),
        ("7.3", only_forgotten, "of a new network"),
        ("7.3", trained, "No step is to be taken"),
        ("7.3", left_training, "back to evaluation"),
        ("7.3", only_means, "variances are not"),
    ],
)
def test_a_wrong_answer_gets_a_hint(capsys, which, answer, hint):
    assert not lth.check(which, answer)
    assert hint in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("which", "answer"),
    [
        ("7.A", changed),
        ("7.A", without_counters),
        ("7.B", prune_globally),
        ("7.B", numpy_globally),
        ("7.B", lambda w, left: lth.Masks(prune_globally(w, left))),
        ("7.C", rate),
        ("7.C", by_steps),
        ("7.C", lambda *given: np.float64(rate(*given))),
        ("7.1", spread_evenly),
        ("7.1", by_hand),
        ("7.2", foreseen),
        ("7.2", numpy_foreseen),
        ("7.2", lambda m, init: torch.tensor(foreseen(m, init))),
        ("7.3", look_again),
        ("7.3", in_batches),
        ("7.3", whole_momentum),
    ],
)
def test_a_right_answer_is_right(which, answer):
    assert lth.check(which, answer)
