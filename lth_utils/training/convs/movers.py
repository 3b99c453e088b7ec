"""The layers without parameters: what they read is pooled, dropped or sorted."""

import math

from lth_utils.models.layers import Dropout
from lth_utils.training.convs import plane_kernels as kernels
from lth_utils.training.convs.layers import Array, Batch, Layer
from lth_utils.training.convs.planes import Planes


class Pool(Layer):
    """The greatest of 2 x 2 pixels, then perhaps a ReLU."""

    def forward(self, batch: Batch) -> None:
        """Compute the maxima."""
        floor = 0 if self.target.rectified else -math.inf
        kernels.pool(
            self.source.values,
            self.target.values,
            self.source.form,
            self.target.form,
            self.source.dtype.type(floor),
        )

    def trace(self, batch: Batch) -> None:
        """Give the gradients to the greatest."""
        if self.source.height % 2 or self.source.width % 2:
            self.source.delta[:] = 0  # the last pixels, which none of them is
        kernels.pool_back(
            self.target.delta,
            self.source.values,
            self.source.delta,
            self.source.form,
            self.target.form,
        )


class Average(Layer):
    """Each channel's mean over all pixels, of what a ReLU has made."""

    def forward(self, batch: Batch) -> None:
        """Compute the means."""
        signals = (self.source.values, self.target.values)
        kernels.average(*signals, self.source.form, self.target.form)

    def trace(self, batch: Batch) -> None:
        """Spread the gradients."""
        source, target = self.source, self.target
        kernels.average_back(
            target.delta, source.values, source.delta, source.form, target.form
        )


class Drop(Layer):
    """Units that a step leaves out, and the others made up for it.

    Args:
        module: The network's place for dropout, which has them while it trains.
        source: The signal that it reads.
        target: The one that it writes.
    """

    def __init__(self, module: Dropout, source: Planes, target: Planes) -> None:
        super().__init__(source, target)
        self.module = module

    def forward(self, batch: Batch) -> None:
        """Compute what is kept."""
        self._keep(self.source.values, self.target.values, batch)

    def trace(self, batch: Batch) -> None:
        """Give the gradients to what is kept."""
        self._keep(self.target.delta, self.source.delta, batch)

    def _keep(self, a: Array, out: Array, batch: Batch) -> None:
        out[:] = a
        if batch.trains and self.module.kept is not None:
            rows = out.reshape(self.target.channels, -1)
            rows[:, : batch.images] *= self.module.kept[: batch.images].numpy().T


class Quarter(Layer):
    """A signal as four, by whether its pixels' y and x are odd.

    To these, a convolution of stride 2 is one of stride 1.
    """

    def forward(self, batch: Batch) -> None:
        """Sort the pixels."""
        self._sort(self.source.values, self.target.values, back=False)

    def trace(self, batch: Batch) -> None:
        """Sort the gradients back."""
        self._sort(self.source.delta, self.target.delta, back=True)

    def _sort(self, a: Array, out: Array, *, back: bool) -> None:
        kernels.quarter(a, out, self.source.form, self.target.form, back)
