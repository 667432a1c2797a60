"""A slow-loris endpoint beside 99 healthy ones: how long the healthy ones wait for their events.

Both sides are the product's own worker, server and database; the anchor has no slow endpoint. A
sample is the time from the start of a delivery until its request is at its endpoint.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from activities.webhooks import MOST_AT_ONCE
from benchmarks.measure import Row, Samples, by_turns, milliseconds, p50, p99, ratio_row
from benchmarks.stack import Stack, stack
from contracts.ids import WEBHOOK_DELIVERY, webhook_job
from contracts.webhooks import Delivery, DeliveryJob, TestData, WebhookEvent, new_secret
from runtime.settings import load
from runtime.temporal import connect
from runtime.temporal_jobs import TemporalJobs
from store.database import Database

HEALTHY: Final = 99
EVENTS: Final = 2
AT_ONCE: Final = 4
WARM_UP: Final = 20
SLOW_EVENTS: Final = 3 * MOST_AT_ONCE
DRIP_SECONDS: Final = 1.0


def run(rounds: int) -> list[Row]:
    """The rows of this benchmark."""
    with stack() as made:
        made.env["EGRESS_ALLOW"] = "127.0.0.1/32"
        made.run("migrate")
        made.start_temporal()
        made.start_module("instant_worker")
        return asyncio.run(_rows(made, rounds))


class Receivers:
    """Every endpoint: healthy ones answer 204 at once, the slow one drips a header for ever."""

    def __init__(self) -> None:
        self.arrived: dict[str, asyncio.Future[float]] = {}
        self.dripping = 0
        self.busy = asyncio.Event()
        self._enough = asyncio.Event()

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """Their common address."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            yield f"http://127.0.0.1:{port}"

    def let_go(self) -> None:
        """End every slow answer."""
        self.busy.clear()
        self._enough.set()
        self._enough = asyncio.Event()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at_once = time.perf_counter()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        if " /slow " in head.partition("\r\n")[0]:
            await self._drip(writer)
            return
        fields = dict(line.split(": ", 1) for line in head.lower().split("\r\n")[1:] if line)
        await reader.readexactly(int(fields["content-length"]))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        self.arrived.pop(fields["webhook-id"]).set_result(at_once)

    async def _drip(self, writer: asyncio.StreamWriter) -> None:
        enough = self._enough
        self.dripping += 1
        if self.dripping == MOST_AT_ONCE:
            self.busy.set()
        writer.write(b"HTTP/1.1 200 OK\r\n")
        with suppress(ConnectionError):
            while not enough.is_set():
                writer.write(b"x-slow: 1\r\n")
                await writer.drain()
                with suppress(TimeoutError):
                    await asyncio.wait_for(enough.wait(), DRIP_SECONDS)
        self.dripping -= 1
        writer.close()


class Post:
    """Writes messages and starts their deliveries, as the API does for a test event."""

    def __init__(self, database: Database, jobs: TemporalJobs, receivers: Receivers) -> None:
        self._database = database
        self._jobs = jobs
        self._receivers = receivers

    async def endpoint(self, url: str) -> tuple[str, str]:
        """A user with this endpoint: both ids."""
        user = str(uuid.uuid4())
        async with self._database.write() as tx:
            added = await tx.webhook_endpoints.add(user, url, f"plain:{new_secret()}")
        return user, added.id

    async def forget(self, user: str, endpoint: str) -> None:
        """Remove an endpoint: its deliveries end with their next attempt."""
        async with self._database.write() as tx:
            await tx.webhook_endpoints.remove(endpoint, user)

    async def start(self, user: str, endpoint: str) -> Delivery:
        """A message is written and its delivery started."""
        async with self._database.write() as tx:
            (delivery,) = await tx.webhooks.announce_to(
                user,
                endpoint,
                WebhookEvent.TEST,
                TestData(endpoint_id=endpoint),
                subject=str(uuid.uuid4()),
            )
        self._receivers.arrived[delivery.event_id] = asyncio.get_running_loop().create_future()
        request = DeliveryJob(delivery=delivery).model_dump(mode="json")
        await self._jobs.start(WEBHOOK_DELIVERY, webhook_job(delivery.id), user, request)
        return delivery

    async def timed(self, user: str, endpoint: str) -> float:
        """Seconds from the start of a delivery until it arrives."""
        begun = time.perf_counter()
        delivery = await self.start(user, endpoint)
        arrived = self._receivers.arrived.get(delivery.event_id)
        return (await arrived if arrived is not None else time.perf_counter()) - begun


async def _rows(made: Stack, rounds: int) -> list[Row]:
    settings = load(None, **made.env)
    receivers = Receivers()
    database = Database(f"sqlite:///{made.folder / 'voicekeep.db'}")
    post = Post(database, TemporalJobs(await connect(settings.temporal, env=made.env)), receivers)
    async with receivers.served() as url:
        healthy = [await post.endpoint(f"{url}/{number}") for number in range(HEALTHY)]

        async def alone() -> Samples:
            return await _all(post, healthy)

        async def beside() -> Samples:
            slow = await post.endpoint(f"{url}/slow")
            for _ in range(SLOW_EVENTS):
                await post.start(*slow)
            await receivers.busy.wait()
            samples = await _all(post, healthy)
            await post.forget(*slow)
            receivers.let_go()
            return samples

        await _all(post, healthy[:WARM_UP])
        found = await by_turns(rounds, alone, beside)
    await database.close()
    what = f"webhook to one of {HEALTHY} healthy endpoints, a slow one beside them"
    return [
        ratio_row(f"{what}, p50", found, p50, milliseconds),
        ratio_row(f"{what}, p99", found, p99, milliseconds, most=1.2),
    ]


async def _all(post: Post, endpoints: Sequence[tuple[str, str]]) -> Samples:
    """Some events for each of them, so many at a time."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(user: str, endpoint: str) -> float:
        async with places:
            return await post.timed(user, endpoint)

    return await asyncio.gather(*(one(*each) for each in endpoints for _ in range(EVENTS)))
