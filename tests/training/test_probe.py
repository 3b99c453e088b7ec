"""Before any step: does the network take the data, and can it be trained?"""

import warnings
from dataclasses import replace

import pytest
import torch
from helpers import few, few_digits
from torch import nn
from torch.nn import functional as F

import lth_utils as lth
from benchmarks.gpu_bench import tf32
from lth_utils import LotteryError, Recipe
from lth_utils.data.splits import Split
from lth_utils.training.lenet.mlp import linear_layers
from lth_utils.training.lenet.sparse import Sparse
from lth_utils.training.probe import check_match

R10 = Recipe(iterations=10, evaluate_every=10)
DIGITS = few_digits()
COLOURS = few(lth.load("colour-digits"), train=60, other=20)


def small_lenet(seed: int = 0) -> lth.LeNet:
    return lth.LeNet(seed, (12, 9))


def sparse_lenet() -> nn.Module:
    net = lth.masked(small_lenet())
    lth.apply_masks(net, lth.prune(net, 0.8))
    return net


def labelled(change, kinds=("train", "validation", "test")) -> lth.Dataset:
    """Return the digits with other labels in some splits."""
    splits = {k: getattr(DIGITS, k) for k in ("train", "validation", "test")}
    for kind in kinds:
        labels = change(splits[kind].labels.clone())
        splits[kind] = splits[kind]._replace(labels=labels)
    return lth.dataset("mine", **splits)


def every_way(net: nn.Module, data: lth.Dataset):
    """Yield each function that a network and a data set are given to."""
    yield lambda: lth.train(net, data, R10, device="cpu")
    yield lambda: lth.evaluate(net, data)
    yield lambda: lth.find_ticket(lambda _: net, data, R10, 0.5, rounds=2)


@pytest.mark.parametrize("on", [False, True])
def test_a_gpu_gives_the_same_bits_and_rounds_only_where_it_may(on):
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.allow_tf32

    class Asks(lth.LeNet):
        def forward(self, images):
            seen.append((cudnn.deterministic, cudnn.allow_tf32))
            return super().forward(images)

    seen: list[tuple[bool, bool]] = []
    with tf32(on):
        lth.train(Asks(0), DIGITS, R10, device="cpu")
    assert set(seen) == {(True, on)}
    assert (cudnn.deterministic, cudnn.allow_tf32) == before


# --- labels -------------------------------------------------------------------


@pytest.mark.parametrize("kinds", [("train",), ("validation",), ("test",)])
@pytest.mark.parametrize("make", [small_lenet, sparse_lenet])
def test_a_label_without_an_output_is_a_sentence_in_any_split(make, kinds):
    net, data = make(), labelled(lambda labels: labels + 1, kinds)
    before = lth.snapshot(net)
    sentence = r"go up to 10, but LeNet has 10 outputs, for labels from 0 to 9\. Count"
    for way in every_way(net, data):
        with pytest.raises(LotteryError, match=sentence):
            way()
    if kinds == ("train",):
        with pytest.raises(LotteryError, match=sentence):
            lth.train_together([net, make()], data, R10, [(0, 0), (1, 0)], "cpu")
    assert all(torch.equal(before[n], t) for n, t in lth.snapshot(net).items())


@pytest.mark.parametrize("label", [-1, -100, 10, 2**40])
@pytest.mark.parametrize("make", [small_lenet, sparse_lenet])
def test_a_label_changed_in_place_is_found_before_any_step(make, label):
    data = labelled(lambda labels: labels)
    data.train.labels[7] = label
    for way in every_way(make(), data):
        with pytest.raises(LotteryError, match=rf"go (down|up) to {label}\b"):
            way()


def test_fewer_classes_than_outputs_and_a_class_that_train_lacks_are_fine():
    data = labelled(lambda labels: labels.clamp_max(4), ("train",))
    point = lth.train(small_lenet(), data, R10, device="cpu").at(10)
    assert 0 <= point.accuracy <= 1
    assert data.classes == 10


