"""Augmentation: every view by hand, as pad, slice and flip, and where it is seen."""

from dataclasses import replace
from itertools import islice

import pytest
import torch
from every_engine import CONV, LENET, apart, by_torch, orders, stepped, thinned
from helpers import Unasked, few
from torch.nn import functional as F

import lth_utils as lth
from lth_utils import LotteryError, Recipe
from lth_utils.data import views
from lth_utils.training import loop
from lth_utils.training.choice import engine_for
from lth_utils.training.engines import Autograd
from lth_utils.training.gpu.stack import Stack
from lth_utils.training.lenet.mlp import MLP
from lth_utils.training.order import batches, epochs

DIGITS = few(lth.load("mnist-small"), 130, 60)
COLOURS = few(lth.load("colour-digits"), 70, 20)
KEYS = [(0, 0), (1, 2)]

# --- one picture ------------------------------------------------------------------

SMALL = [[1, 2, 3], [4, 5, 6]]
# Windows of 2 x 3 in the picture with a black border of one pixel, row by row.
SEEN = [
    [[0, 0, 0], [0, 1, 2]],
    [[0, 0, 0], [1, 2, 3]],
    [[0, 0, 0], [2, 3, 0]],
    [[0, 1, 2], [0, 4, 5]],
    [[1, 2, 3], [4, 5, 6]],
    [[2, 3, 0], [5, 6, 0]],
    [[0, 4, 5], [0, 0, 0]],
    [[4, 5, 6], [0, 0, 0]],
    [[5, 6, 0], [0, 0, 0]],
]
MIRRORED = [[row[::-1] for row in window] for window in SEEN]


def test_every_view_of_a_small_picture():
    assert views.count(flip=True, crop=1) == 18
    pictures = torch.tensor(SMALL, dtype=torch.uint8).expand(18, 2, 2, 3).clone()
    pictures[:, 1] *= 10  # another channel
    found = views.seen(pictures, torch.arange(18), 1)
    assert found.dtype == torch.uint8
    assert found[:, 0].tolist() == [*SEEN, *MIRRORED]
    assert torch.equal(found[:, 1], found[:, 0] * 10)


def test_a_picture_that_is_only_mirrored():
    picture = torch.tensor(SMALL, dtype=torch.uint8).expand(2, 1, 2, 3)
    found = views.seen(picture, torch.tensor([0, 1]), 0)
    assert found[:, 0].tolist() == [SMALL, [[3, 2, 1], [6, 5, 4]]]


def sliced(image: torch.Tensor, view: int, crop: int) -> torch.Tensor:
    """Return a view of one image (C, H, W) as padding, slicing and flipping make it."""
    mirrored, place = divmod(view, (2 * crop + 1) ** 2)
    down, across = divmod(place, 2 * crop + 1)
    height, width = image.shape[1:]
    wide = F.pad(image, (crop, crop, crop, crop))
    window = wide[:, down : down + height, across : across + width]
    return window.flip(2) if mirrored else window


@pytest.mark.parametrize("crop", [0, 1, 4])
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 5, 9), (2, 6, 5)])
def test_views_are_pad_slice_and_flip(shape, crop):
    draws = torch.Generator().manual_seed(crop)
    images = torch.randint(256, (40, *shape), generator=draws, dtype=torch.uint8)
    view = torch.randint(views.count(True, crop), (40,), generator=draws)
    found = views.seen(images, view, crop)
    assert found.is_contiguous()  # as every engine takes a batch
    for image, number, window in zip(images, view.tolist(), found, strict=True):
        assert torch.equal(window, sliced(image, number, crop))


@pytest.mark.parametrize(
    ("flip", "crop", "count"),
    [(False, 0, 1), (True, 0, 2), (False, 1, 9), (True, 1, 18), (True, 4, 162)],
)
def test_the_number_of_views(flip, crop, count):
    assert COLOURS.augmented(flip, crop).views == count
    assert COLOURS.augmented(flip, crop).augmented(False, 0).views == 1


# --- a batch ----------------------------------------------------------------------


