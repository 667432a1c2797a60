"""`voicekeep up`: Temporal server, API and worker of one folder, as one thing that runs.

Each is a child process of its own. The supervisor imports no web framework, no database and no
Temporal SDK: it is ready sooner, and nothing in it can crash with them.
"""

import asyncio
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, Any, Final

import structlog

from contracts.values import Value
from runtime.addresses import listen, port_of, reserve, url_of
from runtime.child import Command
from runtime.data_folder import DataFolder, Running
from runtime.probe_http import until_ok
from runtime.settings import Settings
from runtime.supervisor import StartFailed, Supervisor
from runtime.temporal_server import DevServer, TemporalServer, start_dev_server_args

START_SECONDS: Final = 120.0
"""A first start on a slow machine; the usual one takes two or three."""

TEMPORAL_PORT: Final = 7233
UI_PORT: Final = 8233
LOOPBACK: Final = "127.0.0.1"
OWN_HEARTBEAT_SECONDS: Final = "15"
OLD_LOG_BYTES: Final = 8 << 20

OF_ANOTHER_SERVER: Final = (
    "TEMPORAL_TLS",
    "TEMPORAL_API_KEY",
    "TEMPORAL_GRPC_META",
    "TEMPORAL_CONFIG_FILE",
    "TEMPORAL_PROFILE",
)
"""Beginnings of names that speak of a server we do not start."""

log = structlog.get_logger()


class Ready(Value):
    """Where everything is, once all of it works.

    Attributes:
        ui: web UI of Temporal; none when the server is not ours and TEMPORAL_UI_URL is unset.
        pids: of the children by name; the server's is none when it is not ours.
        seconds: what the start took.
    """

    api: str
    ui: str | None
    temporal: str
    pids: dict[str, int | list[int] | None]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to bring up.

    Attributes:
        env: environment of the children, a ``.env`` file already in it.
        entry: how the product's own commands are run (``python -m cli``).
        server: the Temporal server to use.
        port: of the API; 0 takes a free one; none the setting, or a free one when it is taken.
        temporal_port: likewise, when a server is started.
        ui_port: likewise.
        log_files: the children log to files in the folder, not to our stderr.
        then: arguments of a command to run once all is ready; its failure ends nothing.
    """

    settings: Settings
    env: Mapping[str, str]
    entry: tuple[str, ...]
    server: TemporalServer
    port: int | None = None
    temporal_port: int | None = None
    ui_port: int | None = None
    log_files: bool = False
    then: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Who is told what happens."""

    ready: Callable[[Ready], None]
    restarted: Callable[[str, int, int], None]


