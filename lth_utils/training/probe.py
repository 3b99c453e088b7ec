"""A network before it is trained or evaluated: can it be, and on this data?

The answer is one forward pass of two images. It leaves no trace: not in modes,
buffers or random state, and no hook hears of it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as registry
from torch.nn.parameter import is_lazy
from torch.random import fork_rng

from lth_utils.data.datasets import Dataset
from lth_utils.errors import LotteryError

_IMAGES = 2  # one is too few for a norm that keeps no statistics

_Hooks = dict[int, Any]


@contextmanager
def ordinary(device: torch.device) -> Iterator[None]:
    """Compute in the tensors' own types, with gradients, and the same bits each time.

    What a table says must not depend on an autocast, a no_grad or an
    inference_mode that happens to be around. Convolutions round their factors
    (TF32) only where `torch.set_float32_matmul_precision` lets products do so.
    """
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.allow_tf32
    cudnn.deterministic = True
    cudnn.allow_tf32 = rounded()
    try:
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast(device.type, enabled=False),
        ):
            yield
    finally:
        cudnn.deterministic, cudnn.allow_tf32 = before


def rounded() -> bool:
    """Whether a GPU may round the factors of float32 products, to 10 bits (TF32)."""
    return torch.get_float32_matmul_precision() != "highest"


@contextmanager
def own_modes(net: nn.Module) -> Iterator[None]:
    """Put every module back into its own mode: a frozen BatchNorm stays frozen."""
    modes = [(part, part.training) for part in net.modules()]
    try:
        yield
    finally:
        net.train(modes[0][1])  # its own method, which may do more than set flags
        for part, mode in modes:
            if part.training != mode:
                part.training = mode


def dtype_of(net: nn.Module) -> torch.dtype:
    """Return the floating type that `net` is fed: its first parameter's."""
    for parameter in net.parameters():
        if parameter.is_floating_point() or parameter.is_complex():
            return parameter.dtype.to_real()
    return torch.get_default_dtype()


def check_whole(net: nn.Module) -> None:
    """Check that `net` is a network, and that its parameters and buffers are there.

    Raises:
        LotteryError: If it is none, or one is lazy or on the device "meta".
    """
    if not isinstance(net, nn.Module):
        raise LotteryError(
            f"The network is {net!r}: expected an nn.Module. Make one, such as"
            " lth.LeNet(seed=0) or lth.network('lenet')."
        )
    for name, tensor in (*net.named_parameters(), *net.named_buffers()):
        if is_lazy(tensor) or tensor.is_meta:
            raise LotteryError(
                f"{name!r} of {type(net).__name__} has no values yet, because it is"
                " lazy or on the device 'meta': expected a network that is complete."
                " Give it values first; a lazy one gets them from a batch:"
                " net(data.scale(data.train.images[:2]))."
            )


def check_trainable(net: nn.Module) -> None:
    """Check that an optimizer can move parameters of `net`.

    Raises:
        LotteryError: If none is free, or one cannot be moved.
    """
    check_whole(net)
    kind = type(net).__name__
    free = {name: p for name, p in net.named_parameters() if p.requires_grad}
    if not free:
        raise LotteryError(
            f"{kind} has nothing to train: expected at least one parameter that"
            " requires a gradient. Thaw some: net.requires_grad_(True)."
        )
    for name, parameter in free.items():
        if parameter.is_inference():
            raise LotteryError(
                f"{name!r} of {kind} was made in inference mode, where nothing can be"
                " trained: expected an ordinary parameter. Make the network outside"
                " torch.inference_mode()."
            )
        if parameter.layout != torch.strided or _expanded(parameter):
            raise LotteryError(
                f"{name!r} of {kind} is sparse or expanded: expected a place in memory"
                " for each of its values. Make it of a copy, values.to_dense() or"
                " values.contiguous()."
            )


def _expanded(tensor: Tensor) -> bool:
    """Whether several values share one place in memory."""
    axes = zip(tensor.stride(), tensor.shape, strict=True)
    return any(step == 0 and size > 1 for step, size in axes)