# --- images -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "data", "words"),
    [
        (small_lenet(), COLOURS, r"LeNet .*\(3, 32, 32\).*cannot be multiplied"),
        (sparse_lenet(), COLOURS, r"LeNet cannot take .*\(3, 32, 32\)"),
        (lth.network("conv2-narrow"), DIGITS, r"Conv2 cannot take .*\(1, 28, 28\)"),
        (lth.ResNet20(), DIGITS, r"ResNet20 .* 'mnist-small-few'.*3 channels"),
        (nn.Linear(28, 10), DIGITS, r"maps 2 images to \(2, 1, 28, 10\) numbers"),
        (nn.Flatten(0), DIGITS, r"maps 2 images to \(1568,\) numbers"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_images_that_do_not_fit_are_a_sentence(net, data, words):
    with pytest.raises(LotteryError, match=words):
        lth.evaluate(net, data)
    if list(net.parameters()):
        with pytest.raises(LotteryError, match=words):
            lth.train(net, data, R10, device="cpu")


def test_scores_that_are_no_tensor_of_reals_are_a_sentence():
    class Tuple(nn.Sequential):
        def forward(self, images):
            return super().forward(images), None

    class Complex(nn.Sequential):
        def forward(self, images):
            return super().forward(images) * 1j

    for kind, form in ((Tuple, "tuple"), (Complex, "Tensor")):
        net = kind(nn.Flatten(), nn.Linear(784, 10))
        with pytest.raises(LotteryError, match=f"maps 2 images to {form}: expected"):
            lth.train(net, DIGITS, R10, device="cpu")


def test_a_fault_of_the_networks_own_is_no_sentence_about_images():
    class Faulty(nn.Linear):
        def forward(self, images):
            return self.weigth(images)

    with pytest.raises(AttributeError, match="weigth"):
        lth.train(Faulty(784, 10), DIGITS, R10, device="cpu")


@pytest.mark.parametrize("data", ["mnist-small", DIGITS.train, None, [1, 2]])
def test_what_is_no_data_set_is_a_sentence(data):
    net = small_lenet()
    for way in every_way(net, data):
        with pytest.raises(LotteryError, match=r"expected a data set.*lth\.load"):
            way()
    with pytest.raises(LotteryError, match="expected a data set"):
        lth.train_together([net], data, R10, [(0, 0)], "cpu")


def test_no_loop_of_the_sparse_engine_leaves_its_memory():
    """Past every check: someone changes the data while it is trained on."""
    pytest.importorskip("numba")
    net = sparse_lenet()
    order = torch.arange(70)[None]
    undisturbed = Sparse(linear_layers(net), R10, DIGITS)
    undisturbed.steps(order)
    for label in (-1, 10, 10**15, -(10**15)):
        data = replace(DIGITS, train=Split(*(t.clone() for t in DIGITS.train)))
        engine = Sparse(linear_layers(net), R10, data)
        theta = engine.net.theta.copy()
        data.train.labels[69] = label
        with pytest.raises(LotteryError, match=f"{label}.*expected them from 0 to 9"):
            engine.measure(data.train)
        assert (engine.net.theta == theta).all()
        engine.steps(order)  # by labels of its own
        assert (engine.net.theta == undisturbed.net.theta).all()
    for width in (27, 29, 400):
        images = torch.ones(70, 1, 28, width, dtype=torch.uint8)
        with pytest.raises(LotteryError, match=f"{28 * width} values.* takes 784"):
            engine.measure(Split(images, torch.zeros(70, dtype=torch.int64)))


# --- without a trace ----------------------------------------------------------


class Nervous(nn.Module):
    """A network in which everything moves that can, also in evaluation."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.output = nn.Linear(784, 10)
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("last", torch.zeros(1))

    def forward(self, images):
        self.seen += len(images)
        self.last = images.mean()[None]
        signal = F.dropout(self.norm(images).flatten(1), 0.1, training=True)
        return self.output(signal)


def test_the_probe_leaves_no_trace():
    net, heard = Nervous(), []
    net.norm.register_forward_hook(lambda *_: heard.append("after"))
    net.output.register_forward_pre_hook(lambda *_: heard.append("before"))
    everywhere = nn.modules.module.register_module_forward_hook(
        lambda *_: heard.append("global")
    )
    net.output.eval()
    before, last = lth.snapshot(net), net.last
    state = torch.get_rng_state()
    check_match(net, DIGITS)
    assert heard == []
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[n], t) for n, t in net.state_dict().items())
    assert net.last is last
    assert [part.training for part in net.modules()] == [True, True, False]
    net(DIGITS.scale(DIGITS.train.images[:2]))
    everywhere.remove()
    assert sorted(heard) == ["after", "before", *["global"] * 3]


def test_a_hook_hears_of_the_training_alone():
    net, batches = small_lenet(), []
    net.fc2.register_forward_hook(lambda _, x, y: batches.append(len(y)))
    lth.train(net, DIGITS, Recipe(iterations=2, evaluate_every=2), device="cpu")
    assert batches == [60, 60, 250, 50, 100, 100]


def test_a_hook_that_makes_the_images_fit_is_no_misfit():
    net = lth.LeNet(0, (12, 9), inputs=196)
    net.register_forward_pre_hook(lambda _, x: (F.avg_pool2d(x[0], 2),))
    lth.train(net, DIGITS, R10, device="cpu")
    assert 0 <= lth.evaluate(net, DIGITS)[1] <= 1
    with pytest.raises(LotteryError, match="LeNet cannot take"):
        lth.train(net, COLOURS, R10, device="cpu")


def test_norms_without_statistics_and_wrapped_networks_are_probed():
    plain = nn.Sequential(
        nn.Flatten(), nn.BatchNorm1d(784, track_running_stats=False), nn.Linear(784, 10)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is deprecated, and still used
        scripted = torch.jit.script(small_lenet())
    for net in (plain, nn.DataParallel(small_lenet()), scripted):
        point = lth.train(net, DIGITS, R10, device="cpu").at(10)
        assert lth.evaluate(net, DIGITS) == point[2:]


# --- what cannot be trained ---------------------------------------------------


def lazy() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch: lazy modules may change
        return nn.Sequential(nn.Flatten(), nn.LazyLinear(10))


def expanded() -> nn.Module:
    net = small_lenet()
    net.fc1.weight = nn.Parameter(torch.ones(1, 784).expand(12, 784))
    return net


def sparse_layout() -> nn.Module:
    net = small_lenet()
    net.fc1.weight = nn.Parameter(net.fc1.weight.detach().to_sparse())
    return net


def inferred() -> nn.Module:
    with torch.inference_mode():
        return small_lenet()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lazy, "'1.weight' of Sequential has no values yet.*lazy"),
        (lambda: small_lenet().to("meta"), "'fc1.weight' of LeNet has no values yet"),
        (lambda: small_lenet().requires_grad_(False), "nothing to train.*Thaw some"),
        (nn.Flatten, "Flatten has nothing to train"),
        (inferred, "'fc1.weight' of LeNet was made in inference mode"),
        (expanded, "'fc1.weight' of LeNet is sparse or expanded"),
        (sparse_layout, "'fc1.weight' of LeNet is sparse or expanded"),
    ],
)
def test_what_cannot_be_trained_is_a_sentence(make, sentence):
    with pytest.raises(LotteryError, match=sentence):
        lth.train(make(), DIGITS, R10, device="cpu")
    with pytest.raises(LotteryError, match=sentence):
        lth.train_together([make()], DIGITS, R10, [(0, 0)], "cpu")


@pytest.mark.parametrize("net", ["lenet", lth.LeNet, None])
def test_what_is_no_network_is_a_sentence(net):
    with pytest.raises(LotteryError, match=r"expected an nn\.Module. Make one"):
        lth.train(net, DIGITS, R10)
    with pytest.raises(LotteryError, match=r"expected an nn\.Module. Make one"):
        lth.evaluate(net, DIGITS)


def test_a_lazy_network_is_not_evaluated_and_stays_lazy():
    net = lazy()
    with pytest.raises(LotteryError, match="has no values yet"):
        lth.evaluate(net, DIGITS)
    assert nn.parameter.is_lazy(net[1].weight)


def test_a_network_without_parameters_can_be_evaluated():
    class Always(nn.Module):
        def forward(self, images):
            return F.one_hot(torch.full((len(images),), 3), 10).to(images.dtype)

    share = (DIGITS.test.labels == 3).float().mean().item()
    assert lth.evaluate(Always(), DIGITS)[1] == pytest.approx(share)


def test_a_stack_of_one_size_but_several_shapes_or_types_is_refused():
    low_and_high = [lth.LeNet(0, (12, 9)), lth.LeNet(0, (12, 9)).double()]
    as_many_weights = [lth.LeNet(0, (1, 815)), lth.LeNet(0, (13, 15))]
    for nets in (low_and_high, as_many_weights):
        with pytest.raises(LotteryError, match="different widths or types"):
            lth.train_together(nets, DIGITS, R10, [(0, 0)] * 2, "cpu")
