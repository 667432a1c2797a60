"""Runs the HTTP app, on its own port or on a socket that was handed down."""

import resource
import socket
from typing import Any, Final

import uvicorn

from runtime.connections import bounded
from runtime.settings_bounds import ConnectionSettings
from runtime.settings_groups import ServerSettings

MAX_HEAD_BYTES: Final = 32 * 1024
"""Of a request's line and headers while they are incomplete; ``api/patience.py`` knows the rest."""

SPARE_DESCRIPTORS: Final = 256
"""For files, the database and everything else beside the connections."""


def configuration(
    app: Any, settings: ServerSettings, connections: ConnectionSettings, **options: Any
) -> uvicorn.Config:
    """How the app is served.

    Args:
        options: of uvicorn, beside them.
    """
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=bounded(connections),
        ws="none",
        # Logging is set up by the process; requests are logged by the app.
        log_config=None,
        access_log=False,
        server_header=False,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        timeout_keep_alive=connections.keep_alive_seconds,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_seconds)),
        **options,
    )


def serve(
    app: Any,
    settings: ServerSettings,
    connections: ConnectionSettings,
    *,
    descriptor: int | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight get SHUTDOWN_SECONDS to finish.

    Args:
        descriptor: of a listening socket. Requests made while nobody serves wait in it.
    """
    _allow_descriptors(connections.max_connections + SPARE_DESCRIPTORS)
    config = configuration(app, settings, connections)
    server = uvicorn.Server(config)
    if descriptor is None:
        server.run()
    else:
        server.run(sockets=[socket.socket(fileno=descriptor)])


def _allow_descriptors(wanted: int) -> None:
    """As many open files as the connections need, as far as the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
