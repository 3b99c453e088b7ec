"""Binder, a development container and VS Code: what they call, and what they find."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from book_fixtures import ROOT, chapters
from nbclient import NotebookClient
from nbformat import v4

BINDER = ROOT / ".binder" / "postBuild"
CONTAINER = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf8"))


def targets(text: str) -> list[str]:
    """Return the make targets that commands call."""
    return re.findall(r"^make (\w+)", text, re.MULTILINE)


@pytest.mark.parametrize(
    "text", [BINDER.read_text("utf8"), CONTAINER["updateContentCommand"]]
)
def test_they_call_targets_that_there_are(text):
    makefile = (ROOT / "Makefile").read_text("utf8")
    assert targets(text)
    for target in targets(text):
        assert re.search(rf"^{target}: .*## ", makefile, re.MULTILINE)


def test_the_container_has_what_the_checks_install():
    check = (ROOT / ".ci" / "run").read_text("utf8")
    (wanted,) = re.findall(r"missing\+=\((chromium[^)]*)\)", check)
    assert wanted in CONTAINER["onCreateCommand"]


def test_binders_kernel_is_our_environment(tmp_path):
    """Its script, with a make that only notes what it is told."""
    made = tmp_path / "bin" / "make"
    made.parent.mkdir()
    made.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/made"\n')
    made.chmod(0o755)
    place = tmp_path / "place"
    (place / ".venv" / "bin").mkdir(parents=True)
    python = place / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    path = f"{made.parent}{os.pathsep}{os.environ['PATH']}"
    about = {**os.environ, "PATH": path, "NB_PYTHON_PREFIX": str(tmp_path / "binder")}
    subprocess.run([BINDER], cwd=place, env=about, check=True, capture_output=True)
    assert (tmp_path / "made").read_text() == "setup UV=\n"
    kernel = tmp_path / "binder" / "share" / "jupyter" / "kernels" / "python3"
    spec = json.loads((kernel / "kernel.json").read_text())
    assert Path(spec["argv"][0]) == Path(sys.executable)


def test_chapters_open_in_vs_code(tmp_path, monkeypatch):
    """As VS Code starts them: in their folder, by a kernel that knows of no make."""
    for name in ("LTH_BOOK", "LTH_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LTH_RUNS", str(tmp_path))
    cells, names = [], []
    for name in chapters():
        notebook = nbformat.read(ROOT / f"{name}.ipynb", as_version=4)
        (begin,) = [cell.source for cell in notebook.cells if cell.id == "begin"]
        names += re.findall(r'"([\w-]+)"', begin)
        if not cells:
            cells = [v4.new_code_cell(c.source) for c in notebook.cells[1:3]]
        cells.append(v4.new_code_cell(begin))
    notebook = v4.new_notebook(cells=cells)
    resources = {"metadata": {"path": str(ROOT / "notebooks")}}
    NotebookClient(notebook, timeout=300, resources=resources).execute()
    printed = ["".join(o.text for o in cell.outputs) for cell in cells[2:]]
    said = [" ".join(text.split()) for text in printed]
    assert len(said) == len(chapters())
    assert all(text.startswith("lth_utils") for text in said)
    for name in names:
        assert any(f"{name}, quick: " in text for text in said)
