"""The same request sent twice is done once: what an ``Idempotency-Key`` promises.

A key is kept in the transaction that writes the job's rows, together with the answer, so there is
no moment in which one exists without the other. Until the workflow has been started the key is
busy; a process that dies in between leaves a key whose time runs out, and the next try goes on from
there. Only answers of work that was accepted are kept: what was refused changed nothing, and is
judged anew.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, overload

from fastapi import Depends, Header, Request

from contracts.errors import Conflict, KeyReused
from contracts.idempotency import IN_USE, KeptAnswer

if TYPE_CHECKING:
    from store.database import Transaction

BUSY_SECONDS: Final = 15.0
"""How long the first try may take from its rows to its answer; Temporal answers within five."""

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Drawn by the client, one per piece of work: a retry with the same key and "
        "the same request gets the first answer, for 24 hours.",
    ),
]


class Key(NamedTuple):
    """A client's key and what its request was."""

    text: str
    fingerprint: str


@overload
def key_of(text: str, method: str, path: str, *content: Any) -> Key: ...
@overload
def key_of(text: str | None, method: str, path: str, *content: Any) -> Key | None: ...
def key_of(text: str | None, method: str, path: str, *content: Any) -> Key | None:
    """The key of a request, if it has one.

    Args:
        content: what else makes two requests the same: fields, digests of files; JSON values.
    """
    if text is None:
        return None
    canonical = json.dumps([method, path, *content], sort_keys=True, separators=(",", ":"))
    return Key(text, hashlib.sha256(canonical.encode()).hexdigest())


class Claim:
    """What a route takes that creates work, so that it is created once: ``claim: Claimed``.

    Args:
        text: the client's key, if it sent one.
    """

    def __init__(self, text: str | None, method: str, path: str) -> None:
        self._text = text
        self._method = method
        self._path = path

    def beside(self, path: str) -> "Claim":
        """The claim on what another operation makes, when this one makes the very same."""
        return Claim(self._text, self._method, path)

    def over(self, *content: Any) -> Key | None:
        """The request's key, if it has one; ``content`` is as of ``key_of``."""
        return key_of(self._text, self._method, self._path, *content)

    def always(self, *content: Any) -> Key:
        """The client's key; else one of the request, which no client can send: it has a space."""
        key = key_of(self._text or "", self._method, self._path, *content)
        return key if self._text else Key(f"body {key.fingerprint}", key.fingerprint)


async def _claimed(request: Request, key: IdempotencyKey = None) -> Claim:
    return Claim(key, request.method, request.url.path)


Claimed = Annotated[Claim, Depends(_claimed)]
"""Declares that a request is done once for each ``Idempotency-Key``."""


def check(key: Key, kept: KeptAnswer) -> None:
    """Whether what a key came with before may be answered with.

    Raises:
        KeyReused: it came with another request.
        Conflict: ``key_in_use``, that request is still in flight.
    """
    if kept.fingerprint != key.fingerprint:
        raise KeyReused("This Idempotency-Key was used before, for another request")
    if kept.busy:
        raise Conflict(IN_USE, code="key_in_use", retry_after=1)


async def once(
    tx: "Transaction",
    user_id: str,
    key: Key | None,
    status: int,
    make: Callable[[], Awaitable[dict[str, Any]]],
) -> dict[str, Any]:
    """Make something in this very transaction, or give the answer of the first time.

    Raises:
        KeyReused: the key came with another request.
        Conflict: ``key_in_use``, that request is still in flight.
    """
    if key is None:
        return await make()
    kept = await tx.idempotency.find(user_id, key.text, busy_seconds=BUSY_SECONDS)
    if kept is not None:
        check(key, kept)
        return kept.answer
    answer = await make()
    await tx.idempotency.keep(
        user_id, key.text, key.fingerprint, answer=answer, busy_seconds=BUSY_SECONDS
    )
    await tx.idempotency.finish(user_id, key.text, status)
    return answer
