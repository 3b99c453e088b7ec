from dataclasses import replace

import pytest
import torch
from torch import nn

from lth_utils.errors import LotteryError
from lth_utils.experiments.catalogue import experiment
from lth_utils.experiments.rates import PRUNING
from lth_utils.models import (
    VGG19,
    Conv2,
    Conv4,
    Conv6,
    LeNet,
    ResNet20,
    initialize,
    network,
)
from lth_utils.words import NETWORKS, check_network

# the table of the paper's Figure 2: weights in all, in 3 x 3 convolutions
COUNTS = {
    "lenet": (266_200, 0),
    "conv2": (4_300_992, 38_592),
    "conv4": (2_425_024, 259_776),
    "conv6": (2_261_184, 1_144_512),
    "resnet20": (270_896, 267_696),
    "vgg19": (20_024_000, 20_018_880),
    "conv2-narrow": (269_616, 2_736),
    "conv4-narrow": (152_368, 16_560),
    "conv6-narrow": (142_128, 71_856),
    "resnet8-narrow": (19_608, 18_648),
    "vgg19-narrow": (313_624, 312_984),
    "lenet-1d": (15_000, 0),
}
SHAPES = {"lenet": (1, 28, 28), "lenet-1d": (1, 1, 40)}


def weights(net: nn.Module) -> dict[str, torch.Tensor]:
    return {k: p.detach() for k, p in net.named_parameters() if p.dim() > 1}


def fans(weight: torch.Tensor) -> int:
    field = weight[0, 0].numel()
    return (weight.shape[0] + weight.shape[1]) * field


@pytest.mark.parametrize("name", NETWORKS)
def test_weight_counts_are_the_papers(name: str) -> None:
    tensors = weights(network(name, seed=0))
    wide = [w for w in tensors.values() if w.dim() == 4 and w.shape[-1] == 3]
    assert sum(w.numel() for w in tensors.values()) == COUNTS[name][0]
    assert sum(w.numel() for w in wide) == COUNTS[name][1]


def test_resnet_has_its_shortcuts_and_output_apart() -> None:
    tensors = weights(network("resnet20", 0))
    shortcuts = [w for k, w in tensors.items() if k.endswith("shortcut.weight")]
    assert sum(w.numel() for w in shortcuts) == 2_560
    assert tensors["output.weight"].numel() == 640


@pytest.mark.parametrize("name", NETWORKS)
def test_gives_ten_finite_scores_an_image(name: str) -> None:
    shape = SHAPES.get(name, (3, 32, 32))
    images = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    scores = network(name, 0)(images)
    assert scores.shape == (2, 10)
    assert bool(scores.isfinite().all())


def test_layer_names() -> None:
    named = [k for k, _ in LeNet().named_children()]
    assert named == ["fc1", "fc2", "output"]
    convolutional = [k for k, _ in Conv4().named_children()]
    assert convolutional == [
        *("conv1", "conv2", "conv3", "conv4"),
        *("fc1", "drop1", "fc2", "drop2", "output"),
    ]
    of_weights = [k.removesuffix(".weight") for k in weights(Conv4())]
    assert of_weights == [k for k in convolutional if not k.startswith("drop")]


@pytest.mark.parametrize("name", NETWORKS)
def test_biases_are_zero_and_batchnorm_stands_in_for_them(name: str) -> None:
    net = network(name, 0)
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert len(norms) == (
        len(convolutions) if "net" in name[1:] or "vgg" in name else 0
    )
    for key, value in net.named_parameters():
        if key.endswith("bias"):
            assert not value.any()
    for module in convolutions:
        assert (module.bias is None) == bool(norms)
    for norm in norms:
        assert bool((norm.weight == 1).all())
        assert not norm.running_mean.any()


@pytest.mark.parametrize("name", ["lenet", "conv2", "conv6", "resnet20"])
def test_weights_are_gaussian_glorot(name: str) -> None:
    for key, weight in weights(network(name, 3)).items():
        z = weight.double() / (2 / fans(weight)) ** 0.5
        noise = z.numel() ** -0.5
        assert abs(z.mean()) < 5 * noise, key
        assert abs(z.std() - 1) < 5 * noise, key
        # of a Gaussian; a uniform of that variance has 1.8
        assert abs((z**4).mean() - 3) < 50 * noise, key
        if z.numel() > 5_000:
            assert z.abs().max() > 3, key


