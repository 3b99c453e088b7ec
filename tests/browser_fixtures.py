"""Pages in a real Chromium, which note all that should not have been."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from book_fixtures import ROOT
from browser import chromium, program

from lth_utils.errors import LotteryError

assert str(ROOT / "book") in sys.path  # by book_fixtures

NARROW, WIDE = {"width": 360, "height": 740}, {"width": 1280, "height": 800}


@pytest.fixture(scope="session")
def chromium_here() -> None:
    """Skip where there is no Chromium; in CI that is a failure."""
    try:
        program()
    except LotteryError as error:
        stop = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        stop(str(error))


@pytest.fixture(scope="module")
def browser(chromium_here) -> Iterator:
    """Yield a browser, which ends with its file: playwright allows one at a time."""
    with chromium() as running:
        yield running


class Reader:
    """A browser's page, and everything in it that should not have been."""

    def __init__(self, browser, site: Path, **options: Any) -> None:
        self.site = site
        self.wrong: list[str] = []
        self.loaded: set[str] = set()
        self.context = browser.new_context(viewport=WIDE, **options)
        self.context.route("**/*", self._route)
        self.page = self.context.new_page()
        self.page.set_default_timeout(120_000)  # a busy machine is no fault
        self.page.on("pageerror", lambda error: self._note(f"error: {error}"))
        self.page.on("console", self._console)

    def open(self, name: str):
        """Open a page, "notebooks/01-x", and wait until its maths is set."""
        path, _, query = name.partition("?")
        address = (self.site / f"{path}.html").as_uri()
        self.page.goto(f"{address}?{query}" if query else address)
        self.page.evaluate("window.MathJax && MathJax.startup.promise")
        return self.page

    def _route(self, route) -> None:
        address = route.request.url
        if address.startswith((self.site.as_uri(), "data:", "blob:")):
            self.loaded.add(address)
            route.continue_()
        else:
            self._note(f"request: {address}")
            route.abort()

    def _console(self, message) -> None:
        if message.type in ("error", "warning"):
            self._note(f"{message.type}: {message.text}")

    def _note(self, what: str) -> None:
        self.wrong.append(f"{Path(self.page.url).name}: {what}")


@pytest.fixture
def reader(browser, site) -> Iterator[Reader]:
    reader = Reader(browser, site)
    yield reader
    reader.context.close()
    assert not reader.wrong
