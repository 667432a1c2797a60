"""Recordings in Supabase Storage: one private bucket, the keys as on disk.

Speaks through storage3, the storage part of supabase-py, where that neither holds a file in memory
nor takes it in one breath: files are read from a signed address as they come, and larger ones are
sent by TUS in chunks of 6 MB. Supabase makes a file visible when all of it has arrived, over the
one before in one step, so a sending that ends early changes nothing; what it had received is
forgotten when we say so, or else by Supabase within a day.
"""

import asyncio
import hashlib
import importlib
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, quote, urlsplit

import httpx

from contracts.audio import StoredFile
from contracts.errors import Conflict, Failure, NotFound, Unavailable
from contracts.uploads import SignedUpload
from store.ranged_reads import OutOfRange, RangedReads, Refusal
from store.remote_failures import Words, no_key
from store.remote_files import ANSWER_SECONDS, CONNECT_SECONDS, RemoteFiles
from store.spool import Spool
from store.storage_keys import folder_and_start, names_of
from store.supabase_answers import (
    MALFORMED,
    Refused,
    expiry,
    headers_of,
    listed,
    of_body,
    of_client,
)
from store.tus_upload import TusUpload

if TYPE_CHECKING:
    from storage3 import AsyncStorageClient
    from storage3._async.file_api import AsyncBucketProxy

STORE: Final = "Supabase Storage"
SETTINGS: Final = "MEMORO_SUPABASE_URL, MEMORO_SUPABASE_SERVICE_KEY and SUPABASE_BUCKET"
CHUNK_BYTES: Final = 6 * 1024 * 1024
"""Of a resumable upload; Supabase takes no other size. Up to that, a file goes in one request."""
LIST_PAGE: Final = 1000
FIND_PAGE: Final = 10
LINK_SECONDS: Final = 60
"""A signed address is used at once; reading from it may take as long as it takes."""
MAX_KEY_BYTES: Final = 900
"""Behind Supabase a name grows by its project, bucket and version, and ends at 1024 bytes."""

_KEY: Final = re.compile(r"[A-Za-z0-9_/!.*'() &$=@;:+,-]+")
_NO_CACHE: Final = "0"
_KEY_CODES: Final = frozenset({"InvalidJWT", "InvalidKey"})


