"""What an API key opens: every operation of users wants a scope, named here, and only that."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.routing import iter_route_contexts

from api.admission import Principal, UserRoute, user_router
from api.main import create_app
from contracts.api_keys import Scope
from tests.api.front import API, Front, User, opened, settings_for
from tests.api.scopes import key_with, wanted


def user_routes(app: FastAPI) -> Iterator[tuple[str, UserRoute]]:
    for found in iter_route_contexts(app.routes):
        route = found.original_route
        if isinstance(route, UserRoute):
            for method in route.methods or ():
                yield f"{method} {found.path}", route


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(settings_for(Path("/nonexistent")))


def test_every_operation_of_users_wants_the_scope_of_the_table_and_the_reference_says_so(
    app: FastAPI,
) -> None:
    paths = app.openapi()["paths"]
    found = dict(user_routes(app))
    assert len(found) > 50
    assert {name: route.scope for name, route in found.items()} == {
        name: wanted(name) for name in found
    }
    for name in found:
        method, path = name.split(" ")
        told = paths[path][method.lower()]
        assert {"apiKey": [wanted(name)]} in told["security"]
        assert {"bearer": []} in told["security"]
        assert told["responses"]["403"]["$ref"].endswith("Error403")


def test_no_other_operation_is_for_keys(app: FastAPI) -> None:
    routes = dict(user_routes(app))
    for path, each in app.openapi()["paths"].items():
        for method, told in each.items():
            keyed = any("apiKey" in shown for shown in told.get("security", []))
            assert keyed == (f"{method.upper()} {path}" in routes)


@pytest.fixture
async def front(data_dir: Path) -> AsyncIterator[Front]:
    """The app, and in it a route that forgot to name its scope."""
    async with opened(data_dir) as front:
        front.app.include_router(forgetful())
        yield front


def forgetful() -> APIRouter:
    router = user_router("T")

    @router.get("/forgotten")
    async def forgotten() -> dict[str, str]:
        return {"who": "a user"}

    return router


async def test_a_key_opens_what_wants_its_scope_and_nothing_else(front: Front, anna: User) -> None:
    """Bodies and ids are nonsense: whoever is let in hears so."""
    with_it = {scope: await key_with(front, anna, scope) for scope in Scope}
    rest = set(Scope) - {Scope.ADMIN}
    without = {scope: await key_with(front, anna, *rest - {scope}) for scope in Scope}
    for name, route in user_routes(front.app):
        if route.scope is None:
            continue
        method, path = name.split(" ")
        for let_in in (with_it[route.scope], with_it[Scope.ADMIN]):
            answer = await front.ask(method, path, let_in)
            assert answer.status_code != 401, name
            # A space one is no member of refuses as well, and says another thing.
            assert answer.status_code != 403 or answer.json().get("code") == "forbidden", name
        refused = await front.ask(method, path, without[route.scope])
        assert refused.status_code == 403, name
        told = refused.json() if method != "HEAD" else {}
        told = told["error"] if path.startswith("/v1/") else told
        if "code" in told:
            assert (told["code"], told["requiredScope"]) == ("missing_scope", route.scope), name
        elif told:
            assert told["error"] == "missing_scope", name


async def test_a_route_that_names_no_scope_is_closed_to_every_key(front: Front, anna: User) -> None:
    path = f"{API}/forgotten"
    assert (await front.ask("GET", path, anna)).json() == {"who": "a user"}
    for scope in Scope:
        answer = await front.ask("GET", path, await key_with(front, anna, scope))
        assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")


def test_a_route_that_names_no_scope_would_be_found() -> None:
    app = FastAPI()
    app.include_router(forgetful())
    [(name, route)] = user_routes(app)
    assert (name, route.scope) == ("GET /api/v1/forgotten", None)
    assert route.principals == {Principal.USER}
