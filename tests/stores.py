"""Every kind of storage, as a test opens it."""

import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from activities.ports import Files
from contracts.audio import StoredFile
from store.files_azure import AzureFiles
from store.files_disk import DiskFiles
from store.files_supabase import SupabaseFiles
from store.spool import Spool
from tests import azurite as published
from tests.azurite import Azurite
from tests.fakes import supabase_storage
from tests.fakes.supabase_storage import FakeSupabaseStorage

STORES = ("disk", "supabase", "azure")

KEY = "7b1f1f6e-0000-4000-8000-000000000001/memo/audio_2026.m4a"
SMALL = b"RIFF" * 5000
LARGE = random.Random(5).randbytes(14_000_000)
TYPE = "audio/mp4"
AWAY = "storage_unavailable"
REFUSED = "storage_refused"


@asynccontextmanager
async def open_store(kind: str, folder: Path, azurite: Azurite | None) -> AsyncIterator[Files]:
    """One with nothing in it."""
    if kind == "disk":
        yield DiskFiles(folder, reserve_bytes=0)
    elif kind == "supabase":
        async with supabase() as fake, on_supabase(fake.url, folder) as files:
            yield files
    else:
        assert azurite is not None
        async with on_azure(azurite.url, folder) as files:
            yield files


@asynccontextmanager
async def supabase(**options: Any) -> AsyncIterator[FakeSupabaseStorage]:
    """A stand-in for Supabase Storage in this process."""
    fake = FakeSupabaseStorage(**options)
    await fake.start()
    try:
        yield fake
    finally:
        await fake.aclose()


@asynccontextmanager
async def on_supabase(url: str, folder: Path, **options: Any) -> AsyncIterator[SupabaseFiles]:
    given = {"key": supabase_storage.KEY, "bucket": supabase_storage.BUCKET} | options
    files = SupabaseFiles(url=url, spool=Spool(folder, reserve_bytes=0), **given)
    try:
        yield files
    finally:
        await files.aclose()


@asynccontextmanager
async def on_azure(url: str, folder: Path, **options: Any) -> AsyncIterator[AzureFiles]:
    """A container of its own."""
    given = {"key": published.KEY, "container": f"c-{uuid.uuid4().hex}"} | options
    spool = Spool(folder, reserve_bytes=0)
    files = AzureFiles(account_url=url, account=published.ACCOUNT, spool=spool, **given)
    try:
        yield files
    finally:
        await files.aclose()


async def stream(content: bytes, size: int = 70_001) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def content_of(files: Files, key: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in files.read(key, start, end)])


async def found_at(files: Files, key: str) -> StoredFile:
    found = await files.find(key)
    assert found is not None
    return found
