"""Run all notebooks as Colab would: `make colab [CHAPTERS="notebooks/01-….ipynb"]`.

A clean environment gets Colab's Python and its older libraries, and neither
myst_nb nor lth_utils. Each chapter, and each assignment with its solutions, is
copied alone into an empty folder and run from top to bottom. Its set-up cell is
left as it is: git is told to take the repository's address for this checkout, so
that what is committed here is what gets installed. Afterwards every library must
have the version it had.

Not a part of `make test`: it installs another torch and trains again.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import yaml
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "_build" / "colab"
PYTHON = FOLDER / "env" / "bin" / "python"

# What Colab had when this was written; a newer image is no harder.
COLAB = [
    "torch==2.11.0",
    "torchvision==0.26.0",
    "numba==0.60.0",
    "numpy==2.0.2",
    "pandas==2.2.2",
    "matplotlib==3.10.0",
    "seaborn==0.13.2",
    "ipywidgets==7.7.1",
    "ipykernel==6.17.1",
    "ipython==7.34.0",
    # With pyzmq 27 and tornado 6.6, this old kernel now and then misses a cell.
    "pyzmq==26.2.1",
    "tornado==6.5.1",
    "jupyter-client==7.4.9",
]


def python_312() -> str:
    """Return the path of a Python 3.12, or stop with a sentence."""
    pyenv = sorted(Path.home().glob(".pyenv/versions/3.12.*/bin/python3.12"))
    for candidate in [shutil.which("python3.12"), *map(str, pyenv)]:
        if (
            candidate
            and not subprocess.run(
                [candidate, "--version"], capture_output=True
            ).returncode
        ):
            return candidate
    sys.exit("Colab has Python 3.12 and this machine has not: install it, run again.")


def make_environment() -> None:
    """Install Colab's libraries, unless they are there already."""
    made = FOLDER / "env" / "made.json"
    if made.exists() and json.loads(made.read_text()) == COLAB:
        return
    print("Setting up Colab's libraries in _build/colab/env: about 5 GB.", flush=True)
    python = python_312()
    subprocess.run([python, "-m", "venv", "--clear", FOLDER / "env"], check=True)
    fast = shutil.which("uv")
    install = [fast, "pip", "install", "--python"] if fast else []
    tail = [] if fast else ["-m", "pip", "install"]
    subprocess.run([*install, PYTHON, *tail, "--quiet", *COLAB], check=True)
    spec = ["-m", "ipykernel", "install", "--prefix", FOLDER / "env", "--name", "colab"]
    subprocess.run([PYTHON, *spec], check=True, capture_output=True)
    made.write_text(json.dumps(COLAB))


def versions() -> dict[str, str]:
    """Return every library in Colab's environment and its version."""
    command = [PYTHON, "-m", "pip", "list", "--format=json"]
    listing = subprocess.run(command, check=True, capture_output=True).stdout
    return {entry["name"]: entry["version"] for entry in json.loads(listing)}


def pretend_to_be_colab() -> None:
    """Set what the kernel inherits: paths, the run store, git's address book."""
    address = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
    for name in ("LTH_BOOK", "LTH_DATA", "PYTHONPATH", "VIRTUAL_ENV"):
        os.environ.pop(name, None)
    os.environ |= {
        "JUPYTER_PATH": str(FOLDER / "env" / "share" / "jupyter"),
        "PATH": f"{PYTHON.parent}{os.pathsep}{os.environ['PATH']}",
        "LTH_RUNS": str(FOLDER / "runs"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{ROOT.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": address,
    }


def run(chapter: Path) -> None:
    """Run the chapter in an empty folder; its copy stays in `_build/colab`."""
    folder = FOLDER / "content"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    notebook = nbformat.read(shutil.copy(chapter, folder), as_version=4)
    client = NotebookClient(
        notebook,
        kernel_name="colab",
        timeout=1800,
        resources={"metadata": {"path": str(folder)}},
    )
    try:
        client.execute()
    finally:
        nbformat.write(notebook, FOLDER / chapter.name)


def check(chapter: Path) -> None:
    """Run the chapter where lth_utils is missing; report what it installed.

    Raises:
        SystemExit: If a library that was there is gone or has another version.
    """
    pip = [PYTHON, "-m", "pip", "uninstall", "--quiet", "--yes", "lth-utils"]
    subprocess.run(pip, check=True, capture_output=True)
    for left in (FOLDER / "env").glob("lib/*/site-packages/lth_utils"):
        shutil.rmtree(left)  # Numba's cache of the last chapter, which pip leaves
    before, start = versions(), time.monotonic()
    run(chapter)
    seconds, after = time.monotonic() - start, versions()
    changed = {n: (v, after.get(n)) for n, v in before.items() if after.get(n) != v}
    if changed:
        sys.exit(f"{chapter.name} changed what Colab has: {changed}")
    if "lth-utils" not in after:
        sys.exit(f"{chapter.name} did not install lth_utils: see its set-up cell.")
    added = ", ".join(sorted(after.keys() - before.keys()))
    print(f"{chapter.name}: ran in {seconds:.0f} s; installed {added}", flush=True)


def main() -> None:
    """Run the notebooks named on the command line, or all of them."""
    folders = (ROOT / "notebooks", ROOT / "notebooks" / "assignments")
    every = [path for folder in folders for path in sorted(folder.glob("*.ipynb"))]
    chapters = [Path(name).resolve() for name in sys.argv[1:]]
    FOLDER.mkdir(parents=True, exist_ok=True)
    make_environment()
    pretend_to_be_colab()
    shutil.rmtree(FOLDER / "runs", ignore_errors=True)
    for chapter in chapters or every:
        check(chapter)


if __name__ == "__main__":
    main()
