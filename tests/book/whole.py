"""An assignment run from its first cell to its last: its slider, too."""

import os
from pathlib import Path

import nbformat
from classroom.sources import mark_of
from grading_fixtures import assignment
from nbclient import NotebookClient
from nbformat import NotebookNode


def whole(name: str, folder: Path) -> NotebookNode:
    """Run an assignment with its solutions, as the book runs a chapter.

    nbgrader gives no point for a test that writes anything to stderr.
    """
    notebook = nbformat.read(assignment(name).path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    ran = client.execute(env=os.environ | {"LTH_BOOK": "1"})
    for cell in ran.cells:
        if mark_of(cell).get("grade"):
            assert not any(out.get("name") == "stderr" for out in cell.outputs)
    return ran
