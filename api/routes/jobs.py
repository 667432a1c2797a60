"""How far a job is, and how to end it."""

from typing import TYPE_CHECKING

from fastapi import APIRouter

from api.admission import CurrentUser, PollingRoute, user_router
from api.dependencies import Needs
from api.identifiers import JobId, check_job_id
from api.shapes.errors import error_responses
from api.shapes.jobs import JobCancelling, JobView, job_view
from contracts.api_keys import MEMOS
from contracts.errors import Conflict, NotFound
from contracts.ids import ERASE, MEMO
from contracts.jobs import Job, JobState, Step
from contracts.memo import MemoStatus

if TYPE_CHECKING:
    from store.database import Database

TAG = "Jobs"

router = APIRouter()
_polled = user_router(TAG, scope=MEMOS, route_class=PollingRoute)
_metered = user_router(TAG, scope=MEMOS)


async def find_job(database: "Database", job_id: str, user_id: str) -> Job:
    """A job of the user's own.

    Raises:
        NotFound: absent, or somebody else's.
    """
    check_job_id(job_id)
    async with database.read() as tx:
        job = await tx.jobs.find(job_id, user_id)
    if job is None:
        raise NotFound
    return job


@_polled.get(
    "/jobs/{job_id}",
    summary="State of a job",
    response_description="The job.",
    responses=error_responses(401, 404, 503),
)
async def get_job(job_id: JobId, user: CurrentUser, needs: Needs) -> JobView:
    """State, present step and tier, every attempt, credits and the whole timeline.

    May be polled as often as one likes; `…/events` tells the same without polling.
    """
    check_job_id(job_id)
    async with needs.database.read() as tx:
        job = await tx.jobs.find(job_id, user.id)
        if job is None:
            raise NotFound
        attempts = await tx.attempts.list(job_id, user.id)
        paid = await tx.credits.of_job(user.id, job_id)
        events = await tx.jobs.events_after({job_id: 0}, user.id)
    return job_view(job, attempts, paid, events, needs.settings.costs.currency)


@_metered.post(
    "/jobs/{job_id}/cancel",
    status_code=202,
    summary="Cancel a job",
    response_description="The job was asked to end.",
    responses=error_responses(401, 404, 409, 429, 503),
)
async def cancel_job(job_id: JobId, user: CurrentUser, needs: Needs) -> JobCancelling:
    """Ask a job to end: it releases the credits it held, removes what it left, and is `cancelled`.

    409 when it has ended already, and for an erasure, which leaves nothing half erased.
    """
    job = await find_job(needs.database, job_id, user.id)
    if job.state.final:
        raise Conflict("The job has ended", code="job_ended")
    if job.kind == ERASE:
        raise Conflict("An erasure cannot be cancelled", code="not_cancellable")
    state = job.state
    if not await needs.jobs.cancel(job_id):
        state = await _end_waiting(needs.database, job)
    return JobCancelling(job_id=job_id, state=state)


async def _end_waiting(database: "Database", job: Job) -> JobState:
    """End a job whose workflow was never started: nobody else would write its last word.

    Should its workflow be started in this very moment, it finds the job ended and does nothing.
    """
    async with database.write() as tx:
        state = await tx.jobs.state(job.id, job.user_id)
        if state is not JobState.QUEUED:
            return state or job.state
        await tx.jobs.move(job.id, job.user_id, JobState.CANCELLED, step=Step.DONE)
        if job.kind == MEMO:
            await tx.memos.set_processing(
                job.subject_id, job.user_id, "transcription", MemoStatus.CANCELLED
            )
    return JobState.CANCELLED


router.include_router(_polled)
router.include_router(_metered)
