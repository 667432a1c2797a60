import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from contracts.errors import InvalidInput, NotFound
from contracts.memo import MemoJob
from contracts.transcript import (
    Gap,
    Transcript,
    TranscriptPart,
    TranscriptRef,
    Utterance,
    Word,
    join_parts,
)
from store.database import Database

NewMemo = Callable[..., Awaitable[MemoJob]]

PART = TranscriptPart(
    start=0,
    end=2.5,
    utterances=(Utterance(text="Grüße 🎧", offset=0, duration=900, speaker=1, locale="de-DE"),),
    words=(Word(text="Grüße", offset=0, duration=400), Word(text="\\u0000", offset=1, duration=2)),
)
LATER = TranscriptPart(start=2.5, end=4, utterances=(Utterance(text="x", offset=2500, duration=9),))
TRANSCRIPT = join_parts([PART, LATER], 4).model_copy(
    update={"gaps": (Gap(start=1, end=2, error="provider_busy"),)}
)


async def test_a_transcript_comes_back_as_it_was_saved(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = await new_memo(running=True)
    async with database.write() as tx:
        assert await tx.transcripts.find(job.job_id, user) is None
        ref = await tx.transcripts.save(job.job_id, user, job.memo_id, "local", TRANSCRIPT)
    async with database.read() as tx:
        assert await tx.transcripts.load(job.job_id, user) == TRANSCRIPT
        assert await tx.transcripts.find(job.job_id, user) == ref
    assert ref == TranscriptRef(
        ref=job.job_id,
        seconds=4,
        words=2,
        sha256=TRANSCRIPT.sha256,
        tier="local",
        language="de-DE",
        speech=True,
    )


async def test_the_memo_gets_what_was_said_in_the_names_its_readers_know(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = await new_memo(running=True)
    async with database.write() as tx:
        await tx.transcripts.save(job.job_id, user, job.memo_id, "local", TRANSCRIPT)
        memo = await tx.memos.find(job.memo_id, user)
        assert await tx.memos.language(job.memo_id, user) == "de-DE"
    assert memo is not None
    source = memo.source
    assert source["audio_path"] == job.audio_path
    assert source["transcript"] == "Grüße 🎧 x"
    assert source["utterances"][0] == {
        "text": "Grüße 🎧",
        "offset": 0,
        "duration": 900,
        "speaker": 1,
        "locale": "de-DE",
    }
    assert source["speakers"] == source["speakerMap"] == {"1": "Speaker 1"}
    assert (source["languages"], source["primary_language"]) == (["de-DE"], "de-DE")
    assert source["transcription_route"] == "local"
    assert source["gaps"] == [{"start": 1.0, "end": 2.0, "error": "provider_busy"}]
    assert memo.metadata["processing"]["transcription"]["route"] == "local"
    assert memo.metadata["processing"]["transcription"]["status"] == "pending"


async def test_the_first_transcript_of_a_job_stays(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = await new_memo(running=True)
    other = Transcript(text="something else", seconds=9)

    async def save(number: int) -> TranscriptRef:
        said = TRANSCRIPT if number == 0 else other
        async with database.write() as tx:
            return await tx.transcripts.save(job.job_id, user, job.memo_id, f"t{number}", said)

    first = await save(0)
    assert await asyncio.gather(*(save(number) for number in range(1, 6))) == [first] * 5
    async with database.read() as tx:
        memo = await tx.memos.find(job.memo_id, user)
    assert memo is not None
    assert memo.source["transcript"] == TRANSCRIPT.text


async def test_parts_are_kept_in_order_once_and_dropped_with_the_transcript(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = await new_memo(running=True)
    async with database.write() as tx:
        for part in (LATER, PART, PART):
            await tx.transcripts.save_part(job.job_id, user, "local", part)
        assert await tx.transcripts.parts(job.job_id, user, "local") == [PART, LATER]
        assert await tx.transcripts.parts(job.job_id, user, "other") == []
        await tx.transcripts.save(job.job_id, user, job.memo_id, "local", TRANSCRIPT)
        assert await tx.transcripts.parts(job.job_id, user, "local") == []


async def test_a_transcript_nobody_saved_is_not_found(database: Database, user: str) -> None:
    async with database.read() as tx:
        with pytest.raises(NotFound):
            await tx.transcripts.load("memo-x", user)


async def test_transcripts_of_others_are_not_there(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job, other = await new_memo(running=True), str(uuid4())
    async with database.write() as tx:
        await tx.transcripts.save_part(job.job_id, user, "local", PART)
        assert await tx.transcripts.parts(job.job_id, other, "local") == []
        await tx.transcripts.save(job.job_id, user, job.memo_id, "local", TRANSCRIPT)
        assert await tx.transcripts.find(job.job_id, other) is None
        with pytest.raises(NotFound):
            await tx.transcripts.load(job.job_id, other)
        with pytest.raises(NotFound):
            await tx.transcripts.save(job.job_id, other, job.memo_id, "local", TRANSCRIPT)


async def test_a_long_transcript_is_kept_whole(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job = await new_memo(running=True)
    words = tuple(Word(text=f"w{n}", offset=n * 300, duration=200) for n in range(40_000))
    said = Transcript(text=" ".join(word.text for word in words), seconds=12_000, words=words)
    async with database.write() as tx:
        await tx.transcripts.save(job.job_id, user, job.memo_id, "local", said)
        assert await tx.transcripts.load(job.job_id, user) == said


@pytest.mark.parametrize("text", ["nul \x00", "half \udcff"])
async def test_words_no_database_can_keep_are_refused(
    database: Database, user: str, new_memo: NewMemo, text: str
) -> None:
    job = await new_memo(running=True)
    part = TranscriptPart(start=0, end=1, utterances=(Utterance(text=text, offset=0, duration=1),))
    whole = join_parts([part], 1)
    async with database.write() as tx:
        with pytest.raises(InvalidInput):
            await tx.transcripts.save_part(job.job_id, user, "local", part)
        with pytest.raises(InvalidInput):
            await tx.transcripts.save(job.job_id, user, job.memo_id, "local", whole)
        assert await tx.transcripts.find(job.job_id, user) is None


async def test_erasing_a_memo_leaves_nothing_that_was_said(
    database: Database, user: str, new_memo: NewMemo
) -> None:
    job, kept = await new_memo(running=True), await new_memo(running=True)
    async with database.write() as tx:
        for one in (job, kept):
            await tx.transcripts.save(one.job_id, user, one.memo_id, "local", TRANSCRIPT)
            await tx.transcripts.save_part(one.job_id, user, "other", PART)
        receipt = await tx.memos.erase(job.memo_id, user)
        again = await tx.memos.erase(job.memo_id, user)
        assert await tx.transcripts.find(job.job_id, user) is None
        assert await tx.transcripts.parts(job.job_id, user, "other") == []
        assert await tx.transcripts.find(kept.job_id, user) is not None
        assert await tx.transcripts.parts(kept.job_id, user, "other") == [PART]
        assert (await tx.memos.page(user, limit=9)).total == 1
    assert (receipt.transcripts, receipt.files, receipt.memories) == (1, 0, 0)
    assert (again.transcripts, again.files) == (0, 0)
