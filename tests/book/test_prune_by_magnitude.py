"""The assignment on pruning: plausible slips, and its slider."""

import pytest
from book_fixtures import captions, plain, shown
from classroom.kernel import Limits
from grading_fixtures import edited, lost

NAME = "prune-by-magnitude"


def test_the_slider_prunes_with_the_students_functions(to_its_end):
    (slider,) = shown(to_its_end(NAME), "text/html", "slider")
    said = [plain(stop) for stop in captions(slider)]
    alive = [stop.partition(", all ")[2] for stop in said]
    left = (100, 50, 20, 10, 5, 2, 1)
    assert alive == [f"{each}.0 %." for each in left]
    first, *_, last = (float(stop.split()[2]) for stop in said)
    assert first > 90
    assert last < 50


def test_code_that_never_ends_loses_its_questions_alone(grade):
    endless = "def masked_step(*_):\n    while True:\n        pass"
    found = grade(NAME, {"your-step": endless}, limits=Limits(cell=2))
    assert lost(NAME, found) == {"step": 1, "memory": 1}
    assert found.messages["step"] == "Stopped: it took longer than 2 seconds."


KEEP = """
def keep_mask(score, k):
    order = score.flatten().argsort(descending=True, stable=True)
    mask = torch.zeros(score.numel(), dtype=torch.bool)
    mask[order[: score.numel() - k]] = True
    return mask.reshape(score.shape)
"""
BELOW = """
def keep_mask(score, k):
    if k == 0:
        return torch.ones_like(score, dtype=torch.bool)
    return score > score.flatten().sort().values[k - 1]
"""
UNSTABLE = """
def keep_mask(score, k):
    mask = torch.ones(score.numel(), dtype=torch.bool)
    mask[score.flatten().topk(k, largest=False).indices] = False
    return mask.reshape(score.shape)
"""
CHAPTER_1 = """
def keep_mask(score, k):
    order = score.flatten().argsort(stable=True)
    mask = torch.ones(score.numel(), dtype=torch.bool)
    mask[order[:k]] = False
    return mask.reshape(score.shape)
"""
OF_ALL = """
def how_many(masks, net, fractions):
    kinds = {"conv.weight": "conv", "output.weight": "output"}
    return {
        name: round(fractions[kinds.get(name, "linear")] * mask.numel())
        for name, mask in masks.items()
    }
"""
ONE_LINEAR = """
def how_many(masks, net, fractions):
    return {
        name: round(fractions["conv" if "conv" in name else "linear"] * int(m.sum()))
        for name, m in masks.items()
    }
"""
TWICE_DEAD = """
def layer_masks(net, masks, counts):
    return {
        name: keep_mask(net.get_parameter(name).detach().abs(), counts[name]) & mask
        for name, mask in masks.items()
    }
"""
REVIVED = """
def layer_masks(net, masks, counts):
    fewer = {}
    for name, mask in masks.items():
        sizes = net.get_parameter(name).detach().abs()
        fewer[name] = keep_mask(torch.where(mask, sizes, 9.0), counts[name])
    return fewer
"""
LAYER_THRESHOLD = """
def global_masks(net, masks, k):
    sizes = {n: net.get_parameter(n).detach().abs() for n in masks}
    pot = torch.cat([sizes[n][m] for n, m in masks.items()]).sort().values
    cut = pot[k - 1] if k else -1
    return {n: m & (sizes[n] > cut) for n, m in masks.items()}
"""
LAYER_BY_LAYER = """
def global_masks(net, masks, k):
    alive = sum(int(mask.sum()) for mask in masks.values())
    counts = {n: round(k * int(m.sum()) / alive) for n, m in masks.items()}
    last = list(masks)[-1]
    counts[last] += k - sum(counts.values())
    fewer = {}
    for name, mask in masks.items():
        sizes = net.get_parameter(name).detach().abs()
        scores = torch.where(mask, sizes, -1.0)
        fewer[name] = keep_mask(scores, int((~mask).sum()) + counts[name])
    return fewer
"""
NEW_PARAMETER = """
def apply_masks(net, masks):
    for name, mask in masks.items():
        layer = getattr(net, name.split(".")[0])
        layer.weight = nn.Parameter(layer.weight.detach() * mask)
"""
WRONG_WAY = """
def apply_masks(net, masks):
    with torch.no_grad():
        for name, mask in masks.items():
            net.get_parameter(name)[mask] = 0
"""
CHAPTER_3 = """
def masked_step(net, masks, optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    for name, mask in masks.items():
        net.get_parameter(name).grad *= mask
    optimizer.step()
"""
BY_VALUE = """
def masked_step(net, masks, optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    for name in masks:
        weight = net.get_parameter(name)
        weight.grad[{test}] = 0
    optimizer.step()
"""
MEAN = """
def densities(masks):
    found = {n: int(m.sum()) / m.numel() for n, m in masks.items()}
    return found | {"all": sum(found.values()) / len(found)}
"""

