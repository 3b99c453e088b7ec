"""Notebooks as they are committed: clean, readable, and alike in form.

`faults` returns every rule that a notebook breaks, as a sentence; below, each
rule is broken once on a made-up notebook, to see that it is noticed.
"""

import copy
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import nbformat
import pytest
import yaml
from book_fixtures import ROOT, chapters
from nbformat import NotebookNode, v4

import lth_utils as lth

CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text("utf8"))
URL, BRANCH = (CONFIG["repository"][key] for key in ("url", "branch"))
COLAB = "https://colab.research.google.com"

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
CELL_KEYS = {"tags", "mystnb", "nbgrader", "jupyter", "cellView"}
# A cell that these pages fold is folded in Jupyter and in Colab, too. So is what
# stands under the heading of a solution, or of the key to the predictions.
SECRET = r"### (Solution|The key)"
FOLDED = {"jupyter": {"source_hidden": True}, "cellView": "form"}
SET_UP = f"""\
try:
    import lth_utils as lth
except ModuleNotFoundError:
    %pip install -q \\
        git+{URL}
    import lth_utils as lth"""
COLUMNS, LINES, MEDIAN = 72, 25, 10
VISIBLE, VISIBLE_MEDIAN = 200, 7  # lines of code that a reader of a chapter sees

# What MyST would turn into something else and Colab would show as it stands.
MYST = {
    "a directive": r"^ *(```+|~~~+|:::+) *\{",
    "a role": r"\{[a-z][\w:+-]*\}`",
    "a target": r"^\([\w -]+\)=",
    "a substitution": r"\{\{.*\}\}",
    "a comment": r"^% ",
    "an attribute": r"[)`\]]\{[.#\w][^}]*\}",
}


def faults(text: str, name: str) -> list[str]:
    """Say every rule that a notebook breaks.

    Args:
        text: The file's text.
        name: Its path in the repository without the suffix.
    """
    # nbformat's own reader would repair what is to be found here.
    notebook = v4.reads_json(text)
    if (notebook.nbformat, notebook.nbformat_minor) < (4, 5):
        return ["is older than nbformat 4.5"]
    ids = [cell.get("id") for cell in notebook.cells]
    if len(set(ids) - {None}) < len(ids):
        return ["uses an id twice, or has a cell without one"]
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        return [f"is no valid notebook: {error.message}"]
    rules: list[Callable[..., Iterator[str]]] = [_metadata, _ids, _clean, _sizes]
    rules += [_plain_markdown, _figures, _addresses, _beginning]
    found = [fault for rule in rules for fault in rule(notebook)]
    if text != nbformat.writes(notebook) + "\n":
        found += ["is not written as nbformat writes it"]
    if not name.startswith("notebooks/assignments/"):
        found += [*_opening(notebook, name), *_headings(notebook)]
        found += [*_solutions(notebook), *_folds(notebook), *_captions(notebook)]
    return found


def _metadata(notebook: NotebookNode) -> Iterator[str]:
    closed = [cell.id for cell in notebook.cells if _is_secret(cell)]
    expected: dict[str, Any] = {"kernelspec": KERNEL}
    if closed:
        expected["colab"] = {"collapsed_sections": closed}
    if _pays_on_a_gpu(notebook):
        expected["accelerator"] = "GPU"
        expected["colab"] = expected.get("colab", {}) | {"gpuType": "T4"}
    if notebook.metadata != expected:
        yield f"has other metadata than {expected}"
    for cell in notebook.cells:
        # Jupyter folds a section by its heading's mark, Colab by its list of ids.
        shut = {"jp-MarkdownHeadingCollapsed": True, "id": cell.id}
        about = {key: cell.metadata[key] for key in shut if key in cell.metadata}
        if about != (shut if cell.id in closed else {}):
            yield f"{cell.id}: is a section folded in some places and not in others"
        if strange := set(cell.metadata) - CELL_KEYS - set(shut):
            yield f"{cell.id}: has metadata {sorted(strange)}"


def _pays_on_a_gpu(notebook: NotebookNode) -> bool:
    """Whether a chapter trains convolutions: a LeNet is as quick without a GPU."""
    words = re.findall(r'"([\w-]+)"', _begin(notebook))
    parts = [part for word in words for part in lth.experiment(word).parts]
    return not all(part.network.startswith("lenet") for part in parts)


def _begin(notebook: NotebookNode) -> str:
    """Return the cell that says where a chapter runs, and what it trains."""
    return "".join(c.source for c in _code(notebook) if c.id == "begin")


