"""`make serve`: the book on a port, or one sentence."""

import socket
import subprocess
import sys
from urllib.request import urlopen

import pytest
import serve
from book_fixtures import ROOT


@pytest.mark.parametrize("port", ["", "eight", "-1", "99999", "8000.5"])
def test_what_is_no_port_is_one_sentence(port, capsys):
    assert serve.main([port]) == 1
    said = capsys.readouterr().err
    assert f"cannot be shown on port {port}" in said
    assert "make serve PORT=8001" in said
    assert said.count("\n") == 1


def test_a_port_that_is_taken_is_one_sentence(capsys):
    with socket.create_server(("localhost", 0)) as other:
        assert serve.main([str(other.getsockname()[1])]) == 1
    assert "in use): expected a free one" in capsys.readouterr().err


def test_the_book_is_shown(tmp_path):
    (tmp_path / "index.html").write_text("a page")
    code = "import sys, serve; serve.main(['0'], sys.argv[1])"
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path],
        cwd=ROOT / "book",
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        address = server.stdout.readline().split()[4]
        with urlopen(address) as page:
            assert page.read() == b"a page"
        server.terminate()
