"""Convolutional networks that train together are what each would be alone."""

from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
import torch
from helpers import Unasked
from torch import nn

import lth_utils as lth
from lth_utils.training import loop
from lth_utils.training.engines import Autograd
from lth_utils.training.gpu import graphs, streams
from lth_utils.training.gpu.replicas import WAYS, together
from lth_utils.training.recipes import Recipe

ADAM = Recipe(iterations=5, batch_size=16, evaluate_every=5)
SGD = Recipe(0.05, 5, "sgd", 16, 5, momentum=0.9, weight_decay=1e-3)
KEYS = [(0, 0), (0, 3), (1, 2)]
CONV = {"Conv2": (8, 8), "Conv4": (8, 8, 8, 8), "Conv6": (8, 8, 8, 8, 16, 16)}
WIDTHS = {"ResNet20": (), "VGG19": (1,)}
SIDES = {"ResNet20": 8, "VGG19": 16}  # of images that they take, too


def images(side: int = 32) -> lth.Dataset:
    """Return the corners of some colour digits."""
    whole = lth.load("colour-digits")
    return lth.dataset(
        "corners",
        *(
            lth.Split(split.images[:count, :, :side, :side], split.labels[:count])
            for split, count in zip(
                (whole.train, whole.validation, whole.test), (64, 16, 16), strict=True
            )
        ),
    )


DATA = {word: images(SIDES.get(word, 32)) for word in (*CONV, *SIDES)}


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setattr(lth.VGG19, "STAGES", ((4, 2), (4, 2), (8, 4), (8, 4), (8, 4)))


def three(word: str) -> list[nn.Module]:
    """Return a dense network without masks, and two that are pruned and warm."""
    kind = getattr(lth, word)
    sizes = (CONV[word], (16, 16)) if word in CONV else WIDTHS[word]
    nets = [kind(seed, *sizes).double() for seed in (0, 0, 1)]
    for number, density in ((1, 0.5), (2, 0.1)):
        nets[number] = net = lth.masked(nets[number])
        whole = lth.Masks.ones(net)
        counts = {(n,): round(density * m.numel()) for n, m in whole.items()}
        masks = lth.keep(lth.random_scores(whole, number), whole, counts)
        lth.apply_masks(net, masks)
        for part in net.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean += number
                part.num_batches_tracked += number
    return nets


def apart(net: nn.Module, other: nn.Module) -> float:
    """Return the largest difference of any parameter or statistic."""
    theirs = lth.snapshot(other)
    return max((t - theirs[n]).abs().max().item() for n, t in lth.snapshot(net).items())


CASES = [*((word, ADAM) for word in DATA), ("Conv2", SGD), ("ResNet20", SGD)]
NAMES = [f"{word}-{recipe.optimizer}" for word, recipe in CASES]


@pytest.mark.parametrize(("word", "recipe"), CASES, ids=NAMES)
def test_every_way_trains_each_network_as_if_alone(word, recipe):
    data, alone = DATA[word], three(word)
    expected = [
        lth.train(net, data, recipe, *key, device="cpu")
        for net, key in zip(alone, KEYS, strict=True)
    ]
    for way in WAYS:
        nets = three(word)
        found = lth.train_together(nets, data, recipe, KEYS, "cpu", way=way)
        for net, reference in zip(nets, alone, strict=True):
            assert apart(net, reference) <= 1e-10, way
        for net in nets[1:]:
            for name, mask in lth.masks_of(net).items():
                assert not net.get_parameter(name)[~mask].any()
        for ours, theirs in zip(found, expected, strict=True):
            for point, other in zip(ours.curve, theirs.curve, strict=True):
                assert point[:2] == other[:2]
                assert point[2:] == pytest.approx(other[2:], abs=1e-9)


def test_beside_each_other_they_are_to_the_bit_what_each_is_alone(monkeypatch):
    monkeypatch.setattr(loop, "engine_for", Autograd)  # a GPU's only one for them
    nets, alone = three("ResNet20"), three("ResNet20")
    lth.train_together(nets, DATA["ResNet20"], ADAM, KEYS, "cpu")  # by the default
    for net, other, key in zip(nets, alone, KEYS, strict=True):
        lth.train(other, DATA["ResNet20"], ADAM, *key, device="cpu")
        assert apart(net, other) == 0


