"""One training run, and the engines behind it.

A reader starts at `loop.py` and needs `engines.py`, `evaluation.py`,
`order.py` and `recipes.py` besides; `probe.py` finds out beforehand whether
network and data fit together. The other files are faster steps for LeNet, and
may stay shut: `mlp.py`, `pixels.py` with its loops, `sparse.py` with its own
(`steps.py`, `kernels.py`, `tiles.py` and `optimizers.py`), and `stack.py` for a
GPU. Loops are compiled by `compiled.py`; what they sum stays in registers by
`vectors.py`, which `rows.py` explains to the compiler.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
