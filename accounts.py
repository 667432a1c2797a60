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
    from contextlib import AsyncExitStack

    from activities.notification_ports import Notifier
    from runtime.settings import Settings
    from store.database import Database

data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the embedded set-up [default: .voicekeep].",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
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
    database = Database(settings.database_url, starting_credits=settings.credits.starting_credits)
    try:
        yield database
    finally:
        await database.close()


def open_notifier(settings: "Settings", stack: "AsyncExitStack") -> "Notifier":
    """The way out for mail: the notification service, else the mail server, else none."""
    mail = settings.mail
    if mail.notify_url is not None:
        from providers.mana_notify import ManaNotify

        service = ManaNotify(mail.notify_url, settings.services.service_key, mail.app_id)
        stack.push_async_callback(service.aclose)
        return service
    if mail.smtp_host is not None:
        from providers.smtp_mail import SmtpMail, SmtpSetup, SmtpTls

        setup = SmtpSetup(
            host=mail.smtp_host,
            port=mail.smtp_port,
            sender=mail.smtp_from,
            tls=SmtpTls(mail.smtp_tls),
            username=mail.smtp_username,
            password=mail.smtp_password,
            seconds=mail.smtp_timeout_seconds,
        )
        return SmtpMail(setup)
    from providers.mail_log import MailLog

    return MailLog()


@click.group()
def credits() -> None:  # noqa: A001 - the command's name
    """The built-in ledger."""


@credits.command()
@data_option
@click.option("--user", type=click.UUID, required=True, help="Who gets them.")
@click.option("--amount", type=click.IntRange(min=1), required=True, help="How many.")
@click.option("--reference", help="Grant once per reference [default: a new one each time].")
def grant(data: Path | None, user: Any, amount: int, reference: str | None) -> None:
    """Give a user credits and print the balance."""
    import asyncio
    from uuid import uuid4

    settings = settings_of(data)

    async def give() -> int:
        async with migrated(settings) as database, database.write() as tx:
            balance = await tx.credits.grant(
                str(user), reference or f"cli-{uuid4()}", amount, "Granted by an operator"
            )
        return balance.credits

    click.echo(asyncio.run(give()))


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


GROUPS: Final = (credits, notify)
"""Every group of this module, in the order of the help."""
