"""A stand-in started by itself: says where it is, serves until it is ended."""

import argparse
import asyncio
import json
from collections.abc import Callable
from pathlib import Path

from tests.fakes.http_wire import Wire


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


async def serve(wire: Wire, host: str, port: int) -> None:
    """Say where it is and serve until cancelled."""
    url = await wire.start(host, port)
    print(json.dumps({"event": "ready", "url": url}), flush=True)  # noqa: T201 - how it says where it is
    await asyncio.Event().wait()
