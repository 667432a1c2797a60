"""Commands about webhooks: an operator's look at what was sent, and sending it again.

They work on the database of a folder, or of DATABASE_URL, and start deliveries through Temporal as
the HTTP API does.
"""

from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from commands.installation import data_option, json_option, migrated, settings_of, user_option

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from api.shapes.fields import Answer
    from api.shapes.webhooks import MessageView
    from contracts.webhooks import Delivery
    from runtime.settings import Settings
    from runtime.temporal_jobs import TemporalJobs
    from store.database import Database

DEFAULT_LIMIT: Final = 50
MOST: Final = 100
TIMES: Final = ("%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d")

endpoint_option = click.option("--endpoint", type=click.UUID, help="Of this endpoint alone.")


@click.group()
def webhooks() -> None:
    """Webhooks that were sent, and sending them again."""


@webhooks.command()
@data_option
@json_option
@user_option
def endpoints(*, data: Path | None, as_json: bool, user: Any) -> None:
    """Print where a user's events are sent, without secrets."""
    import asyncio

    from api.shapes.webhooks import EndpointList, EndpointView

    settings = settings_of(data)

    async def find() -> EndpointList:
        async with migrated(settings) as database, database.read() as tx:
            found = await tx.webhook_endpoints.list(str(user))
        return EndpointList(endpoints=[EndpointView.of(endpoint) for endpoint in found])

    found = asyncio.run(find())
    if as_json:
        _print(found)
        return
    for endpoint in found.endpoints:
        state = "on" if endpoint.enabled else f"off ({endpoint.disabled_reason or 'by its owner'})"
        wanted = ",".join(endpoint.events) or "every event"
        click.echo(f"{endpoint.id}  {state}  {wanted}  {endpoint.url}")


@webhooks.command("list")
@data_option
@json_option
@user_option
@endpoint_option
@click.option(
    "--status", type=click.Choice(["pending", "delivered", "dead"]), help="`dead`: dead letters."
)
@click.option("--limit", type=click.IntRange(1, MOST), default=DEFAULT_LIMIT, show_default=True)
@click.option("--cursor", help="The page after the one that printed it.")
def list_messages(
    *,
    data: Path | None,
    as_json: bool,
    user: Any,
    endpoint: Any,
    status: str | None,
    limit: int,
    cursor: str | None,
) -> None:
    """Print the messages of a user, newest first."""
    import asyncio

    from api.shapes.webhooks import MessageList, MessageView
    from contracts.paging import Cursor
    from contracts.webhooks import MessageState

    settings = settings_of(data)

    async def find() -> MessageList:
        async with migrated(settings) as database, database.read() as tx:
            found, following = await tx.webhook_messages.page(
                str(user),
                endpoint_id=None if endpoint is None else str(endpoint),
                state=None if status is None else MessageState(status),
                after=None if cursor is None else Cursor.decode(cursor),
                limit=limit,
            )
        return MessageList(
            messages=[MessageView.of(message) for message in found],
            limit=limit,
            next_cursor=following.encode() if following else None,
        )

    page = asyncio.run(find())
    if as_json:
        _print(page)
        return
    for message in page.messages:
        click.echo(_line(message))
    if page.next_cursor:
        click.echo(f"more: --cursor {page.next_cursor}", err=True)


@webhooks.command()
@data_option
@json_option
@user_option
@click.argument("message")
def show(*, data: Path | None, as_json: bool, user: Any, message: str) -> None:
    """Print a message, its body and every attempt to deliver it."""
    import asyncio
    import json

    from api.shapes.webhooks import MessageAttemptView, MessageView, OneMessage

    settings, delivery = settings_of(data), _delivery(message, user)

    async def find() -> OneMessage:
        async with migrated(settings) as database, database.read() as tx:
            found = await tx.webhook_messages.find(delivery)
            attempts = await tx.webhook_messages.attempts(delivery)
        return OneMessage(
            message=MessageView.of(found),
            attempts=[MessageAttemptView.of(attempt) for attempt in attempts],
        )

    found = asyncio.run(find())
    if as_json:
        _print(found)
        return
    click.echo(_line(found.message))
    click.echo(json.dumps(found.message.body, ensure_ascii=False))
    for attempt in found.attempts:
        said = attempt.code or "delivered"
        answered = attempt.status or "no answer"
        click.echo(f"{attempt.number}  {attempt.at}  {attempt.seconds:.3f} s  {answered}  {said}")


