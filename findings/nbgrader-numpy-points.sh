#!/usr/bin/env bash
# nbgrader 0.9.6 with NumPy 2: partial credit that NumPy computed is full credit.
#
# Versions: nbgrader 0.9.6, ipykernel 7.4.0, nbclient 0.11.0, nbformat 5.11.1,
#   numpy 2.4.6.
# Behaviour: a test cell that ends in a number earns that many points. The number is
#   read from what the cell shows, and NumPy 2 shows `np.float64(2.0)`, which is no
#   number to nbgrader: it then gives all the points. A NumPy 0 earns full points
#   too, and so does a negative number. The log has a line for it, the grade none.
# Guess: 2.0 is 2.0, whoever computed it; and a result that cannot be read is an
#   error or no points. With NumPy 1's way of showing numbers the points are right.
# Seen (points of 4):
#   4 * 0.5: 2.0
#   4 * np.float64(0.5): 4.0
#   np.float64(0): 4.0
#   -1: 4.0
#   4 * np.float64(0.5), shown as by NumPy 1: 2.0
set -euo pipefail
tmp="$(mktemp -d)"
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile nbgrader==0.9.6 ipykernel==7.4.0 nbclient==0.11.0 nbformat==5.11.1 numpy==2.4.6
mkdir "$tmp/home" "$tmp/course"
cd "$tmp/course"
export HOME="$tmp/home" PATH="$tmp/venv/bin:$PATH"
python - <<'PY'
import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat import v4
from nbgrader.api import Gradebook

POINTS = {
    "4 * 0.5": 2.0,
    "4 * np.float64(0.5)": 4.0,
    "np.float64(0)": 4.0,
    "-1": 4.0,
    "4 * np.float64(0.5), shown as by NumPy 1": 2.0,
}
SHOWN_AS_BEFORE = 'np.set_printoptions(legacy="1.25")\n'


def nbgrader(command):
    done = subprocess.run(
        ["nbgrader", command, "ps1"], capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"nbgrader {command} failed:\n{done.stderr}")


def test_cell(name, source):
    what, _, legacy = source.partition(", ")
    cell = v4.new_code_cell(SHOWN_AS_BEFORE * bool(legacy) + what, id=name)
    cell.metadata["nbgrader"] = {
        "schema_version": 3,
        "grade": True,
        "solution": False,
        "locked": True,
        "task": False,
        "grade_id": name,
        "points": 4,
    }
    return cell


cells = [v4.new_code_cell("import numpy as np", id="set-up")]
cells += [test_cell(f"test-{i}", source) for i, source in enumerate(POINTS)]
kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
notebook = v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
for folder in ("source/ps1", "submitted/ada/ps1"):
    Path(folder).mkdir(parents=True)
    nbformat.write(notebook, f"{folder}/problem.ipynb")
nbgrader("generate_assignment")
nbgrader("autograde")

with Gradebook("sqlite:///gradebook.db") as gradebook:
    (graded,) = gradebook.find_submission("ps1", "ada").notebooks
    points = {grade.name: grade.auto_score for grade in graded.grades}
for i, (source, expected) in enumerate(POINTS.items()):
    seen = points[f"test-{i}"]
    print(f"{source}: {seen}")
    if seen != expected:
        raise SystemExit(f"Changed: {source} earned {expected} before.")
PY
