"""Uploads in pieces as a client sends them, header by header."""

import base64
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.api.front import Front, User

TUS = {"Tus-Resumable": "1.0.0"}
PIECE = "application/offset+octet-stream"


def b64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


async def begin(front: Front, user: User, size: int, **fields: Any) -> dict[str, Any]:
    """An upload that was begun, and its answer."""
    answer = await ask_to_begin(front, user, size, **fields)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def ask_to_begin(
    front: Front, user: User, size: Any, *, headers: Mapping[str, str] | None = None, **fields: Any
) -> httpx.Response:
    body = {"filename": "memo.wav", "mediaType": "audio/wav", "bytes": size} | fields
    return await front.ask("POST", "uploads", user, json=body, headers=dict(headers or {}))


async def patch(
    front: Front,
    user: User,
    url: str,
    offset: Any,
    content: bytes | AsyncIterator[bytes],
    **headers: str,
) -> httpx.Response:
    given = {**TUS, "Content-Type": PIECE, "Upload-Offset": str(offset)}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    return await front.ask("PATCH", path_of(url), user, content=content, headers=given)


async def create(front: Front, user: User, **headers: str) -> httpx.Response:
    return await create_with(front, user, b"", **headers)


async def create_with(front: Front, user: User, content: bytes, **headers: str) -> httpx.Response:
    metadata = f"filename {b64('memo.m4a')},filetype {b64('audio/mp4')}"
    given = {**TUS, "Upload-Length": "1000", "Upload-Metadata": metadata}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    given = {name: value for name, value in given.items() if value != "absent"}
    return await front.ask("POST", "uploads/tus", user, content=content, headers=given)


async def where(front: Front, user: User, url: str) -> int:
    """How far an upload is."""
    answer = await front.ask("HEAD", path_of(url), user, headers=TUS)
    assert answer.status_code == 200
    return int(answer.headers["Upload-Offset"])


def path_of(url: str) -> str:
    return httpx.URL(url).path


def stored_at(front: Front, key: str) -> Path:
    return front.settings.files_dir / "user-uploads" / key


async def announced(front: Front) -> list[str]:
    """Keys of files that stand to be swept, whatever their age."""
    async with front.database.read() as tx:
        return [file.key for file in await tx.media.abandoned(older_than_seconds=-60, limit=100)]