def _is_secret(cell: NotebookNode) -> bool:
    return cell.cell_type == "markdown" and bool(re.match(SECRET, cell.source))


def _ids(notebook: NotebookNode) -> Iterator[str]:
    for each in (cell.id for cell in notebook.cells):
        if not re.fullmatch(r"(?=.*[a-z])[a-z0-9-]{2,64}", each):
            yield f"{each}: is no readable id"
        # As Jupyter draws them: eight random hexadecimal digits.
        if re.fullmatch(r"[0-9a-f]{8}", each) and re.search(r"\d", each):
            yield f"{each}: is a random id"


def _clean(notebook: NotebookNode) -> Iterator[str]:
    for cell in _code(notebook):
        if cell.outputs:
            yield f"{cell.id}: holds outputs"
        if cell.execution_count is not None:
            yield f"{cell.id}: holds an execution count"


def _sizes(notebook: NotebookNode) -> Iterator[str]:
    lengths = []
    for cell in _code(notebook):
        lines = cell.source.split("\n")
        lengths.append(len(lines))
        # A line may end in an address, which nobody can break.
        if any(len(line) > COLUMNS and "://" not in line for line in lines):
            yield f"{cell.id}: is wider than {COLUMNS} columns"
        if len(lines) > LINES:
            yield f"{cell.id}: is longer than {LINES} lines"
    if lengths and median(lengths) > MEDIAN:
        yield f"has a median code cell of {median(lengths)} lines, above {MEDIAN}"


def _plain_markdown(notebook: NotebookNode) -> Iterator[str]:
    for cell in _markdown(notebook):
        text = re.sub(r"\$\$.*?\$\$|\$[^$\n]+\$", "", cell.source, flags=re.DOTALL)
        for what, pattern in MYST.items():
            if re.search(pattern, text, re.MULTILINE):
                yield f"{cell.id}: holds {what}, which Colab shows as it stands"
        if re.search(r"!\[[^]]*\]\(https?:|<img", text):
            yield f"{cell.id}: shows a picture from elsewhere"


def _figures(notebook: NotebookNode) -> Iterator[str]:
    names = []
    for cell in notebook.cells:
        if "mystnb" in cell.metadata:
            about = cell.metadata.mystnb
            figure = about.get("figure", {})
            if not figure.get("caption"):
                yield f"{cell.id}: has a figure without a caption"
            # A slider and a diagram hold their own description.
            own = re.search(r"^lth\.(explore|diagram)\(", cell.source, re.MULTILINE)
            alt = about.get("image", {}).get("alt", "").strip()
            if bool(own) == bool(alt):
                yield f"{cell.id}: needs one alt text, its own or a slider's"
            if own and own[1] == "explore" and "alt=" not in cell.source:
                yield f"{cell.id}: has a slider that does not say what is drawn"
            names.append(figure.get("name"))
    if len(set(names)) < len(names):
        yield "names two figures alike, or not at all"


def _addresses(notebook: NotebookNode) -> Iterator[str]:
    text = "\n".join(cell.source for cell in notebook.cells)
    here = f"{COLAB}/github/{URL.removeprefix('https://github.com/')}/blob/{BRANCH}/"
    for address in re.findall(rf"{COLAB}[^\s)>]*|git\+http[^\s)>]*", text):
        if address != f"git+{URL}" and not address.startswith(here):
            yield f"{address}: is not in {URL}"


def _opening(notebook: NotebookNode, name: str) -> Iterator[str]:
    """A chapter opens with its title and Colab link, PROFILE, and the set-up."""
    title, *rest = notebook.cells
    path = f"{URL.removeprefix('https://github.com/')}/blob/{BRANCH}/{name}.ipynb"
    if f"[Open in Colab]({COLAB}/github/{path})" not in title.source:
        yield "does not open with a link to itself in Colab"
    tagged = [cell for cell in rest if "parameters" in cell.metadata.get("tags", [])]
    parameters = [(cell.id, cell.source) for cell in tagged]
    if parameters != [("parameters", 'PROFILE = "quick"')]:
        yield 'has not exactly one cell tagged parameters: PROFILE = "quick"'
    if [c.source for c in _code(notebook) if c.id == "set-up"] != [SET_UP]:
        yield "has not the set-up cell that every chapter has"


