"""The assignment on finding a ticket: plausible slips.

A submission of `SLIPS` has one slip in each task. Each costs the points of its own
question and of no other, and is named.
"""

from itertools import zip_longest
from typing import NamedTuple

import pytest
from grading_fixtures import assignment, edited, lost

NAME = "find-a-ticket"


class Slip(NamedTuple):
    """What the solution says, what stands there instead, and what comes of it."""

    old: str
    new: str
    told: str
    question: str = ""  # if it is not the task's name
    answer: str = ""  # if it is not the task's name


MASKED = """\
        optimizer.step()
        with torch.no_grad():
            for name, mask in masks.items():
                net.get_parameter(name).mul_(mask)
"""
# As chapter 3 does, which is not enough for every optimizer.
GRADIENT = """\
        for name, mask in masks.items():
            net.get_parameter(name).grad *= mask
        optimizer.step()
"""
SMALL = """\
        for name in masks:
            weight = net.get_parameter(name)
            weight.grad[weight < 1e-6] = 0
        optimizer.step()
"""
TRAIN = [
    Slip(MASKED, GRADIENT, "steps of Restless, 8017 pruned weights are not 0"),
    Slip(MASKED, SMALL, "no living weight held still"),
    Slip("optimizer.zero_grad()", "pass", "cleared gradients"),
    Slip("start=1", "start=0", "at the iterations [0, 2, 4]: expected [2, 4]"),
    Slip("get_parameter(name).mul_(mask)", "parameters()", "weights are not 0"),
]

LOSS = 'row["validation loss"]'
STOP = [
    Slip("validation loss", "test loss", "row of the best test loss"),
    Slip(LOSS, '-row["test accuracy"]', "row of the best test accuracy"),
    Slip(LOSS, '-row["validation accuracy"]', "of the best validation accuracy"),
    Slip("min(curve", "min(curve[::-1]", "the first of equal ones"),
    Slip(
        f"min(curve, key=lambda row: {LOSS})",
        f"min({LOSS} for row in curve)",
        "expected one of the curve's rows",
    ),
]

NEW_MASK = "mask.flatten().index_fill(0, gone, 0).view_as(mask)"
IN_PLACE = "mask.view(-1).index_fill_(0, gone, 0).view_as(mask)"
SHARE = "round(rate * len(alive))"
ALIVE = "alive = mask.flatten().nonzero().squeeze(1)"
PRUNE = [
    Slip(SHARE, "round(rate * mask.numel())", "a share of the living", "survivors"),
    Slip(
        ALIVE,
        "alive = torch.arange(mask.numel())",
        "no pruned one counted again",
        "survivors",
    ),
    Slip("name == last", "name is None", "since it is output", "rates"),
    Slip("name == last", "'1.' in name", "since it is hidden", "rates"),
    Slip(".abs()", "", "whatever their sign", "survivors"),
    Slip(NEW_MASK, IN_PLACE, "changes the masks that it is given", "survivors"),
    Slip(SHARE, "int(rate * len(alive))", "expected exactly", "survivors"),
]

COPIED = "            values.copy_(memory[name])\n"
ALIAS = "            values.data = memory[name]\n"
WEIGHTS_ALONE = f"            if name in masks:\n    {COPIED}"
REWIND = [
    Slip(COPIED, "", "is not at its first values"),
    Slip(COPIED, ALIAS, "Is the memory unharmed?"),
    Slip(COPIED, WEIGHTS_ALONE, "survivors and biases as they were"),
    Slip("values.mul_(masks[name])", "pass", "Pruned weights of 0.weight are not 0"),
    Slip(".detach().clone()", ".data", "expected copies (clone)", "", "memory"),
    Slip(
        "net.named_parameters()}",
        "net.named_parameters() if v.ndim > 1}",
        "expected one for each of",
        "",
        "memory",
    ),
]

