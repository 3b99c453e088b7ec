"""What is trained, where, and what is kept.

A plan (`plans.py`, `rates.py`; the paper's in `catalogue.py`) is a list of jobs
(`jobs.py`); `runs.py` asks the store (`store.py`) for each, has the workers
(`workers.py`) perform what it lacks (`perform.py`), and makes a tidy table
(`tables.py`). `recording.py` writes such tables into `results/`, and
`records.py` reads them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
