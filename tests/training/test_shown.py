"""Training without curves: fewer measurements, and the same bits."""

from dataclasses import replace

import pytest
import torch
from helpers import few

import lth_utils as lth
from lth_utils import LotteryError, Recipe
from lth_utils.training import choice
from lth_utils.training.engines import Autograd
from lth_utils.training.lenet import sparse
from lth_utils.training.lenet.mlp import MLP
from lth_utils.training.lenet.pixels import Pixels
from lth_utils.training.lenet.sparse import Sparse

# So high, on so few images, that the validation loss is least early on.
HOT = Recipe(lr=0.02, iterations=50, evaluate_every=10)
HOT_SGD = replace(HOT, optimizer="sgd", lr=0.1, momentum=0.9)


@pytest.fixture(scope="module")
def digits():
    return few(lth.load("mnist-small"), train=120)


def lenet(fraction=0.0, seed=0):
    """A masked LeNet, pruned."""
    net = lth.masked(lth.LeNet(seed))
    if fraction:
        lth.apply_masks(net, lth.prune(net, fraction))
    return net


def normed():
    """A network with BatchNorm, whose statistics move as it trains."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, stride=3),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(324, 10),
    )


def made(build):
    """Return the network that a function makes, the same each time."""
    torch.manual_seed(5)
    return build()


NETS = {
    "pixels": (lth.LeNet, Pixels),
    "masked pixels": (lambda: lenet(0.2), Pixels),
    "mlp": (lth.LeNet, MLP),
    "masked mlp": (lambda: lenet(0.1), MLP),
    "sparse": (lambda: lenet(0.9), Sparse),
    "batchnorm": (normed, Autograd),
    "masked batchnorm": (lambda: lth.masked(normed()), Autograd),
    "dropout": (
        lambda: torch.nn.Sequential(lth.LeNet(), torch.nn.Dropout(0.1)),
        Autograd,
    ),
}


def both(build, data, recipe, **options):
    """Train two equal networks, with and without curves."""
    found = []
    for curves in (True, False):
        net = made(build)
        training = lth.train(net, data, recipe, 3, 1, "cpu", curves=curves, **options)
        found.append((net, training))
    return found


def same(one, other):
    """Whether two networks hold the same bits, in the same modes."""
    state = other.state_dict()
    return all(torch.equal(state[n], t) for n, t in one.state_dict().items()) and [
        part.training for part in one.modules()
    ] == [part.training for part in other.modules()]


@pytest.mark.parametrize("recipe", [HOT, HOT_SGD], ids=["adam", "sgd"])
@pytest.mark.parametrize("name", NETS)
def test_what_is_measured_later_is_the_same_to_the_bit(
    digits, monkeypatch, name, recipe
):
    build, engine = NETS[name]
    if engine in (Sparse, Pixels) and not sparse.numba_version():
        pytest.skip("Without Numba nothing is compiled.")
    monkeypatch.setattr(choice, "SHARE", 0 if engine is MLP else 1)
    assert type(choice.engine_for(made(build), recipe, digits)) is engine
    (net, whole), (other, lean) = both(build, digits, recipe)
    assert lean.early_stop == whole.early_stop < whole.last == lean.last
    assert lean.curve == whole.ends()
    assert len(lean.curve) == 5 + 2 * 2
    assert whole.whole
    assert not lean.whole
    assert same(net, other)


def test_replicas_have_early_stops_of_their_own(digits):
    keys = [(0, 0), (1, 1), (2, 2)]
    fractions = (0.0, 0.5, 0.9)
    found = []
    for curves in (True, False):
        nets = [lenet(f, seed) for seed, f in enumerate(fractions)]
        trainings = lth.train_together(nets, digits, HOT, keys, "cpu", curves=curves)
        found.append((nets, trainings))
    (nets, whole), (others, lean) = found
    assert len({training.early_stop for training in whole}) > 1
    assert [t.curve for t in lean] == [t.ends() for t in whole]
    assert all(map(same, nets, others))


@pytest.mark.parametrize(
    ("recipe", "stop"),
    [
        (replace(HOT_SGD, lr=1e-30), 10),  # nothing moves: the first of all alike
        (replace(HOT_SGD, lr=1e-5), 50),  # it only gets better: nothing is left to do
    ],
)
def test_the_first_of_the_least_or_the_last(digits, recipe, stop):
    (net, whole), (other, lean) = both(lth.LeNet, digits, recipe)
    assert whole.early_stop == stop
    assert lean.curve == whole.ends()
    assert same(net, other)
    nets = [lth.LeNet()]
    (stacked,) = lth.train_together(nets, digits, recipe, [(3, 1)], "cpu", curves=False)
    assert [(p.iteration, p.split) for p in stacked.curve] == [
        (p.iteration, p.split) for p in lean.curve
    ]


def test_the_weights_that_were_asked_for_are_kept_without_curves_too(digits):
    (_, whole), (_, lean) = both(normed, digits, HOT, keep_at=25)
    assert all(torch.equal(lean.kept[n], tensor) for n, tensor in whole.kept.items())
    assert lean.curve == whole.ends()


@pytest.mark.parametrize("keep_at", [5, 10])
def test_what_is_kept_moves_no_number(keep_at):
    """Convolutions are laid out for speed: to keep the weights must not end that."""
    colours = few(lth.load("colour-digits"), train=120)
    recipe = replace(HOT, iterations=10, evaluate_every=5)
    (_, whole), (_, lean) = both(lth.ResNet20, colours, recipe, keep_at=keep_at)
    assert lean.curve == whole.ends()
    (_, without), _ = both(lth.ResNet20, colours, recipe)
    assert whole.curve == without.curve
    assert all(torch.equal(lean.kept[n], tensor) for n, tensor in whole.kept.items())


def test_only_what_is_needed_is_measured(digits, monkeypatch):
    seen, measure = [], MLP.measure

    def counted(engine, sample):
        seen.append(sample.labels.data_ptr())
        return measure(engine, sample)

    monkeypatch.setattr(MLP, "measure", counted)
    monkeypatch.setattr(choice, "SHARE", 0)
    training = lth.train(lth.LeNet(), digits, HOT, device="cpu", curves=False)
    assert len(seen) == len(training.curve) == 9
    assert seen.count(digits.validation.labels.data_ptr()) == 5


def test_a_point_that_was_not_measured(digits):
    training = lth.train(lth.LeNet(), digits, HOT, device="cpu", curves=False)
    assert training.at(10, "validation").split == "validation"
    (gone, *_) = {10, 20, 30, 40} - {training.early_stop}
    with pytest.raises(LotteryError, match=r"test split was .*Train with curves=True"):
        training.at(gone)
    with pytest.raises(LotteryError, match="Nothing was evaluated at iteration 15"):
        training.at(15)


def test_divergence_is_a_sentence_without_curves_too(digits):
    recipe = replace(HOT_SGD, lr=1e8)
    with pytest.raises(LotteryError, match="diverged: the loss at iteration 10 is no"):
        lth.train(lth.LeNet(), digits, recipe, device="cpu", curves=False)
