"""A stand-in started by itself: says where it is, serves until it is ended."""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.fakes.http_wire import Wire

START_SECONDS = 60.0


def main(description: str, make: Callable[[str | None, Path | None], Wire]) -> int:
    """Serve what ``make`` makes of ``--key`` and ``--calls``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", help="the only API key that is taken")
    parser.add_argument("--calls", type=Path, help="file that gets a JSON line for each call")
    options = parser.parse_args()
    try:
        asyncio.run(serve(make(options.key, options.calls), options.host, options.port))
    except KeyboardInterrupt:
        return 130
    return 0


@asynccontextmanager
async def started(module: str, *options: str) -> AsyncIterator[str]:
    """A stand-in in a process of its own, and its address."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *options), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        ready = json.loads(await asyncio.wait_for(process.stdout.readline(), START_SECONDS))
        assert ready["event"] == "ready"
        yield ready["url"]
    finally:
        process.terminate()
        await process.communicate()


async def serve(wire: Wire, host: str, port: int) -> None:
    """Say where it is and serve until cancelled."""
    url = await wire.start(host, port)
    print(json.dumps({"event": "ready", "url": url}), flush=True)  # noqa: T201 - how it says where it is
    await asyncio.Event().wait()
