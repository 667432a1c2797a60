"""Models that vendors shut down: which are used where, and when that is announced."""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from pydantic import SecretStr

from contracts.values import Value


class ModelServer(Value):
    """A server of OpenAI's API, and the models that are asked for there.

    Attributes:
        key: empty for a server that wants none.
        url: none means the vendor's own.
    """

    key: SecretStr
    url: str | None = None
    models: tuple[str, ...] = ()


def by_server(servers: Iterable[ModelServer]) -> tuple[ModelServer, ...]:
    """Those of one address and key as one: each server is asked once."""
    found: dict[tuple[str, str | None], ModelServer] = {}
    for server in servers:
        place = (server.key.get_secret_value(), server.url)
        known = found[place].models if place in found else ()
        models = tuple(dict.fromkeys((*known, *server.models)))
        found[place] = server.model_copy(update={"models": models})
    return tuple(found.values())


def shutdown_dates(listed: Any, models: Collection[str]) -> Mapping[str, date]:
    """Dates of these models in the answer to ``GET /v1/models``; those without one are left out.

    The field ``shutdown_date`` is read as a date, a time, or seconds since 1970; what is none of
    them says nothing.
    """
    entries = listed.get("data") if isinstance(listed, dict) else None
    found = {}
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("id") in models:
            day = _date(entry.get("shutdown_date"))
            if day is not None:
                found[str(entry["id"])] = day
    return found


def _date(told: Any) -> date | None:
    try:
        if isinstance(told, str):
            return datetime.fromisoformat(told).date()
        if isinstance(told, int) and not isinstance(told, bool) and told > 0:
            return datetime.fromtimestamp(told, UTC).date()
    except (ValueError, OverflowError, OSError):
        return None
    return None
