"""A pruned weight is 0, whoever wrote it; nothing else changes."""

import copy
import pickle
import warnings

import pytest
import torch
from helpers import few_digits, tiny_net
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import prune as torch_prune

import lth_utils as lth
from lth_utils import LotteryError, Masks

IMAGES = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(1))
LABELS = torch.tensor([0, 1, 2, 3, 0, 1])


def random_masks(net: nn.Module, density: float, seed: int) -> Masks:
    generator = torch.Generator().manual_seed(seed)
    return Masks(
        {
            name: torch.rand(mask.shape, generator=generator) < density
            for name, mask in lth.masks_of(net).items()
        }
    )


OPTIMIZERS = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.05, fused=True),
    "adam with L2": lambda p: torch.optim.Adam(p, lr=0.05, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0.1),
    "sgd": lambda p: torch.optim.SGD(
        p, lr=0.1, momentum=0.9, weight_decay=0.1, fused=True
    ),
    "nesterov": lambda p: torch.optim.SGD(
        p, lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=True
    ),
}
MOVING_ALL = {  # where the gradient is 0 too
    "muon": lambda p: torch.optim.Muon([w for w in p if w.dim() == 2], lr=0.02),
}


@settings(max_examples=20, deadline=None)
@given(
    density=st.floats(0.0, 1.0),
    seed=st.integers(0, 1000),
    optimizer=st.sampled_from(sorted(OPTIMIZERS)),
)
def test_pruned_weights_are_zero_after_every_step(density, seed, optimizer):
    net = lth.masked(tiny_net(seed))
    masks = random_masks(net, density, seed)
    lth.apply_masks(net, masks)
    stepper = OPTIMIZERS[optimizer](net.parameters())
    before = lth.snapshot(net)
    for _ in range(5):
        stepper.zero_grad()
        nn.functional.cross_entropy(net(IMAGES), LABELS).backward()
        stepper.step()
        weights = dict(net.named_parameters())
        for name, mask in masks.items():
            assert torch.all(weights[name][~mask] == 0)
    assert not torch.equal(before["6.bias"], net.state_dict()["6.bias"])


def test_negative_weights_are_trained_too():
    # The bug that froze every negative weight in the most-starred codebase.
    net = lth.masked(nn.Linear(4, 3))
    with torch.no_grad():
        net.weight.fill_(-0.5)
    net(torch.ones(1, 4)).sum().backward()
    assert torch.all(net.weight.grad == 1)


def test_forward_is_the_plain_layers():
    plain = tiny_net()
    assert torch.equal(lth.masked(plain)(IMAGES), plain(IMAGES))
    assert lth.snapshot(lth.masked(plain)).keys() == plain.state_dict().keys()
    names = [name for name, _ in plain.named_parameters()]
    assert [name for name, _ in lth.masked(plain).named_parameters()] == names


def test_a_copy_obeys_its_mask():
    net = lth.masked(nn.Linear(4, 3))
    lth.apply_masks(net, {"weight": torch.zeros(3, 4)})
    twin = copy.deepcopy(net)
    twin(torch.ones(2, 4)).sum().backward()
    assert torch.all(twin.weight.grad == 0)


def test_masking_leaves_the_plain_network_alone():
    plain = tiny_net()
    net = lth.masked(plain)
    lth.apply_masks(net, random_masks(net, 0.1, seed=0))
    assert torch.all(plain[0].weight != 0)
    assert type(plain[0]) is nn.Conv2d


@settings(max_examples=15, deadline=None)
@given(density=st.floats(0.05, 1.0), seed=st.integers(0, 100))
def test_rewind_restores_everything_and_shares_nothing(density, seed):
    net = lth.masked(tiny_net(seed))
    init = lth.snapshot(net)
    kept = {name: tensor.clone() for name, tensor in init.items()}
    masks = random_masks(net, density, seed)
    stepper = torch.optim.SGD(net.parameters(), lr=0.5)
    for _ in range(3):  # trains weights, biases and BatchNorm's statistics
        nn.functional.cross_entropy(net(IMAGES), LABELS).backward()
        stepper.step()
    assert not torch.equal(net.state_dict()["1.running_mean"], init["1.running_mean"])
    lth.rewind(net, init, masks)
    for name, tensor in lth.snapshot(net).items():
        expected = kept[name] * masks[name] if name in masks else kept[name]
        assert torch.equal(tensor, expected), name
        assert torch.equal(init[name], kept[name])
        assert net.state_dict()[name].data_ptr() != init[name].data_ptr()


