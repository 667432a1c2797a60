"""Accounts of credits: what somebody has, what is added, given back or found out.

An account is a user's or a space's.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from commands.installation import data_option, json_option, migrated, settings_of

if TYPE_CHECKING:
    from contracts.credits import Balance
    from runtime.settings import Settings

MOST_ROWS: Final = 1000
MOST_UNCERTAIN: Final = 10_000


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
                row.model_dump(mode="json")
                for row in await tx.reservations.uncertain(MOST_UNCERTAIN)
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
            rows = [
                row for row in await tx.reservations.uncertain(MOST_UNCERTAIN) if row.key == key
            ]
            if not rows:
                raise NotFound("No uncertain reservation has that key")
            await tx.reservations.find_out(rows[0], reservation)

    asyncio.run(note())
    said = "is given back within minutes" if reservation else "is closed"
    click.echo(f"{key} {said}", err=True)


def _account(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a command about one account."""
    user = click.option("--user", type=click.UUID, help="Whose account it is; or")
    space = click.option("--space", type=click.UUID, help="the space whose account it is.")
    return data_option(json_option(user(space(command))))


def _change(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a command that changes one."""
    amount = click.option("--amount", type=click.IntRange(min=1), required=True, help="How many.")
    once = "Once per reference [default: a new one each time]."
    return _account(amount(click.option("--reference", help=once)(command)))


def _on_account(
    work: Callable[..., Awaitable[Any]], *, data: Path | None, user: Any, space: Any
) -> Any:
    """What comes of ``work``, which is given a transaction, the owner's id and whether a space."""
    import asyncio

    from contracts.errors import NotFound

    if (user is None) == (space is None):
        raise click.UsageError("Either --user or --space is needed")
    settings = settings_of(data)
    ledger_here(settings)

    async def do() -> Any:
        async with migrated(settings) as database, database.write() as tx:
            if space is not None and await tx.spaces.owner(str(space)) is None:
                raise NotFound("There is no such space")
            return await work(tx.credits, str(space or user), space is not None)

    return asyncio.run(do())


def _changed(
    change: str, *, as_json: bool, amount: int, reference: str | None, **whose: Any
) -> None:
    from uuid import uuid4

    async def work(ledger: Any, owner: str, space: bool) -> Any:  # noqa: FBT001 - one caller
        once = reference or f"cli-{uuid4()}"
        if change == "grant":
            return await ledger.grant(owner, once, amount, "Granted by an operator", space=space)
        return await ledger.refund(owner, once, amount, "Given back by an operator", space=space)

    _tell_balance(_on_account(work, **whose), as_json=as_json)


def _tell_balance(found: "Balance", *, as_json: bool) -> None:
    from api.shapes.credits import BalanceAnswer

    answer = BalanceAnswer(**found.model_dump())
    click.echo(answer.model_dump_json(by_alias=True) if as_json else answer.credits)


@credits.command()
@_change
def grant(**asked: Any) -> None:
    """Give a user or a space credits and print the balance."""
    _changed("grant", **asked)


@credits.command()
@_change
def refund(**asked: Any) -> None:
    """Give back what was charged, never more, and print the balance."""
    _changed("refund", **asked)


@credits.command()
@_account
def balance(*, as_json: bool, **whose: Any) -> None:
    """Print what a user or a space has; with --json what is held of it too."""
    found = _on_account(lambda ledger, owner, space: ledger.balance(owner, space=space), **whose)
    _tell_balance(found, as_json=as_json)


@credits.command()
@click.option("--limit", type=click.IntRange(1, MOST_ROWS), default=50, show_default=True)
@click.option("--cursor", type=click.IntRange(min=1), help="nextCursor of the page before.")
@_account
def transactions(*, as_json: bool, limit: int, cursor: int | None, **whose: Any) -> None:
    """Print the ledger of a user or a space, newest first, and who spent."""
    from api.shapes.credits import SpaceEntryView, SpaceTransactions

    page = _on_account(
        lambda ledger, owner, _: ledger.transactions(owner, limit=limit, after=cursor), **whose
    )
    entries, following = [SpaceEntryView.of(entry) for entry in page.entries], page.next
    if as_json:
        cursor_after = None if following is None else str(following)
        said = SpaceTransactions(transactions=entries, limit=limit, next_cursor=cursor_after)
        click.echo(said.model_dump_json(by_alias=True))
        return
    for one in entries:
        about = (one.operation, one.job_id, one.description, one.user_id)
        click.echo(
            f"{one.created_at}  {one.kind:<8} {one.amount:>7}  " + "  ".join(filter(None, about))
        )
