"""Recordings in Azure Blob storage: one container, the keys as on disk.

A file is sent in blocks, so that no more than one of them is in memory, and is there when their
list is committed, in place of the one before: a sending that ends early changes nothing, and Azure
forgets its blocks after a week. Files are read from a signed address, by ranges.
"""

import asyncio
import base64
import hashlib
import io
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from contracts.audio import StoredFile
from contracts.errors import Failure, NotFound, Unavailable
from contracts.uploads import SignedUpload
from store.azure_blobs import Container, expiry
from store.ranged_reads import OutOfRange, RangedReads, Refusal
from store.remote_failures import no_key
from store.remote_files import ANSWER_SECONDS, CONNECT_SECONDS, RemoteFiles
from store.spool import Spool
from store.storage_keys import folder_and_start, names_of

if TYPE_CHECKING:
    from azure.storage.blob.aio import BlobClient

BLOCK_BYTES: Final = 4 * 1024 * 1024
"""Of 50 000 that a blob may have."""
WHOLE_BYTES: Final = 1024 * 1024
"""A file up to that goes in one request."""
PIECE_BYTES: Final = 1024 * 1024
LIST_PAGE: Final = 500
LINK_SECONDS: Final = 300.0
"""A signed address is used at once; reading from it may take as long as it takes."""


