"""Job events, from the database to whoever watches: one poller for all watchers of a process.

A tick asks for the latest event number of every watched job in one statement, and reads events only
of jobs where it has grown. Without watchers nothing is asked.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from api.measures import Measures
from api.poller import AWAY_SECONDS, TICK_SECONDS, Poller
from contracts.jobs import EventType, JobEvent

if TYPE_CHECKING:
    from store.database import Database


class _Watcher:
    def __init__(self, job_id: str, user_id: str, seen: int) -> None:
        self.job_id = job_id
        self.user_id = user_id
        self.seen = seen
        # An event and whether it is the last there will be; none: the job is gone.
        self.queue: asyncio.Queue[tuple[JobEvent, bool] | None] = asyncio.Queue()

    def give(self, events: Iterable[JobEvent], latest: int) -> None:
        """Hand over the events not seen yet; they come in the order of their numbers."""
        for event in events:
            if event.seq > self.seen:
                self.seen = event.seq
                last = event.type is EventType.DONE and event.seq >= latest
                self.queue.put_nowait((event, last))


class EventFeed(Poller):
    """Serves the events of jobs to any number of watchers.

    Args:
        database: read only while somebody watches.
        measures: counts the watchers.
        tick: seconds between two looks.
        away: seconds until the next look at a database that does not answer.
    """

    def __init__(
        self,
        database: "Database",
        measures: Measures,
        *,
        tick: float = TICK_SECONDS,
        away: float = AWAY_SECONDS,
    ) -> None:
        super().__init__(tick=tick, away=away)
        self._database = database
        self._measures = measures
        self._watchers: set[_Watcher] = set()

    def _watched(self) -> int:
        return len(self._watchers)

    def _dismiss(self) -> None:
        for watcher in self._watchers:
            watcher.queue.put_nowait(None)

    async def watch(self, job_id: str, user_id: str, after: int) -> AsyncGenerator[JobEvent, None]:
        """Events of a job the user owns, from the one after ``after`` up to the last.

        Ends after the ``done`` event that nothing follows, or when the job is erased.
        """
        async with self._watching(job_id, user_id, after) as watcher:
            while (given := await watcher.queue.get()) is not None:
                event, last = given
                yield event
                if last:
                    return

    @asynccontextmanager
    async def _watching(self, job_id: str, user_id: str, after: int) -> AsyncIterator[_Watcher]:
        watcher = _Watcher(job_id, user_id, after)
        self._watchers.add(watcher)
        self._measures.watchers.inc()
        self.wake()
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            self._measures.watchers.dec()

    async def _look(self) -> None:
        by_job: defaultdict[str, list[_Watcher]] = defaultdict(list)
        for watcher in self._watchers:
            by_job[watcher.job_id].append(watcher)
        async with self._database.read() as tx:
            latest = await tx.jobs.event_seqs(list(by_job))
            grown: defaultdict[str, dict[str, int]] = defaultdict(dict)
            for job_id, watchers in by_job.items():
                if job_id not in latest:
                    for watcher in watchers:
                        watcher.queue.put_nowait(None)
                    continue
                for watcher in watchers:
                    if watcher.seen < latest[job_id]:
                        seen = grown[watcher.user_id]
                        seen[job_id] = min(seen.get(job_id, watcher.seen), watcher.seen)
            for user_id, seen in grown.items():
                for event in await tx.jobs.events_after(seen, user_id):
                    for watcher in by_job[event.job_id]:
                        watcher.give([event], latest[event.job_id])
