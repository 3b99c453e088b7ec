"""Render the book into _build/html and say where to open it.

A warning stops it: a page that refers to nothing is not shown.
"""

import sys
from pathlib import Path

from steps import ROOT, run, step

STRICT = ("-W", "-n", "--keep-going")


def render(root: Path = ROOT) -> None:
    """Render the chapters' executed copies and the pages that do not run.

    Raises:
        SystemExit: If the builder fails, with its complaints.
    """
    log = root / "_build" / "render.log"
    log.unlink(missing_ok=True)
    builder = Path(sys.executable).with_name("jupyter-book")
    remedy = "Mend the page, and run it again: no chapter is trained twice."
    with step("Rendering the pages into _build/html: half a minute"):
        run([builder, "build", ".", *STRICT], log, remedy, root)
    page = root / "_build" / "html" / "index.html"
    print(f"Open {page.as_uri()}")


if __name__ == "__main__":
    try:
        render()
    except KeyboardInterrupt:
        sys.exit("Stopped: run it again to go on.")
