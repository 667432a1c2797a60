"""Progress as it happens: server-sent events of all jobs of a user."""

import json
from collections.abc import AsyncIterator
from typing import Any, Final

from fastapi import Request
from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse
from starlette.responses import Response

from api.admission import CurrentUser, PollingRoute, user_router
from api.dependencies import Needs
from api.lasting import while_admitted
from api.routes.events import PING_SECONDS, LastEventId
from api.shapes.errors import error_responses
from api.user_feed import FIRST_SECONDS, MOST_BEHIND, STREAMS, Place
from contracts.api_keys import MEMOS
from contracts.jobs import UserEvent

router = user_router("Jobs", scope=MEMOS, route_class=PollingRoute)

_EVENT: Final = {
    "type": "object",
    "required": ["id", "event", "data"],
    "properties": {
        "id": {
            "type": "string",
            "description": "Where the stream goes on: send the last one as `Last-Event-ID`. It "
            "says nothing else.",
        },
        "event": {"enum": ["state", "progress", "done", "reset"]},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "description": "`{jobId, kind, subjectId, seq, type, at, …}`: state, step, tier, "
            "percent, error; `seq` counts within the job. Of `reset`: `{type, reason}`.",
        },
    },
}
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Events `state`, `progress` and `done` of every job of the user, without "
        "end; a comment is sent every 15 seconds. `reset` says that events were missed which are "
        "not sent any more: read again what is shown, and go on from its `id`.",
        "content": {"text/event-stream": {"schema": _EVENT}},
    },
    **error_responses(401, 429, 503),
}


@router.get(
    "/events",
    summary="Follow all jobs",
    response_class=EventSourceResponse,
    responses=_STREAM,
    description=f"""Every event of every job of the user, as it happens.

With `Last-Event-ID` the stream goes on after that event: none is lost and none comes twice. Without
it the stream begins with what happened in the last {FIRST_SECONDS / 60:.0f} minutes. Whoever has
missed more than {MOST_BEHIND} events, or brings an id that is none of ours, gets `reset` first. A
user may have {STREAMS} streams open; each ends after an hour, or soon after its key or token has
ended, and its client comes again.""",
)
async def user_events(
    request: Request, user: CurrentUser, needs: Needs, last_event_id: LastEventId = None
) -> Response:
    """One stream of all jobs of the user."""
    begin = await needs.user_events.begin(user.id, last_event_id)
    events = while_admitted(request, needs, needs.user_events.watch(user.id, begin.after))
    return EventSourceResponse(_written(events, begin), ping=PING_SECONDS)


async def _written(
    events: AsyncIterator[UserEvent], begin: Place
) -> AsyncIterator[ServerSentEvent]:
    if begin.reset is not None:
        data: dict[str, Any] = {"type": "reset", "reason": begin.reset}
        yield ServerSentEvent(json.dumps(data), event="reset", id=str(begin.after))
    async for event in events:
        data = {
            "jobId": event.job_id,
            "kind": event.kind,
            "subjectId": event.subject_id,
            "seq": event.seq,
            "type": event.type,
            "at": event.at,
            **event.data,
        }
        yield ServerSentEvent(json.dumps(data), event=event.type, id=str(event.id))
