"""Azure Blob: where batch transcription reads recordings that are private everywhere else.

By the documentation of azure-storage-blob 12.31 and of shared access signatures. A recording is
written in blocks, so that no more than a few of them are in memory; a second try writes over the
first.
"""

import asyncio
import importlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, Final, cast
from urllib.parse import quote

from contracts.errors import ProviderBusy, ProviderFailure
from providers import failures
from providers.vendor_http import CONNECT_SECONDS, UNREADABLE

if TYPE_CHECKING:
    from azure.core.exceptions import HttpResponseError
    from azure.storage.blob.aio import BlobServiceClient

PROVIDER: Final = "azure-blob"
BLOCK_BYTES: Final = 1024 * 1024
BLOCKS_AT_ONCE: Final = 4
BLOBS_A_PAGE: Final = 30
"""A kilobyte of listing each: longer answers than 64 KiB are cut off (`azure_blob_session`)."""
EARLIER: Final = timedelta(minutes=5)
"""Links are valid from before now: clocks differ."""
LINK_LIFE: Final = timedelta(hours=48)
"""A batch job may wait half an hour, run for hours, and be submitted again."""
NO_CONTAINER: Final = "ContainerNotFound"
SDK: Final = ("azure.storage.blob.aio", "providers.azure_blob_session")


