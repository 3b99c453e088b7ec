"""Find, train and study lottery tickets (Frankle & Carbin, ICLR 2019).

Every public name is listed once, in `__init__.pyi`, and imported when it is
first used: `import lth_utils` alone imports neither torch nor pandas.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
