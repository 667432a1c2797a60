"""One container of Azure Blob storage, by Microsoft's client: opened when first used, made once.

By the documentation of azure-storage-blob 12.31. The client makes each request once; its exceptions
become ours here. Signed addresses are made on this host, nobody is asked for them.
"""

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from contracts.errors import Failure, NotFound
from store.remote_failures import Words, no_key

if TYPE_CHECKING:
    from azure.core.exceptions import HttpResponseError
    from azure.storage.blob.aio import BlobClient, ContainerClient

STORE: Final = "Azure Blob"
SETTINGS: Final = (
    "AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY and AZURE_STORAGE_CONTAINER"
)
CALL_SECONDS: Final = 120.0
"""Bound of one request, a block of a few megabytes over a slow line."""

_NO_CONTAINER: Final = "ContainerNotFound"
_NOT_SENT: Final = frozenset({"InvalidBlockList"})
"""Another sending to the same name was finished first, and took the blocks of this one away."""
_NO_NAME: Final = frozenset({"InvalidUri", "InvalidResourceName"})
_MALFORMED: Final = (ValueError, TypeError, LookupError, AttributeError)
"""What the client raises somewhere inside it when an answer is of another shape."""
_SDK: Final = ("azure.storage.blob.aio", "store.azure_session")


class Container:
    """A container of an account.

    Args:
        account_url: full address of the account.
        account: its name.
        key: its key, base64.
        name: of the container; made when it is missing.
        seconds: how long an answer may be silent.
        connect_seconds: how long a connection may take to open.
    """

    def __init__(
        self,
        *,
        account_url: str,
        account: str,
        key: str,
        name: str,
        seconds: float,
        connect_seconds: float,
    ) -> None:
        self._account_url = account_url.rstrip("/")
        self._account = account
        self._key = key
        self._seconds = seconds
        self._connect_seconds = min(connect_seconds, seconds)
        self.name = name
        self.words = Words(STORE, SETTINGS)
        self._client: ContainerClient | None = None
        self._lock = asyncio.Lock()
        self._made = False

    @property
    def url(self) -> str:
        """Full address of the container."""
        return f"{self._account_url}/{self.name}"

    async def client(self) -> "ContainerClient":
        """The client of the container."""
        async with self._lock:
            if self._client is None:
                for name in _SDK:
                    await asyncio.to_thread(importlib.import_module, name)
                self._client = self._open()
        return self._client

    async def blob(self, name: str) -> "BlobClient":
        """The client of a blob."""
        return (await self.client()).get_blob_client(name)

    async def make(self) -> None:
        """Make the container, once in the life of this process; it may be there already.

        Raises:
            Unavailable: it cannot be made.
        """
        if self._made:
            return
        client = await self.client()
        from azure.core.exceptions import ResourceExistsError  # noqa: PLC0415 - loaded by now

        async with self.asked():
            with suppress(ResourceExistsError):
                await client.create_container()
        self._made = True

    @asynccontextmanager
    async def asked(self) -> AsyncIterator[None]:
        """What the client's exceptions mean for us, and a bound on the time it takes.

        Raises:
            NotFound: there is no such blob, or no container yet.
            Failure: whatever else.
        """
        from azure.core import exceptions  # noqa: PLC0415 - loaded by now

        try:
            async with asyncio.timeout(CALL_SECONDS):
                yield
        except exceptions.ResourceExistsError:
            raise
        except (
            TimeoutError,
            exceptions.ServiceRequestTimeoutError,
            exceptions.ServiceResponseTimeoutError,
        ) as error:
            raise self.words.silent(self._seconds) from error
        except exceptions.HttpResponseError as error:
            raise self._refusal(error) from error
        except exceptions.AzureError as error:
            raise self.words.away() from error
        except _MALFORMED as error:
            raise self.words.unreadable() from error

    def signed(self, name: str, *, read: bool, until: datetime) -> str:
        """An address that reads one blob, or makes it where there is none."""
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas  # noqa: PLC0415 - loaded by now

        try:
            query = generate_blob_sas(
                account_name=self._account,
                container_name=self.name,
                blob_name=name,
                account_key=self._key,
                permission=BlobSasPermissions(read=read, create=not read),
                expiry=until,
                protocol="https" if self._account_url.startswith("https:") else None,
            )
        except ValueError as error:  # our key is no base64
            raise self.words.refused(HTTPStatus.FORBIDDEN) from error
        return f"{self.url}/{quote(name)}?{query}"

    async def aclose(self) -> None:
        """Close its connections; safe to call twice."""
        if self._client is not None:
            await self._client.close()

    def _open(self) -> "ContainerClient":
        from azure.core.pipeline.transport import AioHttpTransport  # noqa: PLC0415 - loaded by now
        from azure.storage.blob.aio import ContainerClient  # noqa: PLC0415 - loaded by now

        from store.azure_session import open_session  # noqa: PLC0415 - loaded by now

        return ContainerClient(
            self._account_url,
            self.name,
            credential={"account_name": self._account, "account_key": self._key},
            # The transport is where its time-outs are looked for, when it is not the client's own.
            transport=AioHttpTransport(
                session=open_session(),
                connection_timeout=self._connect_seconds,
                read_timeout=self._seconds,
            ),
            retry_total=0,
            permit_redirects=False,
        )

    def _refusal(self, error: "HttpResponseError") -> Failure:
        from azure.core.exceptions import ClientAuthenticationError  # noqa: PLC0415 - loaded by now

        status, code = error.status_code, code_of(error)
        if status is None:  # our key is no key, or nothing came
            unsigned = isinstance(error, ClientAuthenticationError)
            return self.words.refused(HTTPStatus.FORBIDDEN) if unsigned else self.words.away()
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return self.words.unreadable()
        return self.meaning(status, code, getattr(error.response, "headers", None) or {})

    def meaning(self, status: int, code: str | None, headers: "dict[str, str]") -> Failure:
        """The failure a refusal stands for.

        Args:
            code: blob storage's own; without one, somebody else has answered.
        """
        if status == HTTPStatus.NOT_FOUND and code:
            self._made = self._made and code != _NO_CONTAINER
            return NotFound()
        if code in _NOT_SENT:
            return self.words.away("has got another file of this name meanwhile")
        if code in _NO_NAME:
            return no_key()
        return self.words.of_status(status, code=code, headers=headers)


def expiry(seconds: float) -> datetime:
    """So many seconds from now, as signed addresses are dated."""
    return datetime.now(UTC) + timedelta(seconds=seconds)


def code_of(error: "HttpResponseError") -> str | None:
    """Blob storage's own code, which the client adds to what it raises."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code)) if code else None