@webhooks.command()
@data_option
@json_option
@user_option
@endpoint_option
@click.option("--from", "start", type=click.DateTime(TIMES), help="Written then or later; UTC.")
@click.option("--to", "end", type=click.DateTime(TIMES), help="Written before then; UTC.")
@click.argument("messages", nargs=-1, metavar="[MESSAGE]...")
def replay(
    *,
    data: Path | None,
    as_json: bool,
    user: Any,
    endpoint: Any,
    start: datetime | None,
    end: datetime | None,
    messages: tuple[str, ...],
) -> None:
    """Send messages again: those named now, or all of an endpoint's that were written in a time.

    Delivered ones too, each with the `webhook-id` it had. Those of a time go out within a minute
    or two.
    """
    import asyncio

    ranged = (endpoint, start, end)
    if (messages and any(ranged)) or (not messages and not all(ranged)):
        raise click.UsageError("Name messages, or --endpoint, --from and --to.")
    settings = settings_of(data)
    deliveries = [_delivery(message, user) for message in messages]

    async def send() -> int:
        async with _posting(settings) as (database, jobs):
            if start is not None and end is not None:
                return await _revive_range(database, str(user), str(endpoint), start, end)
            return await _revive(database, jobs, deliveries)

    count = asyncio.run(send())
    _tell({"messages": count}, f"{count} to be sent", as_json=as_json)


@webhooks.command()
@data_option
@json_option
@user_option
@click.argument("endpoint", type=click.UUID)
def test(*, data: Path | None, as_json: bool, user: Any, endpoint: Any) -> None:
    """Send `webhook.test` to an endpoint, also when it is off, and print the message's id."""
    import asyncio

    from api.webhook_delivery import announce_test, send_now

    settings = settings_of(data)

    async def send() -> str:
        async with _posting(settings) as (database, jobs):
            async with database.write() as tx:
                delivery = await announce_test(tx, str(user), str(endpoint))
            await send_now(jobs, delivery)
        return delivery.id

    message = asyncio.run(send())
    _tell({"messageId": message, "status": "pending"}, message, as_json=as_json)


async def _revive(database: "Database", jobs: "TemporalJobs", deliveries: "list[Delivery]") -> int:
    """All of them or, when one is not there, none."""
    from api.webhook_delivery import send_all

    async with database.write() as tx:
        for delivery in deliveries:
            await tx.webhooks.revive(delivery)
    await send_all(jobs, deliveries)
    return len(deliveries)


async def _revive_range(
    database: "Database", user: str, endpoint: str, start: datetime, end: datetime
) -> int:
    from datetime import UTC

    zoned = [at if at.tzinfo else at.replace(tzinfo=UTC) for at in (start, end)]
    async with database.write() as tx:
        await tx.webhook_endpoints.find(endpoint, user)
        return await tx.webhook_messages.revive_range(user, endpoint, *zoned)


@asynccontextmanager
async def _posting(
    settings: "Settings",
) -> "AsyncIterator[tuple[Database, TemporalJobs]]":
    """The database, and the Temporal server deliveries are started at."""
    from runtime.temporal import connect
    from runtime.temporal_jobs import TemporalJobs
    from runtime.whereabouts import temporal_of

    client = await connect(temporal_of(settings), lazy=True)
    async with migrated(settings) as database:
        yield database, TemporalJobs(client)


def _delivery(message: str, user: Any) -> "Delivery":
    from contracts.webhooks import Delivery, delivery_of

    event, endpoint = delivery_of(message)
    return Delivery(event_id=event, endpoint_id=endpoint, user_id=str(user))


def _line(message: "MessageView") -> str:
    due = f", due {message.next_attempt_at}" if message.next_attempt_at else ""
    return f"{message.id}  {message.created_at}  {message.type}  {message.status}{due}"


def _print(answer: "Answer") -> None:
    click.echo(answer.model_dump_json(by_alias=True))


def _tell(answer: dict[str, Any], text: str, *, as_json: bool) -> None:
    import json

    click.echo(json.dumps({"success": True, **answer}) if as_json else text)
