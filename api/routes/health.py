"""Whether the service is well, its numbers, and its public keys: at the root, without a token."""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import JSONResponse, PlainTextResponse, Response

from api.dependencies import Needs, Services
from api.shapes.health import Alive, Checks, Condition, Health, KeySet, Overall
from contracts.errors import Unavailable

router = APIRouter(tags=["Operations"])

CHECK_SECONDS: Final = 3.0
"""A part that takes longer counts as away."""

_DEGRADED: Final[dict[int | str, dict[str, Any]]] = {
    503: {"description": "A part is away.", "model": Health}
}


@router.get(
    "/health",
    summary="State of the service",
    response_description="Every part answers.",
    response_model=Health,
    responses=_DEGRADED,
)
async def health(needs: Needs) -> Response:
    """What the service stands on, part by part."""
    return await _answer(needs)


@router.get(
    "/health/ready",
    summary="Whether it can do its work",
    response_description="Every part answers.",
    response_model=Health,
    responses=_DEGRADED,
)
async def ready(needs: Needs) -> Response:
    """For load balancers: 200 when every part answers."""
    return await _answer(needs)


@router.get(
    "/health/live",
    summary="Whether the process answers",
    response_description="The process answers.",
)
async def live() -> Alive:
    """For supervisors: always 200. Restarting the process mends nothing that is away."""
    return Alive(timestamp=_now())


@router.get(
    "/metrics",
    summary="Numbers for Prometheus",
    response_class=PlainTextResponse,
    response_description="The Prometheus text format.",
)
async def metrics(needs: Needs) -> Response:
    """Requests, uploads, started jobs and open event streams of this process."""
    return Response(needs.measures.text(), media_type=needs.measures.content_type)


@router.get(
    "/.well-known/jwks.json",
    summary="Public keys of the embedded issuer",
    response_description="A key set.",
)
async def key_set(needs: Needs) -> KeySet:
    """Keys that tokens of `voicekeep token` are signed with; none when that issuer is off."""
    return KeySet.model_validate(needs.key_set)


async def _answer(needs: Services) -> Response:
    found = await asyncio.gather(
        _check(needs.database.ping()),
        _check(needs.jobs.health()),
        _check(needs.files.ping()),
    )
    checks = Checks(database=found[0], temporal=found[1], storage=found[2])
    well = all(condition is Condition.OK for condition in found)
    body = Health(status=Overall.OK if well else Overall.DEGRADED, timestamp=_now(), checks=checks)
    return JSONResponse(body.model_dump(), 200 if well else 503)


async def _check(call: Any) -> Condition:
    try:
        await asyncio.wait_for(call, CHECK_SECONDS)
    except (Unavailable, TimeoutError):
        return Condition.UNAVAILABLE
    return Condition.OK


def _now() -> str:
    return datetime.now(UTC).isoformat()