class SupabaseFiles(RemoteFiles):
    """The storage of one Supabase project.

    Args:
        url: of the project.
        key: its service key.
        bucket: where the files are; it has to be there.
        spool: for what has to be on this host on its way.
        seconds: bound of an answer, or of silence within one.
        connect_seconds: how long a connection may take to open.
    """

    def __init__(
        self,
        *,
        url: str,
        key: str,
        bucket: str,
        spool: Spool,
        seconds: float = ANSWER_SECONDS,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        super().__init__(spool, seconds=seconds, connect_seconds=connect_seconds)
        self._base = f"{url.rstrip('/')}/storage/v1"
        self._headers = {"apikey": key, "Authorization": f"Bearer {key}"}
        self._bucket_name = bucket
        self._seconds = seconds
        self._words = Words(STORE, SETTINGS)
        self._reads = RangedReads(
            self._http, self._words, sign=self._signed_read, meaning=self._read_refused
        )
        self._tus = TusUpload(
            self._http,
            f"{self._base}/upload/resumable",
            headers=self._headers | {"x-upsert": "true"},
            chunk_bytes=CHUNK_BYTES,
            words=self._words,
            meaning=self._send_refused,
        )
        self._client: AsyncStorageClient | None = None
        self._opening = asyncio.Lock()

    async def ping(self) -> None:
        """Whether it answers, and takes our key.

        Raises:
            Unavailable: it does not.
        """
        bucket = await self._bucket()
        with self._meant():
            await bucket.list("", {"limit": 1, "offset": 0})

    async def examine(self) -> str:
        """Look at the bucket; a line that says how it is.

        Raises:
            Unavailable: with what has to be mended.
        """
        client = await self._opened()
        with self._words.examined(), self._meant():
            bucket = await client.get_bucket(self._bucket_name)
        if bucket.public:
            raise Unavailable(
                f"the bucket {self._bucket_name} is public, so whoever guesses a name hears a "
                "recording: make it private"
            )
        return f"bucket {self._bucket_name} at {self._base}"

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, media_type: str) -> StoredFile:
        """Store a stream whole or not at all; an existing file is replaced in one move.

        Its length has to be known before it is sent, so it waits on this host till it is whole.

        Raises:
            InvalidInput: ``invalid_path``.
            TooLarge: the project or the bucket takes no file of that size.
            Unavailable: storage is away, or there is no room on this host.
        """
        name = self._name(key)
        async with self._spool.file() as spooled:
            await spooled.take(chunks)
            await self._send(name, spooled.path, spooled.size, media_type)
            return _stored(key, spooled.size, spooled.sha256)

    async def put_file(self, key: str, path: Path, *, media_type: str) -> StoredFile:
        """Store a local file whole or not at all.

        Raises:
            InvalidInput: ``invalid_path``.
            TooLarge: the project or the bucket takes no file of that size.
            Unavailable: storage is away.
        """
        name = self._name(key)
        size, sha256 = await self._spool.in_thread(_measure, path)
        await self._send(name, path, size, media_type)
        return _stored(key, size, sha256)

    async def _send(self, name: str, path: Path, size: int, media_type: str) -> None:
        if size > CHUNK_BYTES:
            metadata = {
                "bucketName": self._bucket_name,
                "objectName": name,
                "contentType": media_type,
                "cacheControl": _NO_CACHE,
            }
            await self._tus.send(path, size, metadata)
            return
        bucket = await self._bucket()
        content = await self._spool.in_thread(path.read_bytes)
        with self._meant():
            await bucket.upload(
                name,
                content,
                {"content-type": media_type, "cache-control": _NO_CACHE, "upsert": "true"},
            )

    async def find(self, key: str) -> StoredFile | None:
        """Size and time of a file, or none."""
        folder, _, name = self._name(key).rpartition("/")
        bucket = await self._bucket()
        with self._meant():
            # Names that begin like it come after it, and the search takes no notice of case.
            page = await bucket.list(folder, {"limit": FIND_PAGE, "offset": 0, "search": name})
            found = (listed(folder, entry) for entry in page if entry["name"] == name)
            return next((file for file in found if isinstance(file, StoredFile)), None)

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to and without ``end``; see ``RemoteFiles``."""
        name = self._name(key)
        if end is not None and end <= start:
            await self._signed_read(name)
            return
        async for chunk in self._reads.read(name, start, end):
            yield chunk

    async def delete(self, key: str) -> bool:
        """Remove a file; false when there was none."""
        name = self._name(key)
        bucket = await self._bucket()
        with self._meant():
            return any(removed["name"] == name for removed in await bucket.remove([name]))

    async def list(self, prefix: str) -> AsyncIterator[StoredFile]:
        """Every file below a prefix, recursively, in no order, a page of them in memory.

        Supabase lists one level, so this asks once for each folder at least.
        """
        names, start = folder_and_start(prefix)
        folders = ["/".join(names)]
        while folders:
            folder = folders.pop()
            async for found in self._level(folder, start):
                if isinstance(found, StoredFile):
                    yield found
                else:
                    folders.append(found)
            start = ""

    async def _level(self, folder: str, start: str) -> AsyncIterator[StoredFile | str]:
        """The files and folders in a folder whose names begin in a way."""
        bucket = await self._bucket()
        offset = 0
        while True:
            with self._meant():
                page = await bucket.list(
                    folder, {"limit": LIST_PAGE, "offset": offset, "search": start}
                )
                found = [listed(folder, e) for e in page if e["name"].startswith(start)]
            for each in found:
                if each is not None:
                    yield each
            offset += len(page)
            if len(page) < LIST_PAGE:
                return

    async def sign_upload(
        self,
        key: str,
        *,
        media_type: str,
        size: int,  # noqa: ARG002 - Supabase holds nobody to it but by the limit of the bucket
        seconds: float,  # noqa: ARG002 - Supabase sets the term itself, two hours
    ) -> SignedUpload:
        """One request by which its holder stores the file, once.

        Raises:
            InvalidInput: ``invalid_path``.
            Conflict: there is a file already.
            Unavailable: storage is away.
        """
        name = self._name(key)
        bucket = await self._bucket()
        with self._meant():
            token = (await bucket.create_signed_upload_url(name))["token"]
        path = f"{self._base}/object/upload/sign/{quote(f'{self._bucket_name}/{name}')}"
        return SignedUpload(
            url=f"{path}?token={quote(token)}",
            headers={"content-type": media_type},
            expires_at=expiry(token),
        )

    async def _signed_read(self, name: str) -> str:
        """An address that reads one file."""
        bucket = await self._bucket()
        with self._meant():
            signed = (await bucket.create_signed_url(name, LINK_SECONDS))["signedURL"]
            token = parse_qs(urlsplit(signed or "").query)["token"][0]
        path = quote(f"{self._bucket_name}/{name}")
        return f"{self._base}/object/sign/{path}?token={quote(token)}"

    def _name(self, key: str) -> str:
        """The key, when Supabase has a name for it: plain letters and some marks."""
        names_of(key)
        if not _KEY.fullmatch(key) or len(key) > MAX_KEY_BYTES:
            raise no_key()
        return key

    async def _bucket(self) -> "AsyncBucketProxy":
        return (await self._opened()).from_(self._bucket_name)

    async def _opened(self) -> "AsyncStorageClient":
        async with self._opening:
            if self._client is None:
                module = await asyncio.to_thread(importlib.import_module, "storage3")
                client: AsyncStorageClient = module.AsyncStorageClient(
                    f"{self._base}/", dict(self._headers), http_client=self._http
                )
                self._client = client
        return self._client

    @contextmanager
    def _meant(self) -> Iterator[None]:
        """What the client's exceptions mean for us."""
        from storage3.exceptions import StorageApiError  # noqa: PLC0415 - loaded by now
        from storage3.utils import StorageException  # noqa: PLC0415 - likewise

        try:
            yield
        except Failure:
            raise
        except StorageApiError as error:
            raise self._refused(of_client(error), headers_of(error)) from error
        except httpx.TimeoutException as error:
            raise self._words.silent(self._seconds) from error
        except httpx.HTTPError as error:
            raise self._words.away() from error
        except (StorageException, *MALFORMED) as error:
            raise self._words.unreadable() from error

    def _refused(self, error: Refused, headers: Mapping[str, str]) -> Failure:
        if error.no_file:
            return NotFound()
        if error.status == HTTPStatus.CONFLICT:
            return Conflict("There is a file of this name already", code="file_exists")
        if error.code in _KEY_CODES:
            return no_key() if error.code == "InvalidKey" else self._words.refused(error.status)
        return self._words.of_status(error.status, code=error.code, headers=headers)

    def _read_refused(self, refusal: Refusal) -> Failure | OutOfRange:
        error = of_body(refusal.status, refusal.body)
        return OutOfRange() if error.out_of_range else self._refused(error, refusal.headers)

    def _send_refused(self, answer: httpx.Response) -> Failure:
        return self._refused(of_body(answer.status_code, answer.content), answer.headers)


def _measure(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return file.tell(), digest.hexdigest()


def _stored(key: str, size: int, sha256: str) -> StoredFile:
    return StoredFile(key=key, size=size, sha256=sha256, modified_at=time.time())
