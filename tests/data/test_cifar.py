"""CIFAR-10: an archive like it, served on this machine, fetched and read."""

import errno
import fcntl
import hashlib
import io
import ssl
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

import lth_utils as lth
from lth_utils.data import cifar
from lth_utils.data.loading import digest
from lth_utils.errors import LotteryError
from lth_utils.words import IMAGES, TRAIN_IMAGES

CONTENT = np.random.default_rng(0).bytes(3000)  # in place of 170 MB


class Server:
    """A server on this machine, and how it behaves.

    Attributes:
        content: What it has.
        ranges: Whether it can begin in the middle.
        cut: How much it sends before the line breaks; None is all.
        status: What it answers in place of the content.
        asked: The range that each request asked for.
        wait: Seconds before it sends.
    """

    def __init__(self) -> None:
        self.content, self.ranges, self.cut = CONTENT, True, None
        self.status, self.wait, self.asked = 0, 0.0, list[str]()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.headers["Range"])
                time.sleep(server.wait)
                server.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/{cifar.ARCHIVE}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,)).start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        if self.status:
            handler.send_error(self.status)
            return
        start = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        start = start if self.ranges else 0
        handler.send_response(206 if self.ranges else 200)
        handler.send_header("Content-Length", str(len(self.content) - start))
        handler.end_headers()
        handler.wfile.write(self.content[start : self.cut])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Serve an archive that the library takes for CIFAR-10's."""
    served = Server()
    monkeypatch.setattr(cifar, "URL", served.url)
    monkeypatch.setattr(cifar, "SIZE", len(CONTENT))
    monkeypatch.setattr(cifar, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setenv("no_proxy", "*")
    yield served
    served.http.shutdown()
    served.http.server_close()


def held(folder: Path) -> dict[str, bytes]:
    """Return what a folder holds."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


WHOLE = {cifar.ARCHIVE: CONTENT}
PART = f"{cifar.ARCHIVE}.part"


# Fetching


@pytest.mark.parametrize("ranges", [True, False])
def test_it_is_fetched_whole_into_a_new_folder(server, tmp_path, ranges):
    server.ranges = ranges
    cifar.fetch(tmp_path / "a" / "b")
    assert held(tmp_path / "a" / "b") == WHOLE
    cifar.fetch(tmp_path / "a" / "b")
    assert server.asked == ["bytes=0-"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_line_is_gone_on_from(server, tmp_path, ranges):
    server.ranges, server.cut = ranges, 1000
    with pytest.raises(LotteryError, match=r"line closed\); 1,000 of its 3,000 bytes"):
        cifar.fetch(tmp_path)
    assert held(tmp_path) == {PART: CONTENT[:1000]}
    server.cut = 2000
    with pytest.raises(LotteryError, match=r"2,000 of its 3,000 bytes are kept\. Load"):
        cifar.fetch(tmp_path)
    assert held(tmp_path) == {PART: CONTENT[:2000]}
    server.cut = None
    cifar.fetch(tmp_path)
    assert held(tmp_path) == WHOLE
    assert server.asked == ["bytes=0-", "bytes=1000-", "bytes=2000-"]


def test_in_many_pieces_it_is_the_same(server, tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "_PIECE", 7)
    (tmp_path / PART).write_bytes(CONTENT[:1001])
    server.ranges = False
    cifar.fetch(tmp_path)
    assert held(tmp_path) == WHOLE


def test_a_line_that_breaks_sooner_loses_nothing(server, tmp_path):
    (tmp_path / PART).write_bytes(CONTENT[:1000])
    server.ranges, server.cut = False, 500
    with pytest.raises(LotteryError, match=r"1,000 of its 3,000 bytes are kept"):
        cifar.fetch(tmp_path)
    assert held(tmp_path) == {PART: CONTENT[:1000]}


def test_what_was_whole_before_it_was_moved_is_not_asked_for(server, tmp_path):
    (tmp_path / PART).write_bytes(CONTENT)
    cifar.fetch(tmp_path)
    assert held(tmp_path) == WHOLE
    assert server.asked == []


@pytest.mark.parametrize("part", [b"x" * 3000, b"x" * 4000, b"x" * 1000])
def test_what_turns_out_to_be_another_file_is_not_kept(server, tmp_path, part):
    (tmp_path / PART).write_bytes(part)
    with pytest.raises(LotteryError, match=r"not CIFAR-10's .* so nothing was kept"):
        cifar.fetch(tmp_path)
    assert held(tmp_path) == {}
    cifar.fetch(tmp_path)
    assert held(tmp_path) == WHOLE


@pytest.mark.parametrize("there", [b"", CONTENT[:1000]])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_page_in_its_place_spoils_nothing(server, tmp_path, there, ranges):
    before = {PART: there} if there else {}
    for name, content in before.items():
        (tmp_path / name).write_bytes(content)
    server.content, server.ranges = b"<html>Please log in.</html>" * 50, ranges
    with pytest.raises(LotteryError, match="a file of another length is at http://127"):
        cifar.fetch(tmp_path)
    assert held(tmp_path) == before


@pytest.mark.parametrize("status", [403, 404, 416, 500, 503])
def test_a_server_that_refuses_is_a_sentence(server, tmp_path, status):
    server.status = status
    with pytest.raises(LotteryError, match=f"HTTP Error {status}: .*; 0 of its 3,000"):
        cifar.fetch(tmp_path)
    assert held(tmp_path) == {}


def test_without_a_server_a_sentence_says_what_else_can_be_done(server, tmp_path):
    server.http.server_close()
    with pytest.raises(LotteryError, match=r"Cannot download CIFAR-10") as caught:
        cifar.fetch(tmp_path)
    said = str(caught.value)
    assert f"put {cifar.ARCHIVE} into {tmp_path} yourself, or use load(" in said
    assert 'load("colour-digits")' in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENETUNREACH, "Network is unreachable"),
        ssl.SSLError(1, "decryption failed"),
        TimeoutError("timed out"),
        ConnectionResetError(errno.ECONNRESET, "reset"),
    ],
)
def test_what_fails_on_the_line_is_not_blamed_on_the_disk(
    server, tmp_path, monkeypatch, error
):
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(LotteryError, match=r"Cannot download .*; 0 of its 3,000 bytes"):
        cifar.fetch(tmp_path)


@pytest.mark.parametrize(
    ("number", "cause"),
    [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "the folder is read-only")],
)
def test_what_fails_on_the_disk_is_not_blamed_on_the_line(
    server, tmp_path, monkeypatch, number, cause
):
    real = Path.open

    def refuse(path: Path, mode: str = "r") -> io.IOBase:
        if "a" in mode:
            raise OSError(number, "no")
        return real(path, mode)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(LotteryError, match=f"Cannot write .*: {cause}"):
        cifar.fetch(tmp_path)


def test_a_folder_that_is_a_file_is_a_sentence(server, tmp_path):
    (tmp_path / "data").write_text("")
    for place in (tmp_path / "data", tmp_path / "data" / "more"):
        with pytest.raises(LotteryError, match=r"Cannot write .*a file, not a folder"):
            cifar.read_cifar(place)
    assert server.asked == []


def test_two_at_once_fetch_it_once(server, tmp_path):
    server.wait = 0.2
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(cifar.fetch, tmp_path) for _ in range(4)]:
            done.result()
    assert held(tmp_path) == WHOLE
    assert server.asked == ["bytes=0-"]


def test_a_disk_without_locks_is_no_hindrance(server, tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(fcntl, "flock", refuse)
    cifar.fetch(tmp_path)
    assert held(tmp_path) == WHOLE


def test_it_needs_no_error_stream(server, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    cifar.fetch(tmp_path)
    assert held(tmp_path) == WHOLE


# Reading


def batch(labels: list[int], picture: np.ndarray | None = None) -> bytes:
    """Return a batch: black pictures, but for the first."""
    rows = np.zeros((len(labels), 1 + 3 * 32 * 32), np.uint8)
    rows[:, 0] = labels
    if picture is not None:
        rows[0, 1:] = picture.transpose(2, 0, 1).flatten()
    return rows.tobytes()


def archive(path: Path, batches: dict[str, bytes]) -> str:
    """Write an archive of CIFAR-10's form and order; return its sha256."""
    order = [*(f"data_batch_{n}.bin" for n in (1, 3, 4)), "test_batch.bin"]
    order += [f"data_batch_{n}.bin" for n in (5, 2)]
    others = {"batches.meta.txt": b"airplane\nautomobile\n", "readme.html": b"<p>"}
    with tarfile.open(path, "w:gz", compresslevel=1) as file:
        folder = tarfile.TarInfo("cifar-10-batches-bin")
        folder.type = tarfile.DIRTYPE
        file.addfile(folder)
        for name in (*others, *order):
            content = (others | batches)[name]
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def small(tmp_path, monkeypatch) -> Path:
    """Make an archive of 5,020 + 30 pictures in LTH_DATA; the first has colours."""
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:] = 1, 2, 3
    picture[5, 7] = 40, 50, 60  # row 5, column 7
    batches = {"test_batch.bin": batch([9] * 29 + [4])}
    for number in range(1, 6):
        first = picture if number == 1 else None
        batches[f"data_batch_{number}.bin"] = batch([number] * 1004, first)
    path = tmp_path / cifar.ARCHIVE
    monkeypatch.setattr(cifar, "SHA256", archive(path, batches))
    monkeypatch.setattr(cifar, "URL", "http://127.0.0.1:9/nobody")
    monkeypatch.setenv("LTH_DATA", str(tmp_path))
    return path


