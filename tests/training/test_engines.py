"""Every engine does autograd's arithmetic, and the right one is chosen."""

import copy
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from itertools import islice
from types import SimpleNamespace

import pytest
import torch
from helpers import Unasked, few, tiny_experiment, two_convolutions
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import lth_utils as lth
from lth_utils.data.splits import Split
from lth_utils.experiments import perform
from lth_utils.experiments.jobs import jobs_of
from lth_utils.training import loop
from lth_utils.training.choice import engine_for
from lth_utils.training.engines import Autograd, Descent, Engine
from lth_utils.training.gpu import graphs
from lth_utils.training.gpu.stack import Stack
from lth_utils.training.lenet import sparse
from lth_utils.training.lenet.mlp import MLP, linear_layers
from lth_utils.training.lenet.pixels import Pixels
from lth_utils.training.lenet.sparse import Sparse
from lth_utils.training.order import batches
from lth_utils.training.recipes import Recipe

COLOURS = few(lth.load("colour-digits"), train=64, other=16)
WHOLE = lth.load("mnist-small")
# As many as some epochs need: evaluations of all would take longer than the steps.
DATA = few(WHOLE, train=2000, other=200)
ADAM = Recipe(iterations=300)
Key = tuple[int, int]  # (seed, round)
SGD = Recipe(0.05, 300, "sgd", momentum=0.9, weight_decay=1e-3)


def masked_lenet(
    masks: dict[str, torch.Tensor] | None = None,
    dtype: torch.dtype = torch.float64,
    hidden: tuple[int, int] = (300, 100),
) -> nn.Module:
    net = lth.masked(lth.LeNet(0, hidden).to(dtype))
    if masks is not None:
        lth.apply_masks(net, masks)
    return net


def random_masks(net: nn.Module, density: float, seed: int = 0) -> lth.Masks:
    whole = lth.Masks.ones(net)
    counts = {(name,): round(density * m.numel()) for name, m in whole.items()}
    return lth.keep(lth.random_scores(whole, seed), whole, counts)


def autograd(
    net: nn.Module, recipe: Recipe, data: lth.Dataset = DATA, key: Key = (0, 0)
) -> Engine:
    return Autograd(net, recipe, data, key)


def mlp(
    net: nn.Module, recipe: Recipe, data: lth.Dataset = DATA, key: Key = (0, 0)
) -> Engine:
    layers = linear_layers(net)
    assert layers is not None
    return MLP(layers, recipe, data)


def sparsely(
    net: nn.Module, recipe: Recipe, data: lth.Dataset = DATA, key: Key = (0, 0)
) -> Engine:
    layers = linear_layers(net)
    assert layers is not None
    return Sparse(layers, recipe, data)


def pixelwise(
    net: nn.Module, recipe: Recipe, data: lth.Dataset = DATA, key: Key = (0, 0)
) -> Engine:
    layers = linear_layers(net)
    assert layers is not None
    return Pixels(layers, recipe, data)


FAST = {"mlp": mlp, "pixels": pixelwise, "sparse": sparsely}


def after(make, net: nn.Module, recipe: Recipe, steps: int, data: lth.Dataset = DATA):
    """Train `net` for some steps; return its state and its loss."""
    engine = make(net, recipe, data)
    order = batches(len(data.train.labels), recipe, 0, 0)
    engine.steps(torch.stack(list(islice(order, steps))))
    engine.write()
    loss, _ = engine.measure(Split(*(t[:130] for t in data.test)))
    return lth.snapshot(net), loss


def largest_difference(ours, reference) -> float:
    (state, loss), (their_state, their_loss) = ours, reference
    apart = [(state[name] - their_state[name]).abs().max().item() for name in state]
    return max([*apart, abs(loss - their_loss)])


@cache
def three_hundred(make, density: float, recipe: Recipe):
    """Return a LeNet's state and loss after 300 steps; to be read alone."""
    masks = random_masks(masked_lenet(), density)
    return after(make, masked_lenet(masks), recipe, 300)


@pytest.mark.parametrize("recipe", [ADAM, SGD], ids=["adam", "sgd"])
@pytest.mark.parametrize("density", [1.0, 0.51, 0.21, 0.012])
@pytest.mark.parametrize("fast", FAST)
def test_three_hundred_steps_are_autograds(fast, density, recipe):
    reference = three_hundred(autograd, density, recipe)
    ours = three_hundred(FAST[fast], density, recipe)
    assert largest_difference(ours, reference) <= 1e-10


