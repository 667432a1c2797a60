"""What was used of vendors, and what it cost."""

from pathlib import Path
from typing import Any

import click

from commands.installation import data_option, json_option, migrated, settings_of


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
