"""Commands about accounts of credits: what somebody has, what is added and given back.

They hang in the group ``credits`` of ``accounts.py``. An account is a user's or a space's. As in
``cli.py`` each command imports what it needs when it runs.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from accounts import credits as group
from accounts import data_option, json_option, ledger_here, migrated, settings_of

if TYPE_CHECKING:
    from contracts.credits import Balance

__all__ = ["group"]

MOST_ROWS = 1000


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


@group.command()
@_change
def grant(**asked: Any) -> None:
    """Give a user or a space credits and print the balance."""
    _changed("grant", **asked)


@group.command()
@_change
def refund(**asked: Any) -> None:
    """Give back what was charged, never more, and print the balance."""
    _changed("refund", **asked)


@group.command()
@_account
def balance(*, as_json: bool, **whose: Any) -> None:
    """Print what a user or a space has; with --json what is held of it too."""
    found = _on_account(lambda ledger, owner, space: ledger.balance(owner, space=space), **whose)
    _tell_balance(found, as_json=as_json)


@group.command()
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
