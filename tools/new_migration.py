"""Draft the migration for a change of the tables: python tools/new_migration.py "What it does".

Compares the tables of the code with those the migrations make, writes the difference to
``store/migrations/versions`` and leaves it to a person to read and shape.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config

from store import migrations


async def draft(message: str) -> None:
    """Write the next revision, numbered after the last."""
    number = f"{int(migrations.head() or 0) + 1:04}"

    def compare(config: Config) -> None:
        command.revision(config, message, autogenerate=True, rev_id=number)

    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'draft.db'}"
        await migrations.upgrade(url)
        await migrations.run(url, compare)


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004 - one argument
        raise SystemExit(__doc__)
    asyncio.run(draft(sys.argv[1]))
