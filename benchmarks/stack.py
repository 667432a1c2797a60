"""The processes a benchmark needs: on loopback and free ports, ended by their ids."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Self

import psutil
from temporalio.client import Client

from runtime.temporal_server import DevServer, resolve, start_dev_server_args

ROOT: Final = Path(__file__).resolve().parent.parent
BIN: Final = Path(sys.executable).parent
READY: Final = b"ready\n"
UP_SECONDS: Final = 30.0
DOWN_SECONDS: Final = 10.0


class NotUp(Exception):
    """A process did not become ready; the message has the last it said."""


class Stack:
    """A data folder, a Temporal server on a file in it, and processes of the product.

    Args:
        folder: empty; becomes DATA_DIR.
        database_url: instead of SQLite in the folder.
    """

    def __init__(self, folder: Path, database_url: str | None = None) -> None:
        self.folder = folder
        self.temporal = f"127.0.0.1:{free_port()}"
        self.api_port = free_port()
        self.env = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "PYTHONPATH": str(ROOT),
            "DATA_DIR": str(folder),
            "TEMPORAL_ADDRESS": self.temporal,
            "PORT": str(self.api_port),
            "EMBEDDED_ISSUER": "true",
            "RATE_LIMIT_PER_MINUTE": "0",
            "STARTING_CREDITS": "100000000",
            "LOG_LEVEL": "warning",
        }
        if database_url is not None:
            self.env["DATABASE_URL"] = database_url
        self._processes = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.close()

    def start_temporal(self) -> subprocess.Popen[bytes]:
        """The embedded server, as ``voicekeep up`` starts it."""
        port = int(self.temporal.rpartition(":")[2])
        server = DevServer(port=port, ui_port=None, database=self.folder / "temporal.db")
        return self.start(
            [str(resolve().executable), *start_dev_server_args(server)], listening(port)
        )

    def start_api(self) -> subprocess.Popen[bytes]:
        """The product's API."""
        return self.start([str(BIN / "voicekeep"), "api"], listening(self.api_port))

    def start_module(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        """A module of the benchmarks, which prints ``ready`` when it is."""
        return self.start([sys.executable, "-m", f"benchmarks.{module}", *arguments])

    def start(
        self, command: Sequence[str], up: Callable[[], bool] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a process and wait until it is up, or prints ``ready``."""
        return self._processes.enter_context(running(command, self.env, up, cwd=self.folder))

    def run(self, *command: str) -> str:
        """Run a command of the product to its end; what it printed."""
        return subprocess.run(
            [str(BIN / "voicekeep"), *command],
            env=self.env,
            cwd=self.folder,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()


@contextmanager
def stack(database_url: str | None = None) -> Iterator[Stack]:
    """An empty stack in a folder that is removed with the block."""
    with (
        tempfile.TemporaryDirectory(prefix="voicekeep-bench-") as folder,
        Stack(Path(folder), database_url) as made,
    ):
        yield made


@contextmanager
def running(
    command: Sequence[str],
    env: Mapping[str, str],
    up: Callable[[], bool] | None = None,
    *,
    cwd: Path,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own, up; ended with all it started when the block ends.

    Raises:
        NotUp: it did not come up in time.
    """
    said = cwd / f"{Path(command[0]).name}-{time.monotonic_ns()}.log"
    with said.open("wb") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "--", *command],
            env=dict(env),
            cwd=cwd,
            stdout=log,
            stderr=log,
            process_group=0,
        )
    try:
        deadline = time.monotonic() + UP_SECONDS
        while not (up() if up else READY in said.read_bytes()):
            if process.poll() is not None or time.monotonic() > deadline:
                raise NotUp(f"{command}: {said.read_text()[-2000:]}")
            time.sleep(0.002)
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(DOWN_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port() -> int:
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def listening(port: int) -> Callable[[], bool]:
    """Whether somebody listens on the port by now."""

    def up() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    return up


async def bare_client(address: str) -> Client:
    """A Temporal client with nothing of ours in it."""
    return await Client.connect(address)


def resident(process: subprocess.Popen[bytes]) -> int:
    """Resident bytes of a process and of all it started."""
    family = [psutil.Process(process.pid)]
    family += family[0].children(recursive=True)
    return sum(member.memory_info().rss for member in family)
