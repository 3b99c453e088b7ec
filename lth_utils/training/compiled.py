"""How loops are compiled by Numba, and where their machine code is kept.

It is kept beside the source, or in the user's cache folder. Where neither can
be written each process compiles anew: seconds, and nothing else changes.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from numba import njit
from numba.core.caching import CompileResultCacheImpl, FunctionCache

from lth_utils.files.places import cache_folder


class _Places(CompileResultCacheImpl):
    """Numba's; but where no home folder is known, it would make one called "~"."""

    _locator_classes = [  # noqa: RUF012  # as Numba has it
        place
        for place in CompileResultCacheImpl._locator_classes
        if cache_folder() or "UserWide" not in place.__name__
    ]


class _Cache(FunctionCache):
    """Numba's; but what it cannot keep, or not read again, is compiled again."""

    _impl_class = _Places

    def load_overload(self, *signature: Any) -> Any:
        """Return what was kept; None if nothing was, or it is damaged."""
        with suppress(Exception):
            return super().load_overload(*signature)

    def save_overload(self, *code: Any) -> None:
        """Keep what was compiled, unless the disk refuses."""
        with suppress(Exception):
            super().save_overload(*code)


def compiled(loop: Callable[..., Any]) -> Any:
    """Return the loop, to be compiled when it is first called."""
    fast: Any = njit(
        nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"}
    )(loop)
    with suppress(Exception):  # there is no place
        fast._cache = _Cache(loop)
    return fast