def test_kinds_of_layers():
    assert lth.kinds(lth.masked(lth.LeNet())) == {
        "fc1.weight": "fc",
        "fc2.weight": "fc",
        "output.weight": "output",
    }
    kinds = list(lth.kinds(lth.masked(lth.ResNet20())).values())
    assert kinds.count("shortcut") == 2
    assert kinds.count("output") == 1
    assert kinds.count("conv") == 19


def test_masks_of_another_shape():
    net = lth.masked(tiny_net())
    before = lth.snapshot(net)
    masks = {name: torch.ones(2, 2) for name in lth.masks_of(net)}
    with pytest.raises(LotteryError, match=r"shape \(2, 2\): expected its weight's"):
        lth.apply_masks(net, masks)
    with pytest.raises(LotteryError, match="expected one mask for each"):
        lth.apply_masks(net, {"0.weight": torch.ones(3, 1, 3, 3)})
    assert all(torch.equal(before[n], t) for n, t in lth.snapshot(net).items())


def test_nothing_to_mask():
    with pytest.raises(LotteryError, match="nothing to mask"):
        lth.masked(nn.ReLU())
    with pytest.raises(LotteryError, match=r"made by lth\.masked"):
        lth.masks_of(tiny_net())


def test_rewinding_to_another_network():
    with pytest.raises(LotteryError, match="another network than LeNet"):
        lth.rewind(lth.masked(lth.LeNet()), lth.snapshot(tiny_net()))


# --- K3: whoever wrote it ------------------------------------------------------


def third(net: nn.Module, seed: int = 0) -> nn.Module:
    """Make `net` obey random masks that keep a third of its weights."""
    lth.apply_masks(net, random_masks(net, 1 / 3, seed))
    return net


def revived(net: nn.Module) -> int:
    """Count pruned weights that are not 0."""
    weights = dict(net.named_parameters())
    masks = lth.masks_of(net).items()
    return sum(int((weights[name][~mask] != 0).sum()) for name, mask in masks)


def living(net: nn.Module) -> nn.Module:
    """Return a copy in which every pruned weight is stored as 0."""
    twin = copy.deepcopy(net)
    lth.apply_masks(twin, lth.masks_of(net))
    return twin


def plain_state(net: nn.Module) -> None:
    net.load_state_dict(lth.snapshot(lth.masked(tiny_net(7))))


def assigned(net: nn.Module) -> None:
    net.load_state_dict(lth.snapshot(lth.masked(tiny_net(7))), assign=True)


def reset(net: nn.Module) -> None:
    for module in net.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()


