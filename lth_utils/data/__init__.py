"""Data sets as resident tensors.

`datasets.py` is what a data set is, `splits.py` what each of its parts is;
`loading.py` finds one by its word: in files (`mnist.py`, in the format of `idx.py`,
and `cifar.py`), computed (`digits.py`, `signals.py`), in the package (`packaged/`),
or in a folder of your own (`pictures.py`).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