def _beginning(notebook: NotebookNode) -> Iterator[str]:
    """What prints versions and device comes first, and names what is trained."""
    first = [cell.id for cell in _code(notebook) if cell.id != "parameters"][:2]
    begin = _begin(notebook)
    if first != ["set-up", "begin"] or "lth.begin(" not in begin:
        yield "does not say after its set-up where it runs and what it trains"
    code = "\n".join(cell.source for cell in _code(notebook))
    for word in sorted(set(re.findall(r'lth\.run\(\s*"([\w-]+)"', code))):
        if f'"{word}"' not in begin:
            yield f"trains {word} and does not say so at its beginning"


def _headings(notebook: NotebookNode) -> Iterator[str]:
    text = "\n".join(cell.source for cell in _markdown(notebook))
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    levels = [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)]
    if levels[:1] != [1] or levels.count(1) != 1:
        yield "has not exactly one title, at its beginning"
    if any(after > before + 1 for before, after in pairwise(levels)):
        yield "skips a level of headings"


def _solutions(notebook: NotebookNode) -> Iterator[str]:
    """Solutions and the key are folded, each under its own heading."""
    secret, folded = "", {}
    for cell in notebook.cells:
        if _is_secret(cell):
            secret = cell.source
            folded[secret] = False
            if "\n" in secret:
                yield f"{cell.id}: says more than its heading, which is not folded"
        elif cell.cell_type == "markdown" and re.search(
            r"^#", cell.source, re.MULTILINE
        ):
            secret = ""
        if cell.cell_type == "code" and secret:
            folded[secret] = True
        tagged = "solution" in cell.metadata.get("tags", [])
        if tagged != (cell.cell_type == "code" and bool(secret)):
            yield f"{cell.id}: is a solution without its tag, or not a solution"
    for heading, has_code in folded.items():
        if not has_code:
            yield f"{heading}: has no code"
    if "### The key" not in folded:
        yield "has no key to its predictions"
    text = "\n".join(cell.source for cell in _markdown(notebook))
    for heading in re.findall(r"^ *#+ .*|^\*\*.*\*\*$", text, re.MULTILINE):
        secret = re.match(r"[#* ]*(solution|answer|the key)", heading, re.IGNORECASE)
        if secret and not re.fullmatch(r"### (Solution [\w.]+|The key)", heading):
            yield f"{heading}: is no heading that folds what is below it"
    asked = re.findall(r"^### (?:Exercise|Your turn) ([\w.]+):", text, re.MULTILINE)
    solved = re.findall(r"^### Solution (\S+)$", text, re.MULTILINE)
    code = "\n".join(cell.source for cell in _code(notebook))
    checked = re.findall(r'lth\.check\("([^"]+)"', code)
    if asked != solved or {*asked} != {*checked}:
        yield f"asks {asked}, solves {solved} and checks {sorted(set(checked))}"


def _folds(notebook: NotebookNode) -> Iterator[str]:
    """What is not the idea is folded wherever the chapter is opened."""
    seen = []
    for cell in _code(notebook):
        tags = set(cell.metadata.get("tags", []))
        about = {key: cell.metadata[key] for key in FOLDED if key in cell.metadata}
        folded = bool(tags & {"solution", "hide-input"})
        if about != (FOLDED if folded else {}):
            yield f"{cell.id}: is folded in some places and not in others"
        if cell.id in ("parameters", "set-up", "begin") and not folded:
            yield f"{cell.id}: is not folded"
        asks = re.search(r"^answer *= *None|# your answer", cell.source, re.MULTILINE)
        if asks and "remove-output" not in tags:
            yield f"{cell.id}: shows a reader without a kernel that it has no answer"
        if not folded and "remove-cell" not in tags:
            seen.append(len(cell.source.split("\n")))
    if sum(seen) > VISIBLE:
        yield f"shows {sum(seen)} lines of code, above {VISIBLE}"
    if seen and median(seen) > VISIBLE_MEDIAN:
        yield f"shows a median of {median(seen)} lines a cell, above {VISIBLE_MEDIAN}"


def _captions(notebook: NotebookNode) -> Iterator[str]:
    for cell in _code(notebook):
        shows = re.search(r"^lth\.(explore|diagram)\(", cell.source, re.MULTILINE)
        if shows and "mystnb" not in cell.metadata:
            yield f"{cell.id}: has a picture of lth.{shows[1]} without a caption"


def _code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _markdown(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "markdown"]


# The book's notebooks


