"""A PostgreSQL server of the tests' own: Debian's binaries, a temporary folder, a free port."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import asyncpg

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0
_NAMES = count(1)


class PostgresServer:
    """A running server; ``process`` is the postmaster itself."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "120",
            # A test's server may lose everything with the machine, but nothing by being killed.
            "fsync": "off",
            "full_page_writes": "off",
        }
        arguments = [item for name, value in options.items() for item in ("-c", f"{name}={value}")]
        server = [_binary("postgres"), "-D", str(self.folder / "data")]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                # A test run that is killed takes its server with it.
                ["setpriv", "--pdeathsig", "INT", "--", *server, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **_unprivileged(),
            )

    def url(self, database: str) -> str:
        """Address of one of its databases."""
        return f"postgresql://voicekeep@127.0.0.1:{self.port}/{database}"

    async def create_database(self, template: str = "template0") -> str:
        """Make a database, as a copy of another; returns its name."""
        name = f"voicekeep_{next(_NAMES)}"
        await self._admin(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    async def drop_database(self, name: str) -> None:
        """Remove a database, whoever is still connected to it."""
        await self._admin(f"DROP DATABASE {name} WITH (FORCE)")

    async def _admin(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def wait(self) -> None:
        """Return when it takes connections."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text())
            ready = subprocess.run(
                [_binary("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False
            )
            if ready.returncode == 0:
                return
            time.sleep(0.05)
        raise TimeoutError((self.folder / "log").read_text())

    def kill(self) -> None:
        """End it as a crash does; its children end by themselves."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(STOP_SECONDS)

    def restart(self) -> None:
        """Start it again on the same folder and port."""
        self.process = self._start()
        self.wait()

    def stop(self) -> None:
        """Fast shutdown, by its process id."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(STOP_SECONDS)


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Start a server, and stop it when the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="voicekeep-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    try:
        subprocess.run(
            [
                _binary("initdb"),
                "--pgdata",
                str(folder / "data"),
                "--username=voicekeep",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
            **_unprivileged(),
        )
        server = PostgresServer(folder, _free_port())
        try:
            server.wait()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def _unprivileged() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    return {"user": "postgres", "group": "postgres", "extra_groups": [], "cwd": "/"}


def _binary(name: str) -> str:
    found = shutil.which(name) or max(
        (str(path) for path in Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), default=None
    )
    if found is None:
        raise FileNotFoundError(f"{name} is not here: install Debian's postgresql")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