@pytest.mark.parametrize("scaling", ["standardize", "unit", "l2"])
@pytest.mark.parametrize(("flip", "crop"), [(True, 4), (False, 2), (True, 0)])
def test_a_batch_is_its_views_scaled(flip, crop, scaling):
    data = replace(COLOURS, scaling=scaling).augmented(flip, crop)
    index = orders(Recipe(iterations=2, batch_size=32), data, (0, 0))[1]
    x, y = data.batch(index, torch.float64)
    number, view = index % 70, index // 70
    assert view.unique().numel() > 1
    assert torch.equal(y, data.train.labels[number])
    expected = [
        sliced(data.train.images[image], each, crop)
        for image, each in zip(number.tolist(), view.tolist(), strict=True)
    ]
    assert torch.equal(x, data.scale(torch.stack(expected), torch.float64))


def test_the_views_number_0_is_not_the_picture_itself_unless_there_is_one():
    whole = COLOURS.batch(torch.arange(70), torch.float32)[0]
    middle = COLOURS.augmented(False, 4)
    x = middle.batch(torch.arange(70) + 70 * 40, torch.float32)[0]
    assert torch.equal(x, whole)  # the 41st of 81 windows lies in the middle
    assert not torch.equal(middle.batch(torch.arange(70), torch.float32)[0], whole)


def test_black_is_what_is_laid_around():
    data = COLOURS.augmented(False, 31)
    x = data.batch(torch.tensor([0]), torch.float64)[0]
    black = data.scale(torch.zeros(1, 3, 1, 1, dtype=torch.uint8), torch.float64)
    assert torch.equal(x[:, :, :31], black.expand(1, 3, 31, 32))


def test_an_augmented_data_set_stays_so_wherever_it_goes():
    data = COLOURS.augmented(True, 4)
    assert data.to("cpu").views == 162
    assert data.digest == COLOURS.digest
    assert COLOURS.views == 1  # it is another


# --- which view, when -------------------------------------------------------------


def first_epochs(seed: int, round: int, count: int = 3) -> torch.Tensor:
    return torch.stack(list(islice(epochs(1000, seed, round, 162), count)))