class AzureFiles(RemoteFiles):
    """The storage of one account.

    Args:
        account_url: full address of the account.
        account: its name.
        key: its key, base64.
        container: where the files are; made when it is missing.
        spool: for what has to be on this host on its way.
        seconds: how long an answer may be silent.
        connect_seconds: how long a connection may take to open.
    """

    def __init__(
        self,
        *,
        account_url: str,
        account: str,
        key: str,
        container: str,
        spool: Spool,
        seconds: float = ANSWER_SECONDS,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        super().__init__(spool, seconds=seconds, connect_seconds=connect_seconds)
        self._container = Container(
            account_url=account_url,
            account=account,
            key=key,
            name=container,
            seconds=seconds,
            connect_seconds=connect_seconds,
        )
        self._reads = RangedReads(
            self._http,
            self._container.words,
            sign=self._signed_read,
            meaning=self._read_refused,
        )

    async def ping(self) -> None:
        """Whether it answers, and takes our key.

        Raises:
            Unavailable: it does not.
        """
        await self._container.make()
        client = await self._container.client()
        try:
            async with self._container.asked():
                await client.get_container_properties()
        except NotFound:
            raise self._container.words.away("has lost its container") from None

    async def examine(self) -> str:
        """Look at the container; a line that says how it is.

        Raises:
            Unavailable: with what has to be mended.
        """
        with self._container.words.examined():
            await self.ping()
            client = await self._container.client()
            async with self._container.asked():
                found = await client.get_container_properties()
        if found.public_access:
            raise Unavailable(
                f"the container {self._container.name} is public, so whoever guesses a name hears "
                "a recording: make it private"
            )
        return f"container {self._container.url}"

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, media_type: str) -> StoredFile:
        """Store a stream whole or not at all; an existing file is replaced in one move.

        Raises:
            InvalidInput: ``invalid_path``.
            Unavailable: storage is away.
        """
        name = _name(key)
        await self._container.make()
        sending = _Sending(self._container, await self._container.blob(name), media_type)
        try:
            async for block in _blocks(chunks):
                await sending.add(block)
            return await sending.finish(key)
        except NotFound:
            raise self._container.words.away("has lost its container") from None

    async def put_file(self, key: str, path: Path, *, media_type: str) -> StoredFile:
        """Store a local file whole or not at all.

        Raises:
            InvalidInput: ``invalid_path``.
            Unavailable: storage is away.
        """
        _name(key)
        with await asyncio.to_thread(path.open, "rb") as file:

            def piece() -> bytes:
                return file.read(PIECE_BYTES)

            async def pieces() -> AsyncIterator[bytes]:
                while content := await self._spool.in_thread(piece):
                    yield content

            return await self.put(key, pieces(), media_type=media_type)

    async def find(self, key: str) -> StoredFile | None:
        """Size and time of a file, or none."""
        blob = await self._container.blob(_name(key))
        try:
            async with self._container.asked():
                return _stored(await blob.get_blob_properties(), key)
        except NotFound:
            return None

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to and without ``end``; see ``RemoteFiles``."""
        name = _name(key)
        if end is not None and end <= start:
            if await self.find(key) is None:
                raise NotFound
            return
        async for chunk in self._reads.read(name, start, end):
            yield chunk

    async def delete(self, key: str) -> bool:
        """Remove a file; false when there was none."""
        blob = await self._container.blob(_name(key))
        try:
            async with self._container.asked():
                await blob.delete_blob(delete_snapshots="include")
        except NotFound:
            return False
        return True

    async def list(self, prefix: str) -> AsyncIterator[StoredFile]:
        """Every file below a prefix, recursively, in no order, a page of them in memory."""
        folder_and_start(prefix)
        client = await self._container.client()
        found = client.list_blobs(name_starts_with=prefix or None, results_per_page=LIST_PAGE)
        pages = found.by_page()
        while page := await self._page(pages):
            for file in page:
                yield file

    async def _page(self, pages: AsyncIterator[Any]) -> Sequence[StoredFile]:
        """The next page that holds something; an empty one at the end."""
        try:
            async with self._container.asked():
                async for page in pages:
                    if found := [_stored(blob, blob.name) async for blob in page]:
                        return found
        except NotFound:
            return ()
        return ()

    async def sign_upload(
        self,
        key: str,
        *,
        media_type: str,
        size: int,  # noqa: ARG002 - Azure holds nobody to it
        seconds: float,
    ) -> SignedUpload:
        """One request by which its holder stores the file, where there is none.

        Raises:
            InvalidInput: ``invalid_path``.
            Unavailable: storage is away.
        """
        name = _name(key)
        await self._container.make()
        until = expiry(seconds)
        return SignedUpload(
            url=self._container.signed(name, read=False, until=until),
            headers={"x-ms-blob-type": "BlockBlob", "content-type": media_type},
            expires_at=until,
        )

    async def aclose(self) -> None:
        """Close its connections; safe to call twice."""
        await self._container.aclose()
        await super().aclose()

    async def _signed_read(self, name: str) -> str:
        await self._container.client()
        return self._container.signed(name, read=True, until=expiry(LINK_SECONDS))

    def _read_refused(self, refusal: Refusal) -> Failure | OutOfRange:
        if refusal.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return OutOfRange()
        code = refusal.headers.get("x-ms-error-code")
        return self._container.meaning(refusal.status, code, dict(refusal.headers))


class _Sending:
    """One file on its way.

    Its blocks have names of their own: what an earlier sending left is no part of it.
    """

    def __init__(self, container: Container, blob: "BlobClient", media_type: str) -> None:
        self._container = container
        self._blob = blob
        self._media_type = media_type
        self._digest = hashlib.sha256()
        self._size = 0
        self._whole = b""
        self._ids: list[str] = []
        self._mark = uuid4().hex

    async def add(self, block: bytes) -> None:
        """Take the next block."""
        await asyncio.to_thread(self._digest.update, block)
        self._size += len(block)
        if self._size <= WHOLE_BYTES:
            self._whole = block
        else:
            await self._stage(block)

    async def finish(self, key: str) -> StoredFile:
        """Let the file be there."""
        from azure.storage.blob import BlobBlock, ContentSettings  # noqa: PLC0415 - loaded by now

        settings = ContentSettings(content_type=self._media_type)
        done: Any
        async with self._container.asked():
            if self._ids:
                blocks = [BlobBlock(each) for each in self._ids]
                done = await self._blob.commit_block_list(blocks, content_settings=settings)
            else:
                done = await self._blob.upload_blob(
                    io.BytesIO(self._whole),
                    length=self._size,
                    overwrite=True,
                    content_settings=settings,
                )
            return StoredFile(
                key=key,
                size=self._size,
                sha256=self._digest.hexdigest(),
                modified_at=done["last_modified"].timestamp(),
            )

    async def _stage(self, block: bytes) -> None:
        name = base64.b64encode(f"{self._mark}{len(self._ids):06}".encode()).decode()
        async with self._container.asked():
            await self._blob.stage_block(name, io.BytesIO(block), length=len(block))
        self._ids.append(name)


async def _blocks(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A stream in blocks, all but the last of the same size."""
    held = bytearray()
    async for chunk in chunks:
        held += chunk
        while len(held) >= BLOCK_BYTES:
            yield bytes(held[:BLOCK_BYTES])
            del held[:BLOCK_BYTES]
    if held:
        yield bytes(held)


def _stored(blob: Any, key: str) -> StoredFile:
    return StoredFile(key=key, size=blob.size, modified_at=blob.last_modified.timestamp())


def _name(key: str) -> str:
    """The key; Azure drops a dot at the end of a name."""
    if any(name.endswith(".") for name in names_of(key)):
        raise no_key()
    return key
