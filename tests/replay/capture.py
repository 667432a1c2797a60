"""Captures the histories that ``test_histories.py`` replays, from real runs.

    .venv/bin/python -m tests.replay.capture [NAME…]

A change of the commands a workflow gives (a step more, another order) comes with
``workflow.patched`` and a newly captured history under a new name; the old ones stay for as long as
such runs may be open.
"""

import asyncio
import json
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from temporalio.client import WorkflowFailureError, WorkflowHistory

from contracts import ids
from contracts.blueprint import PromptDraft
from contracts.language import Use
from contracts.memo import EraseJob
from contracts.queues import MAIN
from contracts.webhooks import RETRY_SIGNAL, MessageState, RetryNow, new_secret
from store.migrations import upgrade
from tests.by_url import memo_by_url
from tests.fakes.media_host import MediaHost
from tests.fakes.openai import FakeOpenAI
from tests.fakes.webhook_receiver import WebhookReceiver
from tests.recordings import make
from tests.replay import outside_runs, speech_runs
from tests.site import Site, local_server
from tests.told import memo_told_of
from tests.written import ordered, start, transcribed

HISTORIES = Path(__file__).parent / "histories"


async def _history(site: Site, audio: Path, **fields: object) -> WorkflowHistory:
    handle = await site.start(await site.memo(audio, **fields))
    try:
        await handle.result()
    except WorkflowFailureError as failure:
        print("  ended with", failure.cause)  # noqa: T201 - a tool that talks to a person
    return await handle.fetch_history()


async def completed(site: Site, folder: Path) -> WorkflowHistory:
    return await _history(site, make(folder / "tone.wav", 5))


async def converted(site: Site, folder: Path) -> WorkflowHistory:
    return await _history(site, make(folder / "tone.aiff", 5))


async def converted_after_refusal(site: Site, folder: Path) -> WorkflowHistory:
    site.vendor.fault(status=415)
    return await _history(site, make(folder / "tone.flac", 5))


async def busy_then_served(site: Site, folder: Path) -> WorkflowHistory:
    site.vendor.fault(status=429, headers={"retry-after": "1"})
    return await _history(site, make(folder / "tone.wav", 5))


async def every_tier_in_vain(site: Site, folder: Path) -> WorkflowHistory:
    site.vendor.fault(status=401, times=5)
    history = await _history(site, make(folder / "tone.wav", 5))
    site.vendor.faults.clear()
    return history


async def nothing_said(site: Site, folder: Path) -> WorkflowHistory:
    site.vendor.fault(body='{"text": "", "segments": [], "words": []}')
    return await _history(site, make(folder / "silence.wav", 5, "anullsrc"))


async def corrupt(site: Site, folder: Path) -> WorkflowHistory:
    path = folder / "corrupt.wav"
    path.write_bytes(b"RIFF\x00\x00\x00\x00WAVEfmt " + bytes(200))
    return await _history(site, path)


async def audio_never_came(site: Site, folder: Path) -> WorkflowHistory:
    handle = await site.start(await site.memo(None, audio_wait_seconds=1.0))
    with suppress(WorkflowFailureError):
        await handle.result()
    return await handle.fetch_history()


async def cancelled(site: Site, folder: Path) -> WorkflowHistory:
    site.vendor.fault(hang=True)
    handle = await site.start(await site.memo(make(folder / "tone.wav", 5)))
    calls = len(site.vendor.calls)
    while len(site.vendor.calls) == calls:
        await asyncio.sleep(0.05)
    await handle.cancel()
    with suppress(WorkflowFailureError):
        await handle.result()
    site.vendor.release()
    return await handle.fetch_history()


async def _at_an_address(site: Site, host: MediaHost, name: str) -> WorkflowHistory:
    await host.wire.start()
    handle = await site.start(await memo_by_url(site, f"{host.wire.url}/{name}"))
    with suppress(WorkflowFailureError):
        await handle.result()
    await host.wire.aclose()
    return await handle.fetch_history()


async def fetched(site: Site, folder: Path) -> WorkflowHistory:
    host = MediaHost()
    host.put("memo.wav", make(folder / "tone.wav", 5).read_bytes())
    return await _at_an_address(site, host, "memo.wav")


async def not_fetched(site: Site, folder: Path) -> WorkflowHistory:
    return await _at_an_address(site, MediaHost(), "gone.wav")


RUNS: dict[str, Callable[[Site, Path], Awaitable[WorkflowHistory]]] = {
    f"memo_{run.__name__}": run
    for run in (
        completed,
        converted,
        converted_after_refusal,
        busy_then_served,
        every_tier_in_vain,
        nothing_said,
        corrupt,
        audio_never_came,
        fetched,
        not_fetched,
        cancelled,
    )
}


