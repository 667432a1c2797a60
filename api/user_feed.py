"""Events of all jobs of a user, to everybody who watches: one poller for all of a process.

A tick asks for the latest event of every user who watches in one statement, and reads events only
of users where there are new ones. A watcher that does not keep up is given no more until it has
read what it has: nothing is lost by that, and nothing heaps up.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from api.measures import Measures
from api.poller import AWAY_SECONDS, TICK_SECONDS, Poller
from contracts.errors import TooManyRequests
from contracts.jobs import UserEvent

if TYPE_CHECKING:
    from store.database import Database
    from store.user_events import Newest

MOST_BEHIND: Final = 1000
"""Events a client may have missed; one that missed more is told to read everything anew."""

FIRST_SECONDS: Final = 300.0
"""Without an id a stream begins so long ago: a client that lost its connection before it had seen
any event misses none, and one that asks for its lists first misses nothing in between."""

STREAMS: Final = 10
"""Of one user in one process at once."""

PAGE: Final = 500
QUEUE: Final = 200
_LONGEST_ID: Final = 18


class Place(NamedTuple):
    """Where a stream begins.

    Attributes:
        after: the id of the last event that is not sent.
        reset: why the client has to read everything anew: ``unknown`` (no id of ours) or
            ``too_old``; none when it has not.
    """

    after: int
    reset: str | None = None


def place(
    last_event_id: str | None, newest: "Sequence[Newest]", last_id: int, now: datetime
) -> Place:
    """Where a stream begins for a client that has seen up to an id.

    Args:
        newest: the user's latest events, the latest first, one more than may be missed.
        last_id: of the latest event of anybody.
    """
    latest = newest[0].id if newest else 0
    if not last_event_id:
        begin = now - timedelta(seconds=FIRST_SECONDS)
        recent = [event.id for event in newest[:MOST_BEHIND] if event.at >= begin]
        return Place(min(recent) - 1 if recent else latest)
    if not _is_number(last_event_id) or int(last_event_id) > last_id:
        return Place(latest, "unknown")
    seen = int(last_event_id)
    if sum(event.id > seen for event in newest) > MOST_BEHIND:
        return Place(latest, "too_old")
    return Place(seen)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _LONGEST_ID


class _Watcher:
    def __init__(self, user_id: str, seen: int) -> None:
        self.user_id = user_id
        self.seen = seen
        # None: the process ends.
        self.queue: asyncio.Queue[UserEvent | None] = asyncio.Queue()

    @property
    def keeps_up(self) -> bool:
        return self.queue.qsize() < QUEUE

    def give(self, event: UserEvent) -> None:
        if event.id > self.seen and self.keeps_up:
            self.seen = event.id
            self.queue.put_nowait(event)


class UserFeed(Poller):
    """Serves the events of users to any number of watchers.

    Args:
        database: read only while somebody watches.
        measures: counts the watchers.
        seconds: how long one stream lasts.
        tick: seconds between two looks.
        away: seconds until the next look at a database that does not answer.
    """

    def __init__(
        self,
        database: "Database",
        measures: Measures,
        seconds: float,
        *,
        tick: float = TICK_SECONDS,
        away: float = AWAY_SECONDS,
    ) -> None:
        super().__init__(tick=tick, away=away)
        self._database = database
        self._measures = measures
        self._seconds = seconds
        self._watchers: defaultdict[str, set[_Watcher]] = defaultdict(set)

    def _watched(self) -> int:
        return len(self._watchers)

    def _dismiss(self) -> None:
        for watcher in self._all():
            watcher.queue.put_nowait(None)

    async def begin(self, user_id: str, last_event_id: str | None) -> Place:
        """Where a stream of this user begins.

        Raises:
            TooManyRequests: ``too_many_streams``, so many are open.
        """
        self._check(user_id)
        async with self._database.read() as tx:
            newest = await tx.user_events.newest(user_id, MOST_BEHIND + 1)
            last_id = await tx.user_events.last_id()
            return place(last_event_id, newest, last_id, tx.session.now)

    async def watch(self, user_id: str, after: int) -> AsyncGenerator[UserEvent, None]:
        """Events of the user's jobs from the one after ``after`` on, until its time is over.

        Raises:
            TooManyRequests: ``too_many_streams``.
        """
        end = time.monotonic() + self._seconds
        async with self._watching(user_id, after) as watcher:
            while (left := end - time.monotonic()) > 0:
                try:
                    event = await asyncio.wait_for(watcher.queue.get(), left)
                except TimeoutError:
                    return
                if event is None:
                    return
                yield event

    def _check(self, user_id: str) -> None:
        if len(self._watchers.get(user_id, ())) >= STREAMS:
            message = f"There are {STREAMS} event streams of this user already"
            raise TooManyRequests(message, code="too_many_streams", retry_after=AWAY_SECONDS)

    def _all(self) -> list[_Watcher]:
        return [watcher for watchers in self._watchers.values() for watcher in watchers]

    @asynccontextmanager
    async def _watching(self, user_id: str, after: int) -> AsyncIterator[_Watcher]:
        self._check(user_id)
        watcher = _Watcher(user_id, after)
        self._watchers[user_id].add(watcher)
        self._measures.watchers.inc()
        self.wake()
        try:
            yield watcher
        finally:
            self._watchers[user_id].discard(watcher)
            if not self._watchers[user_id]:
                del self._watchers[user_id]
            self._measures.watchers.dec()

    async def _look(self) -> None:
        seen = {
            user_id: min(watcher.seen for watcher in waiting)
            for user_id, watchers in self._watchers.items()
            if (waiting := [watcher for watcher in watchers if watcher.keeps_up])
        }
        async with self._database.read() as tx:
            latest = await tx.user_events.latest(seen)
            grown = {user: last for user, last in seen.items() if latest.get(user, 0) > last}
            events = await tx.user_events.after(grown, PAGE)
        for event in events:
            for watcher in self._watchers.get(event.user_id, ()):
                watcher.give(event)
        if len(events) == PAGE:
            self.wake()
