"""What a CUDA graph would replay: its step must read all that changes from tensors.

A graph keeps addresses and numbers: a step that is replayed uses each tensor's
values of today, and each of Python's numbers of the day when it was recorded. A
`Tape` does so without a GPU.
"""

import pytest
import torch
from every_engine import apart, orders, thinned
from helpers import few
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

import lth_utils as lth
from lth_utils import Recipe
from lth_utils.training.gpu import graphs, streams
from lth_utils.training.gpu.replicas import WAYS, together

DIGITS = few(lth.load("mnist-small"), 130, 20)
COLOURS = few(lth.load("colour-digits"), 70, 20)
KEYS = [(0, 0), (1, 2)]
PLAN = {"warmup": 3, "milestones": (5,), "flip": True, "crop": 2}
ADAM = Recipe(2e-3, 7, batch_size=16, **PLAN)
SGD = Recipe(0.05, 7, "sgd", 16, momentum=0.9, weight_decay=1e-2, **PLAN)


class Tape(TorchDispatchMode):
    """Records each operation; replays it on the same tensors, with the same numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple] = []

    def __torch_dispatch__(self, call, types, words=(), named=None):
        words, named = tree_map(
            lambda each: each, (words, named or {})
        )  # its own lists
        made = call(*words, **named)
        self.done.append((call, words, named, made))
        return made

    def replay(self) -> None:
        with torch.no_grad():
            for call, words, named, made in self.done:
                again = call(*words, **named)
                pairs = zip(tree_flatten(made)[0], tree_flatten(again)[0], strict=True)
                for place, value in pairs:
                    if isinstance(place, torch.Tensor) and place is not value:
                        place.detach().copy_(value.detach())


class Lane:
    """Stands for a stream."""

    def wait_stream(self, other: "Lane") -> None:
        pass


def taped(monkeypatch) -> None:
    """Let recordings be tapes."""
    lane = Lane()

    def record(step, state, stream):
        state = [tensor.detach() for tensor in state]
        before = [tensor.clone() for tensor in state]
        step()  # the warm-up
        with torch.enable_grad(), (tape := Tape()):
            step()
        for tensor, value in zip(state, before, strict=True):
            tensor.copy_(value)
        return tape

    for module in (graphs, streams):
        monkeypatch.setattr(module, "side_stream", lambda *_: lane)
        monkeypatch.setattr(module, "record", record)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda *_: lane)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: torch.enable_grad())


def descents(replicas) -> list:
    engines = getattr(replicas, "engines", None)
    return [replicas.descent] if engines is None else [e.descent for e in engines]


def prepared(word: str, recipe: Recipe, way: str):
    """Return two networks and what trains them as on a GPU: the rate is a tensor."""
    makers = {
        "lenet": lambda seed: lth.LeNet(seed, (20, 12)),
        "conv2": lambda seed: lth.Conv2(seed, (4, 6), (12, 8)),
        "resnet20": lambda seed: lth.ResNet20(seed, width=2),
    }
    whole = DIGITS if word == "lenet" else COLOURS
    data = whole.augmented(recipe.flip, recipe.crop)
    nets = [thinned(makers[word](seed).double(), 0.4, seed) for seed in (0, 1)]
    replicas = together(nets, data, recipe, KEYS, way)
    return nets, replicas, torch.stack([orders(recipe, data, key) for key in KEYS], 1)


def moved(word: str, recipe: Recipe, way: str, on_tensor: bool, monkeypatch=None):
    nets, replicas, order = prepared(word, recipe, way)
    for descent in descents(replicas):
        if on_tensor:  # of float64, as it is not on a GPU, so that all is comparable
            descent.rate = torch.zeros((), dtype=torch.float64)
    if monkeypatch is not None:
        taped(monkeypatch)
        replicas._record()
    for index in order:
        replicas.step(index)
    replicas.write()
    return nets


DROPS = Recipe(2e-3, 7, batch_size=16, dropout=0.5, **PLAN)
CASES = [
    ("lenet", ADAM, WAYS[0]),
    ("lenet", SGD, WAYS[0]),
    *(("conv2", recipe, way) for recipe in (ADAM, SGD) for way in WAYS),
    *(("resnet20", SGD, way) for way in WAYS),
    ("conv2", DROPS, "streams"),
    ("conv2", DROPS, "grouped"),  # with dropout it is streams
]
NAMES = [f"{word}-{r.optimizer}-{r.dropout}-{way}" for word, r, way in CASES]


@pytest.mark.parametrize(("word", "recipe", "way"), CASES, ids=NAMES)
def test_a_graph_reads_all_that_changes(word, recipe, way, monkeypatch):
    expected = moved(word, recipe, way, on_tensor=False)
    found = moved(word, recipe, way, True, monkeypatch)
    for net, other in zip(found, expected, strict=True):
        assert apart(net, other) <= 1e-12


def test_a_rate_of_pythons_own_would_be_the_recordings(monkeypatch):
    """What the tensor is for; and that a tape would find it out."""
    expected = moved("conv2", ADAM, "streams", on_tensor=False)
    found = moved("conv2", ADAM, "streams", False, monkeypatch)
    assert apart(found[0], expected[0]) > 1e-4


def test_units_drawn_once_would_be_the_recordings(monkeypatch):
    expected = moved("conv2", DROPS, "streams", on_tensor=False)
    monkeypatch.setattr("lth_utils.training.dropping.Drops.draw", lambda *_: None)
    found = moved("conv2", DROPS, "streams", True, monkeypatch)
    assert apart(found[0], expected[0]) > 1e-4
