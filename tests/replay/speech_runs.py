"""Runs of texts that are read aloud, each over a worker of its own settings."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from temporalio.client import WorkflowFailureError, WorkflowHistory

from contracts import ids
from contracts.queues import MAIN
from tests.site import Site
from tests.spoken import ordered, paragraphs, start

CALL = "audio/speech"


async def _spoken(site: Site, number: int, tiers: str = "openai") -> WorkflowHistory:
    """One part after the other, so that a history is the same whenever it is captured."""
    job = (await ordered(site, paragraphs(number), language="en", price=2)).model_copy(
        update={"window": 1}
    )
    async with site.working(SPEECH_TIERS=tiers):
        handle = await start(site, job)
        with suppress(WorkflowFailureError):
            await handle.result()
    return await handle.fetch_history()


async def speech_in_one_part(site: Site, folder: Path) -> WorkflowHistory:
    return await _spoken(site, 1)


async def speech_in_three_parts(site: Site, folder: Path) -> WorkflowHistory:
    return await _spoken(site, 3)


async def speech_by_the_next_tier(site: Site, folder: Path) -> WorkflowHistory:
    site.vendor.fault(status=400, undone=True, call=CALL)
    return await _spoken(site, 2, "openai,local")


async def speech_in_vain(site: Site, folder: Path) -> WorkflowHistory:
    site.vendor.fault(status=401, times=9, undone=True, call=CALL)
    history = await _spoken(site, 1)
    site.vendor.faults.clear()
    return history


async def speech_cancelled(site: Site, folder: Path) -> WorkflowHistory:
    site.vendor.fault(hang=True, call=CALL)
    job = await ordered(site, paragraphs(2), language="en", price=2)
    async with site.working(SPEECH_TIERS="openai"):
        calls = len(site.vendor.calls)
        handle = await start(site, job)
        while len(site.vendor.calls) == calls:
            await asyncio.sleep(0.05)
        await handle.cancel()
        with suppress(WorkflowFailureError):
            await handle.result()
        site.vendor.release()
    return await handle.fetch_history()


async def speech_mended(site: Site, folder: Path) -> WorkflowHistory:
    """A part that was spoken for another text is lost when it is to be joined."""
    first = await ordered(site, paragraphs(1), language="en")
    other = await ordered(site, paragraphs(2), language="en", user_id=first.user_id)
    async with site.working(SPEECH_TIERS="openai"):
        await (await start(site, first)).result()
        stored = [each.key async for each in site.files.list(f"{first.user_id}/")]
        for key in stored:
            await site.files.delete(key)
        handle = await start(site, other.model_copy(update={"window": 1}))
        await handle.result()
    return await handle.fetch_history()


async def speech_expired(site: Site, folder: Path) -> WorkflowHistory:
    async with site.working():
        handle = await site.client.start_workflow(
            ids.SPEECH_EXPIRY, id="speech-expiry", task_queue=MAIN
        )
        await handle.result()
    return await handle.fetch_history()


RUNS: dict[str, Callable[[Site, Path], Awaitable[WorkflowHistory]]] = {
    run.__name__: run
    for run in (
        speech_in_one_part,
        speech_in_three_parts,
        speech_by_the_next_tier,
        speech_in_vain,
        speech_cancelled,
        speech_mended,
        speech_expired,
    )
}
