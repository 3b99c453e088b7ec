"""Running chapters and building pages, on a book of two lines."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lth_book
import nbformat
import pytest
import run_notebooks
from book_fixtures import ROOT, copies
from nbformat import v4

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
PARAMETERS = ('PROFILE = "long"', "parameters")
SAY = 'import os; print(PROFILE, os.environ["LTH_BOOK"], os.environ["LTH_RUNS"])'


def write_chapter(root: Path, name: str, *cells: tuple[str, str]) -> None:
    """Write a notebook from (source, tag) pairs; cell 2 has the id cell-2."""
    made = [v4.new_markdown_cell("# A chapter", id="title")]
    for number, (source, tag) in enumerate(cells, start=1):
        metadata = {"tags": [tag]} if tag else {}
        made.append(v4.new_code_cell(source, id=f"cell-{number}", metadata=metadata))
    notebook = v4.new_notebook(cells=made, metadata={"kernelspec": KERNEL})
    notebook.nbformat_minor = 5
    (root / "notebooks").mkdir(exist_ok=True)
    nbformat.write(notebook, root / f"{name}.ipynb")


def write_book(root: Path) -> Path:
    """Write a book of one page and one chapter, that has not been run."""
    toc = "format: jb-book\nroot: start\nchapters:\n- file: notebooks/one\n"
    (root / "_toc.yml").write_text(toc)
    (root / "start.md").write_text("# Start\n")
    (root / "requirements.lock").write_text("torch==2\n")
    for folder in ("lth_utils", "results"):
        (root / folder).mkdir()
        (root / folder / "something").write_text("1")
    write_chapter(root, "notebooks/one", PARAMETERS, (SAY, ""))
    return root


@pytest.fixture
def book(tmp_path) -> Path:
    return write_book(tmp_path)


@pytest.fixture(scope="module")
def said_once(tmp_path_factory) -> tuple[Path, str]:
    """Run a book; return where it is, and what was said."""
    root = write_book(tmp_path_factory.mktemp("book"))
    with redirect_stdout(io.StringIO()) as out:
        assert run_notebooks.main([], root) == 0
    return root, out.getvalue()


@pytest.fixture(scope="module")
def run_once(said_once) -> Path:
    """Return a book that was run: copy it before you change it."""
    return said_once[0]


@pytest.fixture
def run_book(run_once, tmp_path) -> Path:
    return Path(shutil.copytree(run_once, tmp_path / "book"))


def stopped(root: Path, *words: str) -> None:
    """Assert that nothing was run and nothing was left behind."""
    assert not list(root.rglob("_build/**/*.ipynb*"))
    assert not list(root.rglob(".lth-*"))


# What a copy is, and when it is made again


def test_a_copy_holds_outputs_profile_and_stamp(run_once):
    notebook = nbformat.read(copies.copy(run_once, "notebooks/one"), as_version=4)
    injected, say = notebook.cells[2], notebook.cells[3]
    assert injected.metadata.tags == ["injected-parameters", "remove-cell"]
    runs = os.environ["LTH_RUNS"]
    assert say.outputs[0].text == f"quick 1 {runs}\n"
    made = copies.stamp(run_once, "notebooks/one")
    assert made["profile"] == "quick"
    assert made["seconds"] > 0
    assert len(made["digest"]) == 64


def test_a_build_that_cannot_be_written_is_known_before(book, capsys, monkeypatch):
    monkeypatch.setattr(run_notebooks, "_run", None)  # would fail
    (book / "_build").write_text("mine")
    assert run_notebooks.main([], book) == 1
    assert "executed: part of that path is a file" in capsys.readouterr().err
    assert (book / "_build").read_text() == "mine"


def test_the_users_own_jupyter_has_no_part_in_it(book, tmp_path, monkeypatch):
    home = tmp_path / "home"
    startup = home / ".ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "mine.py").write_text("import builtins; builtins.print = repr")
    kernel = home / ".local" / "share" / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    spec = {"argv": ["no-such-python"], "display_name": "Mine", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(kernel.parents[1]))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    assert run_notebooks.main([], book) == 0
    notebook = nbformat.read(copies.copy(book, "notebooks/one"), as_version=4)
    assert notebook.cells[3].outputs[0].text.startswith("quick 1")


def test_a_user_without_a_home_folder_gets_one_below_build(book, tmp_path, monkeypatch):
    say = 'import os; print(os.environ["HOME"])'
    write_chapter(book, "notebooks/one", PARAMETERS, (say, ""))
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    assert run_notebooks.main([], book) == 0
    notebook = nbformat.read(copies.copy(book, "notebooks/one"), as_version=4)
    assert notebook.cells[3].outputs[0].text == f"{book / '_build' / 'home'}\n"


def test_an_unchanged_chapter_is_not_run_again(run_book, capsys):
    before = copies.copy(run_book, "notebooks/one").read_bytes()
    os.utime(run_book / "notebooks" / "one.ipynb")
    (run_book / "lth_utils" / "__pycache__").mkdir()
    (run_book / "lth_utils" / "__pycache__" / "x.pyc").write_text("2")
    assert run_notebooks.run_all(run_book) == {}
    assert "notebooks/one: unchanged" in capsys.readouterr().out
    assert copies.copy(run_book, "notebooks/one").read_bytes() == before


@pytest.mark.parametrize(
    "file", ["requirements.lock", "lth_utils/something", "results/something"]
)
def test_what_a_chapter_uses_is_part_of_its_hash(run_book, file):
    (run_book / file).write_text("2")
    around = copies.surroundings(run_book)
    assert "changed since it was run" in copies.complaint(
        run_book, "notebooks/one", around
    )


def test_a_new_file_is_part_of_the_hash(run_book):
    before = copies.surroundings(run_book)
    (run_book / "lth_utils" / "new").write_text("")
    assert copies.surroundings(run_book) != before


def test_the_profile_is_part_of_the_hash(book):
    around = copies.surroundings(book)
    quick, laptop = (
        copies.digest(book, "notebooks/one", profile, around)
        for profile in ("quick", "laptop")
    )
    assert quick != laptop


def test_each_chapter_is_said_as_it_finishes(said_once):
    assert re.search(r"\n  notebooks/one \.\.\. done in \d+ s\n$", said_once[1])


# Whoever saved it


def saved(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Let another editor save the chapter."""
    path = root / "notebooks" / "one.ipynb"
    notebook = json.loads(path.read_text())
    change(notebook)
    path.write_text(json.dumps(notebook))


