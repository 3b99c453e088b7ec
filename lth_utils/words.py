"""The words a user can say, in one place that needs no torch.

A word is checked against these before torch is imported, so that a slip of
the pen is answered at once.
"""

import re
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from lth_utils.errors import LotteryError, unknown
from lth_utils.files.places import data_folder

# Each data set's images, and the images that each network takes: (channels,
# height, width).
IMAGES = {
    "mnist-small": (1, 28, 28),
    "mnist": (1, 28, 28),
    "fashion-mnist": (1, 28, 28),
    "mnist-1d": (1, 1, 40),
    "mnist-1d-shuffled": (1, 1, 40),
    "colour-digits": (3, 32, 32),
    "cifar10": (3, 32, 32),
}
PICTURES = (3, 32, 32)  # those of a folder of one's own, which is a word as well
TRAIN_IMAGES = {  # how many there are to train on
    "mnist-small": 12_000,
    "mnist": 55_000,
    "fashion-mnist": 55_000,
    "mnist-1d": 4_000,
    "mnist-1d-shuffled": 4_000,
    "colour-digits": 12_000,
    "cifar10": 45_000,
}
TAKES = {
    "lenet": (1, 28, 28),
    "conv2": (3, 32, 32),
    "conv4": (3, 32, 32),
    "conv6": (3, 32, 32),
    "resnet20": (3, 32, 32),
    "vgg19": (3, 32, 32),
    "conv2-narrow": (3, 32, 32),
    "conv4-narrow": (3, 32, 32),
    "conv6-narrow": (3, 32, 32),
    "resnet8-narrow": (3, 32, 32),
    "vgg19-narrow": (3, 32, 32),
    "lenet-1d": (1, 1, 40),
}
DATASETS = tuple(IMAGES)
NETWORKS = tuple(TAKES)
DROPPING = tuple(word for word in NETWORKS if word.startswith("conv"))  # have dropout
SCALINGS = ("standardize", "unit", "l2")
SPLITS = ("train", "validation", "test")
SCOPES = ("layer-wise", "global")
SCORES = ("magnitude", "random", "initial")

# How a network got its structure and its initial weights:
#   dense           every weight, trained once (round 0)
#   ticket          iterative magnitude pruning, reset to theta_0 each round
#   continuing      iterative, training continued between prunings, never reset
#   continued       the masks found so, reset once at the end (strategy 2 of
#                   the paper's appendix B)
#   oneshot         pruned once, after round 0, to the ticket's layer counts
#   oneshot-reinit  that mask with freshly drawn weights
#   reinit          the ticket's mask with freshly drawn weights
#   resample        the ticket's mask with values drawn from its own survivors
#   noise-S         theta_0 plus noise of S initial standard deviations
#   random          theta_0 with a random mask of the ticket's layer counts
#   same-fan-in     likewise, and each unit keeps its number of inputs
#   same-fan-out    likewise, and each input keeps its number of units
#   initial         theta_0, keeping the largest initial values
NOISES = ("noise-0.5", "noise-1", "noise-2", "noise-3")
CONTROLS = (
    "reinit",
    "resample",
    *NOISES,
    "random",
    "same-fan-in",
    "same-fan-out",
    "initial",
)
ARMS = (
    "dense",
    "ticket",
    "continuing",
    "continued",
    "oneshot",
    "oneshot-reinit",
    *CONTROLS,
)
# Arms that draw something of their own, so that a repeat of one is another
# training.
DRAWN = ("oneshot-reinit", *(arm for arm in CONTROLS if arm != "initial"))

_UNITS = r"([1-9][0-9]{0,3}|10000)"
_GAIN = r"(?=[0.]*[1-9])([0-9]{1,4}(?:\.[0-9]{1,9})?)"
_NETWORK = re.compile(rf"({'|'.join(NETWORKS)}|lenet-{_UNITS}-{_UNITS})(?:@{_GAIN})?")
_VARIANTS = (
    "or lenet-50-17 (LeNet with 50 and 17 hidden units, each from 1 to 10000), or any"
    " of these with a gain above 0, such as lenet@0.5 or lenet-50-17@0.5 (initial"
    " weights times 0.5)"
)


class NetworkWord(NamedTuple):
    """What a network's word says.

    Attributes:
        base: One of NETWORKS.
        hidden: The two hidden layers' units, where the word gives them.
        gain: What the initial weights are multiplied with.
    """

    base: str
    hidden: tuple[int, int] | None
    gain: float


def check_network(word: str) -> NetworkWord:
    """Return what the word of a network says.

    >>> check_network("lenet-50-17@0.5")
    NetworkWord(base='lenet', hidden=(50, 17), gain=0.5)

    Raises:
        LotteryError: If there is no such network.
    """
    match = _NETWORK.fullmatch(str(word))
    if match is None:
        raise unknown("network", word, NETWORKS, _VARIANTS)
    base, first, second, gain = match.groups(default="")
    hidden = (int(first), int(second)) if first else None
    return NetworkWord("lenet" if hidden else base, hidden, float(gain or 1))


def check_data(word: str) -> str:
    """Return the word of a data set, or the name of a folder of pictures.

    Raises:
        LotteryError: If it is neither. Folders are looked for in `data_folder()`.
    """
    if word in DATASETS or pictures(word) is not None:
        return word
    further = "or the name of a folder of pictures in LTH_DATA, with train/ and test/"
    raise unknown("data set", word, DATASETS, further)


def pictures(word: object) -> Path | None:
    """Return the folder of pictures that a word names; None if it names none."""
    if not isinstance(word, str) or word in DATASETS or not word.isprintable():
        return None
    if Path(word).name != word or word in ("", ".."):
        return None
    # No home folder may be known, and the folder be closed or its name too long.
    with suppress(LotteryError, OSError):
        folder = data_folder() / word
        if (folder / "train").is_dir():
            return folder
    return None


def check_images(network: str, data: str) -> None:
    """Check that a network takes a data set's images, by their words.

    Raises:
        LotteryError: If it does not, or there is no such network or data set.
    """
    takes = TAKES[check_network(network).base]
    images = IMAGES.get(check_data(data), PICTURES)
    if images != takes:
        others = [word for word, shape in IMAGES.items() if shape == takes]
        takers = [word for word, shape in TAKES.items() if shape == images]
        raise LotteryError(
            f"The network {network!r} takes images (C, H, W) of {takes}, but those of"
            f" {data!r} are {images}: expected a data set that it takes"
            f" ({', '.join(others)}), or a network that takes these"
            f" ({', '.join(takers)})."
        )
