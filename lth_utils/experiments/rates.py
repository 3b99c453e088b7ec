"""Rates: how much of each kind of layer goes in a round of pruning.

A word or a number that is wrong is answered before torch is imported.
"""

from dataclasses import dataclass

from lth_utils.arguments import check_rates
from lth_utils.errors import choose
from lth_utils.words import SCOPES


@dataclass(frozen=True)
class Pruning:
    """How much of each kind of layer goes in a round, and who competes.

    Args:
        conv: The fraction of the remaining weights of convolutions.
        fc: That of linear layers but the last.
        output: That of the last linear layer.
        scope: "layer-wise" or "global".

    Raises:
        LotteryError: If a fraction is out of range, the scope is unknown, or
            global pruning is given several fractions.
    """

    conv: float = 0.0
    fc: float = 0.0
    output: float = 0.0
    scope: str = "layer-wise"

    def __post_init__(self) -> None:
        choose("scope", self.scope, SCOPES)
        # Into `vars`, since a frozen value refuses to be set.
        vars(self).update(check_rates(self.rates, self.scope))

    @property
    def rates(self) -> dict[str, float]:
        """Kind of layer to its fraction, as `prune` takes them."""
        return {"conv": self.conv, "fc": self.fc, "output": self.output}


# The paper's Figure 2. Its ResNet and VGG leave the output layer, and ResNet
# its 1x1 shortcuts, unpruned.
_LENET = Pruning(fc=0.2, output=0.1)
_SHALLOW_CONV = Pruning(conv=0.1, fc=0.2, output=0.1)
_CONV6 = Pruning(conv=0.15, fc=0.2, output=0.1)
_DEEP = Pruning(conv=0.2, scope="global")
PRUNING = {
    "lenet": _LENET,
    "conv2": _SHALLOW_CONV,
    "conv4": _SHALLOW_CONV,
    "conv6": _CONV6,
    "resnet20": _DEEP,
    "vgg19": _DEEP,
    "conv2-narrow": _SHALLOW_CONV,
    "conv4-narrow": _SHALLOW_CONV,
    "conv6-narrow": _CONV6,
    "resnet8-narrow": _DEEP,
    "vgg19-narrow": _DEEP,
    "lenet-1d": _LENET,
}
