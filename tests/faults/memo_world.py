"""A memo among vendors of its own, one call of which goes wrong: real workflow, worker, sockets."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

from temporalio.client import Client, WorkflowFailureError

import worker
from activities.batch import BatchEngine
from contracts import queues
from contracts.jobs import Step
from contracts.memo import MemoJob
from contracts.tiers import Attempt
from engines import AZURE_BATCH, Engines, Tiers
from providers.gemini_transcription import GeminiTranscription
from providers.language_setup import language_chain
from providers.pocketsphinx import Pocketsphinx
from providers.process_pool import ProcessPool
from providers.vendor_http import Answer, VendorHttp
from runtime.settings import load
from runtime.temporal_jobs import TemporalJobs
from tests import azurite as published
from tests.azurite import Azurite
from tests.fakes.azure import FakeAzure
from tests.fakes.forwarding import Forwarding
from tests.fakes.gemini import FakeGemini
from tests.fakes.http_wire import Wire
from tests.fakes.openai import FakeOpenAI
from tests.fakes.openai_language import FakeOpenAILanguage
from tests.faults.asked_delays import Asked, AskedDelays
from tests.faults.vendor_faults import VendorFault, elsewhere
from tests.faults.workflow_matrix import NEAR, Column, near_date
from tests.site import Site
from workflows.memo import MemoWorkflow

SLOW_SECONDS: Final = {"wav": 2.0, "aiff": 2.0, "large": 8.0}
"""Bound of the faulty vendor's calls where the fault is that it takes for ever, by recording."""
CALL_SECONDS: Final = 60.0
AZURE: Final = frozenset({"north", "south", "blobs"})
FOREVER: Final = 10_000
PLANTED: Final = "planted-words-of-a-vendor"
"""In the body of every refusal."""
KEYS: Final = "planted-key"
"""Begins every key."""


class Clock:
    """Real time, and what Temporal has skipped."""

    def __init__(self) -> None:
        self.skipped = 0.0

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.skipped


class Vendors:
    """Everybody a memo may speak to, each on a socket of its own."""

    def __init__(self, azurite: Azurite) -> None:
        self.north = FakeAzure()
        self.south = FakeAzure()
        self.blobs = Forwarding(azurite.url.removesuffix(f"/{published.ACCOUNT}"))
        self.openai = FakeOpenAI()
        self.gemini = FakeGemini(states=("PROCESSING",))
        self.azure_openai = FakeOpenAILanguage()
        self.every: tuple[Wire, ...] = (
            *(self.north, self.south, self.blobs, self.openai, self.gemini, self.azure_openai),
        )

    def named(self, name: str) -> Wire:
        wire: Wire = getattr(self, name.replace("-", "_"))
        return wire

    async def __aenter__(self) -> Self:
        for wire in self.every:
            await wire.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for wire in self.every:
            wire.release()
            await wire.aclose()


class Astray(VendorHttp):
    """Goes to another address than a vendor's with the calls that are meant."""

    def __init__(self, provider: str, vendor: str, url: str, call: str) -> None:
        super().__init__(provider)
        self._vendor = vendor
        self._elsewhere = url
        self._meant = call

    async def call(self, method: str, url: str, **options: Any) -> Answer:
        parts = urlsplit(url)
        meant = re.search(self._meant, f"{method} {parts.path}")
        if meant and url.startswith(self._vendor):
            url = f"{self._elsewhere}{parts.path}?{parts.query}"
        return await super().call(method, url, **options)


class Parted:
    """Stages at one place and removes at another."""

    def __init__(self, staging: Any, removing: Any) -> None:
        self.stage = staging.stage
        self.remove = removing.remove
        self.sweep = removing.sweep


class Cell(NamedTuple):
    """One fault in one call."""

    column: Column
    fault: VendorFault


class Seen(NamedTuple):
    """What came of a memo.

    Attributes:
        attempts: ``tier`` or ``tier=code``, in their order.
        end: state, or the code of its failure.
        headline: likewise, of the language models.
        calls: how often the call in question came to the vendor.
        asked: what the steps that transcribe asked of Temporal.
        credits: charged, still held, spent by the account.
        left: what is still at a vendor.
        told: everything that may be read by others: log lines are not among it.
    """

    attempts: tuple[str, ...]
    end: str
    headline: tuple[str, ...]
    calls: int
    asked: tuple[Asked, ...]
    credits: tuple[int, int, int]
    left: int
    told: str


class Ground(NamedTuple):
    """What all memos share.

    Attributes:
        engines: those that work on this machine alone.
        audio: recordings by their kind.
    """

    client: Client
    site: Site
    engines: Engines
    pool: ProcessPool
    azurite: Azurite
    audio: dict[str, Path]
    delays: AskedDelays


