"""Which Temporal server is used and why, and how the embedded one is started.

The order, first found wins: ``TEMPORAL_ADDRESS`` (a server that runs already), ``TEMPORAL_CLI``,
``.tools/temporal``, ``temporal`` on PATH when it is new enough. ``runtime/temporal_supply.py`` goes
on from there (download, build) when none of them is there.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from contracts.errors import Unavailable

OLDEST_CLI: Final = (1, 8)
"""First CLI release whose dev server takes the flags below."""

TIME_SKIPPING_SERVER: Final = (1, 32)
"""First server release with a virtual clock per workflow."""

SEARCH_ATTRIBUTES: Final = {"JobKind": "Keyword", "UserId": "Keyword", "SubjectId": "Keyword"}
"""What operators can search jobs by; registered at start."""

DYNAMIC_CONFIG: Final = {
    # A shard polls 20 times a second by default, so every hop of a job costs up to 50 ms.
    "history.transferProcessorMaxPollRPS": "5000",
    "history.timerProcessorMaxPollRPS": "5000",
    # Timers fire to 10 ms instead of a second.
    "history.timerProcessorMaxTimeShift": '"10ms"',
    # One user's thousand jobs do not delay another's one.
    "matching.enableFairness": "true",
    # Each partition of a task queue is in an order of its own: of four, one may give a user's many
    # jobs out while another's single one waits elsewhere. One gives out thousands a second.
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
    # No question to the outside whether a newer server exists.
    "frontend.enableServerVersionCheck": "false",
}
"""Dynamic settings as JSON; ``deploy/temporal/dynamicconfig.yaml`` says the same in production."""

SQLITE_PRAGMAS: Final = {"journal_mode": "WAL", "synchronous": "NORMAL"}
"""Halves the time of a job; a killed process loses nothing, a power cut the last moments."""

TIME_SKIPPING: Final = {"frontend.WorkflowTimeSkippingEnabled": "true"}

REMEDY: Final = (
    "No Temporal server can be had here: install the Temporal CLI 1.8 or newer, or Go 1.26.8 or "
    "newer to build it, or set TEMPORAL_ADDRESS to a server that runs."
)

_CHECKOUT: Final = Path(__file__).resolve().parent.parent
_VERSION: Final = re.compile(r"temporal version (?P<cli>\S+)(?: \(Server (?P<server>[^,)]+))?")
_VERSION_TIMEOUT_SECONDS: Final = 20.0


class ServerSource(StrEnum):
    """Where the server comes from."""

    ADDRESS = "TEMPORAL_ADDRESS"
    SETTING = "TEMPORAL_CLI"
    TOOLS = ".tools/temporal"
    PATH = "PATH"
    DOWNLOAD = "download"
    BUILD = "build"


class TemporalServerMissing(Unavailable):
    """There is no Temporal server to use; the message says in one sentence what to do.

    ``extra["tried"]`` lists what was looked at and why it would not do.
    """

    code = "temporal_server_missing"

    def __init__(self, message: str = REMEDY, *, tried: tuple[str, ...] = ()) -> None:
        super().__init__(message, extra={"tried": list(tried)})


@dataclass(frozen=True, slots=True)
class ServerVersion:
    """What ``temporal --version`` says of itself, for instance ``1.8.2`` with server ``1.32.1``."""

    cli: str
    server: str | None = None

    @property
    def is_new_enough(self) -> bool:
        """Whether the dev server knows every flag of ``start_dev_server_args``."""
        return _numbers(self.cli) >= OLDEST_CLI

    @property
    def skips_time(self) -> bool:
        """Whether workflows can be tested with skipped time on it."""
        return self.server is not None and _numbers(self.server) >= TIME_SKIPPING_SERVER


@dataclass(frozen=True, slots=True)
class TemporalServer:
    """The server that is used: either an ``address`` that answers, or an ``executable`` to start.

    Attributes:
        source: which rule found it.
        reason: one sentence for a person (``voicekeep doctor``).
    """

    source: ServerSource
    reason: str
    address: str | None = None
    executable: Path | None = None
    version: ServerVersion | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DevServer:
    """How one embedded server is started.

    Attributes:
        port: of the gRPC front end.
        ui_port: of the web UI; None starts none.
        database: SQLite file that keeps everything; None forgets it when the server ends.
        metrics_port: of ``/metrics``; None takes a free one.
        namespace: created at start, beside ``default``.
        time_skipping: let test clients skip timers; never for people's jobs.
    """

    port: int
    ui_port: int | None
    database: Path | None
    metrics_port: int | None = None
    ip: str = "127.0.0.1"
    namespace: str = "default"
    log_level: str = "warn"
    time_skipping: bool = False


def resolve(
    *,
    address: str | None = None,
    cli: str | None = None,
    tools: Path | None = None,
    search_path: str | None = None,
) -> TemporalServer:
    """The server that is there, without fetching or building anything.

    Args:
        address: the setting TEMPORAL_ADDRESS.
        cli: the setting TEMPORAL_CLI: a path, or a name on the search path.
        tools: folder of the product's own tools; its default is ``tools_folder()``.
        search_path: instead of the process's PATH.

    Raises:
        TemporalServerMissing: when there is none, or TEMPORAL_CLI names something unfit.
    """
    if address:
        return TemporalServer(ServerSource.ADDRESS, f"TEMPORAL_ADDRESS is {address}.", address)
    if cli:
        return _from_setting(cli, search_path)
    tried: list[str] = []
    own = (tools or tools_folder()) / "temporal"
    for source, found in (
        (ServerSource.TOOLS, str(own)),
        (ServerSource.PATH, shutil.which("temporal", path=search_path)),
    ):
        if found is None or not Path(found).is_file():
            tried.append(f"{source}: not there")
            continue
        server, problem = _inspect(source, Path(found))
        if server is not None:
            return server
        tried.append(f"{source}: {problem}")
    raise TemporalServerMissing(tried=tuple(tried))


def tools_folder(checkout: Path = _CHECKOUT) -> Path:
    """Where tools are kept: ``.tools`` of the checkout, else the user's cache."""
    if (checkout / "tools" / "temporal" / "go.mod").is_file():
        return checkout / ".tools"
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "voicekeep"