class AzureBlobStaging:
    """Implements ``Staging`` of ``activities.batch_ports``.

    Args:
        account_url: full address of the account.
        account: its name.
        key: its key, base64.
        container: of the staged files; made when it is missing.
        timeout: seconds one file may take.
        connect_seconds: how long a connection may take to open.
    """

    def __init__(
        self,
        *,
        account_url: str,
        account: str,
        key: str,
        container: str,
        timeout: float,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        self._account_url = account_url
        self._account = account
        self._key = key
        self._container = container
        self._timeout = timeout
        self._connect_seconds = min(connect_seconds, timeout)
        self._service: BlobServiceClient | None = None
        self._opening = asyncio.Lock()
        self._has_container = False

    async def stage(self, key: str, audio: Path, *, media_type: str) -> str:
        """Put a file there, over what may be there under the key, and return its address.

        Raises:
            ProviderFailure: by the table of ``providers.failures``.
        """
        service = await self._opened()
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - loaded by now

        with _meant(self._timeout), await asyncio.to_thread(audio.open, "rb") as file:
            async with asyncio.timeout(self._timeout):
                await self._make_container(service)
                try:
                    await self._upload(service, key, file, media_type)
                except ResourceNotFoundError as error:
                    if _code(error) != NO_CONTAINER:
                        raise
                    self._has_container = False
                    raise ProviderBusy(f"{PROVIDER} lost its container") from error
        return await asyncio.to_thread(self._link, key)

    async def remove(self, key: str) -> bool:
        """Remove a staged file; false when there is none.

        Raises:
            ProviderFailure: by the table of ``providers.failures``.
        """
        service = await self._opened()
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - loaded by now

        with _meant(self._timeout):
            async with asyncio.timeout(self._timeout):
                try:
                    await service.get_blob_client(self._container, key).delete_blob()
                except ResourceNotFoundError as error:
                    if _code(error) is None:
                        raise  # not of blob storage, but of something before it
                    return False
        return True

    async def sweep(self, older_than_seconds: float) -> int:
        """Remove what was staged so long ago that no job can need it; returns how many files.

        Raises:
            ProviderFailure: by the table of ``providers.failures``.
        """
        service = await self._opened()
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - loaded by now

        until = datetime.now(UTC) - timedelta(seconds=older_than_seconds)
        container = service.get_container_client(self._container)
        old: list[str] = []
        with _meant(self._timeout):
            async with asyncio.timeout(self._timeout):
                with suppress(ResourceNotFoundError):  # nothing has been staged yet
                    old = [
                        blob.name
                        async for blob in container.list_blobs(results_per_page=BLOBS_A_PAGE)
                        if blob.last_modified < until
                    ]
        return sum([await self.remove(name) for name in old])

    async def _make_container(self, service: "BlobServiceClient") -> None:
        """Once in the life of this process; it may be there already."""
        from azure.core.exceptions import ResourceExistsError  # noqa: PLC0415 - loaded by now

        if not self._has_container:
            with suppress(ResourceExistsError):
                await service.create_container(self._container)
            self._has_container = True

    async def _upload(
        self, service: "BlobServiceClient", key: str, file: BinaryIO, media_type: str
    ) -> None:
        from azure.storage.blob import ContentSettings  # noqa: PLC0415 - loaded by now

        blob = service.get_blob_client(self._container, key)
        size = await asyncio.to_thread(lambda: Path(file.name).stat().st_size)
        settings = ContentSettings(content_type=media_type)
        await blob.upload_blob(
            cast("IO[bytes]", _Blocks(file)),
            length=size,
            overwrite=True,
            max_concurrency=BLOCKS_AT_ONCE,
            content_settings=settings,
        )

    def _link(self, key: str) -> str:
        """An address that lets whoever has it read this one file."""
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas  # noqa: PLC0415 - loaded by now

        now = datetime.now(UTC)
        signed = generate_blob_sas(
            account_name=self._account,
            container_name=self._container,
            blob_name=key,
            account_key=self._key,
            permission=BlobSasPermissions(read=True),
            start=now - EARLIER,
            expiry=now + LINK_LIFE,
            protocol="https" if self._account_url.startswith("https:") else None,
        )
        return f"{self._account_url}/{self._container}/{quote(key)}?{signed}"

    async def _opened(self) -> "BlobServiceClient":
        async with self._opening:
            if self._service is None:
                for name in SDK:
                    await asyncio.to_thread(importlib.import_module, name)
                self._service = self._make()
        return self._service

    def _make(self) -> "BlobServiceClient":
        from azure.core.pipeline.transport import AioHttpTransport  # noqa: PLC0415 - loaded by now
        from azure.storage.blob.aio import BlobServiceClient  # noqa: PLC0415 - loaded by now

        from providers.azure_blob_session import open_session  # noqa: PLC0415 - loaded by now

        return BlobServiceClient(
            self._account_url,
            credential={"account_name": self._account, "account_key": self._key},
            transport=AioHttpTransport(session=open_session()),
            connection_timeout=self._connect_seconds,
            read_timeout=self._timeout,
            retry_total=0,
            permit_redirects=False,
            max_single_put_size=BLOCK_BYTES,
            max_block_size=BLOCK_BYTES,
        )

    async def aclose(self) -> None:
        """Close its connections; safe to call twice."""
        if self._service is not None:
            await self._service.close()


class _Blocks:
    """A file as the client reads it: block by block, each in a thread."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    async def read(self, size: int = -1) -> bytes:
        return await asyncio.to_thread(self._file.read, size)


@contextmanager
def _meant(seconds: float) -> Iterator[None]:
    """What the client's exceptions mean for us."""
    from azure.core import exceptions  # noqa: PLC0415 - loaded by now

    try:
        yield
    except (
        TimeoutError,
        exceptions.ServiceRequestTimeoutError,
        exceptions.ServiceResponseTimeoutError,
    ) as error:
        raise failures.timed_out(PROVIDER, seconds) from error
    except exceptions.HttpResponseError as error:
        raise _refusal(error) from error
    except UnicodeDecodeError as error:  # the client reads a body that nobody needs
        raise _unreadable() from error
    except exceptions.AzureError as error:
        raise failures.unreachable(PROVIDER) from error


def _refusal(error: "HttpResponseError") -> ProviderFailure:
    status = error.status_code
    if status is None:
        return failures.unreachable(PROVIDER)
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return _unreadable()
    failure = failures.of_status(
        PROVIDER, status, code=_code(error), headers=getattr(error.response, "headers", None)
    )
    return failures.not_about_audio(failure)


def _unreadable() -> ProviderBusy:
    """Doing it again is safe: both calls may happen twice."""
    return ProviderBusy(f"{PROVIDER}'s answer cannot be read", code=UNREADABLE)


def _code(error: "HttpResponseError") -> str | None:
    """Blob storage's own code, which the client adds to what it raises."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code)) if code else None
