#!/usr/bin/env bash
# nbgrader 0.9.6: hidden tests can leave a cell that does not compile, or stay in
# the students' version, and generating that version succeeds.
#
# Versions: nbgrader 0.9.6, ipykernel 7.4.0, nbclient 0.11.0, nbformat 5.11.1.
# Behaviour: the lines between the markers are taken out and nothing is put in their
#   place, so a block that holds hidden tests only (under `for`, `if`, `with`) has no
#   body in the release: students' own runs stop there with a syntax error. Markers
#   in another capitalisation are plain comments: the tests below them are released.
#   Both times the exit code is 0 and nothing is said.
# Guess: solutions are replaced by a stub that compiles, so hidden tests are too; and
#   a region that names itself hidden is either recognised or complained about.
# Seen:
#   exit code: 0
#   body of hidden tests only: IndentationError
#   '### Begin Hidden Tests': the hidden test is in the release
set -euo pipefail
tmp="$(mktemp -d)"
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -qq --no-compile nbgrader==0.9.6 ipykernel==7.4.0 nbclient==0.11.0 nbformat==5.11.1
mkdir "$tmp/home" "$tmp/course"
cd "$tmp/course"
export HOME="$tmp/home" PATH="$tmp/venv/bin:$PATH"
python - <<'PY'
import subprocess
from pathlib import Path

import nbformat
from nbformat import v4

SOURCES = {
    "no-body": """for seed in range(3):
    ### BEGIN HIDDEN TESTS
    assert seed >= 0
    ### END HIDDEN TESTS""",
    "capitals": """assert True
### Begin Hidden Tests
assert 6 * 7 == 42
### End Hidden Tests""",
}


def check(what, seen, expected):
    print(f"{what}: {seen}")
    if seen != expected:
        raise SystemExit(f"Changed: {what} was '{expected}' before.")


def test_cell(name, source):
    cell = v4.new_code_cell(source, id=name)
    cell.metadata["nbgrader"] = {
        "schema_version": 3,
        "grade": True,
        "solution": False,
        "locked": True,
        "task": False,
        "grade_id": name,
        "points": 1,
    }
    return cell


kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
cells = [test_cell(name, source) for name, source in SOURCES.items()]
notebook = v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
Path("source/ps1").mkdir(parents=True)
nbformat.write(notebook, "source/ps1/problem.ipynb")
done = subprocess.run(
    ["nbgrader", "generate_assignment", "ps1"], capture_output=True, text=True
)
check("exit code", done.returncode, 0)

released = nbformat.read("release/ps1/problem.ipynb", as_version=4)
source = {cell.id: cell.source for cell in released.cells}
try:
    compile(source["no-body"], "cell", "exec")
    seen = "compiles"
except SyntaxError as error:
    seen = type(error).__name__
check("body of hidden tests only", seen, "IndentationError")
there = "is in" if "6 * 7" in source["capitals"] else "is not in"
check(
    "'### Begin Hidden Tests'",
    f"the hidden test {there} the release",
    "the hidden test is in the release",
)
PY
