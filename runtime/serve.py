"""Runs the HTTP app, on its own port or on a socket that was handed down."""

import socket
from typing import Any

import uvicorn

from runtime.settings_groups import ServerSettings


def serve(app: Any, settings: ServerSettings, *, descriptor: int | None = None) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight get SHUTDOWN_SECONDS to finish.

    Args:
        descriptor: of a listening socket. Requests made while nobody serves wait in it.
    """
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        # Logging is set up by the process; requests are logged by the app.
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_seconds)),
    )
    server = uvicorn.Server(config)
    if descriptor is None:
        server.run()
    else:
        server.run(sockets=[socket.socket(fileno=descriptor)])
