"""An assignment run from its first cell to its last: its slider, too."""

import os
from pathlib import Path

import nbformat
from grading_fixtures import assignment
from nbclient import NotebookClient
from nbformat import NotebookNode


def whole(name: str, folder: Path) -> NotebookNode:
    """Run an assignment with its solutions, as the book runs a chapter."""
    notebook = nbformat.read(assignment(name).path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )
    return client.execute(env=os.environ | {"LTH_BOOK": "1"})
