"""What a reader answers: each exercise says what is right, or hints.

`checks.py` is how answers are checked; then a file a chapter (`toys.py` has the
small networks of some chapters). `check` is offered from here, so that whoever has
it has all exercises.
"""

from lth_utils.exercises import (  # noqa: F401  # each registers its exercises
    chapter_1,
    chapter_2,
    chapter_3,
    chapter_4,
    chapter_5,
    chapter_6,
    chapter_7,
    chapter_8,
    chapter_9,
    chapter_9b,
    chapter_10,
    chapter_11,
)
from lth_utils.exercises.checks import check

__all__ = ["check"]
