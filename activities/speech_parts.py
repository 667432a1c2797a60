"""The samples of the parts of a text, at hand while they are joined."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from activities.ports import Database, Files
from contracts.errors import NotFound
from contracts.speech_job import KeptPart

PART_GONE = "part_gone"


@asynccontextmanager
async def at_hand(
    database: Database, files: Files, scope: str, kept: Sequence[KeptPart]
) -> AsyncIterator[list[Path]]:
    """Their files on this machine, in order; equal parts have one.

    Raises:
        NotFound: ``part_gone``, the file of one is not there. The rows of all those go too: when
            they are planned again they are bought anew, instead of failing for as long as they
            stand.
    """
    local: dict[str, Path] = {}
    lost: dict[str, KeptPart] = {}
    async with AsyncExitStack() as stack:
        for part in kept:
            if part.key in local or part.key in lost:
                continue
            try:
                local[part.key] = await stack.enter_async_context(files.local(part.key))
            except NotFound:
                lost[part.key] = part
        for part in lost.values():
            await _forget(database, scope, part)
        if lost:
            raise gone()
        yield [local[part.key] for part in kept]


def gone() -> NotFound:
    """That a part is not there any more."""
    return NotFound("A part of the speech is gone", code=PART_GONE)


async def _forget(database: Database, scope: str, part: KeptPart) -> None:
    async with database.write() as tx:
        for owned in await tx.speech.remove_lost(scope, part):
            await tx.media.remove(owned.key, owned.user_id)