def test_views_depend_on_seed_round_and_epoch_alone():
    found = first_epochs(1, 2)
    assert torch.equal(found, first_epochs(1, 2))
    plain = torch.stack(list(islice(epochs(1000, 1, 2), 3)))
    assert torch.equal(found % 1000, plain)  # the order is what it was
    view = found // 1000
    others = [first_epochs(1, 3) // 1000, first_epochs(2, 2) // 1000]
    for other in (*others, view.roll(1, 0)):
        assert (view != other).double().mean() > 0.95
    assert torch.equal(first_epochs(1, 2, 1)[0], found[0])


def test_each_view_is_as_frequent_as_another():
    view = first_epochs(0, 0, 100).flatten() // 1000
    counts = view.bincount(minlength=162)
    assert len(counts) == 162
    expected = 100_000 / 162
    assert ((counts - expected).abs() < 5 * expected**0.5).all()


def test_nothing_around_changes_the_views():
    expected, state = first_epochs(1, 2), torch.get_rng_state()
    torch.manual_seed(7)
    assert torch.equal(first_epochs(1, 2), expected)
    torch.set_rng_state(state)
    first_epochs(1, 2)
    assert torch.equal(torch.get_rng_state(), state)


# --- trainings --------------------------------------------------------------------

ADAM = Recipe(2e-3, 8, batch_size=32, evaluate_every=4, flip=True, crop=4)
SGD = Recipe(
    0.05, 8, "sgd", 32, 4, momentum=0.9, weight_decay=1e-2, warmup=2, flip=True, crop=2
)
RECIPES = pytest.mark.parametrize("recipe", [ADAM, SGD], ids=["adam", "sgd"])


def two(word: str, density: float) -> list[torch.nn.Module]:
    nets = {
        "lenet": lambda seed: lth.LeNet(seed, (20, 12)),
        "lenet-3": lambda seed: lth.LeNet(seed, (20, 12), inputs=3 * 32 * 32),
        "conv2": lambda seed: lth.Conv2(seed, (4, 6), (12, 8)),
    }
    return [thinned(nets[word](seed).double(), density, seed) for seed in (0, 1)]


WAYS = [
    *((word, way) for word in ("lenet", "lenet-3") for way in LENET),
    *(("conv2", way) for way in CONV),
]
WAYS = [pair for pair in WAYS if pair[1] not in ("pixels", "sparse")]


@RECIPES
@pytest.mark.parametrize("density", [1.0, 0.1])
@pytest.mark.parametrize(("word", "way"), WAYS)
def test_every_engine_sees_the_same_views(word, way, density, recipe):
    whole = DIGITS if word == "lenet" else COLOURS
    data = whole.augmented(recipe.flip, recipe.crop)
    nets, starts = two(word, density), two(word, density)
    stepped(way, nets, recipe, data, KEYS)
    for net, start, key in zip(nets, starts, KEYS, strict=True):
        assert apart(net, by_torch(start, recipe, data, key)) <= 1e-11
        assert apart(net, by_torch(start, recipe, whole, key)) > 1e-4
        for name, mask in lth.masks_of(net).items():
            assert not net.get_parameter(name)[~mask].any()


@pytest.mark.parametrize("density", [1.0, 0.3, 0.01])
def test_a_lenet_of_many_views_takes_the_engine_that_lists_no_pixels(density):
    net = two("lenet", density)[0].float()
    for flip, crop in ((True, 0), (False, 1), (True, 4)):
        engine = engine_for(net, ADAM, DIGITS.augmented(flip, crop))
        assert isinstance(engine, MLP)
    assert not isinstance(engine_for(net, ADAM, DIGITS.augmented(False, 0)), MLP)


@pytest.mark.parametrize("word", ["lenet", "conv2"])
@pytest.mark.parametrize("density", [1.0, 0.1])
def test_train_augments_by_the_recipe_and_repeats_itself(word, density):
    whole = DIGITS if word == "lenet" else COLOURS
    net, again, other = (two(word, density)[0].float() for _ in range(3))
    curves = [lth.train(n, whole, ADAM, 1, 2, device="cpu").curve for n in (net, again)]
    lth.train(other, whole, ADAM, 1, 3, device="cpu")
    assert curves[0] == curves[1]
    assert apart(net, again) == 0
    assert apart(net, other) > 0
    start = two(word, density)[0]
    expected = by_torch(start, ADAM, whole.augmented(True, 4), (1, 2))
    lth.train(start, whole, ADAM, 1, 2, device="cpu")
    assert apart(start, expected) <= 1e-11


@pytest.mark.parametrize("word", ["lenet", "conv2"])
def test_together_as_alone(word):
    whole = DIGITS if word == "lenet" else COLOURS
    nets, alone = two(word, 0.3), two(word, 0.3)
    found = lth.train_together(nets, whole, ADAM, KEYS, "cpu")
    for net, other, key, training in zip(nets, alone, KEYS, found, strict=True):
        expected = lth.train(other, whole, ADAM, *key, device="cpu").curve
        assert apart(net, other) <= 1e-11
        for point, its in zip(training.curve, expected, strict=True):
            assert point[:2] == its[:2]
            assert point[2:] == pytest.approx(its[2:], abs=1e-9)


@pytest.mark.parametrize("curves", [True, False])
@pytest.mark.parametrize(
    ("word", "density"), [("lenet", 1), ("conv2", 1), ("conv2", 0.1)]
)
def test_what_is_evaluated_is_never_augmented(word, density, curves):
    whole = DIGITS if word == "lenet" else COLOURS
    net = two(word, density)[0]
    training = lth.train(net, whole, ADAM, curves=curves, device="cpu")
    for point in training.curve[-3:]:
        expected = lth.evaluate(net, whole, point.split)
        assert point[2:] == pytest.approx(expected, abs=1e-12)
        augmented = whole.augmented(True, 4)
        assert lth.evaluate(net, augmented, point.split) == expected


def test_a_data_set_is_augmented_as_its_recipe_says_whatever_it_was():
    nets = two("conv2", 1.0)
    net, other = nets[0], two("conv2", 1.0)[0]
    plain = replace(ADAM, flip=False, crop=0)
    lth.train(net, COLOURS, plain, device="cpu")
    lth.train(other, COLOURS.augmented(True, 4), plain, device="cpu")
    assert apart(net, other) == 0


def test_without_views_nothing_is_drawn_and_the_batch_is_as_it_was():
    recipe = Recipe(iterations=4, batch_size=32)
    plain = list(batches(70, recipe, 3, 1))
    assert torch.equal(
        orders(recipe, COLOURS.augmented(False, 0), (3, 1)), torch.stack(plain)
    )
    x, y = COLOURS.augmented(False, 0).batch(plain[0], torch.float32)
    assert torch.equal(x, COLOURS.scale(COLOURS.train.images[plain[0]]))
    assert torch.equal(y, COLOURS.train.labels[plain[0]])


# --- what is refused --------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "crop", "most"),
    [
        ((3, 32, 32), 32, 31),
        ((1, 28, 28), 100, 27),
        ((1, 1, 40), 1, 0),
        ((1, 6, 5), 5, 4),
    ],
)
def test_a_crop_that_could_miss_the_image(shape, crop, most, monkeypatch):
    pictures = torch.zeros(30, *shape, dtype=torch.uint8)
    pair = (pictures, torch.arange(30) % 3)
    data = lth.dataset("mine", pair, pair, pair)
    net = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(pictures[0].numel(), 3)
    )
    sentence = (
        f"crop is {crop}, but the images of 'mine' have {shape[1]} x {shape[2]} pixels:"
        f" expected an integer from 0 to {most}"
    )
    before = lth.snapshot(net)
    monkeypatch.setattr(loop, "engine_for", None)  # would fail
    recipe = Recipe(iterations=2, batch_size=5, crop=crop)
    for attempt in (
        lambda: data.augmented(False, crop),
        lambda: replace(data, crop=crop),
        lambda: lth.train(net, data, recipe, device="cpu"),
        lambda: lth.train_together([net], data, recipe, [(0, 0)], "cpu"),
    ):
        with pytest.raises(LotteryError, match=sentence):
            attempt()
    assert all(torch.equal(before[n], t) for n, t in lth.snapshot(net).items())
    if most:
        assert data.augmented(True, most).views == 2 * (2 * most + 1) ** 2