async def told(site: Site, folder: Path) -> WorkflowHistory:
    receiver = WebhookReceiver(new_secret())
    receiver.answers = [(500, {})]
    await receiver.start()
    handle = await site.start(await memo_told_of(site, receiver, folder))
    await handle.result()
    await receiver.aclose()
    return await handle.fetch_history()


async def delivered(site: Site, folder: Path) -> WorkflowHistory:
    receiver = WebhookReceiver(new_secret())
    receiver.answers = [(500, {})]
    await receiver.start()
    job = await memo_told_of(site, receiver, folder)
    await (await site.start(job)).result()
    async with site.database.read() as tx:
        messages, _ = await tx.webhook_messages.page(job.user_id, limit=9)
    [waiting] = [each for each in messages if each.state is MessageState.PENDING]
    delivery = site.client.get_workflow_handle(ids.webhook_job(waiting.id))
    await delivery.signal(RETRY_SIGNAL, RetryNow())
    await delivery.result()
    await receiver.aclose()
    return await delivery.fetch_history()


async def erased(site: Site, folder: Path) -> WorkflowHistory:
    memo = await site.memo(make(folder / "tone.wav", 5))
    await (await site.start(memo)).result()
    job = EraseJob(job_id=ids.erase_job(memo.memo_id), user_id=memo.user_id, memo_id=memo.memo_id)
    async with site.database.write() as tx:
        await tx.memos.mark_deleted(memo.memo_id, memo.user_id)
        await tx.jobs.create(
            job.job_id,
            job.user_id,
            kind=ids.ERASE,
            subject_id=memo.memo_id,
            request=job.model_dump(),
            deadline_seconds=60,
        )
    handle = await site.client.start_workflow(ids.ERASE, job, id=job.job_id, task_queue=MAIN)
    await handle.result()
    return await handle.fetch_history()


async def reconciled(site: Site, folder: Path) -> WorkflowHistory:
    handle = await site.client.start_workflow(ids.RECONCILE, id="reconcile", task_queue=MAIN)
    await handle.result()
    return await handle.fetch_history()


RUNS["memo_told"] = told
RUNS["webhook_delivered"] = delivered
RUNS["erase_completed"] = erased
RUNS["reconcile_completed"] = reconciled


async def written(site: Site, folder: Path) -> WorkflowHistory:
    job = await ordered(site, await transcribed(site, folder), Use.QUESTION)
    handle = await start(site, job)
    await handle.result()
    return await handle.fetch_history()


async def unpaid(site: Site, folder: Path) -> WorkflowHistory:
    memo = await transcribed(site, folder)
    handle = await start(site, await ordered(site, memo, Use.MEMORY, price=10_000))
    with suppress(WorkflowFailureError):
        await handle.result()
    return await handle.fetch_history()


async def with_blueprint(site: Site, folder: Path) -> WorkflowHistory:
    memo = await site.memo(make(folder / "tone.wav", 5))
    blueprint_id = str(uuid4())
    async with site.database.write() as tx:
        await tx.blueprints.create(
            blueprint_id,
            memo.user_id,
            name={"en": "Boats"},
            description={},
            system_prompt={},
            is_public=False,
            drafts=[PromptDraft(prompt_text={"en": "List what was said."})],
        )
    handle = await site.start(memo.model_copy(update={"blueprint_id": blueprint_id}))
    await handle.result()
    return await handle.fetch_history()


RUNS["language_written"] = written
RUNS["language_unpaid"] = unpaid
RUNS["memo_with_blueprint"] = with_blueprint
OWN_SETTINGS = outside_runs.RUNS | speech_runs.RUNS


def _unplaced(text: str) -> str:
    """Without what tells on which machine, and where on it, the history was made."""
    text = re.sub(r'"stackTrace": "(?:[^"\\]|\\.)*"', '"stackTrace": ""', text)
    return re.sub(r"\b\d+@[\w.-]+", "1@host", text)


async def main(names: list[str]) -> None:
    vendor = FakeOpenAI()
    await vendor.start()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        await upgrade(f"sqlite:///{folder / 'voicekeep.db'}")
        async with local_server() as environment:
            site = Site(environment.client, folder, vendor)
            for name in names:
                print(name)  # noqa: T201 - a tool that talks to a person
                history = await asyncio.wait_for(_run(name, site, folder), 60)
                text = json.dumps(json.loads(history.to_json()), indent=1)
                (HISTORIES / f"{name}.json").write_text(_unplaced(text) + "\n")
            await site.close()


async def _run(name: str, site: Site, folder: Path) -> WorkflowHistory:
    if name in OWN_SETTINGS:
        return await OWN_SETTINGS[name](site, folder)
    async with site.working(EGRESS_ALLOW="127.0.0.1/32"):
        return await RUNS[name](site, folder)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:] or [*RUNS, *OWN_SETTINGS]))
