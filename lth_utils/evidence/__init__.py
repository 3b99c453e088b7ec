"""From tidy tables to statements: what two arms' difference says.

It reads tables; nothing that trains reads it. `pairs.py` compares arms seed by
seed, `saying.py` puts the difference into words; `verdicts.py` judges the claims of
`results/claims.toml` by what `measures.py` takes from a record: its arms (`sides.py`),
its tickets (`ticket_measures.py`, in the `shapes.py` that they have), or the parts of a
study (`study_measures.py`).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
