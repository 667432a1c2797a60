"""Everybody who can come to a route, right or wrong."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import delete

from api.admission import API_KEY_HEADER
from api.principals import CRON_HEADER, SERVICE_HEADER
from contracts.api_keys import Environment, Scope, draw_key
from store.schema import space_members
from tests.api.front import Front, User
from tests.security.things import Things

SERVICE: Final = "service-key-of-a-test"
CRON: Final = "cron-key-of-a-test"
EVERY_KEY: Final[Mapping[str, Any]] = {
    "SERVICE_KEY": SERVICE,
    "INTERNAL_API_KEY": CRON,
    "AZURE_SPEECH_WEBHOOK_SECRET": "secret-of-a-test",
    "AZURE_EVENTS_KEY": "events-key-of-a-test",
}

Caller = Mapping[str, str]
"""The headers somebody sends."""


def strangers(front: Front, owner: User) -> dict[str, Caller]:
    """Those who show nothing that is believed, although they name the owner."""
    return {
        "anonymous": {},
        "garbage": {"Authorization": "Bearer garbage"},
        "expired": front.user(owner.id, expires_in=-60).headers,
        "audience": front.user(owner.id, audience="somebody-else").headers,
    }


async def users(front: Front, owner: User, things: Things) -> dict[str, Caller]:
    """Another user, a former and a present member of the owner's space, the owner."""
    other, former, member = front.user(), front.user(), front.user()
    await share(front, things, member, former)
    await leave(front, things, former)
    return {
        "other": other.headers,
        "former": former.headers,
        "member": member.headers,
        "owner": owner.headers,
    }


async def share(front: Front, things: Things, *members: User) -> None:
    """Make users members of the owner's space, and let it have the memos."""
    async with front.database.write() as tx:
        for memo_id in (things["memo_id"], things["other_memo_id"]):
            await tx.spaces.link(memo_id, things["space_id"], things["user_id"])
        for member in members:
            await tx.spaces.join(things["space_id"], member.id)


async def leave(front: Front, things: Things, user: User) -> None:
    """Take a user out of the owner's space."""
    gone = delete(space_members).where(
        space_members.c.space_id == things["space_id"], space_members.c.user_id == user.id
    )
    async with front.database.write() as tx:
        await tx.session.run(gone)


async def key_without(front: Front, owner: User, wanted: str | None) -> Caller:
    """An API key of the owner's that has not the scope an operation wants; else every scope."""
    scopes = set(Scope) - ({Scope.ADMIN, Scope(wanted)} if wanted else set[Scope]())
    key, drawn = draw_key(Environment.LIVE)
    async with front.database.write() as tx:
        await tx.api_keys.add(owner.id, drawn, name="Limited", scopes=sorted(scopes))
    return {API_KEY_HEADER: key}


def keys() -> dict[str, Caller]:
    """Holders of a shared key, and who guesses one; the wrong one of each is the other's."""
    return {
        "svc-": {SERVICE_HEADER: CRON},
        "svc": {SERVICE_HEADER: SERVICE},
        "cron-": {CRON_HEADER: SERVICE},
        "cron": {CRON_HEADER: CRON},
    }
