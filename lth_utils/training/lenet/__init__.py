"""Faster steps for LeNet.

`mlp.py` by whole products, `pixels.py` by the numbers that are not 0, `sparse.py`
by the weights that survive. The other files are loops: `pixel_kernels.py` and
`nonzero.py` of the second, `steps.py`, `kernels.py` and `tiles.py` of the third;
`checks.py` is what loops do not ask.
"""
