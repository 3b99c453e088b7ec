"""What the pages promise: every command and every line of Python that they show."""

import re
import shlex
from pathlib import Path

import nbformat
import pandas as pd
import pytest

import lth_utils as lth
from lth_utils import EXPERIMENTS, cli, commands

ROOT = Path(__file__).resolve().parents[1]

PAGES = ("README.md", "CONTRIBUTING.md", "results/README.md", "book/*.md")


def promised() -> list[str]:
    """Return each command, `lth` and its words, that a page or --help shows."""
    texts = [path.read_text("utf8") for page in PAGES for path in ROOT.glob(page)]
    texts += [
        cell.source
        for path in (ROOT / "notebooks").rglob("*.ipynb")
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "markdown"
    ]
    shown = [f"  {line}" for line in cli._EXAMPLES.splitlines()]
    text = "\n".join([*texts, *shown])
    inline = re.findall(r"`lth ([^`]+)`", text)
    fenced = re.findall(r"^ *(?:\.venv/bin/)?lth (.+?)(?:  .*)?$", text, re.MULTILINE)
    return sorted({words.partition(" > ")[0] for words in [*inline, *fenced]})


PLACES = {"EXPERIMENT": "lenet-mnist", "NETWORK": "lenet", "COMMAND": "show"}
# These train or fetch; all others are done.
DEAR = r"run|demo|data mnist|show lenet-mnist( --profile quick)?$"


@pytest.mark.parametrize("command", promised())
def test_every_command_that_a_page_shows_works(command):
    words = shlex.split(command)
    words = [PLACES.get(word, word) for word in words]
    if words in (["run"], ["show"]):  # the command itself is meant
        words.append("--help")
    if re.match(DEAR, " ".join(words)):
        assert cli._parser().parse_args(words).do
        if words[0] in ("run", "show"):
            commands._chosen(cli._parser().parse_args(words))
    elif "--help" in words:
        with pytest.raises(SystemExit) as stop:
            cli.main(words)
        assert stop.value.code == 0
    else:
        assert cli.main(words) == 0


def test_the_pages_show_commands():
    found = promised()
    assert {"demo", "list", "--help", "COMMAND --help"} <= set(found)
    assert "show lenet-gain --profile laptop --csv" in found
    assert "run lenet-mnist --profile quick --seeds 3" in found


def test_the_paper_profile_is_promised_where_it_is():
    page = (ROOT / "book" / "how-to-use.md").read_text("utf8")
    assert "`paper`, in chapters 1 to 7 and 10:" in page
    having = set()
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = nbformat.read(path, as_version=4).cells
        code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
        if named := re.search(r'^NAME = "(.+)"$', code, re.MULTILINE):
            code = re.sub(r"\bNAME\b", f'"{named[1]}"', code)
        called = r'lth\.[a-z]\w+\(\s*"([\w-]+)",\s*(?:profile=)?PROFILE'
        words = re.findall(called, code)
        assert words, path
        assert all({"quick", "laptop"} <= set(EXPERIMENTS[word]) for word in words)
        if all("paper" in EXPERIMENTS[word] for word in words):
            having.add(int(path.name[:2]))
    assert having == {1, 2, 3, 4, 5, 6, 7, 10}


# Python


def blocks(page: str) -> list[str]:
    """Return the fenced Python of a page."""
    text = (ROOT / page).read_text("utf8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def test_the_readmes_python_makes_a_ticket():
    (code,) = blocks("README.md")
    assert "iterations=1000" in code
    names: dict[str, object] = {}
    exec(code.replace("iterations=1000", "iterations=20"), names)
    net, masks, init = (names[name] for name in ("net", "masks", "init"))
    assert lth.masks_of(net).counts() == masks.counts()
    assert masks.density == pytest.approx(0.8, abs=1e-3)
    for name, mask in masks.items():
        assert (net.get_parameter(name) == init[name] * mask).all()


def test_the_csv_that_how_to_use_writes_is_read_as_it_says(
    tmp_path, monkeypatch, capsys
):
    assert cli.main(["show", "lenet-gain", "--profile", "laptop", "--csv"]) == 0
    monkeypatch.chdir(tmp_path)
    Path("gain.csv").write_text(capsys.readouterr().out)
    code = next(code for code in blocks("book/how-to-use.md") if "gain.csv" in code)
    names: dict[str, object] = {}
    exec(code, names)
    recorded = lth.recorded("lenet-gain")
    half = recorded[recorded["experiment"] == "0.5"]
    assert len(half) > 0
    pd.testing.assert_frame_equal(names["half"], half)


def test_the_calls_that_the_pages_name_work():
    text = "".join(
        path.read_text("utf8").replace("\n", " ")
        for page in PAGES
        for path in ROOT.glob(page)
    )
    calls = set(re.findall(r"`(lth\.\w+\([^`]*\))`", text))
    assert len(calls) >= 2
    for call in calls:
        found = eval(call, {"lth": lth})
        assert isinstance(found, lth.TicketLab) or len(found)
