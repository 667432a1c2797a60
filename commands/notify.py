"""Mail: whether it arrives."""

from pathlib import Path

import click

from commands.installation import data_option, migrated, settings_of


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