def with_other_kernel(notebook: dict[str, Any]) -> None:
    notebook["metadata"]["kernelspec"]["name"] = "conda-env-foo"


def by_colab(notebook: dict[str, Any]) -> None:
    notebook["nbformat_minor"] = 4
    kernel = {"display_name": "Python 3", "name": "python3"}
    notebook["metadata"] = {"colab": {"provenance": []}, "kernelspec": kernel}
    without_ids(notebook)


def without_ids(notebook: dict[str, Any]) -> None:
    for cell in notebook["cells"]:
        del cell["id"]


def with_one_id_for_all(notebook: dict[str, Any]) -> None:
    for cell in notebook["cells"]:
        cell["id"] = "same"


def without_a_kernel(notebook: dict[str, Any]) -> None:
    notebook["metadata"] = {}


EDITORS = [
    with_other_kernel,
    by_colab,
    without_ids,
    with_one_id_for_all,
    without_a_kernel,
]


@pytest.mark.parametrize("editor", EDITORS)
def test_a_chapter_is_the_same_whoever_saved_it(book, editor):
    before = run_notebooks._read(book, "notebooks/one")
    saved(book, editor)
    after = run_notebooks._read(book, "notebooks/one")
    nbformat.validate(after)
    assert after.metadata.kernelspec == KERNEL
    assert len({cell.id for cell in after.cells}) == len(before.cells)
    for mine, other in zip(before.cells, after.cells, strict=True):
        assert {**mine, "id": ""} == {**other, "id": ""}


def test_a_chapter_that_another_editor_saved_is_run(book, capsys):
    saved(book, by_colab)
    assert run_notebooks.main([], book) == 0
    copy = nbformat.read(copies.copy(book, "notebooks/one"), as_version=4)
    nbformat.validate(copy)
    assert copy.metadata.kernelspec == KERNEL
    assert copy.cells[3].outputs[0].text.startswith("quick 1 ")
    assert "Warning" not in capsys.readouterr().err


def test_a_cell_without_an_id_that_fails_is_shown(book, capsys):
    write_chapter(book, "notebooks/one", PARAMETERS, ("x = {}\nx['why']", ""))
    saved(book, by_colab)
    assert run_notebooks.main([], book) == 1
    said = capsys.readouterr().err
    assert "failed with KeyError: 'why'" in said
    assert "x['why']" in said
    stopped(book)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"cells": [', '{"nbformat": 5, "cells": []}', "\0"]
)
def test_what_is_no_notebook_is_one_sentence(book, capsys, text):
    (book / "notebooks" / "one.ipynb").write_text(text)
    assert run_notebooks.main([], book) == 1
    said = capsys.readouterr()
    assert "notebooks/one.ipynb is no whole notebook (" in said.err
    assert said.err.count("\n") == 1
    assert "running" not in said.out
    stopped(book)


# What can be wrong


def test_a_missing_notebook_is_named_before_anything_runs(book, capsys):
    with (book / "_toc.yml").open("a") as toc:
        toc.write("- file: notebooks/onw\n")
    assert run_notebooks.main([], book) == 1
    said = capsys.readouterr()
    assert "_toc.yml names notebooks/onw" in said.err
    assert "Did you mean notebooks/one?" in said.err
    assert not said.out
    stopped(book)


def test_a_missing_toc_is_named(tmp_path, capsys):
    assert run_notebooks.main([], tmp_path) == 1
    assert "There is no" in capsys.readouterr().err


