"""The form of the scripts in findings/; none of them is run: they fetch packages."""

import os
import re
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent / "findings"
SCRIPTS = sorted(FOLDER.glob("*.sh"))
FRAME = """set -euo pipefail
tmp="$(mktemp -d)"
trap 'rm -rf "$tmp"' EXIT
"""
each_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)


def test_the_readme_lists_the_scripts():
    listed = re.findall(r"^\| `(\S+)` \|", (FOLDER / "README.md").read_text(), re.M)
    assert listed == [script.stem for script in SCRIPTS]


@each_script
def test_it_is_a_program_that_leaves_nothing_behind(script):
    assert os.access(script, os.X_OK)
    head, frame, _ = script.read_text().partition(FRAME)
    assert frame
    shebang, *comment = head.splitlines()
    assert shebang == "#!/usr/bin/env bash"
    assert all(line == "#" or line.startswith("# ") for line in comment)
    subprocess.run(["bash", "-n", script], check=True)


@each_script
def test_its_head_says_what_is_seen(script):
    head = script.read_text().partition(FRAME)[0]
    words = re.findall(r"^# (Versions|Behaviour|Guess|Seen)\b.*:", head, re.M)
    assert words == ["Versions", "Behaviour", "Guess", "Seen"]


@each_script
def test_its_packages_are_pinned_and_named_in_its_head(script):
    head, _, body = script.read_text().partition(FRAME)
    installs = re.findall(r'^"\$tmp/\w+/bin/pip" install (.+)', body, re.M)
    assert len(installs) == body.count("pip") > 0
    for install in installs:
        pins = [word for word in install.split() if not word.startswith("-")]
        assert pins
        for pin in pins:
            name, version = re.fullmatch(r"([\w-]+)==(\d[\w.]*)", pin).groups()
            assert name in head
            assert version in head


@each_script
def test_it_fails_with_a_sentence_and_without_us(script):
    text = script.read_text()
    assert re.search(r'"Changed: .+\."', text)
    assert "lth_utils" not in text
    assert not re.search(r"https?:|index-url|find-links", text)


@each_script
def test_its_python_compiles(script):
    programs = re.findall(r"<<'PY'\n(.+?)\nPY\n", script.read_text(), re.DOTALL)
    assert programs
    for program in programs:
        compile(program, script.name, "exec")
