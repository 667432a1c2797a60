"""A stored heap of texts that were read aloud, and everything that is done with them."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import Table

from contracts import ids
from contracts.audio import MediaKind
from contracts.paging import Cursor
from contracts.speech import SpeechOrder
from contracts.speech_job import KeptPart, SpeechReady, SpeechState
from store.speech_tables import speech_cleanups, speech_files, speech_parts

WITHOUT_OWNER: Final = {
    "files whose time is over": "ORDER BY speech_files.expires_at",
    "parts nobody uses": "ORDER BY speech_parts.used_at",
    "parts of one scope": "speech_parts.scope = ",
    "the last cleanup": "UPDATE speech_cleanups SET",
}
KEEP: Final = timedelta(days=7)
A_DAY: Final = 86_400


def speech_rows(number: int, owner: str, at: datetime) -> Iterator[tuple[Table, dict[str, Any]]]:
    """A file with its one part; every fiftieth has not been used for long."""
    used = at - KEEP if number % 50 == 0 else at
    file_id = str(UUID(int=10**6 + number))
    yield speech_files, {
        "id": file_id, "user_id": owner, "job_id": ids.speech_job(file_id),
        "content_hash": f"h{number}", "state": SpeechState.READY, "text": "t", "voice": "nova",
        "model": "", "format": "mp3", "speed": 1.0, "size": 9, "created_at": at,
        "used_at": used, "expires_at": used + KEEP,
    }  # fmt: skip
    yield speech_parts, {
        "scope": owner, "hash": f"h{number}", "user_id": owner, "file_id": file_id, "key": "k",
        "samples": 9, "speed": 1.0, "timings": [], "used_at": used,
    }  # fmt: skip
    yield speech_cleanups, {"name": f"n{number}", "at": at}


async def live_through_speech(tx: Any, user: str, now: datetime) -> None:
    """Every statement of ``tx.speech``, and what it does with stored files."""
    order = SpeechOrder(text="Hello", voice="nova")
    file_id, other = str(uuid4()), str(uuid4())
    own, job = (file_id, user), ids.speech_job(file_id)
    await tx.speech.add(*own, job, order, keep_seconds=A_DAY)
    await tx.speech.find(*own)
    part = KeptPart(hash="new", key=f"{user}/part", samples=9)
    await tx.media.add(part.key, user, kind=MediaKind.WORK, memo_id=None, job_id=job)
    await tx.speech.keep_part(user, user, file_id, part)
    assert await tx.speech.use_part(user, "new", file_id) == part
    assert await tx.speech.use_parts(user, ["new", "not there"], file_id) == {"new"}
    assert set(await tx.speech.parts(user, ["new", "not there"])) == {"new"}
    assert await tx.speech.failed(*own, "x", "x")
    assert await tx.speech.again(*own, keep_seconds=A_DAY)
    assert await tx.speech.ready(
        *own, SpeechReady(seconds=1.0, size=9), key=f"{user}/file", sha256=None, tier="t",
        timings=(), keep_seconds=A_DAY,
    )  # fmt: skip
    await tx.media.stand(part.key, user)
    await tx.speech.timings(*own)
    await tx.speech.use(*own, keep_seconds=A_DAY)
    for _ in range(2):
        await tx.speech.cleaned()
    assert (await tx.speech.usage(user, now - timedelta(hours=9))).cleaned_at is not None
    await tx.speech.page(user, limit=20)
    await tx.speech.page(user, limit=20, after=Cursor(created_at=now, id=file_id))
    await tx.speech.expired(limit=20)
    await tx.speech.unused_parts(older_than_seconds=KEEP.total_seconds(), limit=20)
    await tx.speech.remove_expired(*own)
    await tx.speech.remove_unused(user, "new", older_than_seconds=A_DAY)
    assert await tx.speech.remove_lost(user, part.model_copy(update={"key": "old"})) == ()
    assert len(await tx.speech.remove(*own) or ()) == 2
    await tx.media.loosen(part.key, user)
    await tx.speech.add(other, user, ids.speech_job(other), order, keep_seconds=-A_DAY)
    await tx.speech.failed(other, user, "x", "x")
    await tx.speech.remove_expired(other, user)
