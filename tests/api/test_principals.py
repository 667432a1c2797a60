"""Services and the cron job: one key each, compared whole, never metered."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request

from api.principals import (
    CRON_HEADER,
    SERVICE_HEADER,
    UserIfAny,
    cron_router,
    service_or_user_router,
    service_router,
)
from tests.api.front import Front, opened

SERVICE = "service-key-of-a-test"
CRON = "cron-key-of-a-test"
PATHS = {
    "planted/service": (SERVICE_HEADER, SERVICE),
    "planted/cron": (CRON_HEADER, CRON),
}


@asynccontextmanager
async def planted(data_dir: Path, **settings: Any) -> AsyncIterator[Front]:
    """The app with one route for each principal."""
    service, cron, either = service_router("T"), cron_router("T"), service_or_user_router("T")

    @service.get("/planted/service")
    async def for_services() -> dict[str, str]:
        return {"who": "service"}

    @cron.get("/planted/cron")
    async def for_cron() -> dict[str, str]:
        return {"who": "cron"}

    @either.get("/planted/either")
    async def for_either(request: Request, user: UserIfAny) -> dict[str, str]:
        return {"who": user.id if user else "service"}

    async with opened(data_dir, **settings) as front:
        for router in (service, cron, either):
            front.app.include_router(router)
        yield front


@pytest.fixture
async def front(data_dir: Path) -> AsyncIterator[Front]:
    keys = {"SERVICE_KEY": SERVICE, "INTERNAL_API_KEY": CRON, "RATE_LIMIT_PER_MINUTE": 2}
    async with planted(data_dir, **keys) as front:
        yield front


@pytest.mark.parametrize("path", PATHS)
async def test_the_right_key_comes_in_as_often_as_it_likes(front: Front, path: str) -> None:
    header, key = PATHS[path]
    for _ in range(5):
        answer = await front.ask("GET", path, headers={header: key})
        assert answer.status_code == 200
        assert "X-RateLimit-Limit" not in answer.headers


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("given", [None, "", "x", "service-key-of-a-tes", "cron-key-of-a-test "])
async def test_a_missing_or_wrong_key_is_401(front: Front, path: str, given: str | None) -> None:
    header, _ = PATHS[path]
    if given is not None:
        given = f"{given}x"
    headers = {} if given is None else {header: given}
    answer = await front.ask("GET", path, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


async def test_a_key_that_is_no_text_is_wrong_and_no_crash(front: Front) -> None:
    answer = await front.ask("GET", "planted/service", headers={SERVICE_HEADER: b"\xff\xfe"})
    assert answer.status_code == 401


async def test_one_key_does_not_open_the_others_routes(front: Front) -> None:
    for path, headers in (
        ("planted/service", {SERVICE_HEADER: CRON, CRON_HEADER: CRON}),
        ("planted/cron", {SERVICE_HEADER: SERVICE, CRON_HEADER: SERVICE}),
        ("planted/service", front.user().headers),
    ):
        assert (await front.ask("GET", path, headers=dict(headers))).status_code == 401


@pytest.mark.parametrize("path", [*PATHS, "planted/either"])
@pytest.mark.parametrize("given", ["", "None", SERVICE])
async def test_an_unset_key_closes_its_routes(data_dir: Path, path: str, given: str) -> None:
    header, _ = PATHS.get(path, (SERVICE_HEADER, ""))
    async with planted(data_dir) as front:
        answer = await front.ask("GET", path, headers={header: given})
    assert (answer.status_code, answer.json()["code"]) == (503, "not_configured")


async def test_a_route_for_either_knows_which_one_came(front: Front) -> None:
    anna = front.user()
    by_token = await front.ask("GET", "planted/either", anna)
    by_key = await front.ask("GET", "planted/either", headers={SERVICE_HEADER: SERVICE})
    assert (by_token.json(), by_key.json()) == ({"who": anna.id}, {"who": "service"})
    assert by_token.headers["X-RateLimit-Limit"] == "2"
    wrong = await front.ask("GET", "planted/either", anna, headers={SERVICE_HEADER: "x"})
    nobody = await front.ask("GET", "planted/either")
    assert (wrong.status_code, nobody.status_code) == (401, 401)


async def test_a_key_stands_in_no_answer(front: Front) -> None:
    answer = await front.ask("GET", "planted/service", headers={SERVICE_HEADER: CRON})
    assert CRON not in answer.text
    assert SERVICE not in answer.text