PRACTISED = "        curve = practise(net, masks, seed, round)\n"
APPENDED = "        found.append((masks, curve))\n"
PRUNED = "        masks = prune(net, masks, rates)\n"
REWOUND = "        rewind(net, memory, masks)\n"
LOOP = [
    Slip(REWOUND, "", "Where is the rewinding?"),
    Slip(PRUNED + REWOUND, REWOUND + PRUNED, "Prune before you rewind"),
    Slip(
        PRACTISED,
        f"{PRACTISED}        memory = remember(net)\n",
        "Round 1 starts from the values that round 0 trained",
    ),
    Slip(APPENDED + PRUNED, PRUNED + APPENDED, "Pair 0 has other masks than those"),
    Slip("rounds + 1", "rounds", "(7, 3)]: expected [(7, 0)"),
    Slip("net, masks, rates", "net, found[0][0], rates", "Round 2 does not train"),
    Slip("return found", "return found[1:]", "find returns 4 pairs: expected 5"),
]

DRAWN = "initialise(net, seed + 1000)"
UNIFORM = """\
torch.manual_seed(seed + 1000)
    for values in net.parameters():
        torch.nn.init.zeros_(values)
        if values.ndim > 1:
            torch.nn.init.xavier_uniform_(values)"""
REINIT = [
    Slip(" + 1000", "", "the first values of seed 0"),
    Slip("seed + 1000", "seed + 1", "the first values of seed 1"),
    Slip("mul_(mask)", "mul_(mask.flip(0))", "the same masks in both"),
    Slip("mul_(mask)", "abs()", "the same masks in both"),
    Slip(DRAWN, UNIFORM, "as of a Gaussian"),
    Slip("seed + 1000", "1000", "the seeds 0 and 1 the same values"),
    Slip("seed + 1000", "torch.seed()", "the seed alone to decide them"),
    Slip("mul_(mask)", "mul_(2 * mask)", "have the standard deviation"),
]

PAIRS = "[100 * (ticket[seed] - reinit[seed]) for seed in seeds]"
PLACES = "[100 * (a - b) for a, b in zip(ticket.values(), reinit.values())]"
UNPAIRED = (
    "sum(1e4 * torch.tensor([d[s] for s in seeds]).double().var()"
    " for d in (ticket, reinit)).sqrt().item()"
)
COMPARE = [
    Slip("gaps.std().item()", UNPAIRED, "as of two separate groups"),
    Slip(PAIRS, PLACES, "The same seed in both?"),
    Slip("[100 *", "[1 *", "fractions, not points"),
    Slip("std()", "std(correction=0)", "n - 1?"),
    Slip("T[n]", "1.96", "expected 2.484 points to either side"),
    Slip("[seed] - reinit", "[seed] * -1 + reinit", "reinit minus ticket"),
]

READ = [
    Slip("_, low, high =", "low, high, _ =", "expected 'cannot tell'"),
    Slip("low > 0", "high > 0", "expected 'cannot tell'"),
    Slip('return "reinit"', 'return "ticket"', "expected 'reinit'"),
]

SLIPS = {
    "train": TRAIN,
    "stop": STOP,
    "prune": PRUNE,
    "rewind": REWIND,
    "loop": LOOP,
    "reinit": REINIT,
    "compare": COMPARE,
    "read": READ,
}
SUBMISSIONS = [
    {task: slip for task, slip in zip(SLIPS, slips, strict=True) if slip}
    for slips in zip_longest(*SLIPS.values())
]
ANSWERS = {"loop": "your-find"}


@pytest.mark.parametrize("slips", SUBMISSIONS)
def test_each_slip_loses_its_own_points_and_is_named(grade, slips):
    answers, told = {}, {}
    for task, slip in slips.items():
        answer = ANSWERS.get(task, f"your-{slip.answer or task}")
        answers[answer] = edited(NAME, answer, slip.old, slip.new)
        told[slip.question or task] = slip.told
    found = grade(NAME, answers)
    most = assignment(NAME).questions
    assert lost(NAME, found) == {question: most[question] for question in told}
    for question, text in told.items():
        assert text in found.messages[question]
