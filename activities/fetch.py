"""Fetches the recording of a memo from the address its user gave.

The address can be a signed secret. It is read from its own row here, handed to whoever fetches, and
nowhere else: no message, event or heartbeat names it.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import PurePosixPath

from temporalio import activity

from activities.fetch_ports import Download, MediaSource, Opener
from activities.liveness import alive
from activities.ports import Database, Files
from contracts.audio import MediaKind, StoredFile
from contracts.errors import Conflict, MediaRejected, NotFound, Unreachable
from contracts.jobs import Step
from contracts.memo import FetchedAudio, MemoJob
from contracts.signatures import CONTAINERS, HEAD_BYTES, Container, sniff

CANNOT_BE_HAD = "media_unavailable"


@dataclass(frozen=True)
class FetchLimits:
    """Bounds from the settings.

    Attributes:
        max_bytes: of a recording.
        tries: while its server is away, or stops in the middle.
        backoff_seconds: before the second try, doubling.
    """

    max_bytes: int
    tries: int
    backoff_seconds: float = 2.0


class FetchActivities:
    """One activity; a second try finds the file stored, or begins anew under the same key."""

    def __init__(
        self,
        database: Database,
        files: Files,
        source: MediaSource,
        seals: Opener,
        limits: FetchLimits,
    ) -> None:
        self._database = database
        self._files = files
        self._source = source
        self._seals = seals
        self._limits = limits

    @activity.defn(name="fetch")
    async def fetch(self, job: MemoJob) -> FetchedAudio:
        """Stream the recording into storage and let the memo stand on it.

        Raises:
            InvalidInput: ``url_not_allowed``: the host leads inside by now.
            NotFound: ``media_not_found``.
            UnsupportedMedia: its first bytes are of no container that is taken.
            TooLarge: it is larger than a recording may be.
            MediaRejected: ``media_fetch_failed``, or ``media_unavailable`` after all tries.
            Unreachable: ``media_unavailable``, to be tried again.
        """
        async with self._database.read() as tx:
            sealed = await tx.addresses.find(job.job_id, job.user_id)
        if sealed is None:
            return await self._stored(job)
        url = self._seals.open(sealed, job.job_id)
        transfer = _Transfer()
        try:
            async with (
                alive(self._database, job.job_id, job.user_id, lambda: {"bytes": transfer.bytes}),
                self._source.opened(url, max_bytes=self._limits.max_bytes) as download,
            ):
                return await self._keep(job, download, transfer)
        except Unreachable as failure:
            raise await self._in_vain(job, failure) from None

    async def _stored(self, job: MemoJob) -> FetchedAudio:
        """What a try before this one stored, whose answer was lost."""
        async with self._database.read() as tx:
            found = await tx.jobs.described(job.job_id, job.user_id)
        if found is None or found.request.get("fetch"):
            message = "The address of the recording is not kept any more: give it again"
            raise NotFound(message, code="media_not_found")
        return FetchedAudio(key=found.request["audio_path"])

    async def _keep(self, job: MemoJob, download: Download, transfer: "_Transfer") -> FetchedAudio:
        async with aclosing(transfer.counted(download)) as content:
            head = await _head(content)
            container = CONTAINERS[sniff(head[:HEAD_BYTES])]
            key = str(PurePosixPath(job.audio_path).with_suffix(f".{container.extension}"))
            async with self._database.write() as tx:
                state = await tx.jobs.state(job.job_id, job.user_id)
                if state is None or state.final:
                    raise Conflict("The job has ended", code="job_ended")
                # A work file until all of it is there: what is left of a fetch goes with its job.
                await tx.media.add(
                    key, job.user_id, kind=MediaKind.WORK, memo_id=job.memo_id, job_id=job.job_id
                )
            stored = await self._files.put(
                key, _whole(head, content), media_type=container.media_type
            )
        await self._stand_on(job, stored, container, transfer)
        return FetchedAudio(key=key, size=stored.size)

    async def _stand_on(
        self, job: MemoJob, stored: StoredFile, container: Container, transfer: "_Transfer"
    ) -> None:
        try:
            async with self._database.write() as tx:
                await tx.jobs.advance(
                    job.job_id, job.user_id, Step.PROBE, data=transfer.told(stored.size)
                )
                await tx.addresses.fetched(
                    job, stored.key, media_type=container.media_type, size=stored.size
                )
        except (Conflict, NotFound):
            # The job has ended meanwhile: nothing stands on the file, and nothing will.
            await self._files.delete(stored.key)
            async with self._database.write() as tx:
                await tx.media.remove(stored.key, job.user_id)
            raise

    async def _in_vain(self, job: MemoJob, failure: Unreachable) -> Exception:
        async with self._database.write() as tx:
            tries = await tx.addresses.in_vain(job.job_id, job.user_id)
        if tries >= self._limits.tries:
            return MediaRejected(f"{failure.message}, in {tries} tries", code=CANNOT_BE_HAD)
        pause = self._limits.backoff_seconds * 2 ** max(0, tries - 1)
        wait = pause if failure.retry_after is None else failure.retry_after
        return Unreachable(failure.message, code=CANNOT_BE_HAD, retry_after=wait)


class _Transfer:
    """How far it has come."""

    def __init__(self) -> None:
        self.bytes = 0
        self._began = time.monotonic()

    async def counted(self, download: Download) -> AsyncGenerator[bytes, None]:
        async with aclosing(download.chunks()) as chunks:
            async for chunk in chunks:
                self.bytes += len(chunk)
                yield chunk

    def told(self, size: int) -> dict[str, object]:
        seconds = round(time.monotonic() - self._began, 3)
        return {"step": Step.FETCH, "seconds": seconds, "bytes": size}


async def _head(content: AsyncIterator[bytes]) -> bytes:
    head = bytearray()
    async for chunk in content:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    return bytes(head)


async def _whole(head: bytes, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for chunk in content:
        yield chunk
