"""A recording that is transcribed anew: another memo stands on it, or on a copy of one's own.

One's own memos share the file: it is removed with the last of them. Of a memo that a space shares
the file is copied, so that what its owner erases is gone and what the copy's owner erases is too.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Final
from uuid import uuid4

from api.dependencies import Services
from api.job_start import OutcomeUnknown
from api.memo_start import Recording
from api.shapes.memos import MemoOptions, Reprocessing
from api.upload import discard_stored
from contracts.audio import MediaKind
from contracts.errors import InvalidInput
from contracts.ids import audio_key
from contracts.memo import Memo

_ANY_TYPE: Final = "application/octet-stream"


def audio_path_of(memo: Memo) -> str:
    """Storage key of its recording.

    Raises:
        InvalidInput: ``no_audio``, it has none, or none any more.
    """
    path = memo.source.get("audio_path")
    if not isinstance(path, str) or not path or memo.source.get("audio_deleted"):
        raise _no_audio()
    return path


def seconds_of(memo: Memo) -> float:
    """Length of its recording, measured or claimed."""
    seconds = memo.source.get("duration")
    return float(seconds) if isinstance(seconds, int | float) else 0.0


@asynccontextmanager
async def recording_of(
    services: Services, memo: Memo, user_id: str, options: MemoOptions, language: str | None
) -> AsyncIterator[Recording]:
    """The memo's recording for another memo of the user's; a copy goes when the block fails.

    Raises:
        InvalidInput: ``no_audio``, nothing is in storage.
    """
    path = audio_path_of(memo)
    if await services.files.find(path) is None:
        raise _no_audio()
    media_type = memo.source.get("media_type")
    recording = Recording(
        user_id=user_id,
        path=path,
        seconds=seconds_of(memo),
        media_type=media_type if isinstance(media_type, str) else _ANY_TYPE,
        options=options,
        language=language,
        original=memo.id,
    )
    if memo.user_id == user_id:
        yield recording
        return
    async with _copied(services, recording) as copy:
        yield copy


@asynccontextmanager
async def _copied(services: Services, recording: Recording) -> AsyncIterator[Recording]:
    memo_id = str(uuid4())
    extension = PurePosixPath(recording.path).suffix.removeprefix(".")
    key = audio_key(recording.user_id, memo_id, datetime.now(UTC), extension)
    async with services.database.write() as tx:
        await tx.media.add(key, recording.user_id, kind=MediaKind.UPLOAD, memo_id=None, job_id=None)
    try:
        content = services.files.read(recording.path)
        await services.files.put(key, content, media_type=recording.media_type)
        options = recording.options.model_copy(update={"memo_id": memo_id})
        yield recording._replace(path=key, options=options)
    except OutcomeUnknown:
        raise
    except Exception:
        await discard_stored(services, key, recording.user_id)
        raise


def options_of(memo: Memo, wanted: Reprocessing) -> MemoOptions:
    """What is asked for now, and what was asked for then where nothing is said."""
    then = {
        "recording_languages": memo.metadata.get("recordingLanguages"),
        "recording_started_at": memo.metadata.get("recordingStartedAt"),
        "blueprint_id": memo.metadata.get("blueprintId"),
        "enable_diarization": memo.metadata.get("enableDiarization"),
        "location": memo.metadata.get("location"),
    }
    now = wanted.model_dump(exclude_unset=True)
    fields = {name: value for name, value in {**then, **now}.items() if value is not None}
    return MemoOptions.model_construct(**fields)


def _no_audio() -> InvalidInput:
    return InvalidInput("The memo has no recording", code="no_audio")
