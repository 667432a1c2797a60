"""Texts that are read aloud, as tests plant them."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

from contracts import ids
from contracts.audio import MediaKind
from contracts.jobs import JobState, Step
from contracts.speech import SpeechFormat, Timing, TimingKind
from contracts.speech_job import KeptPart, SpeechReady
from tests.api.front import Front, User

AUDIO = bytes(range(256)) * 8
TEXT = "The lighthouse keeper counted seven ships."


async def ordered(front: Front, user: User, **fields: Any) -> dict[str, Any]:
    """A text whose job runs."""
    answer = await front.ask("POST", "speech", user, json={"text": TEXT, "voice": "nova"} | fields)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()["speech"]
    return told


async def spoken(front: Front, user: User, **fields: Any) -> dict[str, Any]:
    """A text whose audio is there, with one part of it, as its workflow leaves them."""
    told = await ordered(front, user, **fields)
    file_id, job_id = told["id"], told["jobId"]
    form = SpeechFormat(told["format"])
    part_hash = uuid4().hex * 2
    key = ids.speech_key(user.id, file_id, form)
    part = KeptPart(hash=part_hash, key=ids.part_key(user.id, file_id, part_hash), samples=9)
    for stored in (key, part.key):
        await front.services.files.put(stored, _audio(), media_type=form.media_type)
    async with front.database.write() as tx:
        for stored in (key, part.key):
            await tx.media.add(stored, user.id, kind=MediaKind.WORK, memo_id=None, job_id=job_id)
            await tx.media.stand(stored, user.id)
        await tx.speech.keep_part(user.id, user.id, file_id, part)
        await tx.jobs.move(job_id, user.id, JobState.RUNNING, step=Step.SPEAK)
        assert await tx.speech.ready(
            file_id,
            user.id,
            SpeechReady(seconds=2.5, size=len(AUDIO)),
            key=key,
            sha256="a" * 64,
            tier="openai",
            timings=[Timing(kind=TimingKind.WORD, text="The", start=0, end=0.25)],
            keep_seconds=604_800,
        )
        await tx.jobs.move(job_id, user.id, JobState.COMPLETED, step=Step.DONE)
    front.starter.live.discard(job_id)
    return told


async def _audio() -> AsyncIterator[bytes]:
    yield AUDIO
