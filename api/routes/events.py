"""Progress as it happens: server-sent events of a job."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any, Final

from fastapi import Header, Request
from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse
from starlette.responses import Response

from api.admission import CurrentUser, PollingRoute, user_router
from api.dependencies import Needs, Services
from api.identifiers import JobId, MemoId
from api.lasting import while_admitted
from api.routes.jobs import find_job
from api.routes.memos import find_memo
from api.shapes.errors import error_responses
from contracts.api_keys import MEMOS
from contracts.errors import NotFound
from contracts.jobs import Job, JobEvent
from contracts.memo import Memo

router = user_router("Jobs", scope=MEMOS, route_class=PollingRoute)

PING_SECONDS: Final = 15

LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        description="`id` of the last event seen: only later ones are sent. Browsers send it.",
    ),
]

_EVENT: Final = {
    "type": "object",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {"type": "string", "description": "Number of the event: 1, 2, 3, …"},
        "event": {"enum": ["state", "progress", "done"]},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "description": "`{seq, type, at, …}`: state, step, tier, percent, error.",
        },
    },
}
STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Events `state`, `progress` and, at the end, `done`; `id` counts them from "
        "1. A comment is sent every 15 seconds.",
        "content": {"text/event-stream": {"schema": _EVENT}},
    },
    204: {"description": "The job has ended and every event has been seen: do not reconnect."},
    **error_responses(401, 404, 503),
}


@router.get(
    "/jobs/{job_id}/events",
    summary="Follow a job",
    response_class=EventSourceResponse,
    responses=STREAM,
)
async def job_events(
    job_id: JobId,
    request: Request,
    user: CurrentUser,
    needs: Needs,
    last_event_id: LastEventId = None,
) -> Response:
    """Every event of the job from the first, or from `Last-Event-ID` on; ends after `done`."""
    job = await find_job(needs.database, job_id, user.id)
    return stream_of(request, needs, job, last_event_id)


@router.get(
    "/memos/{memo_id}/events",
    summary="Follow a memo's job",
    response_class=EventSourceResponse,
    responses=STREAM,
)
async def memo_events(
    memo_id: MemoId,
    request: Request,
    user: CurrentUser,
    needs: Needs,
    last_event_id: LastEventId = None,
) -> Response:
    """As `/jobs/{jobId}/events`, for the job of a memo one may read."""

    async def readable() -> Memo:
        async with needs.database.read() as tx:
            return await find_memo(tx, memo_id, user)

    memo = await readable()
    if memo.job_id is None:
        raise NotFound
    # Shared by a space: the job is the owner's.
    job = await find_job(needs.database, memo.job_id, memo.user_id)
    return stream_of(request, needs, job, last_event_id, readable)


def stream_of(
    request: Request,
    needs: Services,
    job: Job,
    last_event_id: str | None,
    still: Callable[[], Awaitable[object]] | None = None,
) -> Response:
    """The events of a job, from the last one seen on; 204 when that was the end.

    Args:
        still: raises when the reader may not read them any more.
    """
    seen = min(_seen(last_event_id), job.event_seq)
    if job.state.final and seen == job.event_seq:
        return Response(status_code=204)
    watched = needs.events.watch(job.id, job.user_id, seen)
    events = while_admitted(request, needs, watched, still)
    return EventSourceResponse(_written(events), ping=PING_SECONDS)


def _seen(last_event_id: str | None) -> int:
    """A number of ours; whatever else a client sends means that it has seen nothing."""
    text = last_event_id or ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else 0  # noqa: PLR2004


async def _written(events: AsyncIterator[JobEvent]) -> AsyncIterator[ServerSentEvent]:
    async for event in events:
        data = {"seq": event.seq, "type": event.type, "at": event.at, **event.data}
        yield ServerSentEvent(json.dumps(data), event=event.type, id=str(event.seq))
