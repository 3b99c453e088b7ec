"""What this book adds to Sphinx: executed notebooks, and maths offline.

- A notebook's page is made from its executed copy; a missing or stale copy
  stops the build with one sentence.
- MathJax comes from a Python package, so a page needs no network.
- `{execution-times}` is a table of how long each chapter took. Pages made from the
  records have directives of their own: speed (`speed_page.py`, `gpu_page.py`), what
  replicated (`claims_page.py`), the paper's figures (`figures_page.py`). The teacher's
  guide repeats each chapter's predictions and their key (`teaching_page.py`).
- `chapter_pages.py` folds solutions and says how long a chapter is;
  `front_page.py` draws the first page's ticket; `lab_page.py` shows the ticket lab.
"""

import re
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import chapter_pages
import claims_page
import executed
import figures_page
import front_page
import gpu_page
import lab_page
import speed_page
import teaching_page
from docutils import nodes
from page_parts import row, stop, table
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

from lth_utils.errors import LotteryError

MATHJAX = "mathjax/es5/tex-mml-chtml.js"  # under the site's _static/
MATHJAX_FONTS = "mathjax/es5/output/chtml/fonts/woff-v2"


def check_copies(app: Sphinx, env: BuildEnvironment, *_: set[str]) -> list[str]:
    """Refuse to build on executed copies that are missing or stale."""
    root = Path(app.srcdir)
    try:
        executed.check(root, executed.chapters(root))
    except LotteryError as error:
        stop(str(error))
    return []


def read_copy(app: Sphinx, docname: str, text: list[str]) -> None:
    """Give Sphinx the executed copy's text in place of the source's."""
    copy = executed.copy(Path(app.srcdir), docname)
    if Path(app.env.doc2path(docname)).suffix == ".ipynb":
        text[0] = copy.read_text("utf8")
        app.env.note_dependency(str(copy))


def drop_thebe(
    app: Sphinx, page: str, template: str, context: dict[str, Any], _: Any
) -> None:
    """Leave out Thebe: it starts kernels online, and its scripts clash."""
    for kind in ("script_files", "css_files"):
        context[kind] = [file for file in context[kind] if not _is_thebe(file)]


def _is_thebe(file: Any) -> bool:
    body = getattr(file, "attributes", {}).get("body") or ""
    return "thebe" in f"{getattr(file, 'filename', '')}{body}".lower()


def mend_lists(
    app: Sphinx, page: str, template: str, context: dict[str, Any], _: Any
) -> None:
    """Make lists ones that a screen reader can read.

    docutils calls a reference's role by a name that no list may hold, and
    Sphinx's list of modules has lists between its items.
    """
    body = context.get("body", "").replace('role="doc-biblioentry"', 'role="listitem"')
    if page == "_modules/index":
        body = re.sub(r"(?<=</li>)\n(</?ul>)+(?=<li>)", "\n", body)
    context["body"] = body


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Put MathJax's one script and its fonts, 1.6 MB, into the site."""
    if error or app.builder.format != "html":
        return
    site = Path(app.outdir) / "_static"
    for part in (MATHJAX, MATHJAX_FONTS):
        ours, theirs = site / part, _mathjax_package() / part
        if theirs.is_dir():
            shutil.copytree(theirs, ours, dirs_exist_ok=True)
        else:
            ours.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(theirs, ours)


def _mathjax_package() -> Path:
    spec = find_spec("mathjax")
    if spec is None or spec.origin is None:
        stop("MathJax is missing: pip install django-static-mathjax.")
    return Path(spec.origin).parent / "static"


def forget_warned_build(app: Sphinx, _: Exception | None) -> None:
    """After warnings read every page anew, or the next build would miss them."""
    if app._warncount:
        (Path(app.doctreedir) / "environment.pickle").unlink(missing_ok=True)


class ExecutionTimes(SphinxDirective):
    """A table: each chapter's words, and how long reading and running it takes."""

    def run(self) -> list[nodes.Node]:
        root = Path(self.env.srcdir)
        rows = [row("Chapter", "Words", "Reading", "Running")]
        total, length = 0.0, 0
        for name in executed.chapters(root):
            made = executed.stamp(root, name)
            self.env.note_dependency(str(executed.copy(root, name)))
            total, count = total + made["seconds"], executed.words(root, name)
            length += count
            link = _link(self.env.docname, name)
            rows.append(row(link, *_told(count, made["seconds"])))
        rows.append(row("All chapters", *_told(length, total)))
        return [table(rows, (4, 1, 1, 1))]


def _told(words: int, seconds: float) -> tuple[str, str, str]:
    return f"{words:,}", f"{executed.minutes(words)} min", executed.clock(seconds)


def _link(page: str, chapter: str) -> nodes.Node:
    """Link to a chapter; Sphinx puts its title in when every page is read."""
    link = addnodes.pending_xref(
        "", nodes.inline(), refdomain="std", reftype="doc", reftarget=f"/{chapter}"
    )
    link["refdoc"], link["refexplicit"] = page, False
    return link


def setup(app: Sphinx) -> dict[str, Any]:
    app.config.mathjax_path = MATHJAX
    app.config.html_static_path.append(str(Path(__file__).parent / "static"))
    app.add_css_file("book.css")
    app.add_directive("execution-times", ExecutionTimes)
    chapter_pages.setup(app)
    front_page.setup(app)
    speed_page.setup(app)
    claims_page.setup(app)
    figures_page.setup(app)
    gpu_page.setup(app)
    teaching_page.setup(app)
    lab_page.setup(app)
    app.connect("env-get-outdated", check_copies)
    app.connect("source-read", read_copy)
    app.connect("html-page-context", drop_thebe, priority=999)
    app.connect("html-page-context", mend_lists)
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", forget_warned_build)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
