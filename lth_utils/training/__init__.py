"""One training run, and the engines behind it.

A reader starts at `loop.py` and needs `engines.py`, `evaluation.py`,
`order.py` and `recipes.py` besides; `probe.py` finds out beforehand whether
network and data fit together. The other files are faster steps for LeNet, and
may stay shut: `mlp.py`, `sparse.py` with its loops (`kernels.py`, compiled by
`compiled.py`), and `stack.py` for a GPU; and `lanes.py` for sparse convolutional
networks, with its layers (`conv_graph.py`, `conv_layers.py`), its signals
(`planes.py`), its weights (`taps.py`) and the loops of both.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