async def up(plan: Plan, listener: Listener) -> None:
    """Bring everything up, keep it up until SIGTERM or SIGINT, then take it down.

    Raises:
        Conflict: another `up` runs on the folder, or a port is taken.
        StartFailed: a part does not come up.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    folder = DataFolder(plan.settings.data_dir)
    with ExitStack() as stack:
        lock = stack.enter_context(folder.locked())
        stack.callback(folder.withdraw)
        supervisor = Supervisor()
        setup = Setup(plan, folder, supervisor, stack, lock)
        try:
            await _first(setup.run(listener), stop.wait())
        finally:
            await supervisor.stop(last="temporal")


class Setup:
    """The parts of one folder and the order they are started in.

    Args:
        stack: closes sockets and log files at the end.
        lock: descriptor of the folder's lock, which every child holds too.
    """

    def __init__(
        self, plan: Plan, folder: DataFolder, supervisor: Supervisor, stack: ExitStack, lock: int
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._supervisor = supervisor
        self._stack = stack
        self._lock = lock
        server = plan.settings.server
        port = server.port if plan.port is None else plan.port
        self._api = self._keep(listen(server.host, port, "--port", fallback=plan.port is None))
        self._api_url = url_of(server.host, port_of(self._api))
        if plan.server.address is not None:
            self._temporal = plan.server.address
            self._ui = plan.settings.temporal.ui_url
            self._dev_server = None
        else:
            self._dev_server = self._own_server()
            self._temporal = f"{LOOPBACK}:{self._dev_server.port}"
            self._ui = f"http://{LOOPBACK}:{self._dev_server.ui_port}"
        self._env = self._environment()

    async def run(self, listener: Listener) -> None:
        """Start everything, say when it is ready, and go on until cancelled.

        Raises:
            StartFailed: a part does not come up.
        """
        began = time.monotonic()
        try:
            async with asyncio.timeout(START_SECONDS):
                await _first(self._start(), self._supervisor.check_lives())
        except TimeoutError as error:
            raise StartFailed(
                f"Not ready within {START_SECONDS:.0f} s; the logs say why"
            ) from error
        self._folder.announce(self._running())
        self._supervisor.tell(listener.restarted)
        listener.ready(self._ready(time.monotonic() - began))
        if self._plan.then is not None:
            await self._afterwards(self._plan.then)
        await asyncio.Event().wait()

    async def _start(self) -> None:
        if self._dev_server is not None:
            program = str(self._plan.server.executable)
            arguments = start_dev_server_args(self._dev_server)
            self._supervisor.start(self._command("temporal", program, *arguments))
        # Nobody meets a database that is older than the program.
        await self._supervisor.run(self._own("migrate"))
        worker = self._supervisor.start(self._own("worker", announces=True))
        handed_down = self._api.fileno()
        self._supervisor.start(self._own("api", "--fd", str(handed_down), fds=(handed_down,)))
        await asyncio.gather(
            self._supervisor.run(self._own("schedules", "apply")),
            worker.ready.wait(),
            until_ok(self._plan.settings.server.host, port_of(self._api), "/health/ready"),
        )

    async def _afterwards(self, arguments: tuple[str, ...]) -> None:
        argv = (*self._plan.entry, *arguments)
        command = Command(name=arguments[0], argv=argv, env=self._env, stdout=1, stderr=2)
        try:
            await self._supervisor.run(command)
        except StartFailed as error:
            log.warning("sample.failed", message=error.message)

    def _own(
        self, name: str, *arguments: str, fds: tuple[int, ...] = (), announces: bool = False
    ) -> Command:
        """One of the product's own commands as a child."""
        return self._command(
            name, *self._plan.entry, name, *arguments, fds=fds, announces=announces
        )

    def _command(
        self, name: str, *argv: str, fds: tuple[int, ...] = (), announces: bool = False
    ) -> Command:
        output = self._log_file(name) if self._plan.log_files else 2
        return Command(
            name=name,
            argv=argv,
            env=self._env,
            fds=(self._lock, *fds),
            stdout=output,
            stderr=output,
            announces=announces,
        )

    def _own_server(self) -> DevServer:
        plan = self._plan
        temporal = self._keep(self._reserve(plan.temporal_port, TEMPORAL_PORT, "--temporal-port"))
        ui = self._keep(self._reserve(plan.ui_port, UI_PORT, "--ui-port"))
        return DevServer(
            port=port_of(temporal),
            ui_port=port_of(ui),
            database=self._folder.temporal_database,
            namespace=plan.settings.temporal.namespace,
        )

    def _reserve(self, asked: int | None, usual: int, option: str) -> socket.socket:
        return reserve(LOOPBACK, usual if asked is None else asked, option, fallback=asked is None)

    def _keep(self, held: socket.socket) -> socket.socket:
        return self._stack.enter_context(held)

    def _environment(self) -> dict[str, str]:
        """What the children read their settings from; they look into no file of their own."""
        env = dict(self._plan.env)
        if self._dev_server is not None:
            env = {name: env[name] for name in env if not name.startswith(OF_ANOTHER_SERVER)}
        # Without kept bytecode every start, and every restart, compiles all over again.
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        env |= {
            "ENV_FILE": "",
            "DATA_DIR": str(self._folder.root),
            "TEMPORAL_ADDRESS": self._temporal,
            "EMBEDDED_ISSUER": env.get("EMBEDDED_ISSUER") or "true",
        }
        if self._dev_server is not None:
            # Heartbeats cost nothing on a server of our own: a dead worker is noticed sooner.
            env.setdefault("HEARTBEAT_TIMEOUT_SECONDS", OWN_HEARTBEAT_SECONDS)
        if self._ui is not None:
            env["TEMPORAL_UI_URL"] = self._ui
        return env

    def _log_file(self, name: str) -> IO[bytes]:
        self._folder.logs.mkdir(exist_ok=True)
        path = self._folder.logs / f"{name}.log"
        if path.exists() and path.stat().st_size > OLD_LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return self._stack.enter_context(path.open("ab", buffering=0))

    def _running(self) -> Running:
        return Running(
            pid=self._supervisor.own_pid,
            api=self._api_url,
            ui=self._ui,
            temporal=self._temporal,
            namespace=self._plan.settings.temporal.namespace,
        )

    def _ready(self, seconds: float) -> Ready:
        pid = self._supervisor.pid
        api, worker = pid("api"), pid("worker")
        return Ready(
            api=self._api_url,
            ui=self._ui,
            temporal=self._temporal,
            pids={"temporal": pid("temporal"), "api": [api], "worker": [worker]},
            seconds=round(seconds, 2),
        )


async def _first(*stories: Coroutine[Any, Any, Any]) -> None:
    """Run until the first of them ends, end the others, and raise what it raised."""
    tasks = [asyncio.create_task(story) for story in stories]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
