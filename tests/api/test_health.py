"""Health, numbers, keys: without a token; and the front while its parts are away."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import httpx

from api.dependencies import Opening
from api.main import create_app
from contracts.errors import Unavailable
from runtime.issuer import EmbeddedIssuer
from tests.api.front import Front, User, opened, settings_for, wav
from tests.fakes.ports import RecordingStarter


async def test_all_is_well_when_every_part_answers(front: Front) -> None:
    for path in ("/health", "/health/ready"):
        answer = await front.ask("GET", path)
        body = answer.json()
        assert answer.status_code == 200
        assert (body["status"], body["service"]) == ("ok", "voicekeep")
        assert body["checks"] == {"database": "ok", "temporal": "ok", "storage": "ok"}


async def test_a_part_that_is_away_is_named_and_the_process_still_lives(
    front: Front, anna: User
) -> None:
    front.starter.failure = Unavailable("Temporal does not answer")
    for path in ("/health", "/health/ready"):
        answer = await front.ask("GET", path)
        assert answer.status_code == 503
        assert answer.json()["status"] == "degraded"
        assert answer.json()["checks"]["temporal"] == "unavailable"
        assert answer.json()["checks"]["database"] == "ok"
    assert (await front.ask("GET", "/health/live")).status_code == 200
    # What needs no Temporal goes on.
    assert (await front.ask("GET", "memos", anna)).status_code == 200


async def test_the_front_starts_without_a_database_and_recovers_by_itself(
    tmp_path: Path, empty_database: Path
) -> None:
    place = tmp_path / "voicekeep.db"
    place.mkdir()
    async with opened(tmp_path) as front:
        anna = front.user()
        assert (await front.ask("GET", "/health")).json()["checks"]["database"] == "unavailable"
        assert (await front.ask("GET", "/health/live")).status_code == 200
        for method, path in (("GET", "memos"), ("GET", "credits/balance"), ("GET", "jobs/memo-1")):
            answer = await front.ask(method, path, anna)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), path
            assert int(answer.headers["Retry-After"]) >= 1
        assert (await front.post_memo(anna)).status_code == 503
        assert (await front.upload(anna)).status_code == 503
        assert front.stored == []

        place.rmdir()
        place.write_bytes(empty_database.read_bytes())
        assert (await front.post_memo(anna)).status_code == 201
        assert (await front.ask("GET", "/health")).status_code == 200


async def test_a_front_that_cannot_open_its_parts_says_so_and_tries_again(data_dir: Path) -> None:
    (data_dir / "keys").write_text("a file where a folder has to be")
    settings = settings_for(data_dir)
    app = create_app(settings, jobs=RecordingStarter())
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://voicekeep.test") as client,
    ):
        opening: Opening = app.state.opening
        await until(lambda: opening._failed)
        assert (await client.get("/health/live")).status_code == 200
        for path in ("/health/ready", "/api/v1/memos"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert "Retry-After" in answer.headers
        (data_dir / "keys").unlink()
        await until(lambda: not opening._failed)
        assert (await client.get("/health/ready")).status_code == 200


async def test_the_front_starts_without_temporal_and_answers_what_needs_none(
    data_dir: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
    async with opened(data_dir, temporal=True, TEMPORAL_ADDRESS=address) as front:
        anna = front.user()
        refused = await front.post_memo(anna)
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert int(refused.headers["Retry-After"]) >= 1
        assert (await front.upload(anna)).status_code == 503
        assert front.stored == []
        listed = await front.ask("GET", "memos", anna)
        assert (listed.status_code, listed.json()["total"]) == (200, 0)
        checks = (await front.ask("GET", "/health")).json()["checks"]
        assert checks == {"database": "ok", "temporal": "unavailable", "storage": "ok"}


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def test_numbers_count_requests_by_route_and_never_by_id(front: Front, anna: User) -> None:
    memo = await front.new_memo(anna)
    await front.ask("GET", f"memos/{memo['memoId']}", anna)
    await front.ask("GET", "/api/v1/nothing", anna)
    await front.upload(anna, wav(1.0))
    answer = await front.ask("GET", "/metrics")
    text = answer.text
    assert answer.headers["Content-Type"].startswith("text/plain")
    line = 'voicekeep_http_requests_total{method="GET",route="%s",status="%s"} 1.0'
    assert line % ("/api/v1/memos/{memo_id}", "200") in text
    assert line % ("unrouted", "404") in text
    assert 'voicekeep_jobs_started_total{kind="memo"} 2.0' in text
    assert "voicekeep_uploaded_bytes_total 32044.0" in text
    assert memo["memoId"] not in text
    assert anna.id not in text


async def test_the_embedded_issuer_publishes_its_key(front: Front) -> None:
    answer = await front.ask("GET", "/.well-known/jwks.json")
    assert answer.json() == EmbeddedIssuer.open(front.settings.data_dir).key_set()


async def test_an_issuer_that_is_off_publishes_nothing_and_is_not_believed(data_dir: Path) -> None:
    async with opened(data_dir, EMBEDDED_ISSUER=False) as front:
        answer = await front.ask("GET", "/.well-known/jwks.json")
        assert answer.json() == {"keys": []}
        refused = await front.ask("GET", "memos", front.user())
        assert (refused.status_code, refused.json()["error"]) == (401, "Invalid or expired token")