@st.composite
def odd_masks(draw) -> dict[str, torch.Tensor]:
    """Masks of a small net: any density, and dead rows, columns and layers."""
    net = masked_lenet(hidden=(13, 7))
    masks = {}
    for name, whole in lth.Masks.ones(net).items():
        density = draw(st.sampled_from([0.0, 0.02, 0.3, 1.0]))
        generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
        mask = torch.rand(whole.shape, generator=generator) < density
        for axis, length in enumerate(mask.shape):
            dead = draw(st.lists(st.integers(0, length - 1), max_size=4))
            mask.index_fill_(axis, torch.tensor(dead, dtype=torch.int64), False)
        masks[name] = mask
    return masks


@pytest.mark.parametrize("recipe", [ADAM, SGD], ids=["adam", "sgd"])
@pytest.mark.parametrize("fast", FAST)
@settings(max_examples=25, deadline=None)
@given(masks=odd_masks(), size=st.sampled_from([1, 7, 60, 64, 65, 130]))
def test_a_step_is_autograds_whatever_the_mask_and_the_batch(fast, recipe, masks, size):
    recipe = replace(recipe, batch_size=size)
    reference, ours = (
        after(make, masked_lenet(masks, hidden=(13, 7)), recipe, 3, WHOLE)
        for make in (autograd, FAST[fast])
    )
    assert largest_difference(ours, reference) <= 1e-10
    for name, mask in masks.items():
        assert ours[0][name][~mask].eq(0).all()


@pytest.mark.parametrize("fast", FAST)
def test_three_rounds_find_autograds_masks(fast, monkeypatch):
    def found():
        return lth.find_ticket(
            lambda seed: lth.LeNet(seed, hidden=(30, 20)).double(),
            DATA,
            Recipe(iterations=100),
            {"fc": 0.5, "output": 0.2},
            rounds=3,
        )

    monkeypatch.setattr(loop, "engine_for", FAST[fast])
    ours = found()
    monkeypatch.setattr(loop, "engine_for", autograd)
    for mine, theirs in zip(ours, found(), strict=True):
        assert mine.masks == theirs.masks


def test_a_run_with_a_fast_engine_differs_less_than_seeds_do(monkeypatch):
    """In float32 the trajectories part, the accuracies do not."""
    recipe = replace(ADAM, evaluate_every=300)

    def accuracies(make) -> torch.Tensor:
        monkeypatch.setattr(loop, "engine_for", make)
        found = []
        for seed in range(3):
            net = lth.masked(lth.LeNet(seed))
            lth.apply_masks(net, random_masks(net, 0.2, seed))
            curve = lth.train(net, WHOLE, recipe, seed)
            found.append(curve.at(300).accuracy)
        return torch.tensor(found)

    reference = accuracies(autograd)
    spread = reference.max() - reference.min()
    for make in FAST.values():
        assert (accuracies(make).mean() - reference.mean()).abs() <= spread


def test_the_engine_is_chosen_by_network_and_density():
    net = masked_lenet()
    assert isinstance(engine_for(net, ADAM, DATA), Pixels)
    assert isinstance(engine_for(lth.LeNet(), ADAM, DATA), Pixels)
    lth.apply_masks(net, random_masks(net, sparse.CROSSOVER - 0.01))
    assert isinstance(engine_for(net, ADAM, DATA), Sparse)
    assert isinstance(engine_for(lth.masked(lth.Conv2()), ADAM, DATA), Autograd)


def test_a_lenet_that_someone_changed_goes_the_generic_way():
    class Other(lth.LeNet):
        pass

    hooked, frozen, swapped = lth.LeNet(), lth.LeNet(), lth.LeNet()
    hooked.fc1.register_forward_hook(lambda *_: None)
    frozen.fc1.requires_grad_(False)
    swapped.fc1 = nn.Sequential(swapped.fc1)  # type: ignore[assignment]
    for net in (Other(), hooked, frozen, swapped):
        assert isinstance(engine_for(net, ADAM, DATA), Autograd)


