"""Two API processes on one Postgres: a principal has one rate, whichever of them is asked."""

import asyncio
from collections import Counter
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.api.front import API
from tests.api.processes import api_processes, user_of
from tests.postgres import PostgresServer

pytestmark = pytest.mark.postgres
LIMIT = 25


async def test_however_requests_are_spread_over_processes_the_sum_is_bounded(
    postgres: PostgresServer, migrated_postgres: str, tmp_path: Path
) -> None:
    name = await postgres.create_database(migrated_postgres)
    settings = {
        "DATABASE_URL": postgres.url(name),
        "RATE_LIMIT_PER_MINUTE": str(LIMIT),
        # However slow the machine is: what is looked at is the count.
        "RATE_LIMIT_WAIT_SECONDS": "30",
    }
    async with (
        api_processes(tmp_path, 2, **settings) as processes,
        httpx.AsyncClient(timeout=60) as client,
    ):
        anna, ben = (user_of(tmp_path, str(uuid4())) for _ in range(2))
        urls = [f"{process.url}{API}/credits/balance" for process in processes] * 30
        answers = await asyncio.gather(*(client.get(url, headers=anna.headers) for url in urls))
        codes = Counter(answer.status_code for answer in answers)
        assert codes == {200: LIMIT, 429: len(urls) - LIMIT}
        assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {str(LIMIT)}
        for url in urls[:2]:
            refused = await client.get(url, headers=anna.headers)
            assert refused.json()["code"] == "rate_limited"
            assert int(refused.headers["Retry-After"]) > 0
            assert (await client.get(url, headers=ben.headers)).status_code == 200
    await postgres.drop_database(name)
