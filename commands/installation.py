"""What every command needs: the settings and the database of an installation, and their options.

In this package, as in ``cli.py``, a command imports what it needs when it runs. It reads its
options, calls one function and prints what that answers: the rules are elsewhere.
"""

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

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
    database = Database(settings.database_url, starting_credits=settings.starting_credits)
    try:
        yield database
    finally:
        await database.close()