def test_without_numba_everything_works_and_says_so_once(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    sparse.numba_version.cache_clear()
    net = masked_lenet()
    lth.apply_masks(net, random_masks(net, 0.1))
    try:
        with pytest.warns(UserWarning, match="Numba cannot be used.*pip install numba"):
            assert isinstance(engine_for(net, ADAM, DATA), MLP)
        assert isinstance(engine_for(net, ADAM, DATA), MLP)  # and no second warning
    finally:
        sparse.numba_version.cache_clear()


@pytest.mark.parametrize("density", [1.0, 0.1])
def test_a_diverging_loss_is_found_on_the_fast_paths_too(density):
    net = masked_lenet(dtype=torch.float32)
    lth.apply_masks(net, random_masks(net, density))
    recipe = Recipe(1e30, 50, "sgd", momentum=0.9, evaluate_every=10)
    with pytest.raises(lth.LotteryError, match="Lower the learning rate"):
        lth.train(net, DATA, recipe)


def test_weights_are_kept_at_the_asked_iteration_on_the_sparse_path():
    masks = random_masks(masked_lenet(), 0.1)
    whole = masked_lenet(masks)
    kept = lth.train(whole, DATA, Recipe(iterations=20), keep_at=10).kept
    short = masked_lenet(masks)
    lth.train(short, DATA, Recipe(iterations=10))
    assert all(torch.equal(kept[k], v) for k, v in lth.snapshot(short).items())


@pytest.mark.parametrize("recipe", [ADAM, SGD], ids=["adam", "sgd"])
def test_a_descent_is_torchs_own_optimizer_to_the_bit(recipe):
    kinds = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
    extra = {"momentum": 0.9, "weight_decay": 1e-3} if recipe is SGD else {}
    ours, theirs = lth.LeNet(0, (13, 7)), lth.LeNet(0, (13, 7))
    descent = Descent(ours.parameters(), recipe)
    optimizer = kinds[recipe.optimizer](
        theirs.parameters(), lr=recipe.lr, fused=True, **extra
    )
    for step in range(5):
        for net in (ours, theirs):
            generator = torch.Generator().manual_seed(step)
            for parameter in net.parameters():
                parameter.grad = torch.randn(parameter.shape, generator=generator)
            net.output.bias.grad = None  # it never has one, and stays
        descent.step()
        optimizer.step()
    for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, its)