@pytest.mark.parametrize("name", ["lenet", "conv2-narrow", "resnet20"])
def test_seed_decides_every_bit(name: str) -> None:
    first, again, other = (weights(network(name, seed)) for seed in (5, 5, 6))
    for key in first:
        assert torch.equal(first[key], again[key])
        assert not torch.equal(first[key], other[key])


def test_layers_of_one_shape_differ() -> None:
    tensors = weights(ResNet20(0))
    assert not torch.equal(
        tensors["blocks.0.conv1.weight"], tensors["blocks.0.conv2.weight"]
    )


@pytest.mark.parametrize("name", ["lenet", "conv2-narrow", "resnet20"])
def test_building_leaves_the_global_random_state_alone(name: str) -> None:
    torch.manual_seed(11)
    expected = torch.get_rng_state()
    network(name, 4)
    assert torch.equal(torch.get_rng_state(), expected)


def test_initialize_makes_a_used_network_new() -> None:
    net = ResNet20(0)
    fresh = {k: v.clone() for k, v in net.state_dict().items()}
    net(torch.ones(2, 3, 32, 32)).sum().backward()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(1)
    initialize(net, 0)
    for key, value in net.state_dict().items():
        assert torch.equal(value, fresh[key]), key


def test_lenet_computes_what_it_says() -> None:
    net = LeNet(1, hidden=(5, 4))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.01)
    x = torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    h = (x.reshape(3, 784) @ net.fc1.weight.T + net.fc1.bias).clamp(min=0)
    h = (h @ net.fc2.weight.T + net.fc2.bias).clamp(min=0)
    expected = h @ net.output.weight.T + net.output.bias
    assert torch.allclose(net(x), expected, atol=1e-5)


def test_conv2_is_relu_after_each_convolution_and_one_pool() -> None:
    net = Conv2(1, filters=(4, 5), units=(6, 7)).double()
    x = torch.randn(
        2, 3, 32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    h = net.get_submodule("conv1")(x).relu()
    h = nn.functional.max_pool2d(net.get_submodule("conv2")(h).relu(), 2)
    assert h.shape == (2, 5, 16, 16)
    h = net.fc2(net.fc1(h.flatten(1)).relu()).relu()
    assert torch.allclose(net(x), net.output(h), atol=1e-5)


def test_resnet_halves_the_picture_twice() -> None:
    sizes = []
    net = ResNet20(0)
    for block in net.blocks:
        block.register_forward_hook(lambda _m, _i, out: sizes.append(out.shape[1:]))
    net(torch.zeros(1, 3, 32, 32))
    expected = [(16, 32, 32)] * 3 + [(32, 16, 16)] * 3 + [(64, 8, 8)] * 3
    assert [tuple(size) for size in sizes] == expected


def test_a_width_is_that_of_the_first_stage() -> None:
    deep = ResNet20(0, width=3)
    assert [block.conv2.weight.shape[0] for block in deep.blocks] == (
        [3] * 3 + [6] * 3 + [12] * 3
    )
    plain = VGG19(0, width=2)
    widths = [w.shape[0] for k, w in weights(plain).items() if k.startswith("conv")]
    assert widths == [2] * 2 + [4] * 2 + [8] * 4 + [16] * 8
    for net in (deep, plain):
        assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    short = ResNet20(5, width=8, blocks=1)
    assert [block.stride for block in short.blocks] == [1, 2, 2]
    for net, word in ((short, "resnet8"), (VGG19(5, width=8), "vgg19")):
        found = network(f"{word}-narrow", 5).state_dict()
        assert found.keys() == net.state_dict().keys()
        assert all(torch.equal(t, found[n]) for n, t in net.state_dict().items())


def test_narrow_widths() -> None:
    net = Conv6(0, filters=(2, 2, 3, 3, 4, 4), units=(5, 6))
    assert net.fc1.weight.shape == (5, 4 * 4 * 4)
    assert net(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("lenet", ("lenet", None, 1.0)),
        ("conv2-narrow", ("conv2-narrow", None, 1.0)),
        ("lenet-1d@2", ("lenet-1d", None, 2.0)),
        ("lenet@0.5", ("lenet", None, 0.5)),
        ("lenet-50-17", ("lenet", (50, 17), 1.0)),
        ("lenet-1-10000", ("lenet", (1, 10_000), 1.0)),
        ("lenet-50-17@0.05", ("lenet", (50, 17), 0.05)),
    ],
)
def test_what_a_networks_word_says(word: str, expected: tuple[object, ...]) -> None:
    assert check_network(word) == expected