def test_signals_of_one_row_can_be_mirrored():
    data = lth.load("mnist-1d").augmented(True, 0)
    x = data.batch(torch.tensor([0, 0 + data.train.size]), torch.float64)[0]
    assert torch.equal(x[0], x[1].flip(2))


@pytest.mark.parametrize("crop", [-1, 1.0, True, "4", None])
def test_a_crop_that_is_no_width(crop):
    with pytest.raises(LotteryError, match=r"crop is .* integer of at least 0"):
        Recipe(crop=crop)
    with pytest.raises(LotteryError, match=r"crop is .* integer of at least 0"):
        COLOURS.augmented(False, crop)


@pytest.mark.parametrize("flip", [1, 0, "yes", None])
def test_a_flip_that_is_neither(flip):
    with pytest.raises(LotteryError, match=r"flip is .*: expected True or False"):
        Recipe(flip=flip)


# --- on CUDA, as far as it can be seen without ------------------------------------


@RECIPES
def test_a_warm_step_of_views_asks_nothing_of_the_cpu(recipe):
    data = COLOURS.augmented(True, 4)
    stack = Stack(two("lenet-3", 0.3), data, recipe)
    engine = Autograd(two("conv2", 0.3)[0], recipe, data, (0, 0))
    index = orders(recipe, data, (0, 0))[0]
    with engine.drops:
        for step in (stack._step, lambda: engine.step(index)):
            step()  # what the warm-up is for
            with Unasked():
                step()
