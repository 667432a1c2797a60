"""A text among vendors of its own, one of which goes wrong: real workflow, worker, sockets."""

from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, Final, NamedTuple

from temporalio.client import WorkflowFailureError

import worker
from contracts import ids
from contracts.speech_job import SpeechJob, SpeechResult
from contracts.tiers import Attempt
from engines import Engines, Tiers
from providers.pocketsphinx import Pocketsphinx
from providers.process_pool import ProcessPool
from providers.speech_setup import Speaker, speakers
from runtime.settings import Settings, load
from runtime.temporal_jobs import TemporalJobs
from tests.fakes.azure_tts import FakeAzureSpeaking
from tests.fakes.gemini import FakeGemini
from tests.fakes.http_wire import Wire
from tests.fakes.openai import FakeOpenAI
from tests.faults.asked_delays import Asked, AskedDelays
from tests.faults.memo_world import CALL_SECONDS, FOREVER, KEYS, PLANTED, Clock, told_of
from tests.faults.speech_matrix import FILLED, PARTS, Column
from tests.faults.vendor_faults import VendorFault, elsewhere, filled
from tests.faults.workflow_matrix import NEAR, near_date
from tests.site import Site
from tests.spoken import ordered, paragraphs

SLOW_SECONDS: Final = 1.0
"""Bound of the faulty vendor's calls where the fault is that it takes for ever."""
CALLS: Final = {
    "openai": "/v1/audio/speech",
    "azure": "/cognitiveservices/v1",
    "gemini": ":generateContent",
}
"""How each is asked to speak."""


class Cell(NamedTuple):
    """One fault of one vendor's calls."""

    column: Column
    fault: VendorFault


class Seen(NamedTuple):
    """What came of a text.

    Attributes:
        attempts: ``tier part`` or ``tier part=code``, in their order.
        end: tier that spoke, or the code of the failure.
        file: state of the file, its tier, the code of its failure.
        calls: by vendor.
        asked: what the parts asked of Temporal.
        credits: charged, still held, spent by the account.
        told: everything that may be read by others: log lines are not among it.
    """

    attempts: tuple[str, ...]
    end: str
    file: tuple[str, str | None, str | None]
    calls: dict[str, int]
    asked: tuple[Asked, ...]
    credits: tuple[int, int, int]
    told: str


class Ground(NamedTuple):
    """What all texts share; the engines are those that work on this machine alone."""

    site: Site
    engines: Engines
    pool: ProcessPool
    delays: AskedDelays


