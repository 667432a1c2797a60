"""The app behind a real listening socket."""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp

from runtime.serve import configuration
from tests.api.front import Front, opened


@asynccontextmanager
async def served(data_dir: Path, **overrides: Any) -> AsyncIterator[tuple[Front, str]]:
    """The app served by uvicorn on a free port; the front and its base address."""
    async with opened(data_dir, **overrides) as front, listening(front, front.app) as url:
        yield front, url


@asynccontextmanager
async def listening(front: Front, app: ASGIApp) -> AsyncIterator[str]:
    """The address at which an app is served with a front's settings: its own, or one before it."""
    # By its descriptor the socket knows that it speaks TCP, so asyncio sends without delay.
    bound = socket.socket(fileno=socket.create_server(("127.0.0.1", 0)).detach())
    settings = front.settings
    config = configuration(app, settings.server, settings.connections, lifespan="off")
    server = uvicorn.Server(config)
    # Signals stay with pytest.
    serving = asyncio.create_task(server._serve(sockets=[bound]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


async def events_of(response: httpx.Response) -> AsyncGenerator[dict[str, str], None]:
    """The events of a stream as they arrive; a comment is an event of its own."""
    event: dict[str, str] = {}
    async for line in response.aiter_lines():
        if not line and event:
            yield event
            event = {}
        elif line:
            name, _, value = line.partition(":")
            event[name or "comment"] = value.removeprefix(" ")