SLIPS = {
    "off by one": (
        {"your-keep": KEEP.replace("numel() - k", "numel() - k - 1")},
        {"exact": 2},
        "exact: keep_mask prunes 3 of 6 weights: expected exactly k = 2. Is it off",
    ),
    "a threshold": (
        {"your-keep": BELOW},
        {"exact": 2, "ties": 1},
        "exact: keep_mask prunes 4 of 5 weights: expected exactly k = 3. Equal"
        " scores are treated alike, as by a threshold.",
    ),
    "an unstable sort": (
        {"your-keep": UNSTABLE},
        {"ties": 1},
        "ties: Of the weights that all score",
    ),
    "chapter 1's order": (
        {"your-keep": CHAPTER_1},
        {"ties": 1},
        "ties: Of the weights that all score 0.5, an earlier one is pruned",
    ),
    "the largest": (
        {"your-keep": KEEP.replace("descending=True, ", "")},
        {"lowest": 1},
        "lowest: A pruned weight scores higher than one that stays",
    ),
    "a fraction of all": (
        {"your-shares": OF_ALL},
        {"shares": 1},
        "shares: conv.weight: 4 weights go, expected 1, 0.1 of the 13",
    ),
    "the output at the others' rate": (
        {"your-shares": ONE_LINEAR},
        {"shares": 1},
        "Its kind is 'output'.",
    ),
    "the dead pruned once more": (
        {"your-layers": TWICE_DEAD},
        {"layers": 1},
        "layers: conv.weight: 0 living weights went, expected exactly",
    ),
    "the dead revived": (
        {"your-layers": REVIVED},
        {"layers": 1},
        "weights that were pruned are alive again",
    ),
    "one threshold for all": (
        {"your-global": LAYER_THRESHOLD},
        {"equals": 1},
        "Some are of equal size; a threshold takes them all or none.",
    ),
    "layer by layer": (
        {"your-global": LAYER_BY_LAYER},
        {"global": 1, "equals": 1},
        "global: A weight of one layer went, and a smaller one of another",
    ),
    "a new parameter": (
        {"your-apply": NEW_PARAMETER},
        {"apply": 1},
        "apply: conv.weight is a new parameter: expected the old one",
    ),
    "the mask the wrong way round": (
        {"your-apply": WRONG_WAY},
        {"apply": 1},
        "pruned weights are not 0",
    ),
    "chapter 3's step": (
        {"your-step": CHAPTER_3},
        {"memory": 1},
        "memory: After 2 steps of SGD, which made 3 before the pruning,",
    ),
    "small weights are pruned": (
        {"your-step": BY_VALUE.replace("{test}", "weight.abs() < 1e-6")},
        {"step": 1, "memory": 1},
        "did not move at all: expected the masks to say what is pruned",
    ),
    "negative weights are pruned": (
        {"your-step": BY_VALUE.replace("{test}", "weight < 1e-6")},
        {"step": 1, "memory": 1},
        "did not move at all: expected the masks to say what is pruned",
    ),
    "a forgotten reset of the gradients": (
        {"your-step": edited(NAME, "your-step", "optimizer.zero_grad()", "pass")},
        {"step": 1, "memory": 1},
        "The gradients of the step before are still there.",
    ),
    "no mask": (
        {"your-step": edited(NAME, "your-step", "[~mask] = 0", ".abs()")},
        {"step": 1, "memory": 1},
        "expected each to be exactly 0",
    ),
    "no step": (
        {"your-step": edited(NAME, "your-step", "optimizer.step()", "pass")},
        {"step": 1, "memory": 1},
        "Nothing moved: is there a step?",
    ),
    "the mean of the densities": (
        {"your-density": MEAN},
        {"density": 1},
        "all: densities says 0.625, expected 0.9531, the living weights over all"
        " weights. This is the layers' mean.",
    ),
}


def together() -> list[list[str]]:
    """Put slips in different answers into one submission; fewer runs are quicker."""
    runs: list[list[str]] = []
    for slip, (answers, *_) in SLIPS.items():
        taken = [{a for other in run for a in SLIPS[other][0]} for run in runs]
        free = [
            run for run, its in zip(runs, taken, strict=True) if not its & {*answers}
        ]
        if free:
            free[0].append(slip)
        else:
            runs.append([slip])
    return runs


@pytest.mark.parametrize("slips", together(), ids=" + ".join)
def test_each_slip_loses_its_points_alone_and_is_named(grade, slips):
    answers, points = {}, {}
    for slip in slips:
        answers |= SLIPS[slip][0]
        points |= SLIPS[slip][1]
    found = grade(NAME, answers)
    assert lost(NAME, found) == points
    said = [f"{question}: {text}" for question, text in found.messages.items()]
    for slip in slips:
        assert any(SLIPS[slip][2] in text for text in said), said


def test_a_threshold_everywhere_costs_a_third(grade):
    answers = {"your-keep": BELOW, "your-global": LAYER_THRESHOLD}
    assert lost(NAME, grade(NAME, answers)) == {"exact": 2, "ties": 1, "equals": 1}