class World:
    """One cell's vendors, engines and worker."""

    def __init__(self, ground: Ground, cell: Cell, url: str | None) -> None:
        self.ground = ground
        self.cell = cell
        self.url = url
        self.clock = Clock()
        self.wires: dict[str, Wire] = {
            "openai": FakeOpenAI(),
            "azure": FakeAzureSpeaking(),
            "gemini": FakeGemini(),
        }

    def _settings(self, seconds: float) -> Settings:
        vendor = self.cell.column.vendor
        urls = {name: wire.url for name, wire in self.wires.items()}
        if self.url is not None:
            urls[vendor] = self.url
        return load(
            None,
            DATA_DIR=self.ground.site.folder,
            SPEECH_TIERS=",".join(self.cell.column.tiers),
            SPEECH_PARALLEL_PARTS=1,
            SPEECH_CALL_TIMEOUT_SECONDS=seconds,
            TRANSCRIPTION_TIERS="local",
            LANGUAGE_MODEL_TIERS="local",
            OPENAI_API_KEY=f"{KEYS}-openai",
            OPENAI_SPEECH_BASE_URL=f"{urls['openai']}/v1",
            OPENAI_SPEECH_API_KEY=f"{KEYS}-openai",
            AZURE_SPEECH_KEY=f"{KEYS}-azure",
            AZURE_SPEECH_REGION="north",
            AZURE_TTS_ENDPOINT=urls["azure"],
            GEMINI_API_KEY=f"{KEYS}-gemini",
            GEMINI_BASE_URL=urls["gemini"],
        )

    def _speakers(self, seconds: float, stack: AsyncExitStack) -> dict[str, Speaker]:
        settings, pool = self._settings(seconds), self.ground.pool
        tiers = Tiers(settings, Pocketsphinx(pool), stack, clock=self.clock)
        return speakers(
            settings.speech_setup,
            pool,
            tiers.speech,
            lambda engine: stack.push_async_callback(engine.aclose),
        )

    def _engines(self, stack: AsyncExitStack) -> Engines:
        """Only the vendor that goes wrong is given up soon."""
        chosen = self._speakers(CALL_SECONDS, stack)
        if self.cell.fault.slow:
            vendor = self.cell.column.vendor
            chosen[vendor] = self._speakers(SLOW_SECONDS, stack)[vendor]
        return replace(self.ground.engines, speakers=chosen)

    def _go_wrong(self) -> None:
        column, fault = self.cell.column, self.cell.fault
        if column.down is not None:
            self.wires[column.down].fault(status=503, undone=True, times=FOREVER)
        if self.url is not None:
            return
        fields: dict[str, Any] = dict(filled(fault, FILLED[column.vendor]).wire)
        if "status" in fields and "body" not in fields:
            fields["body"] = f'{{"error": {{"message": "{PLANTED}"}}}}'
        if fault.name == NEAR.name:
            fields["headers"] = {"retry-after": near_date()}
        wire = self.wires[column.vendor]
        wire.fault(times=column.good(fault))  # nothing goes wrong with these
        wire.fault(times=FOREVER, **fields)

    async def run(self, stack: AsyncExitStack) -> Seen:
        """Carry one text to its end."""
        site = self.ground.site
        for wire in self.wires.values():
            await wire.start()
            stack.push_async_callback(wire.aclose)
            stack.callback(wire.release)
        self._go_wrong()
        text = paragraphs(PARTS)
        job = await ordered(site, text, price=self.cell.column.price, language="en", format="pcm")
        job = job.model_copy(update={"window": 1, "heartbeat_seconds": 60.0})
        self.ground.delays.told[job.job_id] = self._skip
        settings, queue = self._settings(CALL_SECONDS), f"cell-{job.file_id}"
        steps = await worker.assemble(
            settings, site.database, TemporalJobs(site.client), stack, self._engines(stack)
        )
        await stack.enter_async_context(worker.worker(settings, site.client, queue, steps))
        handle = await site.client.start_workflow(
            ids.SPEECH, job, id=job.job_id, task_queue=queue, result_type=SpeechResult
        )
        try:
            end = str((await handle.result()).tier)
        except WorkflowFailureError as failure:
            end = f"={getattr(failure.cause, 'type', failure.cause)}"
        history = str((await handle.fetch_history()).to_json_dict())
        return await self._seen(job, end, history)

    def _skip(self, asked: Asked) -> None:
        self.clock.skipped += asked.delay or 0.0

    async def _seen(self, job: SpeechJob, end: str, history: str) -> Seen:
        async with self.ground.site.database.read() as tx:
            attempts = await tx.attempts.list(job.job_id, job.user_id)
            paid = await tx.credits.of_job(job.user_id, job.job_id)
            balance = await tx.credits.balance(job.user_id)
            file = await tx.speech.find(job.file_id, job.user_id)
            found = await tx.jobs.find(job.job_id, job.user_id)
            events = await tx.jobs.events_after({job.job_id: 0}, job.user_id)
        assert file is not None
        assert found is not None
        return Seen(
            attempts=tuple(map(_of_part, attempts)),
            end=end,
            file=(file.state, file.tier, file.error_code),
            calls={
                name: sum(CALLS[name] in call["path"] for call in wire.calls)
                for name, wire in self.wires.items()
            },
            asked=tuple(self.ground.delays.of[job.job_id]),
            credits=(paid.charged, balance.held, balance.total_spent),
            told=f"{history} {attempts} {events} {found} {file.error_message}",
        )


def _of_part(attempt: Attempt) -> str:
    tier, equals, code = told_of(attempt).partition("=")
    return f"{tier} {(attempt.chunk or 0) + 1}{equals}{code}"


async def seen_in(ground: Ground, cell: Cell) -> Seen:
    """What comes of a text in which a vendor's calls go wrong that way."""
    async with AsyncExitStack() as stack:
        url = stack.enter_context(elsewhere(cell.fault.place)) if cell.fault.place else None
        return await World(ground, cell, url).run(stack)