@pytest.mark.parametrize(("cells", "found"), [([], "no"), ([PARAMETERS] * 2, "2")])
def test_a_wrong_number_of_parameters_cells_is_named(book, capsys, cells, found):
    with (book / "_toc.yml").open("a") as toc:
        toc.write("- file: notebooks/two\n")
    write_chapter(book, "notebooks/two", *cells, (SAY, ""))
    assert run_notebooks.main([], book) == 1
    said = capsys.readouterr()
    assert f"notebooks/two.ipynb has {found} cells tagged `parameters`" in said.err
    assert 'PROFILE = "quick"' in said.err
    assert not said.out
    stopped(book)


def test_an_unknown_chapter_is_named(book, capsys):
    assert run_notebooks.main(["notebooks/onw"], book) == 1
    assert "Did you mean 'notebooks/one'?" in capsys.readouterr().err


def test_a_failing_cell_is_named_and_leaves_no_copy(book, capsys):
    write_chapter(book, "notebooks/one", PARAMETERS, ("x = {}\nx['why']", ""))
    assert run_notebooks.main([], book) == 1
    said = capsys.readouterr().err
    assert "notebooks/one.ipynb: cell 'cell-2' failed with KeyError: 'why'" in said
    assert "x['why']" in said
    assert "\x1b" not in said
    stopped(book)


def test_a_cell_that_the_library_refuses_is_told_in_its_sentence(book, capsys):
    refused = 'import lth_utils as lth\nlth.experiment("lenet-inits", "paper")'
    write_chapter(book, "notebooks/one", PARAMETERS, (refused, ""))
    assert run_notebooks.main([], book) == 1
    said = capsys.readouterr().err
    assert "Unknown profile of lenet-inits 'paper': expected one of quick" in said
    assert "Traceback" not in said
    assert len(said.splitlines()) == 2


def test_a_failing_cell_keeps_the_copy_that_there_was(run_book):
    before = copies.copy(run_book, "notebooks/one").read_bytes()
    write_chapter(run_book, "notebooks/one", PARAMETERS, ("1 / 0", ""))
    assert run_notebooks.main([], run_book) == 1
    assert copies.copy(run_book, "notebooks/one").read_bytes() == before


def test_a_kernel_that_dies_is_told(book, capsys):
    write_chapter(book, "notebooks/one", PARAMETERS, ("import os; os._exit(1)", ""))
    assert run_notebooks.main([], book) == 1
    assert "Python itself stopped" in capsys.readouterr().err
    stopped(book)


# What Sphinx refuses


def check(root: Path) -> None:
    lth_book.check_copies(SimpleNamespace(srcdir=root), None)


def test_a_fresh_copy_may_be_shown(run_once):
    check(run_once)


def test_a_missing_copy_is_refused(book):
    with pytest.raises(SystemExit, match=r"one.ipynb was never run. Run `make"):
        check(book)


def test_a_copy_that_nobody_stamped_is_refused(run_book):
    shutil.copy(
        run_book / "notebooks" / "one.ipynb", copies.copy(run_book, "notebooks/one")
    )
    with pytest.raises(SystemExit, match="never run"):
        check(run_book)


def test_a_stale_copy_is_refused(run_book):
    write_chapter(run_book, "notebooks/one", PARAMETERS, ("print(2)", ""))
    with pytest.raises(SystemExit, match=r"changed since it was run\. Run `make"):
        check(run_book)


def test_a_missing_page_is_refused(run_book):
    (run_book / "start.md").unlink()
    with pytest.raises(SystemExit, match=r"_toc\.yml names start"):
        check(run_book)


def build(root: Path) -> subprocess.CompletedProcess[str]:
    """Build a book as `make book` does, with our configuration."""
    shutil.copy(ROOT / "_config.yml", root)
    shutil.copytree(ROOT / "book", root / "book", dirs_exist_ok=True)
    command = [sys.executable, root / "book" / "render.py"]
    return subprocess.run(command, capture_output=True, text=True)


def test_a_stale_copy_ends_the_build_with_one_sentence(run_book):
    (run_book / "requirements.lock").write_text("torch==3\n")
    built = build(run_book)
    assert built.returncode == 1
    assert "The book cannot be built." in built.stderr
    assert "_build/render.log holds them all" in built.stderr
    assert "Traceback" not in built.stderr
    assert not (run_book / "_build" / "html" / "index.html").exists()


def test_a_warning_fails_every_build_until_it_is_mended(run_book):
    start = run_book / "start.md"
    start.write_text("# Start\n\n[nowhere](nowhere.md)\n")
    for _ in range(2):
        built = build(run_book)
        assert built.returncode != 0
        assert "nowhere" in built.stderr
    start.write_text("# Start\n")
    built = build(run_book)
    assert built.returncode == 0
    assert len(built.stdout.splitlines()) == 2
    address = (run_book / "_build" / "html" / "index.html").as_uri()
    assert built.stdout.endswith(f"Open {address}\n")
    page = run_book / "_build" / "html" / "notebooks" / "one.html"
    assert "quick 1" in page.read_text("utf8")
