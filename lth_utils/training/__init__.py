"""One training run, and the engines behind it.

A reader starts at `loop.py` and needs `engines.py`, `evaluation.py`,
`order.py` and `recipes.py` besides; `probe.py` finds out beforehand whether
network and data fit together. The other files may stay shut. Faster steps for
LeNet: `mlp.py`, `pixels.py` with its loops, and `sparse.py` with its own
(`steps.py`, `kernels.py`, `tiles.py` and `optimizers.py`). Loops are compiled by
`compiled.py`; what they sum stays in registers by `vectors.py`, which `rows.py`
explains to the compiler. Many networks together, on a GPU: `replicas.py` chooses
between `stack.py`, for LeNets, and `as_one.py` (its layers in `wide.py`) or
`streams.py`, for convolutions; `graphs.py` records a step.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
