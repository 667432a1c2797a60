"""API keys: drawing, listing and revoking them."""

from pathlib import Path
from typing import Any, Final

import click

from commands.installation import data_option, json_option, migrated, settings_of, user_option

CENTURY: Final = 100 * 365 * 86_400.0
"""Seconds; what lasts longer is for ever."""


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
