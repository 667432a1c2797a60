"""What storages elsewhere have in common: files that pass this host, and a client for them."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import httpx

from store.spool import Spool

ANSWER_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 10.0


class RemoteFiles(ABC):
    """A storage that is reached over HTTP.

    Args:
        spool: for what has to be on this host on its way.
        seconds: how long an answer may be silent.
        connect_seconds: how long a connection may take to open.
    """

    def __init__(self, spool: Spool, *, seconds: float, connect_seconds: float) -> None:
        self._spool = spool
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(seconds, connect=min(connect_seconds, seconds)),
            trust_env=False,
            follow_redirects=False,
        )

    @abstractmethod
    def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to and without ``end``.

        Raises:
            NotFound: there is no such file.
            Unavailable: storage is away, or broke off and could not be taken up.
        """

    @asynccontextmanager
    async def local(self, key: str) -> AsyncIterator[Path]:
        """A copy on this host, gone when the block ends.

        Raises:
            NotFound: there is no such file.
            Unavailable: storage is away, or there is no room on this host.
        """
        async with self._spool.file() as spooled:
            await spooled.take(self.read(key))
            yield spooled.path

    async def sweep(self, older_than_seconds: float) -> int:
        """Remove what killed processes left on this host; returns how many."""
        return await self._spool.sweep(older_than_seconds)

    async def unfinished(self, older_than_seconds: float) -> int:
        """How many files ``sweep`` would remove."""
        return await self._spool.left(older_than_seconds)

    async def aclose(self) -> None:
        """Close its connections; safe to call twice."""
        await self._http.aclose()
        self._spool.close()
