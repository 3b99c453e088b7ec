"""Where tensors lie: on the device that is asked for, or on the best one."""

import torch

from lth_utils.errors import LotteryError


def best_device() -> torch.device:
    """Return the GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_of(device: str | torch.device | None) -> torch.device:
    """Return the device that was asked for, the best one if None.

    Raises:
        LotteryError: If this machine, or this build of torch, has none such.
    """
    if device is None:
        return best_device()
    try:
        place = torch.device(device)
        torch.zeros(1, device=place).item()  # only the attempt tells
    except (RuntimeError, AssertionError, TypeError, ValueError, ImportError) as error:
        raise LotteryError(
            f'The device {device!r} cannot be used: expected "cpu", or "cuda" for an'
            f" NVIDIA GPU, of which torch finds {torch.cuda.device_count() or 'none'}"
            " here; leave it out to take the best there is."
        ) from error
    return place