@pytest.mark.parametrize("way", WAYS)
def test_what_is_measured_later_is_the_same_to_the_bit(way):
    """At a rate as high as this, each network has an early stop of its own."""
    recipe = Recipe(0.05, 6, batch_size=16, evaluate_every=1)
    found = [
        lth.train_together(
            three("VGG19"), DATA["VGG19"], recipe, KEYS, "cpu", curves, way
        )
        for curves in (True, False)
    ]
    assert len({training.early_stop for training in found[0]}) > 1
    assert [each.curve for each in found[1]] == [each.ends() for each in found[0]]


@pytest.mark.parametrize("way", WAYS)
def test_modes_are_what_they_were(way):
    nets = [net.eval() for net in three("ResNet20")]
    lth.train_together(nets, DATA["ResNet20"], ADAM, KEYS, "cpu", way=way)
    assert not any(part.training for net in nets for part in net.modules())
    assert nets[1].norm1.num_batches_tracked == 1 + ADAM.iterations


# --- who can train together -----------------------------------------------------


def hooked(net: nn.Module) -> None:
    net.conv1.register_forward_hook(lambda *_: None)


def heard(net: nn.Module) -> None:
    net.conv1.weight.register_hook(lambda _: None)


def frozen(net: nn.Module) -> None:
    net.norm1.eval()


def half_frozen(net: nn.Module) -> None:
    net.conv1.weight.requires_grad_(False)


def exchanged(net: nn.Module) -> None:
    net.output = nn.Sequential(nn.Linear(64, 10), nn.Softmax(1)).double()


def forgetful(net: nn.Module) -> None:
    net.norm1.momentum = None


def mirrored(net: nn.Module) -> None:
    net.conv1.padding_mode = "reflect"


def changed(net: nn.Module) -> None:
    net.forward = lambda x: x.mean((2, 3))


def given_one_more(net: nn.Module) -> None:
    net.temperature = nn.Parameter(torch.ones(1, dtype=torch.float64))


CHANGES = [hooked, heard, frozen, half_frozen, exchanged, forgetful, mirrored, changed]
CHANGES += [given_one_more]


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_not_as_it_was_made_is_refused(change):
    nets = three("ResNet20")
    for net in nets:
        change(net)
    before = [lth.snapshot(net) for net in nets]
    with pytest.raises(lth.LotteryError, match="ResNet20 cannot be stacked: expected"):
        lth.train_together(nets, DATA["ResNet20"], ADAM, KEYS, "cpu")
    for net, values in zip(nets, before, strict=True):
        assert all(torch.equal(t, values[n]) for n, t in lth.snapshot(net).items())


def test_other_networks_and_ways_are_refused():
    own = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 10))
    data = DATA["Conv2"]
    with pytest.raises(lth.LotteryError, match="Sequential cannot be stacked"):
        lth.train_together([own], data, ADAM, KEYS[:1], "cpu")
    for other in (lth.Conv2(0, (8, 9), (16, 16)), lth.Conv4(), lth.LeNet()):
        with pytest.raises(lth.LotteryError, match="different widths or types"):
            lth.train_together([three("Conv2")[0], other], data, ADAM, KEYS[:2], "cpu")
    with pytest.raises(lth.LotteryError, match="cannot take the images"):
        lth.train_together(three("Conv2"), DATA["ResNet20"], ADAM, KEYS, "cpu")
    with pytest.raises(lth.LotteryError, match="way to train together 'abreast'"):
        lth.train_together(three("Conv2"), data, ADAM, KEYS, "cpu", way="abreast")


def test_norms_of_several_momenta_are_refused():
    nets = three("ResNet20")
    nets[1].norm1.momentum = 0.2
    with pytest.raises(lth.LotteryError, match="different widths or types"):
        lth.train_together(nets, DATA["ResNet20"], ADAM, KEYS, "cpu")