def test_the_last_of_training_are_for_validation(small):
    data = lth.load("cifar10")
    assert [s.size for s in (data.train, data.validation, data.test)] == [20, 5000, 30]
    assert data.train.labels.tolist() == [1] * 20
    counts = [0, 984, 1004, 1004, 1004, 1004]
    assert data.validation.labels.bincount().tolist() == counts
    assert data.validation.labels.diff().min() >= 0  # the batches in their order
    assert data.test.labels.tolist() == [9] * 29 + [4]
    assert (data.name, data.shape) == ("cifar10", IMAGES["cifar10"])
    assert TRAIN_IMAGES["cifar10"] == 50_000 - 5_000
    assert list(small.parent.iterdir()) == [small]


def test_colours_land_in_their_planes(small):
    data = lth.load("cifar10")
    image = data.train.images[0]
    assert (image.dtype, image.shape) == (torch.uint8, (3, 32, 32))
    assert image[:, 5, 7].tolist() == [40, 50, 60]
    image[:, 5, 7] = torch.tensor([1, 2, 3], dtype=torch.uint8)
    assert image.flatten(1).unique(dim=1).tolist() == [[1], [2], [3]]
    assert not data.train.images[1:].any()


def test_its_digest_is_known_before_it_is_there(small):
    known = digest("cifar10")
    assert lth.load("cifar10").digest == known
    assert known not in (digest("mnist"), digest("fashion-mnist"))


@pytest.mark.parametrize("how", ["cut", "flipped", "empty"])
def test_a_damaged_archive_is_named_and_kept(small, how):
    whole = small.read_bytes()
    flipped = whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:]
    damaged = {"cut": whole[:-9], "flipped": flipped, "empty": b""}[how]
    small.write_bytes(damaged)
    with pytest.raises(LotteryError, match=r"tar\.gz is damaged .* Delete it and load"):
        lth.load("cifar10")
    assert small.read_bytes() == damaged


def test_an_archive_that_may_not_be_read_is_a_sentence(small, monkeypatch):
    def refuse(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    for name in ("open", "is_file"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, name, lambda path, *_: refuse(path))
            with pytest.raises(
                LotteryError, match=r"Cannot read .*: Permission denied"
            ):
                cifar.read_cifar(small.parent)


def test_what_is_missing_is_fetched_and_read(small, server, monkeypatch):
    server.content = small.read_bytes()
    monkeypatch.setattr(cifar, "SIZE", len(server.content))
    monkeypatch.setattr(cifar, "SHA256", hashlib.sha256(server.content).hexdigest())
    small.unlink()
    assert lth.load("cifar10").train.size == 20
    assert held(small.parent) == {cifar.ARCHIVE: server.content}
