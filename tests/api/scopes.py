"""The scope every operation wants of an API key: a table that is complete, or tests fail."""

from collections.abc import Mapping
from typing import Final

from contracts.api_keys import MEMOS, READ_ALOUD, Access, Environment, Scope, draw_key
from tests.api.front import API, Front, User

READING: Final = {"GET", "HEAD", "OPTIONS"}


def one(scope: Scope) -> Access:
    return Access(scope, scope)


WANTED: Final[Mapping[str, Access]] = {
    "memos": MEMOS,
    "memories": MEMOS,
    "blueprints": MEMOS,
    "jobs": MEMOS,
    "events": MEMOS,
    "batch-metadata": MEMOS,
    "speech": READ_ALOUD,
    "uploads": one(Scope.MEMOS_WRITE),
    "credits": one(Scope.CREDITS_READ),
    "usage": one(Scope.CREDITS_READ),
    "spaces": Access(Scope.CREDITS_READ, Scope.ADMIN),
    "webhook-endpoints": one(Scope.WEBHOOKS),
    "webhook-messages": one(Scope.WEBHOOKS),
    "webhook-secret": one(Scope.WEBHOOKS),
    "api-keys": one(Scope.ADMIN),
}
"""By the first part of the path; a new one has to be given a row, and thought about."""

BUT: Final[Mapping[str, Scope]] = {"POST /api/v1/credits/consume": Scope.ADMIN}
"""Operations that want another scope than the rest of their paths."""


KEPT: Final[Mapping[str, Access]] = {
    "/tts/": READ_ALOUD,
    "/files/": READ_ALOUD,
    "/user/usage": READ_ALOUD,
    "/v1/audio/speech": READ_ALOUD,
    "/v1/audio/transcriptions": MEMOS,
    "/v1/audio/translations": MEMOS,
    "/v1/models": READ_ALOUD,
}
"""At the root, by how the path begins."""

NOT_FOR_USERS: Final = frozenset({"internal", "webhooks"})
"""First parts of paths that services and vendors ask, with keys of their own."""


def wanted(operation: str) -> Scope | None:
    """The scope an operation wants of a key; none where keys of users are nothing."""
    method, path = operation.split(" ")
    for begin, kept in KEPT.items():
        if path.startswith(begin):
            return kept.reads if method in READING else kept.writes
    part = path.removeprefix(f"{API}/").partition("/")[0]
    if path == f"{API}/credits/pricing" or part in NOT_FOR_USERS or not path.startswith(API):
        return None
    access = WANTED[part]
    return BUT.get(operation) or (access.reads if method in READING else access.writes)


async def key_with(front: Front, owner: User, *scopes: Scope) -> User:
    """Whoever holds a key of somebody's."""
    key, kept = draw_key(Environment.LIVE)
    async with front.database.write() as tx:
        await tx.api_keys.add(owner.id, kept, name="n", scopes=scopes)
    return User(owner.id, {"X-API-Key": key})
