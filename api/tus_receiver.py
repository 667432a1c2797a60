"""Takes the bytes of one PATCH, and keeps what came of it whatever happens.

Every 8 MiB, every two seconds and at the end the bytes are synced, and then counted in the row: a
client is never told of more than is on the disk, and a killed process loses two seconds at most.
The last byte moves the file to its key before the row says so, so that a row that says "all of it"
always tells of a file that is there.

A line that went dead keeps its request open here for long. So a request that has heard nothing for
two seconds lets go of the upload as soon as another one wants it, whichever process serves that.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

import structlog
from starlette.requests import ClientDisconnect

from api.dependencies import Services
from api.tus import check_place, resumable_of
from contracts.errors import Conflict, Locked, NotFound, TooLarge, Unavailable, UnsupportedMedia
from contracts.signatures import HEAD_BYTES, sniff
from contracts.tus import Checksum
from contracts.upload_sessions import UploadSession

if TYPE_CHECKING:
    from store.resumable_disk import Resumable

GATHER_BYTES: Final = 1024 * 1024
KEEP_BYTES: Final = 8 * 1024 * 1024
KEEP_SECONDS: Final = 2.0
STALLED_SECONDS: Final = 30.0
"""A body that has been silent for so long is taken for cut."""
LOCK_WAIT_SECONDS: Final = 4.0
"""How long a request waits for another one, which may have heard nothing for a while."""

log = structlog.get_logger()


@asynccontextmanager
async def held(
    services: Services, upload: UploadSession
) -> AsyncIterator[tuple["Resumable", UploadSession]]:
    """The upload for this request alone, as it is now.

    Raises:
        NotFound: it was removed meanwhile.
        Locked: bytes of it are coming by another request.
        Unavailable: the disk or the database is away, or is not the one the upload began on.
    """
    resumable = resumable_of(services)
    if not await resumable.wait_until_free(upload.id, wait_seconds=0):
        await _want(services, upload)
    async with resumable.writing(upload.id, wait_seconds=LOCK_WAIT_SECONDS) as file:
        async with services.database.write() as tx:
            found = await tx.uploads.find(upload.id, upload.user_id)
            if found is not None and found.wanted:
                await tx.uploads.want(found, wanted=False)
        if found is None:
            await file.discard()
            raise NotFound
        yield file, await _as_it_is(services, file, found)


async def wait_until_free(services: Services, upload: UploadSession) -> None:
    """Wait a while for a request that hears nothing any more, so that what it has is counted."""
    resumable = resumable_of(services)
    if not await resumable.wait_until_free(upload.id, wait_seconds=0):
        await _want(services, upload)
        await resumable.wait_until_free(upload.id, wait_seconds=LOCK_WAIT_SECONDS)


async def terminate(services: Services, upload: UploadSession) -> None:
    """End an upload and remove what came of it; a whole file is left to its memo, or to be swept.

    Raises:
        Locked: bytes of it are coming.
    """
    async with held(services, upload) as (file, found):
        if not found.finished:
            await file.discard()
        async with services.database.write() as tx:
            if not found.finished:
                await tx.media.remove(found.key, found.user_id)
            await tx.uploads.remove(found.id, found.user_id)


async def _want(services: Services, upload: UploadSession) -> None:
    async with services.database.write() as tx:
        await tx.uploads.want(upload)


async def _as_it_is(services: Services, file: "Resumable", upload: UploadSession) -> UploadSession:
    """Bring row and disk together, as whoever was killed between them left them."""
    size = await file.size()
    if not upload.finished and not size:
        stored = await services.files.find(upload.key)
        if stored is not None and stored.size == upload.length:
            async with services.database.write() as tx:
                upload = await tx.uploads.finish(upload) or upload
    if upload.finished:
        await file.discard()
    elif size < upload.received:
        log.error("upload.bytes_missing", upload=upload.id, there=size, kept=upload.received)
        raise Unavailable("The disk the upload began on is not here", code="storage_unavailable")
    else:
        await file.go_on_at(upload.received)
    return upload


class Receiver:
    """One PATCH.

    Args:
        upload: as ``held`` gives it.
        checksum: of this body; none of it is kept before it is checked.
    """

    def __init__(
        self,
        services: Services,
        file: "Resumable",
        upload: UploadSession,
        checksum: Checksum | None,
    ) -> None:
        self._services = services
        self._database = services.database
        self._file = file
        self._upload = upload
        self._checksum = checksum
        self._hash = checksum.begin() if checksum else None
        self._waiting: list[bytes] = []
        self._arrived = upload.received
        self._clock = asyncio.get_running_loop().time
        self._kept_at = self._heard_at = self._clock()

    async def receive(self, offset: int, body: AsyncGenerator[bytes, None]) -> UploadSession:
        """Take the body, which begins at a byte of the file; returns how far the upload is.

        Raises:
            Conflict: ``offset_mismatch``.
            Locked: nothing came for long, or for a while and another request wants the upload.
            TooLarge: more came than the upload is long; nothing behind what was counted is kept.
            ChecksumMismatch: likewise.
            UnsupportedMedia: the file is of no container that is taken; the upload is ended.
            ClientDisconnect: the client went away; what came is kept.
        """
        check_place(self._upload, offset)
        try:
            await self._listen(body)
            if self._checksum is not None and self._hash is not None:
                self._checksum.check(self._hash.digest())
            await self._keep()
        except UnsupportedMedia:
            await self._end()
            raise
        return self._upload

    async def _listen(self, body: AsyncGenerator[bytes, None]) -> None:
        try:
            async with aclosing(arriving(body, KEEP_SECONDS)) as chunks:
                async for chunk in chunks:
                    await (self._take(chunk) if chunk else self._nothing_came())
        except (ClientDisconnect, Locked, asyncio.CancelledError):
            if self._checksum is None:
                await self._keep()
            raise

    async def _take(self, chunk: bytes) -> None:
        self._heard_at = self._clock()
        if self._arrived + len(chunk) > self._upload.length:
            raise TooLarge("More bytes came than the upload is long")
        self._arrived += len(chunk)
        self._waiting.append(chunk)
        if self._hash is not None:
            self._hash.update(chunk)
        unseen = self._checksum is None and not self._upload.sniffed
        if self._arrived - self._file.place >= (HEAD_BYTES if unseen else GATHER_BYTES):
            await self._write()
            if unseen:
                await self._look()
        await self._keep_when_due()

    async def _nothing_came(self) -> None:
        await self._keep_when_due()
        if self._clock() - self._heard_at > STALLED_SECONDS:
            raise Locked(f"Nothing came for {STALLED_SECONDS:.0f} s", code="upload_stalled")
        async with self._database.read() as tx:
            found = await tx.uploads.find(self._upload.id, self._upload.user_id)
        if found is not None and found.wanted:
            raise Locked("Another request goes on with this upload", code="upload_taken_over")

    async def _keep_when_due(self) -> None:
        if self._checksum is None:
            waited = self._clock() - self._kept_at > KEEP_SECONDS
            if waited or self._arrived - self._upload.received >= KEEP_BYTES:
                await self._keep()

    async def _keep(self) -> None:
        """Sync what came, then count it; the last byte moves the file to its key."""
        await self._write()
        await self._look()
        upload, place = self._upload, self._file.place
        if place == upload.received:
            return
        if place == upload.length:
            await self._file.finish(upload.key)
        else:
            await self._file.sync()
        async with self._database.write() as tx:
            if place == upload.length:
                counted = await tx.uploads.finish(upload)
            else:
                counted = await tx.uploads.advance(upload, place, sniffed=upload.sniffed)
        if counted is None:
            raise Conflict("The upload is not where it was", code="offset_mismatch")
        self._services.measures.uploaded_bytes.inc(place - upload.received)
        self._upload, self._kept_at = counted, self._clock()

    async def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            await self._file.write(waiting)

    async def _look(self) -> None:
        """Look at the first bytes, once they are there; nothing is kept of what is no audio."""
        upload = self._upload
        if upload.sniffed or self._file.place < min(HEAD_BYTES, upload.length):
            return
        sniff(await self._file.head(HEAD_BYTES))
        self._upload = upload.model_copy(update={"sniffed": True})

    async def _end(self) -> None:
        await self._file.discard()
        async with self._database.write() as tx:
            await tx.media.remove(self._upload.key, self._upload.user_id)
            await tx.uploads.remove(self._upload.id, self._upload.user_id)


async def arriving(
    body: AsyncGenerator[bytes, None], seconds: float
) -> AsyncGenerator[bytes, None]:
    """The chunks of a body, and an empty one whenever none came for so long."""
    coming: asyncio.Task[bytes | None] | None = None
    try:
        while True:
            coming = coming or asyncio.create_task(_next(body))
            done, _ = await asyncio.wait({coming}, timeout=seconds)
            if not done:
                yield b""
                continue
            chunk, coming = coming.result(), None
            if chunk is None:
                return
            if chunk:
                yield chunk
    finally:
        if coming is not None:
            coming.cancel()
            with suppress(asyncio.CancelledError, ClientDisconnect):
                await coming


async def _next(body: AsyncGenerator[bytes, None]) -> bytes | None:
    return await anext(body, None)
