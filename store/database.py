"""Transactions over SQLite or Postgres, and the nouns inside them.

``write()`` may write and commits when its block ends; ``read()`` sees one state of the database and
cannot write. On SQLite all writing of a process goes through one connection, in turn.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from sqlalchemy import URL, Engine, make_url, text
from sqlalchemy.exc import ArgumentError

from contracts.errors import InvalidInput
from contracts.jobs import ToldEvent
from store import postgres, sqlite
from store.addresses import Addresses
from store.api_keys import ApiKeys
from store.attempts import Attempts
from store.blueprints import Blueprints
from store.budgets import Budgets
from store.credits import Credits
from store.failures import as_ours
from store.idempotency import Idempotency
from store.jobs import Jobs
from store.language import Language
from store.media import Media
from store.memories import Memories
from store.memos import Memos
from store.notifications import Notifications
from store.outside import Outside
from store.profiles import Profiles
from store.reservations import Reservations
from store.secrets import Secrets
from store.session import Opened, Session
from store.spaces import Spaces
from store.speech import Speech
from store.told_events import ToldEvents
from store.transcripts import Transcripts
from store.turns import Turns
from store.uploads import Uploads
from store.usage import UsageSums
from store.user_events import UserEvents
from store.vendor_jobs import VendorJobs
from store.webhook_endpoints import WebhookEndpoints
from store.webhook_messages import WebhookMessages
from store.webhooks import Webhooks

STARTING_CREDITS: Final = 150


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


def _nobody(events: Sequence[ToldEvent]) -> None:
    """Who is told of events where nobody wants to be."""


class Transaction:
    """The nouns of one transaction: all that is written happens, or none of it.

    Attributes:
        session: for statements of ``store`` that belong to no noun.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.memos = Memos(session)
        self.told = ToldEvents(session)
        self.jobs = Jobs(session, self.memos, self.told)
        self.user_events = UserEvents(session)
        self.notifications = Notifications(session)
        self.attempts = Attempts(session)
        self.transcripts = Transcripts(session, self.memos)
        self.credits = Credits(session)
        self.reservations = Reservations(session)
        self.media = Media(session)
        self.addresses = Addresses(session)
        self.secrets = Secrets(session)
        self.outside = Outside(session)
        self.vendor_jobs = VendorJobs(session)
        self.spaces = Spaces(session)
        self.profiles = Profiles(session)
        self.blueprints = Blueprints(session)
        self.language = Language(session)
        self.memories = Memories(session)
        self.idempotency = Idempotency(session)
        self.api_keys = ApiKeys(session)
        self.webhook_endpoints = WebhookEndpoints(session)
        self.webhooks = Webhooks(session)
        self.webhook_messages = WebhookMessages(session)
        self.uploads = Uploads(session)
        self.speech = Speech(session)
        self.usage = UsageSums(session)
        self.budgets = Budgets(session)


class Door(Protocol):
    """What lets so many at once to a database."""

    @property
    def engine(self) -> Engine:
        """For whoever watches statements."""

    def connected(self) -> AbstractAsyncContextManager[Opened]:
        """A connection, open for one transaction; rolled back when it was not committed."""

    async def close(self) -> None:
        """Close every connection."""


class Database:
    """Where rows are kept.

    Args:
        url: ``sqlite:///path`` or ``postgresql://…``; a driver in it is ignored.
        starting_credits: balance of a user seen for the first time.
        readers: connections for reading (SQLite), connections in all (Postgres).
        wait_seconds: how long a transaction waits for a connection.
        statement_seconds: how long one statement may take (Postgres).
        busy_seconds: how long another process may keep us from writing (SQLite).
        pooler: the server is a transaction pooler; by default when the port is Supabase's for it.
        clock: gives the time, with its zone.

    Nothing is opened before it is used, so it can be made while the database is away.

    Raises:
        InvalidInput: ``invalid_setting``, the address is of neither kind.
    """

    def __init__(
        self,
        url: str,
        *,
        starting_credits: int = STARTING_CREDITS,
        readers: int = 4,
        wait_seconds: float = 10.0,
        statement_seconds: float = postgres.STATEMENT_SECONDS,
        busy_seconds: float = sqlite.BUSY_SECONDS,
        pooler: bool | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._starting_credits = starting_credits
        self._clock = clock
        self._committed: Callable[[Sequence[ToldEvent]], None] = _nobody
        parsed = parse_url(url)
        if parsed.get_backend_name() == "sqlite":
            path = sqlite_path(parsed)
            self._writing: Door = sqlite.writers(path, wait_seconds, busy_seconds)
            self._reading: Door = sqlite.readers(path, readers, wait_seconds, busy_seconds)
        else:
            engine = postgres.engine(
                parsed, size=readers, pooler=pooler, statement_seconds=statement_seconds
            )
            self._writing = door = postgres.Door(engine, Turns(readers, wait_seconds))
            # The same connections; each says with its BEGIN what it is for.
            self._reading = door.with_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )

    @property
    def engines(self) -> tuple[Engine, ...]:
        """The engines, for whoever watches statements."""
        shared = self._writing.engine.pool is self._reading.engine.pool
        return (self._writing.engine, *(() if shared else (self._reading.engine,)))

    def tell(self, committed: Callable[[Sequence[ToldEvent]], None]) -> None:
        """Hand the job events of each transaction to somebody, after it was committed.

        Args:
            committed: must neither wait nor raise.
        """
        self._committed = committed

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Transaction]:
        """A transaction that may write; commits when the block ends, rolls back when it raises.

        Raises:
            Unavailable: the database does not answer.
        """
        async with self._writing.connected() as connection:
            transaction = Transaction(self._session(connection, writes=True))
            yield transaction
            await transaction.told.write()
            with as_ours():
                await connection.commit()
        if transaction.told.events:
            self._committed(transaction.told.events)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        """A transaction that only reads.

        Raises:
            Unavailable: the database does not answer.
        """
        async with self._reading.connected() as connection:
            yield Transaction(self._session(connection, writes=False))

    def _session(self, connection: Opened, *, writes: bool) -> Session:
        return Session(
            connection,
            writes=writes,
            clock=self._clock,
            starting_credits=self._starting_credits,
        )

    async def ping(self) -> None:
        """Ask the database for nothing.

        Raises:
            Unavailable: it does not answer.
        """
        async with self._reading.connected() as connection:
            with as_ours():
                await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close every connection."""
        await self._reading.close()
        await self._writing.close()


def parse_url(url: str) -> URL:
    """Read a database address.

    Raises:
        InvalidInput: ``invalid_setting``; the message does not repeat the address.
    """
    refusal = InvalidInput(
        "DATABASE_URL must be sqlite:///path or postgresql://…", code="invalid_setting"
    )
    try:
        parsed = make_url(url.replace("postgres://", "postgresql://", 1))
    except ArgumentError:
        raise refusal from None
    backend = parsed.get_backend_name()
    if backend not in {"sqlite", "postgresql"} or (backend == "sqlite" and not parsed.database):
        raise refusal
    return parsed


def is_shared(url: str) -> bool:
    """Whether processes of several machines may be at work on the database of this address."""
    return parse_url(url).get_backend_name() == "postgresql"


def sqlite_path(url: URL) -> Path:
    """The file of a ``sqlite://`` address."""
    return Path(str(url.database))
