"""Runs that something from outside changes, each over a worker of its own settings."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from temporalio.client import WorkflowFailureError, WorkflowHistory

from contracts.memo import MemoJob
from contracts.outside import (
    REPORT_SIGNAL,
    VENDOR_SIGNAL,
    DueReport,
    OutsideReport,
    OutsideTranscript,
    VendorEvent,
)
from contracts.transcript import join_parts
from tests import azurite as published
from tests.azurite import azurite_server
from tests.fakes.azure import FakeAzure
from tests.fakes.ports import part
from tests.recordings import make
from tests.site import Site

OUTSIDE = {"TRANSCRIPTION_TIERS": "external,openai"}


async def report(site: Site, job: MemoJob) -> None:
    """As the front does with a report of success."""
    said = OutsideTranscript(provider="elsewhere", transcript=join_parts([part(0, 5, "words")], 5))
    due = DueReport(job_id=job.job_id, user_id=job.user_id, round=1, success=True)
    async with site.database.write() as tx:
        await tx.outside.record(due, job.memo_id, said, due=True)
    await site.client.get_workflow_handle(job.job_id).signal(REPORT_SIGNAL, due.report)


async def attempted(site: Site, job: MemoJob) -> None:
    """Until the first tier is at work."""
    while True:
        async with site.database.read() as tx:
            if await tx.attempts.list(job.job_id, job.user_id):
                return
        await asyncio.sleep(0.05)


async def memo_reported(site: Site, folder: Path) -> WorkflowHistory:
    job = await site.memo(make(folder / "tone.wav", 5))
    async with site.working(**OUTSIDE):
        handle = await site.start(job)
        await attempted(site, job)
        await report(site, job)
        await handle.result()
    return await handle.fetch_history()


async def memo_reported_failed(site: Site, folder: Path) -> WorkflowHistory:
    job = await site.memo(make(folder / "tone.wav", 5))
    async with site.working(**OUTSIDE):
        handle = await site.start(job)
        await attempted(site, job)
        failed = OutsideReport(round=1, success=False, code="external_failed")
        await handle.signal(REPORT_SIGNAL, failed)
        await handle.result()
    return await handle.fetch_history()


async def memo_not_reported(site: Site, folder: Path) -> WorkflowHistory:
    job = await site.memo(make(folder / "tone.wav", 5))
    async with site.working(**OUTSIDE, EXTERNAL_TRANSCRIPT_TIMEOUT_SECONDS=1):
        handle = await site.start(job)
        await handle.result()
    return await handle.fetch_history()


async def memo_overtaken(site: Site, folder: Path) -> WorkflowHistory:
    site.vendor.fault(hang=True)
    job = await site.memo(make(folder / "tone.wav", 5))
    async with site.working():
        handle = await site.start(job)
        await attempted(site, job)
        await report(site, job)
        with suppress(WorkflowFailureError):
            await handle.result()
        site.vendor.release()
    return await handle.fetch_history()


async def memo_in_batch(site: Site, folder: Path) -> WorkflowHistory:
    """Woken once between two looks an hour apart."""
    azure = FakeAzure()
    azure.batch.running = 0
    await azure.start()
    job = await site.memo(make(folder / "tone.wav", 5))
    with azurite_server() as storage:
        settings = {
            "TRANSCRIPTION_TIERS": "azure-batch",
            "AZURE_SPEECH_KEY": "one",
            "AZURE_SPEECH_ENDPOINT": azure.url,
            "AZURE_STORAGE_ACCOUNT_NAME": published.ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": published.KEY,
            "AZURE_BLOB_ENDPOINT": storage.url,
            "AZURE_BATCH_POLL_SECONDS": 3600,
        }
        async with site.working(**settings):
            handle = await site.start(job)
            while not any(call.get("operation") == "status" for call in azure.calls):
                await asyncio.sleep(0.05)
            (vendor_job,) = azure.batch.jobs
            await asyncio.sleep(1)  # the look has failed, and its next one is an hour away
            await handle.signal(VENDOR_SIGNAL, VendorEvent(vendor_job=vendor_job))
            await handle.result()
    await azure.aclose()
    return await handle.fetch_history()


RUNS: dict[str, Callable[[Site, Path], Awaitable[WorkflowHistory]]] = {
    run.__name__: run
    for run in (
        memo_reported,
        memo_reported_failed,
        memo_not_reported,
        memo_overtaken,
        memo_in_batch,
    )
}
