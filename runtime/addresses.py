"""Ports that stay ours while `up` runs, whichever process listens on them at the moment."""

import socket
from typing import Final

from contracts.errors import Conflict

BACKLOG: Final = 2048
"""Requests that may wait while the API is being restarted."""


class PortTaken(Conflict):
    """Another program listens on the port that was asked for."""

    code = "port_taken"


def reserve(host: str, port: int, option: str, *, fallback: bool = False) -> socket.socket:
    """A bound socket that does not listen: it keeps the port for a child that will.

    With SO_REUSEADDR on both, a child may bind and listen on the port although we hold it, and
    nobody is given it as a free one while the child is away.

    Args:
        port: 0 takes a free one.
        option: what to tell a person to use instead.
        fallback: take a free one when the port is taken.

    Raises:
        PortTaken: it is.
    """
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        holder.bind((host, port))
    except OSError as error:
        holder.close()
        if fallback and port:
            return reserve(host, 0, option)
        raise PortTaken(
            f"Port {port} of {host} cannot be used ({error.strerror}); choose another with {option}"
        ) from error
    return holder


def listen(host: str, port: int, option: str, *, fallback: bool = False) -> socket.socket:
    """A listening socket to hand down: requests wait in it while nobody accepts them.

    Raises:
        PortTaken: see ``reserve``.
    """
    holder = reserve(host, port, option, fallback=fallback)
    try:
        holder.listen(BACKLOG)
    except OSError as error:
        holder.close()
        if fallback:
            return listen(host, 0, option)
        raise PortTaken(f"Port {port} of {host} is taken; choose another with {option}") from error
    return holder


def port_of(holder: socket.socket) -> int:
    """The port a socket is bound to."""
    port: int = holder.getsockname()[1]
    return port


def url_of(host: str, port: int) -> str:
    """The address a browser on this machine reaches it by."""
    shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - compared, not bound
    return f"http://{shown}:{port}"