def read_version(executable: Path) -> ServerVersion:
    """Asks a Temporal CLI for its version.

    Raises:
        TemporalServerMissing: when it cannot be run or does not answer like a Temporal CLI.
    """
    try:
        answer = subprocess.run(
            [str(executable), "--version"],
            capture_output=True,
            text=True,
            timeout=_VERSION_TIMEOUT_SECONDS,
            check=True,
            stdin=subprocess.DEVNULL,
        ).stdout
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError) as error:
        raise TemporalServerMissing(f"{executable} does not run: {error}") from error
    found = _VERSION.search(answer)
    if found is None:
        raise TemporalServerMissing(f"{executable} is no Temporal CLI: it says {answer.strip()!r}")
    return ServerVersion(found["cli"], found["server"])


def start_dev_server_args(server: DevServer) -> tuple[str, ...]:
    """Arguments of the Temporal CLI that start this server, the executable itself not included."""
    args = ["server", "start-dev", "--ip", server.ip, "--port", str(server.port)]
    if server.ui_port is None:
        args += ["--headless"]
    else:
        args += ["--ui-port", str(server.ui_port)]
    if server.metrics_port is not None:
        args += ["--metrics-port", str(server.metrics_port)]
    if server.database is not None:
        args += ["--db-filename", str(server.database)]
    if server.namespace != "default":
        args += ["--namespace", server.namespace]
    # Settings of this machine's user (other addresses, other namespaces) are not ours.
    args += ["--disable-config-env", "--disable-config-file", "--log-level", server.log_level]
    return (*args, *dev_server_extra_args(time_skipping=server.time_skipping))


def dev_server_extra_args(*, time_skipping: bool = False) -> tuple[str, ...]:
    """What makes the dev server ours and fast, apart from its addresses and its file.

    Also the ``dev_server_extra_args`` of ``WorkflowEnvironment.start_local`` and, with
    ``time_skipping``, of ``start_time_skipping_v2``, which choose addresses themselves.
    """
    dynamic = DYNAMIC_CONFIG | (TIME_SKIPPING if time_skipping else {})
    args = ["--ui-disable-news-fetch"]
    for key, value in dynamic.items():
        args += ["--dynamic-config-value", f"{key}={value}"]
    for key, value in SQLITE_PRAGMAS.items():
        args += ["--sqlite-pragma", f"{key}={value}"]
    for name, kind in SEARCH_ATTRIBUTES.items():
        args += ["--search-attribute", f"{name}={kind}"]
    return tuple(args)


def _from_setting(cli: str, search_path: str | None) -> TemporalServer:
    """What TEMPORAL_CLI names; a wrong setting is said, never passed over."""
    found = shutil.which(cli, path=search_path)
    if found is None:
        raise TemporalServerMissing(f"TEMPORAL_CLI names {cli}, which is no program.")
    server, problem = _inspect(ServerSource.SETTING, Path(found))
    if server is None:
        raise TemporalServerMissing(f"TEMPORAL_CLI names {cli}, which will not do: {problem}.")
    return server


def _inspect(source: ServerSource, executable: Path) -> tuple[TemporalServer | None, str]:
    """The server behind an executable, or None and why it will not do."""
    try:
        version = read_version(executable)
    except TemporalServerMissing as error:
        return None, error.message
    if not version.is_new_enough:
        return None, f"{executable} is version {version.cli}, and 1.8 or newer is needed"
    carried = f", server {version.server}" if version.server else ""
    reason = f"{source} gives {executable}, version {version.cli}{carried}."
    return TemporalServer(source, reason, executable=executable, version=version), ""


def _numbers(version: str) -> tuple[int, ...]:
    """``1.32.1-rc.2`` as (1, 32, 1); nothing numeric as ()."""
    found = re.match(r"v?(\d+(?:\.\d+)*)", version)
    return tuple(int(part) for part in found[1].split(".")) if found else ()
