"""A fast engine is taken only where it computes what the network computes."""

import types
from contextlib import contextmanager, nullcontext

import pytest
import torch
from helpers import few_digits
from torch import nn
from torch.nn import functional as F
from torch.nn.modules import module as registry
from torch.nn.utils import parametrizations, prune

import lth_utils as lth
from lth_utils import Recipe
from lth_utils.training.choice import engine_for
from lth_utils.training.engines import Autograd, Descent
from lth_utils.training.lenet.mlp import linear_layers

DIGITS = few_digits()
SHORT = Recipe(iterations=20, evaluate_every=10)
HALF = Recipe(0.05, 20, "sgd", momentum=0.9, weight_decay=1e-3, evaluate_every=10)


def dense() -> nn.Module:
    return lth.LeNet(0, (20, 20))


def sparse() -> nn.Module:
    net = lth.masked(dense())
    lth.apply_masks(net, lth.prune(net, 0.8))
    return net


def trained(net: nn.Module, recipe: Recipe = SHORT) -> lth.Point:
    """Train; the last point must be what `evaluate` finds, but for rounding."""
    point = lth.train(net, DIGITS, recipe, device="cpu").at(20)
    assert lth.evaluate(net, DIGITS) == pytest.approx(point[2:], rel=1e-6)
    return point


def same(net: nn.Module, other: nn.Module) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(theirs[name], t) for name, t in net.state_dict().items())


# --- what sends a LeNet the general way ---------------------------------------


def with_parameter(make):
    def change(net):
        net.fc2.weight = make(net.fc2.weight.detach())

    return change


def as_method(layer, function):
    layer.forward = types.MethodType(function, layer)


class Other(nn.Parameter):
    """A parameter of a class of its own."""


class OtherLinear(nn.Linear):
    """A layer of a class of its own."""


def share_memory(net):
    net.fc2.bias = nn.Parameter(net.fc1.bias.detach())


def overlap(net):
    whole = torch.zeros(30)
    net.fc1.bias, net.fc2.bias = nn.Parameter(whole[:20]), nn.Parameter(whole[10:])


