"""Gets a Temporal server where none is installed: the SDK's own download, then a build with Go.

Both leave it as ``.tools/temporal``, so that the next start finds it there.
"""

import asyncio
import contextlib
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

from temporalio.testing import WorkflowEnvironment

from runtime.temporal_server import (
    ServerSource,
    TemporalServer,
    TemporalServerMissing,
    read_version,
    resolve,
    tools_folder,
)

DOWNLOAD_VERSION: Final = "v1.9.1"
DOWNLOAD_TIMEOUT_SECONDS: Final = 600.0

_CHECKOUT: Final = Path(__file__).resolve().parent.parent

Obtain = Callable[[Path], Awaitable[Path]]
"""Puts a Temporal CLI into the tools folder; TemporalServerMissing when it cannot."""


class StartLocal(Protocol):
    """``WorkflowEnvironment.start_local``, as far as it is used: downloads, then starts once."""

    def __call__(
        self, *, download_dest_dir: str, dev_server_download_version: str
    ) -> Awaitable[WorkflowEnvironment]:
        """Starts a dev server whose binary it leaves in ``download_dest_dir``."""


async def provide(
    *,
    address: str | None = None,
    cli: str | None = None,
    tools: Path | None = None,
    search_path: str | None = None,
    say: Callable[[str], None] = lambda _: None,
    ways: Mapping[ServerSource, Obtain] | None = None,
) -> TemporalServer:
    """The server that is there (``resolve``), else one that is downloaded or built now.

    Args:
        address: the setting TEMPORAL_ADDRESS.
        cli: the setting TEMPORAL_CLI.
        tools: folder of the product's own tools; its default is ``tools_folder()``.
        search_path: instead of the process's PATH.
        say: told in one line what takes its time.
        ways: how to obtain one, in this order; the default is to download, then to build.

    Raises:
        TemporalServerMissing: when no way leads to one.
    """
    tools = tools or tools_folder()
    try:
        return await asyncio.to_thread(
            resolve, address=address, cli=cli, tools=tools, search_path=search_path
        )
    except TemporalServerMissing as missing:
        if cli:
            raise
        tried = list(missing.extra["tried"])
    ways = ways or {ServerSource.DOWNLOAD: download, ServerSource.BUILD: build}
    for source, obtain in ways.items():
        say(f"No Temporal server is installed: trying {source}.")
        try:
            executable = await obtain(tools)
            version = await asyncio.to_thread(read_version, executable)
        except TemporalServerMissing as missing:
            tried.append(f"{source}: {missing.message}")
            say(missing.message)
            continue
        reason = f"{source} made {executable}, version {version.cli}, server {version.server}."
        return TemporalServer(source, reason, executable=executable, version=version)
    raise TemporalServerMissing(tried=tuple(tried))


async def download(tools: Path, start: StartLocal = WorkflowEnvironment.start_local) -> Path:
    """Lets the SDK fetch the CLI and keeps it as ``temporal`` in the tools folder.

    Raises:
        TemporalServerMissing: when it cannot be reached or does not start.
    """
    with _download_folder(tools) as folder:
        try:
            async with asyncio.timeout(DOWNLOAD_TIMEOUT_SECONDS):
                environment = await start(
                    download_dest_dir=folder, dev_server_download_version=DOWNLOAD_VERSION
                )
            await environment.shutdown()
        except (RuntimeError, OSError, TimeoutError) as error:
            message = f"The Temporal CLI {DOWNLOAD_VERSION} cannot be downloaded: {error}"
            raise TemporalServerMissing(message) from error
        return _keep_program(Path(folder), tools / "temporal")


async def build(tools: Path, checkout: Path = _CHECKOUT) -> Path:
    """Builds the CLI from its published Go module, which takes minutes the first time.

    Raises:
        TemporalServerMissing: without Go, outside a checkout, or when the build fails.
    """
    script = checkout / "tools" / "build_tools.py"
    if shutil.which("go") is None:
        raise TemporalServerMissing("Go is not installed, so the Temporal CLI cannot be built.")
    if not script.is_file():
        raise TemporalServerMissing("Only a checkout can build the Temporal CLI.")
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        "--into",
        str(tools),
        "temporal",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        status = await child.wait()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        await child.wait()
        raise
    if status != 0:
        raise TemporalServerMissing("Building the Temporal CLI failed; its own words stand above.")
    return tools / "temporal"


def _download_folder(tools: Path) -> tempfile.TemporaryDirectory[str]:
    """A folder on the same file system, so that what is kept can be renamed into its place."""
    tools.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=tools, prefix=".download-")


def _keep_program(folder: Path, place: Path) -> Path:
    """Moves the program out of a download folder; the SDK names it after itself and its version."""
    files = [path for path in folder.iterdir() if path.is_file()]
    if not files:
        raise TemporalServerMissing("The download of the Temporal CLI left no file.")
    kept = max(files, key=lambda path: path.stat().st_size).replace(place)
    kept.touch()  # younger than the pinned versions, whatever the archive says of its age
    return kept
