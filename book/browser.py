"""A real browser: it draws figures as pixels, and the tests read the pages in it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lth_utils.errors import LotteryError

PROGRAMS = ("chromium", "google-chrome", "chromium-browser")
FLAGS = (
    "--no-sandbox",  # root's Chromium starts only so; it opens our files alone
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def program() -> str:
    """Return where the system's Chromium is.

    Raises:
        LotteryError: If there is none.
    """
    if found := next(filter(None, map(shutil.which, PROGRAMS)), None):
        return found
    raise LotteryError(
        "There is no Chromium here: install your system's `chromium` package, and run"
        " it again."
    )


@contextmanager
def chromium() -> Iterator[Any]:
    """Start Chromium, through playwright; it ends with the block.

    Raises:
        LotteryError: If there is none.
    """
    path = program()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        running.close()