def drawn(net: nn.Module) -> None:
    def initialize(module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.xavier_normal_(module.weight)

    net.apply(initialize)


def past_autograd(net: nn.Module) -> None:
    for parameter in net.parameters():
        parameter.data.add_(1)


def exchanged(net: nn.Module) -> None:
    net[4].weight = nn.Parameter(torch.ones(12, 192))


WRITERS = [plain_state, assigned, reset, drawn, past_autograd, exchanged]


@pytest.mark.parametrize("write", WRITERS)
def test_whoever_writes_the_weights_the_network_computes_with_the_mask(write):
    net = third(lth.masked(tiny_net()))
    masks = lth.masks_of(net)
    write(net)
    assert lth.masks_of(net) == masks
    assert torch.equal(net.eval()(IMAGES), living(net).eval()(IMAGES))
    net(IMAGES).sum().backward()
    for name, weight in net.named_parameters():
        if name in masks:
            assert torch.all(weight.grad[~masks[name]] == 0)


@pytest.mark.parametrize("write", [plain_state, assigned, reset, exchanged])
def test_what_is_written_into_pruned_weights_is_not_stored(write):
    net = third(lth.masked(tiny_net()))
    write(net)
    assert revived(net) == 0


@pytest.mark.parametrize("density", [0.2, 0.9])  # the sparse and the dense step
@pytest.mark.parametrize("write", [reset, drawn, past_autograd])
def test_training_and_evaluating_agree_whoever_wrote(write, density):
    net = lth.masked(lth.LeNet(seed=0))
    lth.apply_masks(net, random_masks(net, density, seed=0))
    write(net)
    data = few_digits()
    training = lth.train(net, data, lth.Recipe(iterations=3), device="cpu")
    assert revived(net) == 0
    last = training.at(3)
    assert lth.evaluate(net, data) == pytest.approx((last.loss, last.accuracy))


@pytest.mark.parametrize("make", (OPTIMIZERS | MOVING_ALL).values())
def test_a_penalty_on_the_parameters_revives_nothing(make):
    net = third(lth.masked(tiny_net()))
    stepper = make(net.parameters())
    for _ in range(3):
        stepper.zero_grad()
        penalty = sum((w - 1).square().sum() for w in net.parameters())
        (nn.functional.cross_entropy(net(IMAGES), LABELS) + penalty).backward()
        stepper.step()
        assert revived(net) == 0


def test_an_optimizer_begun_before_the_pruning_revives_nothing():
    net = lth.masked(tiny_net())
    stepper = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    for step in range(4):
        stepper.zero_grad()
        nn.functional.cross_entropy(net(IMAGES), LABELS).backward()
        stepper.step()
        if step == 1:
            third(net)
    assert revived(net) == 0


def test_autograd_grad_is_masked_too():
    net = third(lth.masked(tiny_net()))
    weight = net[4].weight
    (gradient,) = torch.autograd.grad((weight - 1).square().sum(), [weight])
    assert torch.all((gradient != 0) == net[4].mask.bool())


def copied(net: nn.Module) -> nn.Module:
    return copy.deepcopy(net)


def pickled(net: nn.Module) -> nn.Module:
    return pickle.loads(pickle.dumps(net))


def converted(net: nn.Module) -> nn.Module:
    return copy.deepcopy(net).double().float()


def reloaded(net: nn.Module) -> nn.Module:
    other = lth.masked(tiny_net(3))
    other.load_state_dict(net.state_dict())
    return other


@pytest.mark.parametrize("carry", [copied, pickled, converted, reloaded])
def test_masks_travel_with_the_network(carry):
    net = third(lth.masked(tiny_net()))
    other = carry(net)
    assert lth.masks_of(other) == lth.masks_of(net)
    assert torch.equal(net.eval()(IMAGES), other.eval()(IMAGES))
    stepper = torch.optim.SGD(other.parameters(), lr=0.1)
    sum((w - 1).square().sum() for w in other.parameters()).backward()
    stepper.step()
    assert revived(other) == 0
    assert revived(net) == 0


def test_a_checkpoint_holds_the_masks_and_a_plain_network_says_so():
    net = third(lth.masked(tiny_net()))
    state = net.state_dict()
    assert torch.equal(state["4.weight_mask"], net[4].mask)
    with pytest.raises(RuntimeError, match=r"4\.weight_mask"):
        tiny_net().load_state_dict(state)
    tiny_net().load_state_dict(lth.snapshot(net))


def test_functional_calls_see_the_mask():
    net = third(lth.masked(tiny_net())).eval()
    masks = lth.masks_of(net)
    weights = {n: torch.ones_like(w) for n, w in net.named_parameters()}

    def loss(values: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.func.functional_call(net, values, (IMAGES,)).square().sum()

    zeroed = {n: w * masks[n] if n in masks else w for n, w in weights.items()}
    assert torch.equal(loss(weights), loss(zeroed))
    gradients = torch.func.grad(loss)(weights)
    for name, mask in masks.items():
        assert torch.all(gradients[name][~mask] == 0)
    stacked, buffers = torch.func.stack_module_state([net, copy.deepcopy(net)])
    both = torch.func.vmap(
        lambda w, b: torch.func.functional_call(net, (w, b), (IMAGES,))
    )(stacked, buffers)
    assert torch.allclose(both[1], net(IMAGES), atol=1e-6)


@pytest.mark.parametrize("layer", [nn.Linear(4, 3), nn.Conv1d(4, 3, 2)])
def test_a_replica_of_data_parallel_obeys(layer):
    net = third(lth.masked(layer))
    replica = net._replicate_for_data_parallel()
    replica.weight, replica.bias = net.weight + 1, net.bias * 1
    expected = copy.deepcopy(layer)
    with torch.no_grad():
        expected.weight.copy_((net.weight + 1) * net.weight_mask)
    x = torch.ones(2, 4, 4)
    assert torch.allclose(replica(x), expected(x))


class Tied(nn.Module):
    """An encoder that is its own decoder, and two layers with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.code = nn.Linear(6, 4, bias=False)
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.second(self.first(self.code(x)).relu())
        return nn.functional.linear(hidden, self.code.weight.t())


def test_a_shared_weight_has_one_mask_and_counts_once():
    net = third(lth.masked(Tied()))
    assert lth.masks_of(net).total == 6 * 4 + 4 * 4
    assert torch.equal(net.first.mask, net.second.mask)
    stepper = torch.optim.Adam(net.parameters(), lr=0.1)
    for _ in range(3):
        stepper.zero_grad()
        (net(torch.ones(2, 6)) - 1).square().sum().backward()
        stepper.step()
    assert revived(net) == 0
    moved = net.double()
    assert moved.first.weight is moved.second.weight
    assert torch.equal(moved.first.mask, moved.second.mask)


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (lth.MaskedLinear(4, 3), torch.ones(2, 4)),
        (lth.MaskedConv2d(1, 2, 3, padding=1), torch.ones(1, 1, 4, 4)),
    ],
)
def test_masked_layers_made_directly(layer, x):
    assert layer.mask.all()
    before = layer(x)
    lth.apply_masks(layer, {"weight": torch.zeros_like(layer.mask)})
    assert not torch.equal(layer(x), before)
    assert torch.all(layer.weight == 0)


def test_a_weight_that_is_shared_later_brings_its_mask():
    one, other = third(lth.MaskedLinear(4, 4)), lth.MaskedLinear(4, 4)
    other.weight = one.weight
    assert torch.equal(other.mask, one.mask)


def test_an_embedding_with_sparse_gradients_obeys():
    net = third(lth.masked(nn.Embedding(10, 4, sparse=True)))
    stepper = torch.optim.SparseAdam(net.parameters())
    net(torch.tensor([1, 2])).sum().backward()
    assert net.weight.grad.is_sparse
    stepper.step()
    assert revived(net) == 0


def test_frozen_weights_that_are_thawed_obey():
    plain = nn.Linear(4, 3)
    plain.weight.requires_grad_(False)
    net = third(lth.masked(plain))
    assert not net.weight.requires_grad
    net.weight.requires_grad_()
    (net.weight - 1).square().sum().backward()
    assert torch.all((net.weight.grad != 0) == net.mask.bool())


def test_infinity_in_a_pruned_weight_harms_nothing():
    net = lth.masked(nn.Linear(4, 3))
    lth.apply_masks(net, {"weight": torch.zeros(3, 4)})
    state = {"weight": torch.full((3, 4), float("inf")), "bias": torch.zeros(3)}
    net.load_state_dict(state)
    assert torch.equal(net(torch.ones(1, 4)), net.bias[None])


def test_a_loaded_state_stays_as_it_is():
    net, plain = third(lth.masked(tiny_net())), tiny_net(7)
    before = copy.deepcopy(plain.state_dict())
    net.load_state_dict(plain.state_dict(), assign=True)
    assert all(torch.equal(before[n], t) for n, t in plain.state_dict().items())
    other = lth.masked(tiny_net())
    other.load_state_dict(net.state_dict(), assign=True)
    lth.apply_masks(other, lth.Masks.ones(other))
    assert lth.masks_of(net).density < 0.5


def test_evaluating_between_forward_and_backward():
    net = third(lth.masked(lth.LeNet(seed=0)))
    x = few_digits().scale(few_digits().train.images[:5])
    loss = net(x).logsumexp(1).mean() + sum(w.square().sum() for w in net.parameters())
    lth.evaluate(net, few_digits())
    loss.backward()


def test_weights_that_came_with_other_masks_share_one():
    one = third(lth.masked(nn.Linear(4, 4)))
    plain = nn.Sequential(nn.Linear(4, 4), one)
    plain[0].weight = one.weight
    net = lth.masked(plain)
    assert torch.equal(net[0].mask, net[1].mask)
    assert lth.masks_of(net) == lth.Masks({"0.weight": one.mask})


def test_a_shared_weight_obeys_whoever_of_its_holders_is_left():
    net = third(lth.masked(Tied()))
    net.first = nn.Identity()
    stepper = torch.optim.SGD(net.second.parameters(), lr=0.1)
    (net.second.weight - 1).square().sum().backward()
    stepper.step()
    assert revived(net.second) == 0


def test_masks_can_be_averaged():
    net = third(lth.masked(tiny_net()))
    average = torch.optim.swa_utils.AveragedModel(net, use_buffers=True)
    for _ in range(2):
        average.update_parameters(net)
    assert lth.masks_of(average.module) == lth.masks_of(net)


# --- K6: networks of one's own ---------------------------------------------------


class Own(nn.Module):
    """Layers of many kinds, and Parameters that are no weights."""

    def __init__(self) -> None:
        super().__init__()
        self.word = nn.Embedding(10, 8)
        self.place = nn.Parameter(torch.zeros(1, 5, 8))
        self.memory = nn.LSTM(8, 8, batch_first=True)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.row, self.back = nn.Conv1d(8, 8, 3, padding=1), nn.ConvTranspose1d(8, 8, 1)
        self.norm = nn.LayerNorm((5, 8))
        self.fc = Wide(8, 10)
        self.normed = nn.utils.parametrizations.weight_norm(nn.Linear(10, 10))
        self.steps = 0

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        signal, _ = self.memory(self.word(words) + self.place)
        signal, _ = self.attention(signal, signal, signal)
        signal = self.back(self.row(signal.transpose(1, 2))).transpose(1, 2)
        return self.normed(self.fc(self.norm(signal)))


class Wide(nn.Linear):
    """A linear layer of one's own, which counts its calls."""

    calls = 0

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return super().forward(input) * 2


WORDS = torch.randint(0, 10, (3, 5), generator=torch.Generator().manual_seed(0))


def masked_own() -> nn.Module:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        net = lth.masked(Own())
    (sentence,) = said
    assert str(sentence.message) == (
        "lth.masked leaves dense: place (40 weights),"
        " normed.parametrizations.weight.original0 (10 weights),"
        " normed.parametrizations.weight.original1 (100 weights)."
    )
    return net


def test_layers_of_every_kind_are_masked_and_the_rest_is_named():
    assert lth.kinds(masked_own()) == {
        "word.weight": "fc",
        "memory.weight_ih_l0": "fc",
        "memory.weight_hh_l0": "fc",
        "attention.in_proj_weight": "fc",
        "attention.out_proj.weight": "fc",
        "row.weight": "conv",
        "back.weight": "shortcut",
        "fc.weight": "output",
    }


@pytest.mark.parametrize("carry", [lambda net: net, copied])
def test_layers_of_every_kind_obey(carry):
    net = carry(third(masked_own()))
    past_autograd(net)
    assert torch.allclose(net(WORDS), living(net)(WORDS), atol=1e-6)
    stepper = torch.optim.Adam(net.parameters(), lr=0.1)
    net(WORDS).square().sum().backward()
    stepper.step()
    assert revived(net) == 0
    assert net.fc.calls == 2  # what a layer notes for itself is kept


def test_layers_of_every_kind_can_be_pickled():
    memory = third(masked_own()).memory
    signal = torch.ones(1, 2, 8)
    assert torch.equal(pickled(memory)(signal)[0], memory(signal)[0])


def test_a_dense_network_of_every_kind_computes_as_before():
    plain = Own()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = lth.masked(plain)
    assert torch.allclose(net(WORDS), plain(WORDS), atol=1e-6)


def pruned_by_torch() -> nn.Module:
    net = lth.LeNet(seed=0)
    torch_prune.l1_unstructured(net.fc1, "weight", 0.5)
    net(torch.zeros(1, 1, 28, 28))
    return net


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (pruned_by_torch, r"(?s)cannot be copied.*prune\.remove"),
        (lambda: nn.Sequential(nn.LazyLinear(3)), r"without a shape.*0\.weight"),
        (lambda: nn.Sequential(nn.BatchNorm1d(3)), "nothing to mask"),
        (lambda: nn.ParameterList([torch.ones(2, 2)]), r"only 0 \(4 weights\)"),
    ],
)
def test_networks_that_cannot_be_masked(make, sentence):
    with pytest.raises(LotteryError, match=sentence):
        lth.masked(make())


