"""What works beside the requests, from its beginning to its end."""

import asyncio
from abc import ABC, abstractmethod
from contextlib import suppress
from types import TracebackType
from typing import Self


class Background(ABC):
    """Works while it is entered; its work is cancelled when it is left.

    Args:
        name: of its task.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def _work(self) -> None:
        """Go on for ever; what it raises is raised when it is left."""

    async def __aenter__(self) -> Self:
        """Begin."""
        self._task = asyncio.create_task(self._work(), name=self._name)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
