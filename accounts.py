"""Commands about accounts, and what every command needs: a data folder's settings and database.

One group per noun, named in `GROUPS`; `cli.py` hangs them all into its own. As in `cli.py` each
command imports what it needs when it runs. It reads its options, calls one function and prints what
that answers: the rules are elsewhere.
"""

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runtime.settings import Settings
    from store.database import Database

data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the embedded set-up [default: .voicekeep].",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
MOST_ROWS: Final = 10_000
CENTURY: Final = 100 * 365 * 86_400.0
"""Seconds; what lasts longer is for ever."""

user_option = click.option("--user", type=click.UUID, required=True, help="Whose account it is.")


def settings_of(data: Path | None = None, *, serving: bool = False) -> "Settings":
    """The settings of a command, logging set up: short commands tell warnings and worse only."""
    from runtime import logs, settings

    found = settings.load(**({} if data is None else {"DATA_DIR": data}))
    logs.configure(found.logs, quiet=not serving)
    return found


@asynccontextmanager
async def migrated(settings: "Settings") -> "AsyncIterator[Database]":
    """The database, when its tables are those this version needs."""
    from contracts.errors import Unavailable
    from store import migrations
    from store.database import Database

    revision, head = await migrations.current(settings.database_url), migrations.head()
    if revision != head:
        raise Unavailable(
            f"The database is at revision {revision}, {head} is needed: run `voicekeep migrate`"
        )
    database = Database(settings.database_url, starting_credits=settings.starting_credits)
    try:
        yield database
    finally:
        await database.close()


async def credits_probe(settings: "Settings") -> str:
    """How the service that keeps the credits is, for `voicekeep doctor`.

    Raises:
        NotInUse: there is none.
        Unavailable: it does not answer, or there is something for an operator to find out there.
    """
    from uuid import UUID

    from contracts.errors import Unavailable
    from engines import credits_service
    from runtime.doctor import NotInUse

    service = credits_service(settings)
    if service is None:
        raise NotInUse("the built-in ledger: MANA_CREDITS_URL names a service elsewhere")
    try:
        await service.balance(str(UUID(int=0)))
    finally:
        await service.aclose()
    async with migrated(settings) as database, database.read() as tx:
        uncertain = await tx.reservations.count_uncertain()
    if uncertain:
        raise Unavailable(
            f"{uncertain} reservation(s) may stand there for nobody: `voicekeep credits uncertain`"
        )
    return f"{settings.services.mana_credits_url} answers"


def ledger_here(settings: "Settings") -> None:
    """Let pass what changes an account of the built-in ledger.

    Raises:
        Conflict: ``credits_elsewhere``.
    """
    from contracts.errors import Conflict

    if settings.services.mana_credits_url is not None:
        raise Conflict(
            "MANA_CREDITS_URL names a service that keeps the credits: change them there",
            code="credits_elsewhere",
        )


@click.group()
def credits() -> None:  # noqa: A001 - the command's name
    """The built-in ledger."""


@credits.command()
@data_option
@json_option
def uncertain(*, data: Path | None, as_json: bool) -> None:
    """Print what the credits service may have reserved without our having heard of it."""
    import asyncio
    import json

    settings = settings_of(data)

    async def find() -> list[dict[str, Any]]:
        async with migrated(settings) as database, database.read() as tx:
            return [
                row.model_dump(mode="json") for row in await tx.reservations.uncertain(MOST_ROWS)
            ]

    found = asyncio.run(find())
    if as_json:
        click.echo(json.dumps({"reservations": found}))
        return
    for row in found:
        click.echo(f"{row['key']}  user {row['user_id']}  {row['amount']}  {row['asked_at']}")


@credits.command("found-out")
@data_option
@click.option("--reservation", help="Its id at the service; it is given back.")
@click.argument("key")
def found_out(data: Path | None, key: str, reservation: str | None) -> None:
    """Say what came of an uncertain reservation: none is there, or the one named is given back.

    KEY is the one in the list.
    """
    import asyncio

    from contracts.errors import NotFound

    settings = settings_of(data)

    async def note() -> None:
        async with migrated(settings) as database, database.write() as tx:
            rows = [row for row in await tx.reservations.uncertain(MOST_ROWS) if row.key == key]
            if not rows:
                raise NotFound("No uncertain reservation has that key")
            await tx.reservations.find_out(rows[0], reservation)

    asyncio.run(note())
    said = "is given back within minutes" if reservation else "is closed"
    click.echo(f"{key} {said}", err=True)


@click.group()
def notify() -> None:
    """Mail we send."""