def test_a_masked_weight_that_is_exchanged_or_parametrized():
    net = third(lth.masked(lth.LeNet(seed=0)))
    with pytest.raises(LotteryError, match=r"shape \(30, 784\), and its mask"):
        net.fc1.weight = nn.Parameter(torch.ones(30, 784))
    nn.utils.parametrizations.spectral_norm(net.fc2)
    with pytest.raises(LotteryError, match="of fc2 is no Parameter any more"):
        lth.masks_of(net)


def test_hooks_on_weights_go_along():
    plain = nn.Linear(4, 3)
    seen = []
    plain.weight.register_hook(lambda gradient: gradient * 0)
    plain.bias.register_post_accumulate_grad_hook(lambda bias: seen.append(bias))
    net = third(lth.masked(plain))
    net(torch.ones(1, 4)).sum().backward()
    assert torch.all(net.weight.grad == 0)
    assert len(seen) == 1


class Made(nn.Linear):
    """A layer with a mask of its own, and names that a mask might take."""

    plain = bare = alive = begin = clear = None

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__(inputs, units)
        self.register_buffer("mask", torch.tril(torch.ones(units, inputs)))

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(input, self.weight * self.mask, self.bias)


def test_a_layer_with_a_mask_of_its_own_keeps_it():
    plain = nn.Sequential(nn.Flatten(), Made(784, 16), nn.ReLU(), nn.Linear(16, 10))
    data, recipe = few_digits(), lth.Recipe(iterations=3)
    net = lth.masked(plain)
    curves = [
        lth.train(each, data, recipe, device="cpu").curve for each in (plain, net)
    ]
    for mine, its in zip(*curves, strict=True):
        assert mine.loss == pytest.approx(its.loss)
    assert lth.evaluate(net, data) == pytest.approx(lth.evaluate(plain, data))


def test_a_layer_that_writes_its_own_weight_may():
    plain = nn.Embedding(10, 4, max_norm=1.0)
    net = lth.masked(plain)
    for each in (plain, net):
        stepper = torch.optim.SGD(each.parameters(), lr=0.1)
        for _ in range(3):
            stepper.zero_grad()
            each(torch.arange(10)).sum().backward()
            stepper.step()
    assert torch.allclose(plain.weight, net.weight)


class Sealed(nn.Linear):
    """A class that nothing can be derived from without a word."""

    def __init_subclass__(cls, word: str, **rest: object) -> None:
        super().__init_subclass__(**rest)


class Taken(nn.Linear):
    """A layer that has something where a mask would lie."""

    weight_mask = None


@pytest.mark.parametrize(
    ("layer", "sentence"), [(Sealed, "no class can be derived"), (Taken, "to be free")]
)
def test_layers_that_cannot_be_masked(layer, sentence):
    with pytest.raises(LotteryError, match=sentence):
        lth.masked(layer(4, 3))


def test_masking_twice_keeps_the_masks():
    net = third(lth.masked(tiny_net()))
    assert lth.masks_of(lth.masked(net)) == lth.masks_of(net)