def placed(data: Dataset, device: torch.device) -> Dataset:
    """Return a data set on a device, looked at once more: it may have changed.

    Raises:
        LotteryError: If it is no data set, or none that training could use.
    """
    if not isinstance(data, Dataset):
        raise LotteryError(
            f"The data are of the type {type(data).__name__}: expected a data set."
            " Take what lth.load or lth.dataset returns."
        )
    return data.to(device)


def check_match(net: nn.Module, data: Dataset) -> None:
    """Check that `net` takes the images of `data` and has a score for each label.

    Args:
        net: The network.
        data: The data set, on the same device.

    Raises:
        LotteryError: If it does not.
    """
    hooks: list[_Hooks] = [
        registry._global_forward_hooks,
        registry._global_forward_pre_hooks,
        *(part._forward_hooks for part in net.modules()),
        *(part._forward_pre_hooks for part in net.modules()),
    ]
    try:
        with _silenced(hooks):
            _check_match(net, data)
    except LotteryError:
        if not any(hooks):
            raise
        _check_match(net, data)  # a hook may be what makes them match


@contextmanager
def _silenced(hooks: Sequence[_Hooks]) -> Iterator[None]:
    """Take all hooks away for a while."""
    kept = [dict(some) for some in hooks]
    try:
        for some in hooks:
            some.clear()
        yield
    finally:
        for some, before in zip(hooks, kept, strict=True):
            some.update(before)


def _check_match(net: nn.Module, data: Dataset) -> None:
    kind, images = type(net).__name__, data.train.images[:_IMAGES]
    try:
        scores = _scores(net, data.scale(images, dtype_of(net)))
    except (LotteryError, torch.OutOfMemoryError):
        raise
    except (RuntimeError, ValueError, IndexError, AssertionError) as error:
        words = " ".join(str(error).split())
        raise LotteryError(
            f"{kind} cannot take the images of the data set {data.name!r}, (C, H, W) ="
            f" {data.shape}: expected images and a network that fit together. Take"
            f" another network, or bring the images into its shape. (It says: {words})"
        ) from error
    real = isinstance(scores, Tensor) and scores.is_floating_point()
    if not real or scores.dim() != 2 or len(scores) != len(images):
        form = f"{tuple(scores.shape)} numbers" if real else type(scores).__name__
        raise LotteryError(
            f"{kind} maps {len(images)} images to {form}: expected a tensor (N,"
            " classes), a real score for each image and class. Let forward return"
            " that."
        )
    outputs = scores.shape[1]
    if data.classes > outputs:
        raise LotteryError(
            f"The labels of the data set {data.name!r} go up to {data.classes - 1}, but"
            f" {kind} has {outputs} outputs, for labels from 0 to {outputs - 1}. Count"
            " the classes from 0, or take a network with an output for each."
        )


def _scores(net: nn.Module, x: Tensor) -> Any:
    """Return what `net` makes of a batch in evaluation, leaving it untouched."""
    net = getattr(net, "_orig_mod", net)  # else torch.compile compiles for this batch
    devices = [x.device] if x.is_cuda else []
    with own_modes(net), _own_buffers(net), fork_rng(devices), torch.no_grad():
        net.eval()
        return net(x)


@contextmanager
def _own_buffers(net: nn.Module) -> Iterator[None]:
    """Put every buffer back, whether it is exchanged or written to."""
    kept = [
        (part, name, buffer, buffer.clone(), _writes(buffer))
        for part in net.modules()
        for name, buffer in part.named_buffers(recurse=False)
    ]
    try:
        yield
    finally:
        for part, name, buffer, values, writes in kept:
            if getattr(part, name) is not buffer:
                setattr(part, name, buffer)
            if _writes(buffer) != writes:
                with torch.no_grad():
                    buffer.copy_(values)


def _writes(buffer: Tensor) -> int:
    """Return how often a tensor was written to."""
    return 0 if buffer.is_inference() else buffer._version