def names() -> list[str]:
    found = (ROOT / "notebooks").rglob("*.ipynb")
    paths = [path.relative_to(ROOT).with_suffix("") for path in found]
    return sorted(p.as_posix() for p in paths if ".ipynb_checkpoints" not in p.parts)


@pytest.mark.parametrize("name", names())
def test_the_notebook_is_clean(name):
    text = (ROOT / f"{name}.ipynb").read_text("utf8")
    assert not faults(text, name)


def test_every_notebook_is_a_chapter_or_an_assignment():
    assignments = [n for n in names() if Path(n).parent.name == "assignments"]
    assert sorted([*chapters(), *assignments]) == names()


# The rules themselves

NAME = "notebooks/00-made-up"


@pytest.fixture
def notebook() -> NotebookNode:
    """Return a made-up chapter without a fault."""
    link = f"{COLAB}/github/{URL.removeprefix('https://github.com/')}/blob/{BRANCH}"
    title = f"# 0. Made up\n\n[Open in Colab]({link}/{NAME}.ipynb)"
    parameters = {"tags": ["parameters", "hide-input"], **FOLDED}
    set_up = {"tags": ["hide-input"], **FOLDED}
    hidden = {"tags": ["solution"], **FOLDED}
    about = {"caption": "A line.", "name": "fig-line"}
    figure = {"mystnb": {"image": {"alt": "It rises."}, "figure": about}}
    cells = [
        v4.new_markdown_cell(title, id="title"),
        v4.new_code_cell('PROFILE = "quick"', id="parameters", metadata=parameters),
        v4.new_code_cell(SET_UP, id="set-up", metadata=set_up),
        v4.new_code_cell('lth.begin("lenet-mnist")', id="begin", metadata=set_up),
        v4.new_markdown_cell("## A figure\n\nwith $P_{m}`$ and `code`.", id="why"),
        v4.new_code_cell("draw()", id="line", metadata=figure),
        v4.new_markdown_cell("## Exercises\n\n### Exercise 0.1: add", id="exercise"),
        v4.new_markdown_cell("### Solution 0.1", id="solution"),
        v4.new_code_cell('lth.check("0.1", 2)', id="answer", metadata=hidden),
        v4.new_markdown_cell("### The key", id="key"),
        v4.new_code_cell("lth.key({})", id="found", metadata=hidden),
    ]
    for cell in cells:
        if _is_secret(cell):
            cell.metadata = {"jp-MarkdownHeadingCollapsed": True, "id": cell.id}
    about = {"collapsed_sections": ["solution", "key"]}
    metadata = {"kernelspec": dict(KERNEL), "colab": about}
    made = v4.new_notebook(cells=cells, metadata=metadata)
    made.nbformat_minor = 5
    return made


def written(notebook: NotebookNode) -> str:
    return nbformat.writes(notebook) + "\n"


def test_the_made_up_chapter_has_no_fault(notebook):
    assert faults(written(notebook), NAME) == []


def change(cell: str, **what) -> Callable[[NotebookNode], None]:
    """Return a change to one cell of the made-up chapter."""

    def apply(notebook: NotebookNode) -> None:
        (found,) = [each for each in notebook.cells if each.id == cell]
        found.update(copy.deepcopy(what))

    return apply


def drop(cell: str) -> Callable[[NotebookNode], None]:
    def apply(notebook: NotebookNode) -> None:
        notebook.cells = [each for each in notebook.cells if each.id != cell]

    return apply


def add_widgets(notebook: NotebookNode) -> None:
    notebook.metadata["widgets"] = {}