@notify.command("test")
@data_option
@click.option("--to", required=True, help="Address that gets a test mail.")
def test_mail(data: Path | None, to: str) -> None:
    """Send one mail by the way that is set up and print what became of it."""
    import asyncio
    from contextlib import AsyncExitStack
    from uuid import uuid4

    from activities.notifications import Postman
    from contracts.notifications import Mail, NotificationKind, NotificationState, Posted, checked
    from engines import open_notifier

    settings = settings_of(data)
    mail = checked(
        Mail(
            external_id=f"{NotificationKind.TEST}:{uuid4()}",
            kind=NotificationKind.TEST,
            recipient=to,
            subject="Voicekeep can send mail",
            body="This mail was asked for by an operator, to see that mail arrives.\n",
        )
    )

    async def send() -> "Posted | None":
        async with AsyncExitStack() as stack:
            database = await stack.enter_async_context(migrated(settings))
            return await Postman(database, open_notifier(settings, stack)).send(mail)

    posted = asyncio.run(send())
    if posted is None:
        raise click.ClickException("Somebody else has taken the mail up")
    click.echo(posted.state if posted.code is None else f"{posted.state}: {posted.code}")
    if posted.state not in {NotificationState.SENT, NotificationState.LOGGED}:
        raise SystemExit(1)


@click.group()
def keys() -> None:
    """API keys."""


@keys.command()
@data_option
@user_option
@click.option("--name", required=True, help="For its owner, who will see it in the list.")
@click.option("--scope", "scopes", multiple=True, required=True, help="May be repeated.")
@click.option(
    "--expires-in", type=click.FloatRange(1, CENTURY), metavar="SECONDS", help="Else never."
)
def create(
    data: Path | None, user: Any, name: str, scopes: tuple[str, ...], expires_in: float | None
) -> None:
    """Draw an API key and print it: this once, for only a digest of it is kept.

    Scopes: memos:read, memos:write, speech, recordings, credits:read, webhooks; admin is all.
    """
    import asyncio
    from datetime import timedelta

    from contracts.api_keys import draw_key, scopes_of

    settings, wanted = settings_of(data), scopes_of(scopes)
    key, kept = draw_key(settings.tokens.api_key_environment)

    async def keep() -> None:
        async with migrated(settings) as database, database.write() as tx:
            lasts = None if expires_in is None else timedelta(seconds=expires_in)
            expires_at = None if lasts is None else tx.session.now + lasts
            await tx.api_keys.add(str(user), kept, name=name, scopes=wanted, expires_at=expires_at)

    asyncio.run(keep())
    click.echo(key)


@keys.command("list")
@data_option
@json_option
@user_option
def list_keys(*, data: Path | None, as_json: bool, user: Any) -> None:
    """Print a user's API keys, without what would open anything."""
    import asyncio
    import json

    settings = settings_of(data)

    async def find() -> list[dict[str, Any]]:
        async with migrated(settings) as database, database.read() as tx:
            found = await tx.api_keys.list(str(user))
        return [key.model_dump(mode="json") for key in found]

    found = asyncio.run(find())
    if as_json:
        click.echo(json.dumps({"apiKeys": found}))
        return
    for key in found:
        until, used = key["expires_at"] or "never expires", key["last_used_at"] or "never used"
        scopes = ",".join(key["scopes"])
        shown = f"{key['prefix']}…{key['last4']}"
        click.echo("  ".join((key["id"], shown, scopes, until, used, key["name"])))


@keys.command()
@data_option
@user_option
@click.argument("key_id", type=click.UUID)
def revoke(data: Path | None, user: Any, key_id: Any) -> None:
    """Make an API key worthless for good; KEY_ID is the one in the list."""
    import asyncio

    settings = settings_of(data)

    async def forget() -> None:
        async with migrated(settings) as database, database.write() as tx:
            await tx.api_keys.revoke(str(key_id), str(user))

    asyncio.run(forget())
    click.echo(f"{key_id} is revoked", err=True)


@click.command()
@data_option
@json_option
@click.option("--user", type=click.UUID, help="Of this user alone [default: of everybody].")
@click.option("--tier", help="Of this tier alone.")
@click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), help="First day, by UTC.")
@click.option("--to", "last", type=click.DateTime(["%Y-%m-%d"]), help="Last day [default: today].")
@click.option("--by", type=click.Choice(["day", "kind", "tier", "user"]), default="tier")
def usage(
    *, data: Path | None, as_json: bool, user: Any, tier: str | None, first: Any, last: Any, by: str
) -> None:
    """Print what was used of vendors and what that cost, for the last 30 days."""
    import asyncio
    import json
    from datetime import UTC, datetime

    from contracts.costs import UsageBy, shown
    from contracts.periods import period

    settings, today = settings_of(data), datetime.now(UTC).date()
    asked = [None if moment is None else moment.date() for moment in (first, last)]
    days = period(asked[0], asked[1], today=today, most=400)

    async def find() -> list[dict[str, Any]]:
        async with migrated(settings) as database, database.read() as tx:
            owner = None if user is None else str(user)
            found = await tx.usage.calls(
                UsageBy(by), days.since, days.until, user_id=owner, tier=tier
            )
        return [shown(each, settings.costs.currency) for each in found]

    found = asyncio.run(find())
    if as_json:
        click.echo(json.dumps({"from": f"{days.first}", "to": f"{days.last}", "usage": found}))
        return
    for each in found:
        cost = f"{each['amount'] or 'unknown'} {each['currency']}"
        rest = "" if each["complete"] else f" and {each['unpriced']} calls of unknown cost"
        click.echo(f"{each['key']:<36} {each['calls']:>8} calls  {cost}{rest}")


GROUPS: Final[tuple[click.Command, ...]] = (credits, keys, notify, usage)
"""Every group and command of this module, in the order of the help."""
