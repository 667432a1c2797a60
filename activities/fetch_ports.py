"""What fetching a recording from an address needs, as Protocols."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from contracts.memo import MemoJob


class Download(Protocol):
    """A recording on its way."""

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """The bytes as they come.

        Raises:
            TooLarge: more of them than allowed.
            Unreachable: they stopped before their end.
        """


class MediaSource(Protocol):
    """Where recordings are fetched from: servers of strangers, within the rules for them."""

    def opened(self, url: str, *, max_bytes: int) -> AbstractAsyncContextManager[Download]:
        """Ask for a recording; it is read in the block.

        Raises:
            InvalidInput: ``url_not_allowed``.
            NotFound: ``media_not_found``.
            MediaRejected: ``media_fetch_failed``, asking again changes nothing.
            TooLarge: it is larger.
            Unreachable: it cannot be had now.
        """


class Opener(Protocol):
    """Opens what was sealed for a job."""

    def open(self, sealed: str, about: str) -> str:
        """The text again; raises Rejected (``seal_broken``)."""


class Addresses(Protocol):
    """The addresses of recordings that have to be fetched, inside a transaction."""

    async def find(self, job_id: str, user_id: str) -> str | None:
        """The address as it was kept; none when it is not needed any more."""

    async def in_vain(self, job_id: str, user_id: str) -> int:
        """Count a try that fetched nothing; returns how many there were."""

    async def forget(self, job_id: str, user_id: str) -> None:
        """Remove the address."""

    async def forget_ended(self) -> int:
        """Remove what jobs that have ended left, of every owner; returns how many."""

    async def fetched(self, job: MemoJob, key: str, *, media_type: str, size: int) -> None:
        """Put the stored file where the address was: memo and job stand on it from now on."""
