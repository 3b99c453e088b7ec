"""One training run: order, evaluations, early stop, and what stops it."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from helpers import few_digits

import lth_utils as lth
from lth_utils import LotteryError, Point, Recipe, Training
from lth_utils.training.order import batches

SHORT = Recipe(iterations=30, evaluate_every=10)


@pytest.fixture(scope="module")
def digits():
    return few_digits()


def test_evaluations_at_every_nth_and_the_last_iteration(digits):
    training = lth.train(
        lth.LeNet(), digits, Recipe(iterations=25, evaluate_every=10), device="cpu"
    )
    assert [(p.iteration, p.split) for p in training.curve] == [
        (iteration, split)
        for iteration in (10, 20, 25)
        for split in ("train", "validation", "test")
    ]
    assert training.last == 25


def test_it_learns(digits):
    net = lth.masked(lth.LeNet())
    loss, accuracy = lth.evaluate(net, digits, "train")
    training = lth.train(net, digits, Recipe(iterations=100), device="cpu")
    assert accuracy < 0.3
    assert training.at(100, "train").accuracy > 0.9
    assert training.at(100, "train").loss < loss / 4


def test_evaluate_is_the_plain_mean(digits):
    net = lth.LeNet().double()
    loss, accuracy = lth.evaluate(net, digits, "test")
    outputs = net(digits.scale(digits.test.images, torch.float64))
    expected = torch.nn.functional.cross_entropy(outputs, digits.test.labels)
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    right = (outputs.argmax(1) == digits.test.labels).float().mean().item()
    assert accuracy == pytest.approx(right)


def test_evaluation_leaves_the_mode_and_batchnorm_alone(digits):
    net = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.BatchNorm1d(784), torch.nn.Linear(784, 10)
    ).train()
    before = lth.snapshot(net)
    lth.evaluate(net, digits, "validation")
    assert net.training
    assert all(torch.equal(before[n], t) for n, t in net.state_dict().items())


def test_the_train_split_is_sampled_the_same_way_each_time():
    data = lth.load("mnist-small")
    net = lth.LeNet()
    assert lth.evaluate(net, data, "train") == lth.evaluate(net, data, "train")
    accuracy = lth.evaluate(net, data, "train")[1]
    assert accuracy * 5000 == pytest.approx(round(accuracy * 5000))
    assert data.train.size == 12_000


def test_order_is_one_permutation_an_epoch_and_drops_the_short_batch():
    recipe = Recipe(iterations=7, batch_size=4)
    order = list(batches(14, recipe, seed=1, round=2))
    first, second = torch.cat(order[:3]), torch.cat(order[3:6])
    assert len(order) == 7
    assert len(first) == len(set(first.tolist())) == 12
    assert len(second) == len(set(second.tolist())) == 12
    assert not torch.equal(first, second)


def test_order_depends_on_seed_and_round_alone():
    def order(seed, round, lr=0.1):
        recipe = Recipe(iterations=5, batch_size=4, lr=lr)
        return torch.cat(list(batches(20, recipe, seed, round)))

    assert torch.equal(order(0, 1), order(0, 1, lr=0.2))
    assert not torch.equal(order(0, 1), order(0, 2))
    assert not torch.equal(order(0, 1), order(1, 1))


def test_a_shorter_training_is_the_beginning_of_a_longer_one(digits):
    nets = [lth.LeNet(), lth.LeNet()]
    long = lth.train(nets[0], digits, SHORT, device="cpu", keep_at=20)
    lth.train(nets[1], digits, Recipe(iterations=20), device="cpu")
    state = nets[1].state_dict()
    assert all(torch.equal(long.kept[name], state[name]) for name in state)


def test_training_repeats_itself(digits):
    runs = []
    for _ in range(2):
        net = lth.masked(lth.LeNet(seed=3))
        runs.append(lth.train(net, digits, SHORT, seed=3, device="cpu").curve)
    assert runs[0] == runs[1]


def test_masked_training_is_plain_training_of_the_survivors(digits):
    # Against a plain loop that multiplies weights by the mask, in float64.
    net = lth.masked(lth.LeNet()).double()
    masks = lth.prune(net, 0.7)
    lth.apply_masks(net, masks)
    plain = lth.LeNet().double()
    weights = dict(plain.named_parameters())
    stepper = torch.optim.Adam(plain.parameters(), lr=1.2e-3)
    for index in batches(300, SHORT, seed=5, round=2):
        with torch.no_grad():
            for name, mask in masks.items():
                weights[name] *= mask
        x = digits.scale(digits.train.images[index], torch.float64)
        stepper.zero_grad()
        torch.nn.functional.cross_entropy(
            plain(x), digits.train.labels[index]
        ).backward()
        for name, mask in masks.items():
            weights[name].grad *= mask
        stepper.step()
    lth.train(net, digits, SHORT, seed=5, round=2, device="cpu")
    for name, tensor in lth.snapshot(net).items():
        expected = plain.state_dict()[name]
        expected = expected * masks[name] if name in masks else expected
        assert torch.allclose(tensor, expected, rtol=0, atol=1e-10), name


def test_sgd_with_momentum_and_weight_decay(digits):
    recipe = Recipe(
        optimizer="sgd",
        lr=0.05,
        momentum=0.9,
        weight_decay=1e-3,
        iterations=60,
        evaluate_every=60,
    )
    net = lth.masked(lth.LeNet())
    lth.apply_masks(net, lth.prune(net, 0.8))
    training = lth.train(net, digits, recipe, device="cpu")
    assert training.at(60, "train").accuracy > 0.8
    for name, mask in lth.masks_of(net).items():
        assert torch.all(net.get_parameter(name)[~mask] == 0)


def test_early_stop_is_the_first_of_the_least_validation_losses():
    losses = {100: 0.5, 200: 0.3, 300: 0.3, 400: 0.4}
    training = Training(
        [Point(i, "validation", loss, 0.9) for i, loss in losses.items()]
        + [Point(400, "test", 0.1, 0.95)]
    )
    assert training.early_stop == 200
    assert training.at(400).accuracy == 0.95
    with pytest.raises(LotteryError, match="Nothing was evaluated at iteration 150"):
        training.at(150)


def test_divergence_is_a_sentence(digits):
    recipe = Recipe(optimizer="sgd", lr=1e8, iterations=20, evaluate_every=10)
    with pytest.raises(LotteryError, match=r"diverged.*Lower the learning rate"):
        lth.train(lth.LeNet(), digits, recipe, device="cpu")


def test_a_batch_larger_than_the_data(digits):
    recipe = Recipe(batch_size=301, iterations=1)
    with pytest.raises(LotteryError, match=r"301 is more than the 300 training"):
        lth.train(lth.LeNet(), digits, recipe, device="cpu")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"iterations": 0}, "iterations is 0: expected an integer of at least 1"),
        ({"batch_size": 2.5}, r"batch_size is 2\.5"),
        ({"evaluate_every": True}, "evaluate_every is True"),
        ({"lr": -1}, "learning rate above 0"),
        ({"lr": 1e300}, r"lr is 1e\+300: expected a learning rate"),  # none of float32
        ({"optimizer": "sgd", "weight_decay": 1e300}, r"weight_decay is 1e\+300"),
        ({"optimizer": "adm"}, "Did you mean 'adam'"),
        ({"momentum": 0.9}, "Adam a momentum"),
        *(
            ({"lr": lr}, f"lr is {lr!r}: expected a learning rate above 0")
            for lr in (0, float("nan"), float("inf"), True, "0.1", None)
        ),
        *(
            ({"optimizer": "sgd", "momentum": m}, f"momentum is {m}: .* below 1")
            for m in (1, -0.1, float("nan"))
        ),
        *(
            ({"optimizer": "sgd", "weight_decay": decay}, f"weight_decay is {decay}")
            for decay in (-1, float("inf"), float("nan"))
        ),
    ],
)
def test_mistaken_recipes(change, sentence):
    with pytest.raises(LotteryError, match=sentence):
        Recipe(**change)


def test_a_recipe_in_numpys_numbers_is_the_same_recipe():
    ours = Recipe(lr=0.5, iterations=3, optimizer="sgd", momentum=0.25)
    theirs = Recipe(np.float32(0.5), np.int64(3), "sgd", momentum=np.float64(0.25))
    assert json.dumps(asdict(ours)) == json.dumps(asdict(theirs))
    assert json.dumps(asdict(Recipe(lr=1))) == json.dumps(asdict(Recipe(lr=1.0)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        *(({"round": r}, "The round is .*: expected an") for r in (-1, 1.0, True)),
        *(({"keep_at": k}, "keep_at is .* from 0 to 30") for k in (-1, 31, 2.5, True)),
    ],
)
def test_a_round_or_an_iteration_that_is_none(digits, change, sentence):
    net = lth.LeNet()
    with pytest.raises(LotteryError, match=sentence):
        lth.train(net, digits, SHORT, **change)
    assert torch.equal(net.fc1.weight, lth.LeNet().fc1.weight)


def test_networks_that_train_together_have_a_key_each(digits):
    for nets, keys in (([], []), ([lth.LeNet()], []), ([lth.LeNet()], [(0, 0)] * 2)):
        with pytest.raises(LotteryError, match="expected at least one network, and a"):
            lth.train_together(nets, digits, SHORT, keys)
    with pytest.raises(LotteryError, match="The round is -1"):
        lth.train_together([lth.LeNet()], digits, SHORT, [(0, -1)])


@pytest.mark.parametrize("seed", [1.0, "0", -1, True, None])
def test_a_seed_that_is_no_integer(digits, seed):
    with pytest.raises(LotteryError, match="is no seed"):
        lth.train(lth.LeNet(), digits, SHORT, seed=seed)