# --- on CUDA, as far as it can be seen without ------------------------------------


def batches(step: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(step)
    return torch.randint(64, (3, 16), generator=generator)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("word", "recipe"), [("Conv2", ADAM), ("ResNet20", SGD)])
def test_a_warm_step_asks_nothing_of_the_cpu(word, recipe, way):
    replicas = together(three(word), DATA[word], recipe, KEYS, way)
    replicas.step(batches(0))  # what the warm-up is for
    with Unasked():
        replicas.step(batches(1))


RECORD = graphs.record  # before a Card stands for it


class Lane:
    """Stands for a stream."""

    device = "card"

    def __init__(self, name: str, diary: list[tuple[str, str]]) -> None:
        self.name, self.diary = name, diary

    def wait_stream(self, other: "Lane") -> None:
        self.diary.append((self.name, f"waits for {other.name}"))


class Card:
    """Stands for torch.cuda: a graph is its step; a diary says what was done where."""

    def __init__(self, monkeypatch) -> None:
        self.diary: list[tuple[str, str]] = []
        self.now = Lane("main", self.diary)
        self.lanes: dict[int, Lane] = {}
        fakes = {
            "current_stream": lambda *_: self.now,
            "CUDAGraph": SimpleNamespace,
            "device": lambda _: nullcontext(),
            "stream": self.on,
            "graph": lambda _, stream: self.on(stream),
        }
        for name, fake in fakes.items():
            monkeypatch.setattr(torch.cuda, name, fake)
        for module in (graphs, streams):
            monkeypatch.setattr(module, "side_stream", self.side_stream)
            monkeypatch.setattr(module, "record", self.record)

    def side_stream(self, _: torch.device, lane: int = 0) -> Lane:
        return self.lanes.setdefault(lane, Lane(f"lane {lane}", self.diary))

    @contextmanager
    def on(self, stream: Lane):
        before, self.now = self.now, stream
        yield
        self.now = before

    def record(self, step, state, stream) -> SimpleNamespace:
        """Record in earnest, so that the way there is seen."""
        number = sum(what == "recorded" for _, what in self.diary)

        def replay() -> None:
            self.diary.append((self.now.name, f"replays {number}"))
            step()

        graph = RECORD(step, state, stream)
        graph.replay = replay
        self.diary.append((stream.name, "recorded"))
        return graph


def after_steps(replicas, count: int = 4) -> None:
    for step in range(count):
        replicas.step(batches(step))
    replicas.write()


@pytest.mark.parametrize("way", WAYS)
def test_a_recording_leaves_every_value_as_it_was(way, monkeypatch):
    nets, others = three("ResNet20"), three("ResNet20")
    recorded = together(nets, DATA["ResNet20"], ADAM, KEYS, way)
    plain = together(others, DATA["ResNet20"], ADAM, KEYS, way)
    card = Card(monkeypatch)
    recorded._record()
    card.diary.clear()
    after_steps(recorded)
    assert any("replays" in what for _, what in card.diary)
    after_steps(plain)
    assert [apart(*pair) for pair in zip(nets, others, strict=True)] == [0, 0, 0]


def test_each_graph_is_replayed_on_its_own_lane_between_two_meetings(monkeypatch):
    monkeypatch.setattr(streams, "_LANES", 2)
    beside = together(three("Conv2"), DATA["Conv2"], ADAM, KEYS, "streams")
    card = Card(monkeypatch)
    beside._record()
    told = [each for each in card.diary if each[1] == "recorded"]
    assert [lane for lane, _ in told] == ["lane 0", "lane 1", "lane 0"]
    card.diary.clear()
    beside.step(batches(0))
    assert card.diary == [
        ("lane 0", "waits for main"),  # which brings the batches
        ("lane 1", "waits for main"),
        ("lane 0", "replays 0"),
        ("lane 1", "replays 1"),
        ("lane 0", "replays 2"),
        ("main", "waits for lane 0"),
        ("main", "waits for lane 1"),
    ]
