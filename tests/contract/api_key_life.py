"""Stored API keys, and everything that is done with them."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table

from contracts.api_keys import Environment, Scope, draw_key
from store.api_key_tables import api_keys

WITHOUT_OWNER: Final = {"whose a key is": "WHERE api_keys.digest = "}


def api_key_rows(row_id: str, owner: str, at: datetime) -> Iterator[tuple[Table, dict[str, Any]]]:
    """One key."""
    _, kept = draw_key(Environment.LIVE)
    yield api_keys, {
        "id": row_id, "user_id": owner, **kept._asdict(), "name": "n", "scopes": "admin",
        "created_at": at,
    }  # fmt: skip


async def live_through_api_keys(tx: Any, user: str) -> None:
    """Every statement of ``tx.api_keys``."""
    _, kept = draw_key(Environment.LIVE)
    key = await tx.api_keys.add(user, kept, name="n", scopes=[Scope.SPEECH])
    assert await tx.api_keys.shown(kept.digest) == key
    await tx.api_keys.list(user)
    await tx.api_keys.used(key.id, user)
    await tx.api_keys.revoke(key.id, user)
