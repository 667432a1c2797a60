"""Looks up the addresses of hosts, in threads of its own and within a bound.

The system's resolver blocks for as long as somebody's name server likes: in the threads everybody
shares, a few names would hold up everything else.
"""

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from contracts.errors import Unreachable

SECONDS: Final = 5.0
THREADS: Final = 16


class Names:
    """The system's resolver.

    Args:
        seconds: how long a look-up may take.
    """

    def __init__(self, *, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="voicekeep-names")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Every address of a host, in the order the system prefers.

        Raises:
            Unreachable: ``name_not_resolved``; the message does not repeat the name.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._seconds):
                found = await loop.run_in_executor(self._threads, _look_up, host, port)
        except (OSError, UnicodeError):
            message = "The host of the address cannot be found"
            raise Unreachable(message, code="name_not_resolved") from None
        return list(dict.fromkeys(found))

    def close(self) -> None:
        """End its threads; a look-up that still hangs is waited for by nobody."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(place[0]) for _, _, _, _, place in found]
