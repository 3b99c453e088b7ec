"""One training run, and the engines behind it.

A reader starts at `loop.py` and needs `engines.py`, `evaluation.py`,
`order.py` and `recipes.py` besides; `probe.py` finds out beforehand whether
network and data fit together. What else lies here is small: `measuring.py` for
losses, `best.py` for the weights of least validation loss. `choice.py` chooses an
engine; faster ones may stay shut, a room each: `lenet/` and `convs/`, for networks
that `plain.py` knows, their compiled `loops/`, and `gpu/` for many networks
together.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
