"""Calls that wait for the end of their job: its answer when it comes soon, else where to look.

The job goes on whatever becomes of the call: a client that hangs up, or was answered 202, asks
again with the same ``Idempotency-Key`` and gets the end of the same job. What is answered is read
from what the job wrote: a copy beside the key would outlive an erased memo.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response

from api.admission import API_PREFIX
from api.dependencies import Services
from api.errors import status_of
from api.idempotency import BUSY_SECONDS, Key
from api.job_start import Enter, JobStart
from api.job_wait import awaited, failure_of
from api.shapes.fields import Answer
from api.shapes.jobs import JobWorking
from contracts.errors import Unavailable
from contracts.jobs import Job, JobState

if TYPE_CHECKING:
    from store.database import Transaction

Tell = Callable[["Transaction", Job], Awaitable[Answer]]
"""Reads what a completed job wrote."""


class LongCall:
    """Starts a job, and answers when it has ended or has taken too long to be waited for.

    Args:
        tell: what is answered once the job is completed.
        status: HTTP status of that answer.
        refusal: what is said instead of a vendor's reason.
    """

    def __init__(
        self, services: Services, tell: Tell, *, status: int = 200, refusal: str | None = None
    ) -> None:
        self._services = services
        self._database = services.database
        self._tell = tell
        self._status = status
        self._refusal = refusal
        self._seconds = services.settings.limits.long_call_wait_seconds

    async def answer(self, user_id: str, key: Key | None, enter: Enter) -> Response:
        """Enter the rows, start the job, wait for its end.

        Raises:
            Conflict: ``job_cancelled``; or ``key_in_use``, its start is still in flight.
            InsufficientCredits: too few when the job came to hold them.
            NotFound: what it was about was erased meanwhile.
            ProviderFailure: no model could serve; with the job's own code.

        And whatever ``JobStart`` raises.
        """
        starting = JobStart(self._services, HTTPStatus.ACCEPTED)
        entered = await starting.start(user_id, key, enter)
        job_id = str(entered.answer["jobId"])
        try:
            job = await awaited(self._services, job_id, user_id, self._seconds)
            if job.state is JobState.COMPLETED:
                return await self._told(job)
        except Unavailable:
            # The job is under way: only its end cannot be read now.
            return _working(job_id, JobState.QUEUED)
        if not job.state.final:
            return _working(job_id, job.state)
        failure = await failure_of(self._services, job, self._refusal)
        if key is not None and status_of(failure) < HTTPStatus.INTERNAL_SERVER_ERROR:
            await self._free(user_id, key, job_id)
        raise failure

    async def _free(self, user_id: str, key: Key, job_id: str) -> None:
        """Nothing was done: the same request may be judged anew with the same key."""
        async with self._database.write() as tx:
            kept = await tx.idempotency.find(user_id, key.text, busy_seconds=BUSY_SECONDS)
            if kept is not None and kept.answer.get("jobId") == job_id:
                await tx.idempotency.forget(user_id, key.text)

    async def _told(self, job: Job) -> Response:
        async with self._database.read() as tx:
            answer = await self._tell(tx, job)
        return JSONResponse(answer.model_dump(mode="json", by_alias=True), self._status)


def _working(job_id: str, state: JobState) -> Response:
    body = JobWorking(job_id=job_id, status=state).model_dump(mode="json", by_alias=True)
    where = {"Location": f"{API_PREFIX}/jobs/{job_id}"}
    return JSONResponse(body, HTTPStatus.ACCEPTED, where)
