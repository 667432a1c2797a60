"""The servers production runs on, started for a test: PostgreSQL, and Temporal on top of it.

Temporal's settings and its two set-up scripts are those of ``docker-compose.temporal.yml``; only
addresses differ.
"""

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools"
SCRIPTS = ROOT / "deploy" / "temporal"
PASSWORD = "test"
PATIENCE_SECONDS = 60.0
PORTS = (
    "FRONTEND_GRPC_PORT",
    "FRONTEND_HTTP_PORT",
    "FRONTEND_MEMBERSHIP_PORT",
    "MATCHING_GRPC_PORT",
    "MATCHING_MEMBERSHIP_PORT",
    "HISTORY_GRPC_PORT",
    "HISTORY_MEMBERSHIP_PORT",
    "WORKER_GRPC_PORT",
    "WORKER_MEMBERSHIP_PORT",
)


def postgres_programs() -> Path | None:
    """Folder of the newest PostgreSQL server installed; None without one."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: path.parts)
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    return Path(on_path).resolve().parent if on_path else None


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on.

    Below 32768: Temporal keeps the ports of its members in a signed 16-bit column.
    """
    sockets: list[socket.socket] = []
    try:
        for port in random.sample(range(20_000, 32_000), 500):
            each = socket.socket()
            sockets.append(each)
            with contextlib.suppress(OSError):
                each.bind(("127.0.0.1", port))
            if sum(1 for bound in sockets if bound.getsockname()[1]) == count:
                break
        return [bound.getsockname()[1] for bound in sockets if bound.getsockname()[1]]
    finally:
        for each in sockets:
            each.close()


@contextlib.contextmanager
def postgres(user: str) -> Iterator[int]:
    """A PostgreSQL server with nothing in it; yields its port, takes it away afterwards."""
    programs = postgres_programs()
    assert programs is not None
    # It refuses to run as root; Debian's package brings this user for it.
    owner = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="voicekeep-postgres-"))
    if owner:
        shutil.chown(folder, owner)
    data = str(folder / "data")
    initdb = [str(programs / "initdb"), "-D", data, "-U", user, "--auth=trust", "--no-sync"]
    subprocess.run(initdb, user=owner, check=True, stdout=subprocess.DEVNULL, cwd=folder)
    (port,) = free_ports(1)
    server = subprocess.Popen(
        [str(programs / "postgres"), "-D", data, "-p", str(port), "-k", str(folder), "-F"],
        user=owner,
        cwd=folder,
        stderr=subprocess.DEVNULL,
    )
    try:
        ready = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
        wait_until(lambda: subprocess.run(ready, check=False).returncode == 0)
        yield port
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=30)
        shutil.rmtree(folder)


def wait_until(true: Callable[[], bool]) -> None:
    """Asks again until it is so."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < ends, "waited in vain"
        time.sleep(0.2)


@dataclass
class ProductionTemporal:
    """The production server with the settings of the compose file; it can be killed."""

    database_port: int
    log: Path

    def __post_init__(self) -> None:
        self._ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where its front end answers."""
        return f"127.0.0.1:{self._ports['FRONTEND_GRPC_PORT']}"

    def run_script(self, name: str) -> None:
        """Runs one of the deployment's scripts as its container would."""
        service = {"setup-schema.sh": "temporal-schema", "register.sh": "temporal-register"}[name]
        with self.log.open("ab") as log:
            subprocess.run(
                ["/bin/sh", str(SCRIPTS / name)],
                env=self._environment(service),
                stdout=log,
                stderr=log,
                check=True,
            )

    def start(self) -> None:
        """Starts it; ``register.sh`` and clients wait until it answers."""
        with self.log.open("ab") as log:
            self._server = subprocess.Popen(
                [str(TOOLS / "temporal-server"), "start"],
                env=self._environment("temporal"),
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """Ends it without a word, as a crash would."""
        assert self._server is not None
        self._server.kill()
        self._server.wait()

    def _environment(self, service: str) -> dict[str, str]:
        here = {
            **self._ports,
            "PATH": f"{TOOLS}:{os.environ['PATH']}",
            "HOME": str(self.log.parent),
            "SQL_HOST": "127.0.0.1",
            "SQL_PORT": str(self.database_port),
            "POSTGRES_SEEDS": "127.0.0.1",
            "DB_PORT": str(self.database_port),
            "BIND_ON_IP": "127.0.0.1",
            "PROMETHEUS_ENDPOINT": "127.0.0.1:0",
            "TEMPORAL_ADDRESS": self.address,
            "DYNAMIC_CONFIG_FILE_PATH": str(SCRIPTS / "dynamicconfig.yaml"),
        }
        return compose_environment(service) | here


def compose_environment(service: str) -> dict[str, str]:
    """A service's environment in the compose file, its variables at their defaults."""
    text = (ROOT / "docker-compose.temporal.yml").read_text()
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    text = re.sub(r"\$\{\w+:\?[^}]*\}", PASSWORD, text)
    found = yaml.safe_load(text)["services"][service]["environment"]
    return {name: str(value) for name, value in found.items()}
