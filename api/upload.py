"""Receives one recording from a multipart body, straight into storage.

Its first bytes are looked at before anything is stored, its size is watched on the way, and its
digest is made as it passes. Whatever goes wrong, a client that hangs up included, no file stays.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import uuid4

import structlog
from fastapi import Request
from pydantic import ValidationError

from api.dependencies import Services
from api.errors import validation_failure
from api.job_start import OutcomeUnknown
from api.json_body import check_text, parse
from api.multipart import PartEvent, PartHead, boundary_of, part_events
from api.shapes.memos import UploadFields
from contracts.audio import MediaKind
from contracts.errors import Failure, InvalidInput, TooLarge
from contracts.ids import audio_key, is_uuid
from contracts.signatures import CONTAINERS, HEAD_BYTES, sniff

FILE_PART: Final = "file"
MEMO_ID: Final = "memoId"
MAX_FIELDS: Final = 50
MAX_FIELD_BYTES: Final = 64 * 1024
OVERHEAD_BYTES: Final = 1024 * 1024
"""What a multipart body may be larger than its file."""

_LISTS: Final = frozenset({"recordingLanguages"})
_OBJECTS: Final = frozenset({"location"})

log = structlog.get_logger()


class Upload(NamedTuple):
    """A recording that is in storage.

    Attributes:
        key: where.
        memo_id: the memo it is for, as the form says or else a new one.
        media_type: of its container, by its first bytes.
        sha256: hex digest of its bytes.
        fields: the form fields beside it.
        form: those as they came.
        discard: removes it again.
    """

    key: str
    memo_id: str
    media_type: str
    sha256: str
    fields: UploadFields
    form: Mapping[str, Sequence[str]]
    discard: Callable[[], Awaitable[None]]


Form = dict[str, list[str]]
"""The texts of a form by the names of their fields."""


@asynccontextmanager
async def receive(
    request: Request,
    services: Services,
    user_id: str,
    read: Callable[[Form], UploadFields] | None = None,
) -> AsyncIterator[Upload]:
    """Receive the recording; it is removed again when the block fails.

    It stays when nobody can know whether its memo is there: ``reconcile`` finds that out later, as
    it does when this process ends in between.

    Args:
        read: makes values of the fields, else ``read_fields`` does.

    Raises:
        InvalidInput: no multipart body, no file in it, or unfit fields.
        TooLarge: more bytes than the setting allows.
        UnsupportedMedia: the first bytes are of no container that is taken.
        ClientDisconnect: the client hung up.
    """
    receiver = _Receiver(services, user_id, read or read_fields)
    try:
        yield await receiver.run(request)
    except OutcomeUnknown:
        raise
    except Exception:
        await receiver.discard()
        raise


async def discard_stored(services: Services, key: str, user_id: str) -> None:
    """Remove a file that became no memo; what cannot go now, ``reconcile`` removes later."""
    try:
        await services.files.delete(key)
        async with services.database.write() as tx:
            await tx.media.remove(key, user_id)
    except Failure as failure:
        log.warning("upload.left", code=failure.code)


class _Receiver:
    def __init__(
        self, services: Services, user_id: str, read: Callable[[Form], UploadFields]
    ) -> None:
        self._read = read
        self._services = services
        self._user_id = user_id
        self._limit = services.settings.limits.max_upload_mb * 1024 * 1024
        self._size = 0
        self._sha256 = ""
        self._key: str | None = None
        self._memo_id = str(uuid4())
        self._media_type = ""

    async def run(self, request: Request) -> Upload:
        boundary = boundary_of(request.headers.get("content-type", ""))
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > self._limit + OVERHEAD_BYTES:
            raise self._too_large()
        async with aclosing(part_events(boundary, request.stream())) as events:
            fields = await self._parts(events)
        if self._key is None:
            raise InvalidInput("file is required")
        read = self._read(fields)
        memo_id = read.memo_id or self._memo_id
        return Upload(
            self._key, memo_id, self._media_type, self._sha256, read, fields, self.discard
        )

    async def discard(self) -> None:
        """Remove what was stored."""
        if self._key is not None:
            await discard_stored(self._services, self._key, self._user_id)

    async def _parts(self, events: AsyncIterator[PartEvent]) -> dict[str, list[str]]:
        fields: dict[str, list[str]] = {}
        count = 0
        async for event in events:
            if not isinstance(event, PartHead):
                continue
            count += 1
            if count > MAX_FIELDS:
                raise InvalidInput(f"There are more than {MAX_FIELDS} fields")
            if event.name != FILE_PART:
                fields.setdefault(event.name, []).append(await _text(events))
            elif self._key is not None:
                raise InvalidInput("file must be sent once")
            else:
                given = fields.get(MEMO_ID, [""])[-1]
                if is_uuid(given):
                    self._memo_id = given.lower()
                await self._store(events)
        return fields

    async def _store(self, events: AsyncIterator[PartEvent]) -> None:
        content = self._content(events)
        head = bytearray()
        async for chunk in content:
            head += chunk
            if len(head) >= HEAD_BYTES:
                break
        container = CONTAINERS[sniff(bytes(head[:HEAD_BYTES]))]
        key = audio_key(self._user_id, self._memo_id, datetime.now(UTC), container.extension)
        async with self._services.database.write() as tx:
            await tx.media.add(key, self._user_id, kind=MediaKind.UPLOAD, memo_id=None, job_id=None)
        self._key = key
        self._media_type = container.media_type

        async def whole() -> AsyncIterator[bytes]:
            yield bytes(head)
            async for chunk in content:
                yield chunk

        stored = await self._services.files.put(key, whole(), media_type=container.media_type)
        self._sha256 = stored.sha256 or ""
        self._services.measures.uploaded_bytes.inc(self._size)

    async def _content(self, events: AsyncIterator[PartEvent]) -> AsyncIterator[bytes]:
        async for event in events:
            if not isinstance(event, bytes):
                return
            self._size += len(event)
            if self._size > self._limit:
                raise self._too_large()
            yield event

    def _too_large(self) -> TooLarge:
        megabytes = self._services.settings.limits.max_upload_mb
        return TooLarge(f"The file is larger than {megabytes} MB")


async def _text(events: AsyncIterator[PartEvent]) -> str:
    content = bytearray()
    async for event in events:
        if not isinstance(event, bytes):
            break
        content += event
        if len(content) > MAX_FIELD_BYTES:
            raise TooLarge(f"A field is larger than {MAX_FIELD_BYTES} bytes")
    try:
        return check_text(content.decode())
    except UnicodeDecodeError:
        raise InvalidInput("Text is not valid Unicode", code="invalid_text") from None


def read_fields(fields: dict[str, list[str]]) -> UploadFields:
    """The form fields as values.

    A list is a repeated field, a JSON array or a comma list; an object is JSON; an empty text is a
    field left out, as forms send them.

    Raises:
        InvalidInput: with every message.
    """
    raw: dict[str, Any] = {}
    for name, values in fields.items():
        given = [value for value in values if value.strip()]
        if not given:
            continue
        if name in _LISTS:
            raw[name] = [item for value in given for item in _list(value)]
        else:
            raw[name] = parse(given[-1].encode()) if name in _OBJECTS else given[-1]
    try:
        return UploadFields.model_validate(raw, strict=False)
    except ValidationError as error:
        raise validation_failure(error.errors()) from None


def _list(text: str) -> list[Any]:
    if text.lstrip().startswith("["):
        value = parse(text.encode())
        return value if isinstance(value, list) else [value]
    return [item.strip() for item in text.split(",") if item.strip()]
