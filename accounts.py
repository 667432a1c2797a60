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


GROUPS: Final = (credits,)
"""Every group of this module, in the order of the help."""