CHANGES = {
    "a hook on a weight": lambda net: net.fc1.weight.register_hook(lambda g: g),
    "a hook on a bias": lambda net: net.fc2.bias.register_hook(lambda g: g),
    "a hook after a gradient": lambda net: (
        net.fc1.weight.register_post_accumulate_grad_hook(lambda p: None)
    ),
    "a hook on several": lambda net: torch.autograd.graph.register_multi_grad_hook(
        tuple(net.parameters()), lambda gradients: None
    ),
    "a forward hook": lambda net: net.fc1.register_forward_hook(lambda *_: None),
    "a forward pre-hook": lambda net: net.register_forward_pre_hook(lambda *_: None),
    "a backward hook": lambda net: net.fc2.register_full_backward_hook(lambda *_: None),
    "a backward pre-hook": lambda net: net.fc2.register_full_backward_pre_hook(
        lambda *_: None
    ),
    "a forward of its own": lambda net: as_method(
        net, lambda self, x: self.output(torch.tanh(self.fc1(x.flatten(1))))
    ),
    "a layer's own forward": lambda net: as_method(
        net.fc1, lambda self, x: F.linear(x, self.weight, self.bias) / 2
    ),
    "compiled in place": lambda net: net.compile(backend="eager"),
    "a compiled layer": lambda net: net.fc1.compile(backend="eager"),
    "a further module": lambda net: net.add_module("drop", nn.Dropout()),
    "a module within a layer": lambda net: net.fc1.add_module("drop", nn.Dropout()),
    "a further parameter": lambda net: net.register_parameter(
        "scale", nn.Parameter(torch.ones(1))
    ),
    "an exchanged layer": lambda net: setattr(net, "fc2", nn.Identity()),
    "a layer of another class": lambda net: setattr(net, "fc2", OtherLinear(20, 20)),
    "no bias": lambda net: setattr(net, "fc1", nn.Linear(784, 20, bias=False)),
    "a bias taken away": lambda net: setattr(net.fc2, "bias", None),
    "a frozen layer": lambda net: net.fc1.requires_grad_(False),
    "a frozen bias": lambda net: net.fc2.bias.requires_grad_(False),
    "a parametrized layer": lambda net: parametrizations.weight_norm(net.output),
    "pruned by torch": lambda net: prune.l1_unstructured(net.fc1, "weight", 0.5),
    "one parameter twice": lambda net: setattr(net.fc2, "bias", net.fc1.bias),
    "one memory twice": share_memory,
    "overlapping memory": overlap,
    "a parameter class": with_parameter(Other),
    "a turned parameter": with_parameter(lambda w: nn.Parameter(w.t())),
    "float16": lambda net: net.half(),
    "bfloat16": lambda net: net.bfloat16(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_lenet_goes_the_general_way(change):
    net = dense()
    CHANGES[change](net)
    assert isinstance(engine_for(net, SHORT, DIGITS), Autograd)
    if "compiled" not in change:  # the compiler alone takes seconds to import
        trained(net)


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")  # images need none
@pytest.mark.parametrize("make", [dense, sparse])
@pytest.mark.parametrize("kind", ["forward", "full_backward"])
@pytest.mark.parametrize("when", ["", "pre_"])
def test_global_hooks_are_heard(make, kind, when):
    heard = []
    register = getattr(registry, f"register_module_{kind}_{when}hook")
    handle = register(lambda module, *_: heard.append(type(module)))
    net = make()
    try:
        assert linear_layers(net) is None
        lth.train(net, DIGITS, Recipe(iterations=1), device="cpu")
    finally:
        handle.remove()
    assert lth.LeNet in heard
    assert linear_layers(net) is not None


@pytest.mark.parametrize("kind", [lth.LeNet, nn.Linear])
def test_a_changed_class_is_no_plain_lenet(kind, monkeypatch):
    forward = kind.forward
    net, layers = dense(), nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    assert linear_layers(layers) is None
    monkeypatch.setattr(kind, "forward", lambda self, x: forward(self, x) / 2)
    assert linear_layers(net) is None
    trained(net)


def test_a_masks_own_hook_does_not_count():
    net = lth.masked(dense())
    assert net.fc1.weight._backward_hooks
    assert linear_layers(net) is not None
    net.fc1.weight.register_hook(lambda gradient: gradient)
    assert linear_layers(net) is None


def test_what_changes_nothing_stays_fast():
    net = dense()
    net.register_state_dict_post_hook(lambda *_: None)
    net.fc1.register_load_state_dict_pre_hook(lambda *_: None)
    net.fc2.weight.register_hook(lambda g: g).remove()
    flat = torch.zeros(40)
    net.fc1.bias, net.fc2.bias = nn.Parameter(flat[:20]), nn.Parameter(flat[20:])
    net.eval()
    net.note = "the reader's own"
    reference = dense()
    assert linear_layers(net) is not None
    assert trained(net) == trained(reference)
    assert same(net, reference)


def test_weights_of_shapes_that_do_not_fit_reach_no_compiled_loop():
    for shape in ((20, 60), (60, 20), (20,)):
        net, masked = dense(), sparse()
        net.fc2.weight = nn.Parameter(torch.ones(shape))
        assert linear_layers(net) is None
        with pytest.raises((lth.LotteryError, RuntimeError)):
            lth.train(net, DIGITS, SHORT, device="cpu")
        with pytest.raises(lth.LotteryError, match="and its mask"):
            masked.fc2.weight = nn.Parameter(torch.ones(shape))


# --- what the hooks are there for ---------------------------------------------


@pytest.mark.parametrize("make", [dense, sparse])
def test_connections_frozen_by_a_hook_do_not_move(make):
    net = make()
    before = net.fc1.weight.detach().clone()
    frozen = torch.rand(before.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    net.fc1.weight.register_hook(lambda gradient: gradient.masked_fill(frozen, 0))
    trained(net)
    assert torch.equal(net.fc1.weight[frozen], before[frozen])
    moved = ~frozen & (before != 0)
    assert (net.fc1.weight != before)[moved].float().mean() > 0.5


def test_a_step_without_gradients_moves_nothing():
    net = dense()
    for parameter in net.parameters():
        parameter.register_post_accumulate_grad_hook(lambda p: setattr(p, "grad", None))
    before = lth.snapshot(net)
    trained(net)
    assert all(torch.equal(before[name], t) for name, t in net.state_dict().items())


# --- low precision, and what is around ----------------------------------------


@pytest.mark.parametrize("recipe", [SHORT, HALF], ids=["adam", "sgd"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("make", [dense, sparse])
def test_low_precision_learns_as_float32_does(make, dtype, recipe):
    reference = trained(make(), recipe)
    net = make().to(dtype)
    point = trained(net, recipe)
    assert point.loss == pytest.approx(reference.loss, rel=0.1)
    assert point.accuracy == pytest.approx(reference.accuracy, abs=0.1)
    assert {p.dtype for p in net.parameters()} == {dtype}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_ticket_is_found_in_low_precision(dtype):
    tickets = lth.find_ticket(
        lambda seed: lth.LeNet(seed, (20, 20)).to(dtype), DIGITS, SHORT, 0.5, rounds=3
    )
    assert tickets[-1].masks.density == pytest.approx(1 / 8, abs=0.01)


def test_float16_moments_do_not_vanish():
    """Squares of gradients below 2.4e-4 are 0 in float16."""
    recipe = Recipe(lr=1e-2, iterations=200)
    low, high = (
        nn.Parameter(torch.ones(5, dtype=t)) for t in (torch.half, torch.float)
    )
    descents = [Descent([p], recipe) for p in (low, high)]
    for step in range(200):
        for parameter, descent in zip((low, high), descents, strict=True):
            sign = 1 if step % 3 else -1
            parameter.grad = torch.full_like(parameter, 2e-4 * sign)
            descent.step()
    assert torch.allclose(low.float(), high, atol=0.05)
    assert (high - 1).abs().min() > 0.3


def test_complex_parameters_move():
    class Waves(nn.Module):
        def __init__(self):
            super().__init__()
            generator = torch.Generator().manual_seed(0)
            first = torch.randn(784, 10, 2, generator=generator) / 50
            self.weight = nn.Parameter(torch.view_as_complex(first))

        def forward(self, images):
            return (images.flatten(1).to(self.weight.dtype) @ self.weight).abs()

    for recipe in (SHORT, HALF):
        net = Waves()
        before = lth.evaluate(net, DIGITS)
        assert trained(net, recipe).loss < before[0]


def spread() -> nn.Module:
    return nn.DataParallel(dense())


AROUND = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast to bfloat16": lambda: torch.autocast("cpu", torch.bfloat16),
    "autocast to float16": lambda: torch.autocast("cpu", torch.float16),
}


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("make", [dense, sparse, spread])
def test_what_is_around_changes_nothing(make, around):
    reference, net = make(), make()
    expected = trained(reference), lth.evaluate(reference, DIGITS)
    with AROUND[around]():
        assert (trained(net), lth.evaluate(net, DIGITS)) == expected
    assert lth.evaluate(net, DIGITS) == expected[1]
    assert same(net, reference)


@pytest.mark.parametrize("around", AROUND)
def test_what_is_around_changes_no_stack(around):
    def curves(nets):
        found = lth.train_together(nets, DIGITS, SHORT, [(0, 0)] * 2, "cpu")
        return [training.curve for training in found]

    expected, nets = curves([dense(), sparse()]), [dense(), sparse()]
    with AROUND[around]():
        assert curves(nets) == expected


def test_under_autocast_no_engine_is_fast():
    with torch.autocast("cpu", torch.bfloat16):
        assert isinstance(engine_for(dense(), SHORT, DIGITS), Autograd)


@contextmanager
def set_to(setter, value, back):
    setter(value)
    try:
        yield
    finally:
        setter(back)


@pytest.mark.parametrize("make", [dense, sparse])
def test_torchs_own_settings_change_nothing(make):
    expected = trained(make())
    settings = (
        nullcontext(),
        set_to(torch.use_deterministic_algorithms, True, False),
        set_to(torch.set_default_device, "cpu", None),
    )
    for setting in settings:
        with setting:
            assert trained(make()) == expected
    net = make()
    with set_to(torch.set_default_dtype, torch.float64, torch.float32):
        assert trained(net) == expected  # it was made before
        assert {p.dtype for p in dense().parameters()} == {torch.float64}
        trained(dense())
        hooked = dense().float()
        hooked.fc1.register_forward_hook(lambda *_: None)
        trained(hooked)


# --- modes --------------------------------------------------------------------


def norms() -> nn.Sequential:
    torch_layers = (
        nn.Flatten(),
        nn.Linear(784, 20),
        nn.BatchNorm1d(20),
        nn.Dropout(0.5),
        nn.BatchNorm1d(20),
        nn.Linear(20, 10),
    )
    return nn.Sequential(*torch_layers)


def modes(net: nn.Module) -> list[bool]:
    return [part.training for part in net.modules()]


def test_a_frozen_norm_stays_frozen():
    net = norms()
    net[2].eval()
    found, frozen = modes(net), lth.snapshot(net[2])
    lth.evaluate(net, DIGITS)
    assert modes(net) == found
    trained(net)
    assert modes(net) == found
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        assert torch.equal(net[2].state_dict()[name], frozen[name])
        assert not torch.equal(net[4].state_dict()[name], frozen[name])
    assert not torch.equal(net[2].weight, frozen["weight"])


def test_a_dropout_that_evaluates_drops_nothing():
    net, without = norms(), norms()
    without.load_state_dict(net.state_dict())
    net[3].eval()
    without[3] = nn.Identity()
    lth.train(net, DIGITS, SHORT, device="cpu")
    lth.train(without, DIGITS, SHORT, device="cpu")
    assert same(net, without)


def test_a_network_that_evaluates_trains_and_then_evaluates_again():
    net, other = norms().eval(), norms()
    other.load_state_dict(net.state_dict())
    for each in (net, other):
        torch.manual_seed(0)  # of the dropout
        lth.train(each, DIGITS, SHORT, device="cpu")
    assert same(net, other)
    assert not any(modes(net))
    assert all(modes(other))
    for make in (dense, sparse):
        net = make().eval()
        trained(net)
        assert not any(modes(net))


def test_modes_come_back_after_a_failure_too():
    net = norms()
    net[4].eval()
    found = modes(net)
    with pytest.raises(lth.LotteryError, match="diverged"):
        lth.train(net, DIGITS, Recipe(1e30, 10, "sgd"), device="cpu")
    assert modes(net) == found
    mixed = norms().eval()
    mixed[3].train()
    found = modes(mixed)
    lth.evaluate(mixed, DIGITS)
    assert modes(mixed) == found


def test_a_train_method_of_ones_own_is_called():
    class Own(nn.Linear):
        merged = False

        def train(self, mode=True):
            self.merged = not mode
            return super().train(mode)

    net = nn.Sequential(nn.Flatten(), Own(784, 10))
    trained(net)
    assert not net[1].merged
    net.eval()
    trained(net)
    assert net[1].merged


def test_a_masked_network_keeps_its_frozen_norm_through_a_ticket():
    def maker(seed):
        torch.manual_seed(seed)
        net = norms()
        net[2].eval()
        return net

    (ticket,) = lth.find_ticket(maker, DIGITS, SHORT, 0.5, rounds=1)
    net = ticket.build(maker)
    assert not net[2].training
    trained(net)
    assert torch.equal(net[2].running_mean, torch.zeros(20))
