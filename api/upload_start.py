"""Begins an upload: a place for its bytes, and the rows that say whose it is.

Storage that takes files itself signs the one request that stores this one; else the bytes come
here, in as many pieces as the line allows (``api/tus.py``). The key is ours: nothing a client says
is in it but an extension from a list. Its ``media`` row stands before any byte, so what never
becomes a memo is swept.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import uuid4

from api import idempotency
from api.dependencies import Services
from api.idempotency import BUSY_SECONDS, Key
from api.shapes.uploads import KeptUpload, TusFacts, UploadBegun
from api.tus import resumable_of
from contracts import tus
from contracts.audio import MediaKind
from contracts.errors import InvalidInput, NotFound, TooLarge, TooManyRequests
from contracts.ids import audio_key
from contracts.media_types import check_media_type, extension_of
from contracts.upload_sessions import UploadSession
from contracts.uploads import SignedUpload

if TYPE_CHECKING:
    from store.database import Transaction

CREATED: Final = 201
TUS_PATH: Final = "/api/v1/uploads/tus"


class Asked(NamedTuple):
    """A recording somebody wants to send.

    Attributes:
        length: bytes.
        metadata: as the ``Upload-Metadata`` header spells it.
    """

    user_id: str
    filename: str
    media_type: str
    length: int
    metadata: str


class Begun(NamedTuple):
    """An upload, and what its client is told.

    Attributes:
        upload: none when the key came before and the upload is over.
        repeated: the key came before: nothing was begun now.
    """

    upload: UploadSession | None
    answer: UploadBegun
    repeated: bool = False


class UploadStart:
    """Begins uploads.

    Args:
        base_url: of this service, as clients know it.
    """

    def __init__(self, services: Services, base_url: str) -> None:
        self._services = services
        self._database = services.database
        self._limits = services.settings.limits
        self._base_url = base_url

    async def start(self, asked: Asked, key: Key | None) -> Begun:
        """Begin an upload, or find the one that was begun with the same key.

        Raises:
            InvalidInput: it is to be empty.
            UnsupportedMedia: the media type is of nothing that is taken.
            TooLarge: more bytes than the setting allows.
            TooManyRequests: ``too_many_uploads``.
            KeyReused, Conflict: as of any ``Idempotency-Key``.
            NotFound: the key came before, and that upload is over.
            Unavailable: storage or the database is away, or storage is full.
        """
        upload = self._new(asked)
        if key is not None and (before := await self._before(asked.user_id, key)) is not None:
            return before
        if self._services.signed_uploads is not None:
            signed = await self._sign(upload)
            until = max(upload.expires_at, signed.expires_at)
            upload = upload.model_copy(update={"signed": True, "expires_at": until})
            answer = _signed_answer(upload, signed)
        else:
            await resumable_of(self._services).check_room(upload.length)
            answer = self._tus_answer(upload)
        async with self._database.write() as tx:
            await self._enter(tx, upload, key, answer)
        return Begun(upload, answer)

    def _new(self, asked: Asked) -> UploadSession:
        media_type = check_media_type(asked.media_type)
        if not asked.length:
            raise InvalidInput("No recording is empty")
        if asked.length > self._limits.max_upload_mb * 1024 * 1024:
            raise TooLarge(f"The file is larger than {self._limits.max_upload_mb} MB")
        now = datetime.now(UTC)
        extension = extension_of(asked.filename, media_type)
        return UploadSession(
            id=str(uuid4()),
            user_id=asked.user_id,
            key=audio_key(asked.user_id, str(uuid4()), now, extension),
            media_type=media_type,
            length=asked.length,
            metadata=asked.metadata,
            expires_at=now + timedelta(hours=self._limits.upload_expiry_hours),
        )

    async def _before(self, user_id: str, key: Key) -> Begun | None:
        async with self._database.write() as tx:
            found = await tx.idempotency.find(user_id, key.text, busy_seconds=BUSY_SECONDS)
            if found is None:
                return None
            idempotency.check(key, found)
            kept = KeptUpload.model_validate(found.answer)
            upload = await tx.uploads.find(kept.id, user_id)
        if kept.answer.tus is not None:
            return Begun(upload, kept.answer, repeated=True)
        if upload is None:
            raise NotFound("The upload is over")
        signed = await self._sign(upload)
        async with self._database.write() as tx:
            await tx.uploads.extend(upload, max(upload.expires_at, signed.expires_at))
        return Begun(upload, _signed_answer(upload, signed), repeated=True)

    async def _sign(self, upload: UploadSession) -> SignedUpload:
        if self._services.signed_uploads is None:
            raise NotFound("The upload is over")
        return await self._services.signed_uploads.sign_upload(
            upload.key,
            media_type=upload.media_type,
            size=upload.length,
            seconds=self._limits.upload_expiry_hours * 3600,
        )

    async def _enter(
        self, tx: "Transaction", upload: UploadSession, key: Key | None, answer: UploadBegun
    ) -> None:
        there = await tx.uploads.open(upload.user_id)
        if there.number >= self._limits.max_open_uploads:
            message = f"There are {there.number} uploads under way already"
            wait = (there.first_expires_at or tx.session.now) - tx.session.now
            raise TooManyRequests(
                message, code="too_many_uploads", retry_after=wait.total_seconds()
            )
        await tx.media.add(
            upload.key, upload.user_id, kind=MediaKind.UPLOAD, memo_id=None, job_id=None
        )
        await tx.uploads.add(upload)
        if key is not None:
            await tx.idempotency.keep(
                upload.user_id,
                key.text,
                key.fingerprint,
                answer=_to_keep(upload, answer),
                busy_seconds=BUSY_SECONDS,
            )
            await tx.idempotency.finish(upload.user_id, key.text, CREATED)

    def _tus_answer(self, upload: UploadSession) -> UploadBegun:
        return UploadBegun(
            file_path=upload.key,
            url=f"{self._base_url}{TUS_PATH}/{upload.id}",
            method="PATCH",
            headers={
                "Content-Type": tus.PART_TYPE,
                "Tus-Resumable": tus.VERSION,
                "Upload-Offset": "0",
            },
            expires_at=upload.expires_at.isoformat(),
            tus=TusFacts(
                version=tus.VERSION,
                extensions=list(tus.EXTENSIONS),
                max_size=self._limits.max_upload_mb * 1024 * 1024,
            ),
        )


def _signed_answer(upload: UploadSession, signed: SignedUpload) -> UploadBegun:
    return UploadBegun(
        file_path=upload.key,
        url=signed.url,
        method=signed.method,
        headers=signed.headers,
        expires_at=signed.expires_at.isoformat(),
        tus=None,
    )


def _to_keep(upload: UploadSession, answer: UploadBegun) -> Mapping[str, Any]:
    """The answer without its signature: that is made anew when the key comes again."""
    if upload.signed:
        answer = answer.model_copy(update={"url": "", "headers": {}})
    return KeptUpload(id=upload.id, answer=answer).model_dump(mode="json")
