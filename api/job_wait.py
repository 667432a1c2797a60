"""Waiting for jobs: what a call does that answers with what a job made.

The job goes on whatever becomes of the call.
"""

import asyncio
from collections.abc import Awaitable, Collection
from contextlib import aclosing, suppress
from typing import Final, TypeVar

from starlette.requests import ClientDisconnect, Request

from api.dependencies import Services
from api.funds import balance_of
from contracts.errors import (
    Conflict,
    Failure,
    InsufficientCredits,
    InvalidInput,
    MediaRejected,
    NotFound,
    ProviderFailure,
)
from contracts.jobs import Job, JobFailure, JobState, Step

T = TypeVar("T")

STILL_WORKING: Final = "still_working"
AGAIN_SECONDS: Final = 1.0

_NO_REASON: Final = JobFailure(code="failed", message="The job ended without a reason")
_OF_INPUT: Final = frozenset({"no_transcript", "language_not_spoken", "unknown_voice"})
_OF_MEDIA: Final = frozenset(
    {"audio_not_supported", "audio_too_long", "audio_not_found", "audio_corrupt"}
)


async def awaited(
    services: Services,
    job_id: str,
    user_id: str,
    seconds: float,
    *,
    enough: Collection[Step] = frozenset(),
) -> Job:
    """The job once it has ended, or has taken one of these steps, or after so many seconds.

    Raises:
        NotFound: it was erased.
        Unavailable: the database is away.
    """
    job = await _job(services, job_id, user_id)
    if job.state.final or job.step in enough:
        return job
    watched = services.events.watch(job_id, user_id, job.event_seq)
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds), aclosing(watched) as events:
            async for event in events:
                if event.data.get("step") in enough:
                    break
    return await _job(services, job_id, user_id)


async def unless_gone(request: Request, waiting: Awaitable[T]) -> T:
    """Wait for as long as the client does; its body has been read.

    Raises:
        ClientDisconnect: it hung up.
    """
    work, gone = asyncio.ensure_future(waiting), asyncio.create_task(_gone(request))
    try:
        await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise ClientDisconnect
        return work.result()
    finally:
        for task in (work, gone):
            task.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)


async def failure_of(services: Services, job: Job, refusal: str | None = None) -> Failure:
    """What a call is answered whose job came to nothing.

    Args:
        refusal: what is said instead of a vendor's reason.
    """
    if job.state is JobState.CANCELLED:
        return Conflict("The job was cancelled", code="job_cancelled")
    failure = job.failure or _NO_REASON
    if failure.code == InsufficientCredits.code:
        free = (await balance_of(services, job.user_id)).free
        told = InsufficientCredits(int(job.request.get("price", 0)), free)
        if "price" not in job.request:
            # By what was measured: the job's own sentence tells it.
            told.message, told.extra = failure.message, {"availableCredits": free}
        return told
    if failure.code == NotFound.code:
        return NotFound()
    if failure.code in _OF_INPUT:
        return InvalidInput(failure.message, code=failure.code)
    if failure.code in _OF_MEDIA:
        return MediaRejected(failure.message, code=failure.code)
    return ProviderFailure(refusal or failure.message, code=failure.code)


def still_working() -> Conflict:
    """What a call is answered that was waited for long enough."""
    message = "The job is still at work: the same request again waits for it"
    return Conflict(message, code=STILL_WORKING, retry_after=AGAIN_SECONDS)


async def _job(services: Services, job_id: str, user_id: str) -> Job:
    async with services.database.read() as tx:
        job = await tx.jobs.find(job_id, user_id)
    if job is None:
        raise NotFound
    return job


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
