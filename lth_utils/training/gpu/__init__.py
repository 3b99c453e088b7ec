"""Many networks trained together, for a GPU.

`replicas.py` chooses between `stack.py`, for LeNets, and `as_one.py` (its layers in
`wide.py`) or `streams.py`, for convolutions; `graphs.py` records a step.
"""
