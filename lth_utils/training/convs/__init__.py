"""Faster steps for convolutional networks of which few weights are left.

`lanes.py` is the engine; `graph.py` makes a network's layers from its own forward
pass: `layers.py`, and `movers.py` for those without parameters. Signals are
`planes.py`, surviving weights `taps.py`; the loops are `kernels.py` and
`plane_kernels.py`.
"""