OUTPUT = [v4.new_output("stream", text="hello")]
BROKEN = {
    "other metadata than": add_widgets,
    "key: is a section folded in some places": change("key", metadata={}),
    "why: is a section folded in some places": change("why", metadata={"id": "why"}),
    "solution: says more": change("solution", source="### Solution 0.1\n\nIt is 2."),
    "no key to its predictions": change("key", source="### The lock"),
    "is no heading that folds": change("why", source="#### solution 0.2"),
    "**Solution**: is no heading that folds": change("why", source="**Solution**"),
    "asks ['0.2'], solves ['0.1']": change("exercise", source="### Exercise 0.2: add"),
    "and checks ['7.1']": change("answer", source='lth.check("7.1", 2)'),
    "line: has a picture of lth.diagram without": change(
        "line", source='lth.diagram("loop")', metadata={}
    ),
    "line: has metadata ['scrolled']": change("line", metadata={"scrolled": True}),
    "X1: is no readable id": change("line", id="X1"),
    "3fa9c01d: is a random id": change("line", id="3fa9c01d"),
    "line: holds outputs": change("line", outputs=OUTPUT),
    "line: holds an execution count": change("line", execution_count=3),
    "line: is wider than 72 columns": change("line", source="x" * 73),
    "line: is longer than 25 lines": change("line", source="x\n" * 25),
    "a median code cell of 11": lambda n: [
        change(cell, source="x\n" * 10)(n)
        for cell in ("line", "answer", "set-up", "begin")
    ],
    "why: holds a directive": change("why", source="```{note}\nhello\n```"),
    "why: holds a role": change("why", source="see {ref}`there`"),
    "why: holds a target": change("why", source="(here)=\n## A heading"),
    "why: holds a substitution": change("why", source="of {{ n }} weights"),
    "why: holds a comment": change("why", source="% not for the reader"),
    "why: holds an attribute": change("why", source="[text]{.small}"),
    "picture from elsewhere": change("why", source="![a](https://example.org/a.png)"),
    "needs one alt text": change(
        "line", metadata={"mystnb": {"figure": {"caption": "A.", "name": "fig-a"}}}
    ),
    "line: needs one alt text": change("line", source="lth.explore(f, alt='A', n=[1])"),
    "figure without a caption": lambda n: n.cells[5].metadata.mystnb.figure.update(
        caption=""
    ),
    "does not say what is drawn": lambda n: change(
        "line",
        source="lth.explore(f, n=[1])",
        metadata={"mystnb": {"figure": n.cells[5].metadata.mystnb.figure}},
    )(n),
    "names two figures alike": lambda n: n.cells.append(
        v4.new_code_cell("draw()", id="again", metadata=n.cells[5].metadata)
    ),
    "is not in https://github.com/": change("why", source=f"{COLAB}/github/a/b/c"),
    "does not open with a link": change("title", source="# 0. Made up"),
    "exactly one cell tagged parameters": drop("parameters"),
    "not the set-up cell": change("set-up", source="import lth_utils as lth"),
    "does not say after its set-up where it runs": drop("begin"),
    "trains lenet-gain and does not say so": change(
        "line", source='lth.run(\n    "lenet-gain", PROFILE)'
    ),
    "'accelerator': 'GPU'": change("begin", source='lth.begin("conv2")'),
    "exactly one title": change("why", source="# Another title"),
    "skips a level": change("why", source="### Too low"),
    "answer: is a solution without its tag, or not": drop("solution"),
    "answer: is a solution without its tag": change("answer", metadata={}),
    "### Solution 0.1: has no code": drop("answer"),
    "answer: is folded in some places": change(
        "answer", metadata={"tags": ["solution"]}
    ),
    "line: is folded in some places": change("line", metadata=dict(FOLDED)),
    "set-up: is not folded": change("set-up", metadata={}),
    "line: shows a reader without a kernel": change("line", source="answer = None"),
    "shows 201 lines of code": lambda n: [
        n.cells.insert(4, v4.new_code_cell("x\n" * 24, id=f"more-{k}"))
        for k in range(8)
    ],
    "shows a median of 8.0 lines": lambda n: [
        change("line", source="x\n" * 7)(n),
        n.cells.insert(4, v4.new_code_cell("x\n" * 7, id="more")),
    ],
}


@pytest.mark.parametrize("fault", BROKEN)
def test_each_fault_is_found(notebook, fault):
    BROKEN[fault](notebook)
    assert any(fault in found for found in faults(written(notebook), NAME))


def test_an_unusual_way_of_writing_is_found(notebook):
    text = written(notebook).replace('"nbformat": 4', '"nbformat":  4')
    assert faults(text, NAME) == ["is not written as nbformat writes it"]


def test_an_id_that_is_used_twice_is_found(notebook):
    text = written(notebook).replace('"id": "line"', '"id": "answer"')
    assert "uses an id twice" in faults(text, NAME)[0]


def test_an_old_format_is_found(notebook):
    lines = written(notebook).split("\n")
    kept = [line for line in lines if not re.match(r' +"id"', line)]
    text = "\n".join(kept).replace('"nbformat_minor": 5', '"nbformat_minor": 4')
    assert "older" in faults(text, NAME)[0]


def test_an_invalid_notebook_is_found(notebook):
    text = written(notebook).replace('"cell_type": "code"', '"cell_type": "cod"')
    assert "no valid notebook" in faults(text, NAME)[0]