@asynccontextmanager
async def media_worker(site: Site, engines: Engines) -> AsyncIterator[None]:
    """Serves the queue of conversions for every job."""
    async with AsyncExitStack() as stack:
        settings = site.settings()
        steps = await worker.assemble(
            settings, site.database, TemporalJobs(site.client), stack, engines
        )
        await stack.enter_async_context(worker.worker(settings, site.client, queues.MEDIA, steps))
        yield


class World:
    """One cell's vendors, engines and worker."""

    def __init__(self, ground: Ground, cell: Cell, vendors: Vendors, url: str | None) -> None:
        self.ground = ground
        self.cell = cell
        self.vendors = vendors
        self.url = url
        self.clock = Clock()
        seconds = SLOW_SECONDS[cell.column.audio] if cell.fault.slow else CALL_SECONDS
        self.settings = load(None, **self._environment(), VENDOR_CALL_TIMEOUT_SECONDS=seconds)

    def _address(self, name: str) -> str:
        """Of a vendor whose every call goes through one library."""
        column = self.cell.column
        gone = self.url is not None and column.vendor == name
        return str(self.url) if gone else self.vendors.named(name).url

    def _environment(self) -> dict[str, Any]:
        column, vendors = self.cell.column, self.vendors
        slow = SLOW_SECONDS[column.audio] if self.cell.fault.slow else CALL_SECONDS
        names: dict[str, Any] = {
            "DATA_DIR": self.ground.site.folder,
            "TRANSCRIPTION_TIERS": column.tiers,
            "AZURE_SPEECH_KEY_1": f"{KEYS}-north",
            "AZURE_SPEECH_REGION_1": "north",
            "AZURE_SPEECH_ENDPOINT_1": vendors.north.url,
            "AZURE_STORAGE_ACCOUNT_NAME": published.ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": published.KEY,
            "AZURE_BLOB_ENDPOINT": f"{vendors.blobs.url}/{published.ACCOUNT}",
            "OPENAI_API_KEY": f"{KEYS}-openai",
            "OPENAI_BASE_URL": f"{self._address('openai')}/v1",
            "OPENAI_LANGUAGE_BASE_URL": f"{self._address('openai')}/v1",
            "OPENAI_LANGUAGE_MODEL": "some-model",
            "OPENAI_LANGUAGE_API_KEY": f"{KEYS}-openai-language",
            "GEMINI_API_KEY": f"{KEYS}-gemini",
            "GEMINI_BASE_URL": vendors.gemini.url
            if column.audio == "large"
            else self._address("gemini"),
            "AZURE_OPENAI_ENDPOINT": self._address("azure-openai"),
            "AZURE_OPENAI_KEY": f"{KEYS}-azure-openai",
            "AZURE_OPENAI_DEPLOYMENT": "some-model",
            "LANGUAGE_MODEL_TIERS": column.language,
            "LANGUAGE_CALL_TIMEOUT_SECONDS": slow,
        }
        if column.name == "o-head":
            names["OPENAI_BASE_URL"] = vendors.openai.base_url
        if column.keys > 1:
            names |= {
                "AZURE_SPEECH_KEY_2": f"{KEYS}-south",
                "AZURE_SPEECH_REGION_2": "south",
                "AZURE_SPEECH_ENDPOINT_2": vendors.south.url,
            }
        return names

    def engines(self, stack: AsyncExitStack) -> Engines:
        """Those of the settings, with the way to the faulty call as the fault has it."""
        pool = self.ground.pool
        tiers = Tiers(self.settings, Pocketsphinx(pool), stack, clock=self.clock)
        patient = load(None, **self._environment(), VENDOR_CALL_TIMEOUT_SECONDS=CALL_SECONDS)
        others = Tiers(patient, Pocketsphinx(pool), stack, clock=self.clock).transcribers()
        chain = language_chain(self.settings.language_setup, pool)
        stack.push_async_callback(chain.aclose)
        transcribers, batches = tiers.transcribers(), tiers.batches()
        faulty = "azure" if self.cell.column.vendor in AZURE else self.cell.column.vendor
        transcribers |= {name: others[name] for name in others if not name.startswith(faulty)}
        if self.url is not None:
            self._astray(tiers, transcribers)
            if self.cell.column.vendor == "blobs":
                batches = {AZURE_BATCH: self._parted(batches[AZURE_BATCH], stack)}
        return replace(
            self.ground.engines,
            transcribers=transcribers,
            batches=batches,
            language=chain,
            tiers=self.settings.tiers,
        )

    def _astray(self, tiers: Tiers, transcribers: Any) -> None:
        column = self.cell.column
        vendor = self.vendors.named(column.vendor).url
        if column.vendor in {"north", "south"}:
            tiers.speech()._http = Astray("azure", vendor, str(self.url), column.call)
        gemini = transcribers.get("gemini")
        if column.audio == "large" and isinstance(gemini, GeminiTranscription):
            gemini._files._http = Astray("gemini", vendor, str(self.url), column.call)

    def _parted(self, engine: BatchEngine, stack: AsyncExitStack) -> BatchEngine:
        account = f"{self.url}/{published.ACCOUNT}"
        settings = load(
            None,
            **{**self._environment(), "AZURE_BLOB_ENDPOINT": account},
            VENDOR_CALL_TIMEOUT_SECONDS=self.settings.transcription.vendor_call_timeout_seconds,
        )
        tiers = Tiers(settings, Pocketsphinx(self.ground.pool), stack)
        gone = tiers.batches()[AZURE_BATCH].staging
        staging, removing = engine.staging, engine.staging
        if self.cell.column.name == "stage":
            staging = gone
        else:
            removing = gone
        return BatchEngine(engine.transcriber, Parted(staging, removing))

    async def run(self) -> Seen:
        """Carry one memo to its end."""
        ground, column, fault = self.ground, self.cell.column, self.cell.fault
        if column.down is not None:
            self.vendors.named(column.down).fault(status=503, undone=True, times=FOREVER)
        if self.url is None:
            fields = {"call": column.call, "times": FOREVER, **fault.wire}
            if "status" in fault.wire and "body" not in fault.wire:
                fields["body"] = f'{{"error": {{"message": "{PLANTED}"}}}}'
            if fault.name == NEAR.name:
                fields["headers"] = {"retry-after": near_date()}
            self.vendors.named(column.vendor).fault(**fields)
        job = await ground.site.memo(ground.audio[column.audio], heartbeat_seconds=60)
        ground.delays.told[job.job_id] = self._skip
        async with AsyncExitStack() as stack:
            engines = self.engines(stack)
            jobs = TemporalJobs(ground.client)
            steps = await worker.assemble(self.settings, ground.site.database, jobs, stack, engines)
            queue = f"cell-{job.memo_id}"
            await stack.enter_async_context(
                worker.worker(self.settings, ground.client, queue, steps)
            )
            handle = await ground.client.start_workflow(
                MemoWorkflow.run, job, id=job.job_id, task_queue=queue
            )
            try:
                result = await handle.result()
                end = str(result.state)
            except WorkflowFailureError as failure:
                end = f"={getattr(failure.cause, 'type', failure.cause)}"
            history = str((await handle.fetch_history()).to_json_dict())
        return await self._seen(job, end, history)

    def _skip(self, asked: Asked) -> None:
        self.clock.skipped += asked.delay or 0.0

    async def _seen(self, job: MemoJob, end: str, history: str) -> Seen:
        ground, column = self.ground, self.cell.column
        async with ground.site.database.read() as tx:
            attempts = await tx.attempts.list(job.job_id, job.user_id)
            paid = await tx.credits.of_job(job.user_id, job.job_id)
            balance = await tx.credits.balance(job.user_id)
            memo = await tx.memos.find(job.memo_id, job.user_id)
            found = await tx.jobs.find(job.job_id, job.user_id)
            events = await tx.jobs.events_after({job.job_id: 0}, job.user_id)
        assert memo is not None
        calls = [
            call
            for call in self.vendors.named(column.vendor).calls
            if re.search(column.call, f"{call['method']} {call['path']}")
        ]
        return Seen(
            attempts=tuple(told_of(each) for each in attempts if each.step == Step.TRANSCRIBE),
            end=end,
            headline=tuple(told_of(each) for each in attempts if each.step == Step.HEADLINE),
            calls=len(calls),
            asked=tuple(ground.delays.of[job.job_id]),
            credits=(paid.charged, balance.held, balance.total_spent),
            left=len(self.vendors.north.batch.jobs) + len(self.vendors.gemini.files),
            told=f"{history} {attempts} {events} {found} {memo.metadata}",
        )


def told_of(attempt: Attempt) -> str:
    """``tier``, ``tier=code``, or ``tier=?`` of one that has no end."""
    if attempt.outcome is None:
        return f"{attempt.tier}=?"
    return f"{attempt.tier}={attempt.error_code}" if attempt.error_code else attempt.tier


async def seen_in(ground: Ground, cell: Cell) -> Seen:
    """What comes of a memo in which a call goes wrong that way."""
    async with AsyncExitStack() as stack:
        url = stack.enter_context(elsewhere(cell.fault.place)) if cell.fault.place else None
        vendors = await stack.enter_async_context(Vendors(ground.azurite))
        return await World(ground, cell, vendors, url).run()
