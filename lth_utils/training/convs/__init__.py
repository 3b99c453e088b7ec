"""Faster steps for convolutional networks of which few weights are left.

`lanes.py` is the engine; `graph.py` makes a network's layers (`layers.py`) from
its own forward pass. Signals are `planes.py`, surviving weights `taps.py`; the
loops are `kernels.py` and `plane_kernels.py`.
"""
