"""Saved transcripts, and the parts of unfinished ones."""

from collections.abc import Sequence
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError
from sqlalchemy import Row, and_, bindparam, delete, select

from contracts.errors import InvalidInput, NotFound
from contracts.transcript import (
    Transcript,
    TranscriptPart,
    TranscriptRef,
    Utterance,
    Word,
    has_speech,
)
from store.expressions import unless_there
from store.memos import Memos
from store.schema import transcript_parts, transcripts
from store.session import Session

_UTTERANCES: Final = TypeAdapter(tuple[Utterance, ...])
_WORDS: Final = TypeAdapter(tuple[Word, ...])

_OWN: Final = and_(
    transcripts.c.job_id == bindparam("own_id"), transcripts.c.user_id == bindparam("own_user")
)
_SAVE: Final = unless_there(transcripts)
_SAVE_PART: Final = unless_there(transcript_parts)
_REF: Final = select(
    transcripts.c.seconds,
    transcripts.c.word_count,
    transcripts.c.primary_language,
    transcripts.c.sha256,
    transcripts.c.tier,
    transcripts.c.speech,
).where(_OWN)
_LOAD: Final = select(transcripts).where(_OWN)
_PARTS: Final = (
    select(transcript_parts)
    .where(
        transcript_parts.c.job_id == bindparam("own_id"),
        transcript_parts.c.user_id == bindparam("own_user"),
        transcript_parts.c.tier == bindparam("own_tier"),
        transcript_parts.c.start_seconds >= bindparam("own_start"),
    )
    .order_by(transcript_parts.c.start_seconds)
)
_DROP_PARTS: Final = delete(transcript_parts).where(
    transcript_parts.c.job_id == bindparam("own_id"),
    transcript_parts.c.user_id == bindparam("own_user"),
)


class Transcripts:
    """Saved transcripts and the parts of unfinished ones."""

    def __init__(self, session: Session, memos: Memos) -> None:
        self._session = session
        self._memos = memos

    async def find(self, job_id: str, user_id: str) -> TranscriptRef | None:
        """The recorded transcript of a job."""
        row = await self._session.row(_REF, _own(job_id, user_id))
        return None if row is None else _ref(job_id, row)

    async def load(self, job_id: str, user_id: str) -> Transcript:
        """The whole transcript.

        Raises:
            NotFound: none is recorded.
        """
        row = await self._session.row(_LOAD, _own(job_id, user_id))
        if row is None:
            raise NotFound
        return Transcript.model_validate(row._asdict())

    async def save(
        self, job_id: str, user_id: str, memo_id: str, tier: str, transcript: Transcript
    ) -> TranscriptRef:
        """Record it, once: a second save for the same job returns the first.

        Writes ``memos.source`` (text, utterances, speakers, languages, route) too and drops the
        saved parts.
        """
        digest = _digest(transcript)
        values = transcript.model_dump()
        row = {
            **values,
            "job_id": job_id,
            "memo_id": memo_id,
            "user_id": user_id,
            "tier": tier,
            "word_count": transcript.word_count,
            "speech": has_speech(transcript),
            "sha256": digest,
            "created_at": self._session.now,
        }
        added = await self._session.run(_SAVE[self._session.dialect], row)
        if not added:
            return await self._recorded(job_id, user_id)
        await self._memos.save_transcript(memo_id, user_id, tier, values)
        await self._session.run(_DROP_PARTS, _own(job_id, user_id))
        return TranscriptRef(
            ref=job_id,
            seconds=transcript.seconds,
            words=row["word_count"],
            sha256=digest,
            tier=tier,
            language=transcript.primary_language,
            speech=row["speech"],
        )

    async def _recorded(self, job_id: str, user_id: str) -> TranscriptRef:
        recorded = await self.find(job_id, user_id)
        if recorded is None:
            raise NotFound
        return recorded

    async def parts(
        self, job_id: str, user_id: str, tier: str, *, start: float = 0.0
    ) -> Sequence[TranscriptPart]:
        """The parts an earlier attempt of this tier left, in order.

        Args:
            start: seconds; parts that begin before it are left out.
        """
        own = {**_own(job_id, user_id), "own_tier": tier, "own_start": start}
        rows = await self._session.rows(_PARTS, own)
        return [
            TranscriptPart(
                start=row.start_seconds,
                end=row.end_seconds,
                utterances=_UTTERANCES.validate_python(row.utterances),
                words=_WORDS.validate_python(row.words),
            )
            for row in rows
        ]

    async def save_part(self, job_id: str, user_id: str, tier: str, part: TranscriptPart) -> None:
        """Keep one part, once, so that a killed attempt goes on after it."""
        row = {
            "job_id": job_id,
            "tier": tier,
            "start_seconds": part.start,
            "end_seconds": part.end,
            "user_id": user_id,
            "utterances": _UTTERANCES.dump_python(part.utterances),
            "words": _WORDS.dump_python(part.words),
            "created_at": self._session.now,
        }
        await self._session.run(_SAVE_PART[self._session.dialect], row)


def _digest(transcript: Transcript) -> str:
    try:
        return transcript.sha256
    except PydanticSerializationError as error:
        raise InvalidInput("Text is not valid Unicode", code="invalid_text") from error


def _own(job_id: str, user_id: str) -> dict[str, Any]:
    return {"own_id": job_id, "own_user": user_id}


def _ref(job_id: str, row: Row[Any]) -> TranscriptRef:
    return TranscriptRef(
        ref=job_id,
        seconds=row.seconds,
        words=row.word_count,
        sha256=row.sha256,
        tier=row.tier,
        language=row.primary_language,
        speech=row.speech,
    )