def test_training_a_lenet_does_not_import_torchs_compiler():
    code = (
        "import sys, lth_utils as lth\n"
        "net, data = lth.masked(lth.LeNet(0)), lth.load('mnist-small')\n"
        "lth.train(net, data, lth.Recipe(iterations=2), device='cpu')\n"
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert done.stdout == "False\n"


# Convolutions on the CPU: channels side by side while they train


def narrow_conv(dtype: torch.dtype = torch.float64) -> nn.Module:
    net = lth.masked(lth.Conv2(0, filters=(4, 6), units=(8, 8)).to(dtype))
    lth.apply_masks(net, random_masks(net, 0.5))
    return net


def in_order(
    net: nn.Module, recipe: Recipe, data: lth.Dataset, key: Key = (0, 0)
) -> Engine:
    """The generic engine with every tensor row by row."""
    engine = Autograd(net, recipe, data, key)
    engine.write()
    engine.swift = torch.contiguous_format
    return engine


@pytest.mark.parametrize(
    "net", [narrow_conv(), lth.masked(lth.ResNet20().double())], ids=["conv", "resnet"]
)
def test_the_layout_changes_no_value(net, monkeypatch):
    states = []
    for engine in (Autograd, in_order):
        monkeypatch.setattr(loop, "engine_for", engine)
        trained = copy.deepcopy(net)
        lth.train(trained, COLOURS, Recipe(1e-3, 3, batch_size=8), device="cpu")
        states.append(lth.snapshot(trained))
    for name, value in states[0].items():
        assert torch.allclose(value, states[1][name], atol=1e-10), name


def test_pruned_filters_stay_zero_in_either_layout():
    net = narrow_conv()
    lth.train(net, COLOURS, Recipe(1e-3, 5), device="cpu")
    for name, mask in lth.masks_of(net).items():
        assert net.get_parameter(name)[~mask].eq(0).all()


def test_parameters_are_in_order_after_training_and_where_they_are_kept():
    whole, short = narrow_conv(), narrow_conv()
    kept = lth.train(whole, COLOURS, Recipe(1e-3, 6), keep_at=3, device="cpu").kept
    lth.train(short, COLOURS, Recipe(1e-3, 3), device="cpu")
    start = lth.train(again := narrow_conv(), COLOURS, Recipe(1e-3, 6), keep_at=0).kept
    states = (start, kept, lth.snapshot(whole))
    tensors = [*(t for state in states for t in state.values()), *whole.buffers()]
    assert all(tensor.is_contiguous() for tensor in tensors)
    # Keeping them changed nothing, neither there nor afterwards.
    assert all(torch.equal(kept[k], v) for k, v in lth.snapshot(short).items())
    after = lth.snapshot(again)
    assert all(torch.equal(after[k], v) for k, v in lth.snapshot(whole).items())


def test_convolutions_train_with_channels_side_by_side():
    net = narrow_conv(torch.float32)
    engine = Autograd(net, Recipe(1e-3), COLOURS)
    assert net.conv2.weight.is_contiguous(memory_format=torch.channels_last)
    assert net.conv2.mask.is_contiguous(memory_format=torch.channels_last)
    engine.write()
    assert net.conv2.weight.is_contiguous()


# --- the stack: many replicas as one -----------------------------------------


def three_nets(dtype: torch.dtype = torch.float64) -> list[nn.Module]:
    """One dense and two sparse nets, two of them with the same first values."""
    nets = [lth.masked(lth.LeNet(seed, (30, 20)).to(dtype)) for seed in (0, 0, 1)]
    for net, density in zip(nets, (1.0, 0.3, 0.05), strict=True):
        lth.apply_masks(net, random_masks(net, density))
    return nets


@pytest.mark.parametrize("recipe", [ADAM, SGD], ids=["adam", "sgd"])
def test_a_stack_trains_each_replica_as_if_alone(recipe):
    keys = [(0, 0), (0, 3), (1, 2)]
    together, alone = three_nets(), three_nets()
    curves = lth.train_together(together, DATA, recipe, keys, "cpu")
    for net, other, curve, key in zip(together, alone, curves, keys, strict=True):
        reference = lth.train(other, DATA, recipe, *key, device="cpu")
        for name, value in lth.snapshot(other).items():
            apart = (lth.snapshot(net)[name] - value).abs().max().item()
            assert apart <= 1e-10, name
        for point, expected in zip(curve.curve, reference.curve, strict=True):
            assert point[:2] == expected[:2]
            assert point[2:] == pytest.approx(expected[2:], abs=1e-9)


def test_a_stack_takes_lenets_of_one_shape_only():
    for first, other in [((300, 100), (10, 10)), ((13, 7), (13, 8))]:
        apart = [lth.LeNet(0, first), lth.LeNet(0, other)]
        with pytest.raises(lth.LotteryError, match="different widths"):
            lth.train_together(apart, DATA, ADAM, [(0, 0)] * 2, "cpu")
    with pytest.raises(lth.LotteryError, match="Conv2 cannot be stacked"):
        lth.train_together([lth.LeNet(), lth.Conv2()], DATA, ADAM, [(0, 0)] * 2, "cpu")


@pytest.mark.parametrize("hidden", [(300, 100), (13, 7)])
def test_every_weight_of_a_stack_starts_evenly(hidden):
    nets = [lth.LeNet(seed, hidden).double() for seed in range(3)]
    stack = Stack(nets, DATA, ADAM)
    for pair in (*stack.values, *stack.gradients):
        for replicas in pair:
            places = [each.data_ptr() for each in replicas]
            assert all((place - places[0]) % 256 == 0 for place in places)
    assert all((w.data_ptr() - b.data_ptr()) % 256 == 0 for w, b in stack.values)


def moved(stack: Stack, steps: int = 5) -> torch.Tensor:
    """Take some steps; return the weights that came out."""
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        stack.step(torch.randint(len(DATA.train.labels), (3, 60), generator=generator))
    return stack.parameter.detach()


@pytest.mark.parametrize("recipe", [ADAM, SGD], ids=["adam", "sgd"])
def test_a_capture_leaves_every_value_as_it_was(recipe, monkeypatch):
    """With a graph that replays the step as it stands, the way there is seen."""
    stack = Stack(three_nets(), DATA, recipe)
    stream = SimpleNamespace(wait_stream=lambda _: None, device=stack.index.device)
    graph = SimpleNamespace(replay=stack._step)
    fakes = {
        "Stream": lambda _: stream,
        "current_stream": lambda: stream,
        "CUDAGraph": lambda: graph,
        **dict.fromkeys(("device", "stream", "graph"), lambda *_, **__: nullcontext()),
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    monkeypatch.setattr(graphs, "side_stream", fakes["Stream"])
    stack._record()
    assert stack.graph is graph
    assert torch.equal(moved(stack), moved(Stack(three_nets(), DATA, recipe)))


@pytest.mark.parametrize("recipe", [ADAM, SGD], ids=["adam", "sgd"])
def test_a_recording_that_fails_leaves_every_value_too(recipe, monkeypatch):
    stack, moves = Stack(three_nets(), DATA, recipe), []

    def step() -> None:
        moves.append(stack._step())
        if len(moves) == 4:  # the one that is captured
            raise torch.OutOfMemoryError("CUDA out of memory")

    stream = SimpleNamespace(wait_stream=lambda _: None, device=stack.index.device)
    fakes = dict.fromkeys(("device", "stream", "graph"), lambda *_, **__: nullcontext())
    fakes |= {"current_stream": lambda: stream, "CUDAGraph": SimpleNamespace}
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    with pytest.raises(torch.OutOfMemoryError):
        graphs.record(step, stack.state, stream)
    assert torch.equal(moved(stack), moved(Stack(three_nets(), DATA, recipe)))


@pytest.mark.parametrize("recipe", [ADAM, SGD], ids=["adam", "sgd"])
@pytest.mark.parametrize("scaling", ["standardize", "l2"])
def test_a_warm_step_asks_nothing_of_the_cpu(recipe, scaling):
    stack = Stack(three_nets(), lth.load("mnist-small", scaling), recipe)
    stack._step()  # what the warm-up is for
    with Unasked():
        stack._step()
    with pytest.raises(AssertionError, match="lift_fresh"), Unasked():
        torch.tensor(1.0)


def test_too_little_memory_splits_the_stack_and_says_so(monkeypatch, capsys):
    whole = lth.train_together

    def small(nets, *rest):
        if len(nets) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(nets, *rest)

    experiment = tiny_experiment(arms=("dense",), seeds=(0, 1, 2, 3, 4))
    asked = jobs_of(experiment)
    monkeypatch.setattr(perform, "train_together", small)
    split = perform.perform(asked, [None] * 5, torch.device("cpu"))
    assert "too small for 5 networks at once: training 2 and 3." in (
        capsys.readouterr().err
    )
    monkeypatch.setattr(perform, "train_together", whole)
    once = perform.perform(asked, [None] * 5, torch.device("cpu"))
    for one, other in zip(split, once, strict=True):
        accuracies = [[p.accuracy for p in result.curve] for result in (one, other)]
        assert accuracies[0] == pytest.approx(accuracies[1], abs=0.01)


def test_memory_that_ends_late_leaves_nothing_moved(monkeypatch):
    """Streams train in place: what is tried again begins with networks as made."""
    whole, cpu = lth.train_together, torch.device("cpu")

    def roomy(nets, data, recipe, keys, _, curves, way):
        return whole(nets, data, recipe, keys, cpu, curves, "streams")

    def small(nets, data, recipe, *rest):
        if len(nets) > 1:
            roomy(nets, data, replace(recipe, iterations=3), *rest)
            raise torch.OutOfMemoryError("CUDA out of memory")
        return roomy(nets, data, recipe, *rest)

    starts = [lth.from_seed("conv2-narrow", seed) for seed in (0, 1)]
    plan = two_convolutions(Recipe(iterations=6, evaluate_every=3, batch_size=16))
    monkeypatch.setattr(perform, "way_for", lambda *_: "streams")
    found = []
    for way in (small, roomy):
        monkeypatch.setattr(perform, "train_together", way)
        gpu = SimpleNamespace(type="cuda")  # which asks for them together
        found.append(perform._train(starts, COLOURS, jobs_of(plan), gpu))
    for (net, training), (other, expected) in zip(*found, strict=True):
        assert training.curve == expected.curve
        assert torch.equal(net.conv1.weight, other.conv1.weight)


def test_a_batch_of_jobs_has_whole_curves_if_one_asks():
    experiment = tiny_experiment(
        arms=("dense",), seeds=(0, 1), recipe=Recipe(iterations=40, evaluate_every=10)
    )
    one, other = jobs_of(experiment)
    jobs = [one, replace(other, curves=True)]
    for result in perform.perform(jobs, [None] * 2, torch.device("cpu")):
        assert len(result.curve) == 4 * 3  # each split, at each evaluation


def test_a_lenet_alone_is_a_stack_of_one_on_a_gpu(monkeypatch):
    (job,) = jobs_of(tiny_experiment(arms=("dense",)))
    trained, gpu = [], torch.device("cuda")

    def together(nets, *_):
        trained.append(len(nets))
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(perform, "train_together", together)
    with pytest.raises(torch.OutOfMemoryError):  # one cannot be split
        perform._train([lth.from_seed("lenet", 0)], DATA, [job], gpu)
    assert trained == [1]
