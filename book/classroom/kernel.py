"""A Python of its own for one submission: its output and its time are bounded.

Cells run in an IPython kernel, as in a notebook, over Jupyter's own protocol.
"""

import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from queue import Empty
from signal import SIGKILL
from subprocess import DEVNULL
from typing import Any, NamedTuple

import matplotlib
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

from lth_utils.errors import LotteryError
from lth_utils.figures.glue import PREFIX
from lth_utils.files.places import data_folder

INSIDE = Path(__file__).with_name("inside.py").read_text("utf8")
HIDDEN = "__import__('sys').modules['_classroom']"  # not among a student's names
# What each kernel sees: one thread, and nothing of the user's own settings.
THREADS = ("OMP", "MKL", "OPENBLAS", "NUMBA")
GLUED = f"{PREFIX}text/plain"  # what `lth.glue` publishes


class Limits(NamedTuple):
    """What a submission may use.

    Attributes:
        cell: Seconds for an answer's cell, and for a test.
        own: Seconds for another of the assignment's cells, which may train.
        notebook: Seconds for all cells together.
        output: Characters that a cell may write.
        memory: Bytes of a kernel's own memory.
        file: Bytes of a file that it writes.
    """

    cell: float = 60
    own: float = 180
    notebook: float = 300
    output: int = 10_000_000
    memory: int = 4 * 2**30
    file: int = 2**28


class Ran(NamedTuple):
    """What came of a cell.

    Attributes:
        error: The kind of error, "" if there was none.
        said: The error's text.
        printed: The beginning of what it printed.
        shown: Its last expression, as text.
        glued: What it published with `lth.glue`, as text.
        stopped: Why it was interrupted, "" if it was not.
    """

    error: str = ""
    said: str = ""
    printed: str = ""
    shown: str = ""
    glued: dict[str, str] = {}  # noqa: RUF012  (never changed)
    stopped: str = ""


class Dead(Exception):
    """The kernel is gone; the text says why."""


class Kernel:
    """A running kernel."""

    def __init__(self, manager: AsyncKernelManager, client: AsyncKernelClient) -> None:
        """Take a kernel that is ready, and its client."""
        self.manager = manager
        self.client = client

    async def run(
        self, source: str, seconds: float, output: int = Limits().output
    ) -> Ran:
        """Run a cell.

        Raises:
            Dead: If the kernel ended, or could not be stopped.
        """
        number = self.client.execute(source, store_history=False, allow_stdin=False)
        heard = _Heard(number)
        until, stopped = time.monotonic() + seconds, ""
        flood = f"it wrote more than {output / 1e6:g} million characters"
        while (reply := await self._reply(number)) is None:
            await self._listen(heard)
            if heard.size > output:
                stopped = flood
            elif time.monotonic() > until:
                stopped = f"it took longer than {seconds:g} seconds"
            elif not await self.manager.is_alive():
                raise Dead("Python itself ended here")
            if stopped:
                reply = await self._interrupt(number, heard, stopped)
                break
        while not heard.idle and await self._listen(heard, patience=1):
            pass
        if heard.size > output:
            stopped = stopped or flood
        if any(p.get("source") == "ask_exit" for p in reply.get("payload", [])):
            raise Dead("Python was told to end here")
        error, said = reply.get("ename", ""), reply.get("evalue", "")
        return Ran(error, said, heard.printed, heard.shown, heard.glued, stopped)

    async def _reply(self, number: str, patience: float = 0.1) -> dict | None:
        """Return the kernel's answer to a cell, or None if it is still at it."""
        try:
            message = await self.client.get_shell_msg(timeout=patience)
        except Empty:
            return None
        ours = message["parent_header"].get("msg_id") == number
        return message["content"] if ours else None

    async def _listen(self, heard: "_Heard", patience: float = 0) -> bool:
        """Take in what has been said; return whether there was anything."""
        some, since = False, time.monotonic()
        while not heard.idle:
            try:
                heard.hear(await self.client.get_iopub_msg(timeout=patience))
            except Empty:
                break
            some = True
            if time.monotonic() - since > 1:
                break  # the caller looks at the clock
        return some

    async def _interrupt(self, number: str, heard: "_Heard", why: str) -> dict:
        """Stop a cell; a kernel that goes on all the same is ended."""
        await self.manager.interrupt_kernel()
        until = time.monotonic() + 5
        while time.monotonic() < until:
            if (reply := await self._reply(number)) is not None:
                return reply
            await self._listen(heard)
        raise Dead(f"{why[0].upper()}{why[1:]}, and could not be interrupted")