def test_a_networks_word_decides_widths_and_gain() -> None:
    plain, scaled = LeNet(3, hidden=(50, 17)), network("lenet-50-17@0.3", 3)
    assert type(scaled) is LeNet
    assert sum(w.numel() for w in weights(scaled).values()) == 784 * 50 + 50 * 17 + 170
    assert scaled.state_dict().keys() == plain.state_dict().keys()
    for key, value in scaled.state_dict().items():
        assert torch.equal(value, plain.state_dict()[key] * 0.3), key
    assert all(p.requires_grad and p.is_leaf for p in scaled.parameters())


@pytest.mark.parametrize("name", ["conv2-narrow", "resnet20"])
def test_a_gain_leaves_biases_and_batchnorm_alone(name: str) -> None:
    scaled = network(f"{name}@0.5", 1).state_dict()
    for key, value in network(name, 1).state_dict().items():
        expected = value * 0.5 if value.dim() > 1 else value
        assert torch.equal(scaled[key], expected), key


@pytest.mark.parametrize(
    "word",
    [
        *("lenett", "", "LeNet", " lenet", "lenet\n", "lenet-", "lenet-50"),
        *("lenet-50-17-3", "lenet-0-17", "lenet-50-017", "lenet-50-10001"),
        *("lenet-50--17", "lenet-5.0-17", "lenet-٣-17", "conv2-50-17"),
        *("lenet@", "lenet@0", "lenet@0.0", "lenet@-1", "lenet@+1", "lenet@.5"),
        *("lenet@1.", "lenet@1e-3", "lenet@inf", "lenet@nan", "lenet@1@2"),
        *("@0.5", "lenet@0.5-50-17", None, 3),
    ],
)
def test_an_unknown_network_is_a_sentence(word: str) -> None:
    expected = f"Unknown network {word!r}: expected one of lenet, conv2, "
    with pytest.raises(LotteryError) as caught:
        network(word, 0)
    assert str(caught.value).startswith(expected)
    for example in ("lenet-50-17", "lenet@0.5", "lenet-50-17@0.5"):
        assert example in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_experiment_takes_the_same_words() -> None:
    small = replace(experiment("lenet-mnist"), network="lenet-50-17@0.5")
    assert small.network == "lenet-50-17@0.5"
    assert PRUNING["lenet-1d"] == PRUNING["lenet"]
    with pytest.raises(LotteryError, match=r"Unknown network 'lenet@0'.*lenet@0\.5"):
        replace(small, network="lenet@0")


def test_a_slip_is_answered_with_the_nearest_network() -> None:
    with pytest.raises(LotteryError, match=r"Unknown network 'lenett'.*mean 'lenet'"):
        network("lenett", 0)


@pytest.mark.parametrize("seed", [1.0, "1", True, None, -1])
def test_a_seed_must_be_an_integer(seed: object) -> None:
    with pytest.raises(LotteryError, match="seed"):
        LeNet(seed)  # type: ignore[arg-type]


def test_the_layout_in_memory_does_not_change_what_is_drawn():
    swift = Conv2(seed=5).to(memory_format=torch.channels_last)
    initialize(swift, seed=0)
    expected = Conv2(seed=0).state_dict()
    assert all(torch.equal(expected[n], t) for n, t in swift.state_dict().items())
