"""Opens the storage the settings name. What another kind needs is not even imported."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import NamedTuple, Protocol

from contracts.audio import StoredFile
from contracts.storage_setup import AzureAccess, StorageSetup, SupabaseAccess
from contracts.uploads import SignedUpload
from store.files_disk import DiskFiles
from store.resumable_disk import ResumableFiles
from store.spool import Spool


class Files(Protocol):
    """What every kind of storage does; ``activities.ports.Files`` says what it promises."""

    async def ping(self) -> None:
        """Return when something could be stored now."""

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, media_type: str) -> StoredFile:
        """Store a stream."""

    async def put_file(self, key: str, path: Path, *, media_type: str) -> StoredFile:
        """Store a local file."""

    async def find(self, key: str) -> StoredFile | None:
        """Size and time of a file."""

    def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """A range of a file."""

    def local(self, key: str) -> AbstractAsyncContextManager[Path]:
        """A file on this host."""

    async def delete(self, key: str) -> bool:
        """Remove a file."""

    async def sweep(self, older_than_seconds: float) -> int:
        """Remove what was never finished."""

    async def unfinished(self, older_than_seconds: float) -> int:
        """How many files ``sweep`` would remove."""

    def list(self, prefix: str) -> AsyncIterator[StoredFile]:
        """Every file below a prefix."""


class Elsewhere(Files, Protocol):
    """Storage that is a service of its own."""

    async def examine(self) -> str:
        """A line that says how it is; raises Unavailable with what has to be mended."""

    async def sign_upload(
        self, key: str, *, media_type: str, size: int, seconds: float
    ) -> SignedUpload:
        """A request by which a client stores a file itself."""

    async def aclose(self) -> None:
        """Close its connections."""


class Storage(NamedTuple):
    """The storage of the settings.

    Attributes:
        elsewhere: the same, when it is no disk of ours.
        resumable: where files come in pieces, when it is one.
    """

    files: Files
    elsewhere: Elsewhere | None
    resumable: ResumableFiles | None = None


def open_files(setup: StorageSetup, stack: AsyncExitStack) -> Storage:
    """The storage of the settings; nobody is asked before it is used.

    Args:
        stack: closes it.
    """
    elsewhere: Elsewhere
    if setup.azure is not None:
        elsewhere = _azure(setup.azure, Spool(setup.spool))
    elif setup.supabase is not None:
        elsewhere = _supabase(setup.supabase, Spool(setup.spool))
    else:
        return Storage(DiskFiles(setup.folder), None, ResumableFiles(setup.folder))
    stack.push_async_callback(elsewhere.aclose)
    return Storage(elsewhere, elsewhere)


def _azure(access: AzureAccess, spool: Spool) -> Elsewhere:
    from store.files_azure import AzureFiles  # noqa: PLC0415 - httpx and more, for nothing on disk

    return AzureFiles(
        account_url=access.url,
        account=access.account,
        key=access.key.get_secret_value(),
        container=access.container,
        spool=spool,
    )


def _supabase(access: SupabaseAccess, spool: Spool) -> Elsewhere:
    from store.files_supabase import SupabaseFiles  # noqa: PLC0415 - likewise

    return SupabaseFiles(
        url=access.url, key=access.key.get_secret_value(), bucket=access.bucket, spool=spool
    )
