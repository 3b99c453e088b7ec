"""What a reader sees: plots, masks as pictures, sliders, glued numbers.

`plots.py` draws tables, of which `rows.py` chooses what is drawn, in the
style that `drawing.py` fixes; `images.py` draws masks; `explore.py` makes
sliders of `frames.py`; `glue.py` hands a number from a chapter to the book's
other pages. `lab/` is the ticket lab, in JavaScript.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
