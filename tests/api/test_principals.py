"""Whom every route lets in; services and the cron job: one key each, whole, never metered."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute, iter_route_contexts

from api.admission import API_PREFIX, OpenRoute, PollingRoute, Principal
from api.main import create_app
from api.principals import (
    CRON_HEADER,
    SERVICE_HEADER,
    UserIfAny,
    cron_router,
    service_or_user_router,
    service_router,
)
from tests.api.front import Front, opened, settings_for

SERVICE = "service-key-of-a-test"
CRON = "cron-key-of-a-test"
PATHS = {
    "planted/service": (SERVICE_HEADER, SERVICE),
    "planted/cron": (CRON_HEADER, CRON),
}

OPEN_TO_ANYBODY: Final = {
    "GET /api/v1/credits/pricing",
    "GET /health",
    "GET /health/ready",
    "GET /health/live",
    "GET /metrics",
    "GET /.well-known/jwks.json",
    "POST /auth/verify",  # the credential is in the body
    "POST /auth/refresh",  # likewise
}
"""Reviewed, one by one; whatever else asks for no credential fails."""

SCHEMES: Final[Mapping[Principal, set[str]]] = {
    Principal.USER: {"bearer", "apiKey"},
    Principal.SERVICE: {"serviceKey"},
    Principal.CRON: {"internalKey"},
    Principal.VENDOR: {"azureSpeechSignature", "azureEventsKey"},
}
"""What each principal shows, by its name in the OpenAPI document."""

EVERY_KEY: Final[Mapping[str, Any]] = {
    "SERVICE_KEY": SERVICE,
    "INTERNAL_API_KEY": CRON,
    "AZURE_SPEECH_WEBHOOK_SECRET": "secret-of-a-test",
    "AZURE_EVENTS_KEY": "events-key-of-a-test",
}


def declared(app: FastAPI) -> Iterator[tuple[str, frozenset[Principal]]]:
    """Every operation of the reference, and whom its route class says it lets in."""
    for found in iter_route_contexts(app.routes):
        route = found.original_route
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        principals = route.principals if isinstance(route, OpenRoute) else {Principal.ANYBODY}
        for method in route.methods or ():
            yield f"{method} {found.path}", frozenset(principals)


def open_to_anybody(app: FastAPI) -> set[str]:
    return {name for name, principals in declared(app) if Principal.ANYBODY in principals}


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(settings_for(Path("/nonexistent")))


def test_no_route_is_open_to_anybody_but_those_reviewed(app: FastAPI) -> None:
    assert open_to_anybody(app) == OPEN_TO_ANYBODY


@pytest.mark.parametrize("route_class", [APIRoute, OpenRoute, PollingRoute])
def test_a_new_route_that_lets_nobody_prove_who_it_is_is_found(
    route_class: type[APIRoute],
) -> None:
    app, router = FastAPI(), APIRouter(prefix=API_PREFIX, route_class=route_class)

    @router.get("/forgotten")
    async def forgotten() -> dict[str, str]:
        return {}

    app.include_router(router)
    wanted = set() if route_class is PollingRoute else {"GET /api/v1/forgotten"}
    assert open_to_anybody(app) == wanted


def test_the_reference_names_what_each_route_wants_to_be_shown(app: FastAPI) -> None:
    document = app.openapi()
    operations = {
        f"{how.upper()} {path}" for path, each in document["paths"].items() for how in each
    }
    assert {name for name, _ in declared(app)} == operations
    for name, principals in declared(app):
        method, path = name.split(" ")
        told = document["paths"][path][method.lower()].get("security", [])
        shown = {scheme for alternative in told for scheme in alternative}
        assert all(len(alternative) == 1 for alternative in told), name
        assert bool(shown) == (Principal.ANYBODY not in principals), name
        for principal, schemes in SCHEMES.items():
            assert bool(shown & schemes) == (principal in principals), name
            assert principal is not Principal.USER or not shown & schemes or schemes <= shown, name
    known = set(document["components"]["securitySchemes"])
    assert known <= set.union(*SCHEMES.values())


async def test_nobody_comes_in_anywhere_without_a_credential(data_dir: Path) -> None:
    async with opened(data_dir, **EVERY_KEY) as front:
        for name, principals in declared(front.app):
            if Principal.ANYBODY in principals:
                continue
            method, path = name.split(" ")
            for headers in ({}, {"Authorization": "Bearer x", SERVICE_HEADER: "", CRON_HEADER: ""}):
                answer = await front.ask(method, path, headers=headers)
                assert answer.status_code == 401, name


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