class _Heard:
    """What a cell has written so far; only the beginning is kept."""

    KEPT = 2000

    def __init__(self, number: str) -> None:
        self.number = number
        self.printed = self.shown = ""
        self.glued: dict[str, str] = {}
        self.size = 0
        self.idle = False

    def hear(self, message: dict[str, Any]) -> None:
        if message["parent_header"].get("msg_id") != self.number:
            return
        kind, content = message["msg_type"], message["content"]
        if kind == "status":
            self.idle = content["execution_state"] == "idle"
        elif kind == "stream":
            self.size += len(content["text"])
            if content["name"] == "stdout" and len(self.printed) < self.KEPT:
                self.printed = (self.printed + content["text"])[: self.KEPT]
        elif data := content.get("data"):
            self.size += sum(len(str(each)) for each in data.values())
            if kind == "execute_result":
                self.shown = str(data.get("text/plain", ""))[: self.KEPT]
            elif GLUED in data:
                name = content["metadata"].get("scrapbook", {}).get("name", "")
                self.glued[str(name)] = str(data[GLUED])[: self.KEPT]


@asynccontextmanager
async def kernel(folder: Path, limits: Limits = Limits()) -> AsyncIterator[Kernel]:  # noqa: B008
    """Start a kernel that works in a folder; it is gone at the end, and its own."""
    # This Python's kernel, whatever others the user has installed.
    specs = KernelSpecManager(kernel_dirs=[])
    manager = AsyncKernelManager(kernel_spec_manager=specs, kernel_name="python3")
    about: dict[str, Any] = {"cwd": str(folder), "env": _environment(folder)}
    about |= {"stdout": DEVNULL, "stderr": DEVNULL}  # cells print by messages
    try:
        await manager.start_kernel(**about)
        client = manager.client()
        client.start_channels()
        try:
            await client.wait_for_ready(timeout=120)
            running = Kernel(manager, client)
            await running.run(_prelude(limits), 60)
            yield running
        finally:
            client.stop_channels()
    finally:
        with suppress(Exception):  # some of it may be gone
            await manager.signal_kernel(SIGKILL)  # what it started as well
        with suppress(Exception):
            await manager.shutdown_kernel(now=True)


def _prelude(limits: Limits) -> str:
    return (
        "import sys as _s, types as _t\n"
        "_s.modules['_classroom'] = _m = _t.ModuleType('_classroom')\n"
        "_m.get_ipython = get_ipython\n"
        f"exec({INSIDE!r}, _m.__dict__)\n"
        f"_m.limit({limits.memory}, {limits.file}, {2 * int(limits.notebook)})\n"
        "del _s, _t, _m\n"
    )


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment of a kernel: its own home, one thread."""
    own = {name: str(folder) for name in ("HOME", "TMPDIR", "IPYTHONDIR")}
    with suppress(LotteryError):  # no home folder
        own["LTH_DATA"] = str(data_folder())  # read, so that nobody downloads
    own["LTH_RUNS"] = str(folder / "runs")
    own["MPLCONFIGDIR"] = matplotlib.get_cachedir()  # its list of fonts takes a while
    threads = {f"{name}_NUM_THREADS": "1" for name in THREADS}
    quiet = {"PYTHONWARNINGS": "ignore", "MPLBACKEND": "agg"}
    python = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return {**os.environ, **own, **threads, **quiet, **python}
