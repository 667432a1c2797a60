"""The worker: puts providers, store and activities together and serves the task queues."""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, Final

import structlog
from temporalio import activity
from temporalio.client import Client
from temporalio.common import MetricMeter
from temporalio.worker import (
    FixedSizeSlotSupplier,
    PollerBehaviorAutoscaling,
    ResourceBasedSlotConfig,
    ResourceBasedSlotSupplier,
    ResourceBasedTunerConfig,
    Worker,
    WorkerTuner,
)

from activities.audio import AudioActivities, AudioLimits
from activities.batch import BatchActivities, StagingSweep
from activities.blueprint import BlueprintActivities
from activities.endings import Endings
from activities.erase import EraseActivities
from activities.fetch import FetchActivities, FetchLimits
from activities.headline import HeadlineActivities
from activities.language import LanguageActivities
from activities.memo import MemoActivities
from activities.notifications import Postman
from activities.outside import OutsideActivities
from activities.reconcile import ReconcileActivities, ReconcileAges
from activities.speech import SpeechActivities, SpeechEngines, SpeechRules
from activities.speech_end import SpeechEndings
from activities.speech_expiry import SpeechExpiry
from activities.transcription import TierBounds, TranscriptionActivities
from activities.uploads import UploadSweep
from activities.wallet import RemoteWallet
from activities.wallet_ports import OwnWallet, Wallet
from activities.webhooks import WebhookActivities
from contracts import queues
from engines import (
    Engines,
    credits_service,
    open_engines,
    open_notifier,
    open_outside,
    open_own_tokens,
)
from providers.media_download import MediaDownloads
from providers.openai_models import announced
from providers.supabase_realtime import Broadcaster
from providers.webhook_sender import WebhookSender
from runtime.allocation import return_large_blocks
from runtime.metrics import make_runtime
from runtime.notify import announce_ready
from runtime.seals import Seals
from runtime.serving import STOP_MARGIN_SECONDS, serve_until
from runtime.settings import Settings
from runtime.temporal import connect_when_up
from runtime.temporal_jobs import TemporalJobs
from store.database import Database
from store.files import open_files
from store.speech_tables import EVERYBODY
from workflows.erase import EraseWorkflow
from workflows.language import LanguageWorkflow
from workflows.memo import MemoWorkflow
from workflows.reconcile import ReconcileWorkflow
from workflows.speech import SpeechExpiryWorkflow, SpeechWorkflow
from workflows.webhooks import WebhookDeliveryWorkflow

Activity = Callable[..., Any]

WORKFLOWS: Final = (
    MemoWorkflow,
    LanguageWorkflow,
    SpeechWorkflow,
    WebhookDeliveryWorkflow,
    EraseWorkflow,
    ReconcileWorkflow,
    SpeechExpiryWorkflow,
)

log = structlog.get_logger()

LOCAL_ACTIVITIES = 100
SHUTDOWN_GRACE = timedelta(seconds=6)
"""Activities in flight get so long to finish before they are cancelled; they go on elsewhere."""

STICKY_WAIT = timedelta(seconds=5)
"""After so long a dead worker's workflows go to another one."""

MEMORY_TARGET = 0.8
CPU_TARGET = 0.9


async def run(settings: Settings) -> None:
    """Serve the configured task queues until SIGTERM or SIGINT."""
    return_large_blocks()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runtime = make_runtime(settings.worker.metrics_address)
    client = await connect_when_up(settings.temporal, runtime=runtime)
    async with AsyncExitStack() as stack:
        database = Database(
            settings.database_url,
            starting_credits=settings.starting_credits,
            readers=settings.database.pool_size,
        )
        stack.push_async_callback(database.close)
        await broadcast(settings, database, runtime.metric_meter, stack)
        activities = await assemble(settings, database, TemporalJobs(client), stack)
        warning = asyncio.create_task(warn_of_shutdowns(settings), name="shutdowns")
        stack.callback(warning.cancel)
        await serve(settings, client, activities, stop)


async def broadcast(
    settings: Settings, database: Database, meter: MetricMeter, stack: AsyncExitStack
) -> None:
    """Tell listeners at Supabase what this worker commits, where a project is set."""
    url, key = settings.tokens.supabase_url, settings.storage.supabase_service_key
    if url is None or key is None:
        return
    told = meter.create_counter("voicekeep_broadcasts", "Broadcasts to listeners, by outcome.")
    broadcaster = Broadcaster(url, key, lambda how, number: told.add(number, {"outcome": how}))
    await stack.enter_async_context(broadcaster)
    database.tell(broadcaster.tell)


async def warn_of_shutdowns(settings: Settings) -> None:
    """Say which models of the configured tiers their vendor is going to shut down."""
    for model, day in await announced(settings.model_servers):
        log.warning("model.shutdown_announced", model=model, date=day.isoformat())


async def serve(
    settings: Settings, client: Client, activities: Sequence[Activity], stop: asyncio.Event
) -> None:
    """Run one worker per configured queue until ``stop`` is set; then finish what is at work."""
    workers = {
        queue: worker(settings, client, queue, activities) for queue in settings.worker.queues
    }
    announce_ready()
    log.info("worker.ready", queues=list(workers), pid=os.getpid())
    bound = SHUTDOWN_GRACE.total_seconds() + STOP_MARGIN_SECONDS
    await serve_until(stop, workers, stop_seconds=bound)


def worker(
    settings: Settings,
    client: Client,
    queue: str,
    activities: Sequence[Activity],
    workflows: Sequence[type] = WORKFLOWS,
) -> Worker:
    """One worker on one queue: I/O by count, media by what the machine has left."""
    main = queue != queues.MEDIA
    return Worker(
        client,
        task_queue=queue,
        workflows=workflows if main else [],
        activities=activities,
        tuner=WorkerTuner.create_composite(
            workflow_supplier=FixedSizeSlotSupplier(settings.worker.workflow_tasks),
            activity_supplier=FixedSizeSlotSupplier(settings.worker.activities)
            if main
            else media_slots(settings.worker.media_slots or os.cpu_count() or 1),
            local_activity_supplier=FixedSizeSlotSupplier(LOCAL_ACTIVITIES),
            nexus_supplier=FixedSizeSlotSupplier(1),
        ),
        max_cached_workflows=settings.worker.cached_workflows,
        sticky_queue_schedule_to_start_timeout=STICKY_WAIT,
        workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
        activity_task_poller_behavior=PollerBehaviorAutoscaling(),
        graceful_shutdown_timeout=SHUTDOWN_GRACE,
    )


def media_slots(most: int) -> ResourceBasedSlotSupplier:
    """At most so many conversions and recognitions, fewer when CPU or memory is short."""
    return ResourceBasedSlotSupplier(
        ResourceBasedSlotConfig(minimum_slots=1, maximum_slots=most),
        ResourceBasedTunerConfig(target_memory_usage=MEMORY_TARGET, target_cpu_usage=CPU_TARGET),
    )


def open_wallet(settings: Settings, database: Database, stack: AsyncExitStack) -> Wallet:
    """Whoever keeps the credits of users."""
    service = credits_service(settings)
    if service is None:
        return OwnWallet()
    stack.push_async_callback(service.aclose)
    wallet = RemoteWallet(database, service)
    stack.push_async_callback(wallet.aclose)
    return wallet


async def assemble(
    settings: Settings,
    database: Database,
    jobs: TemporalJobs,
    stack: AsyncExitStack,
    engines: Engines | None = None,
) -> list[Activity]:
    """Build every activity with what it needs; ``stack`` closes what was opened for them.

    Args:
        engines: instead of those of the settings.
    """
    engines = engines or await open_engines(settings, stack)
    return Assembly(settings, database, jobs, stack, engines).activities()


class Assembly:
    """Puts the activities together, one group after the other; see ``assemble``."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        jobs: TemporalJobs,
        stack: AsyncExitStack,
        engines: Engines,
    ) -> None:
        self._settings = settings
        self._database = database
        self._jobs = jobs
        self._stack = stack
        self._engines = engines
        self._storage = open_files(settings.storage_setup, stack)
        self._files = self._storage.files
        self._wallet = open_wallet(settings, database, stack)
        self._prices = settings.prices
        self._bounds = TierBounds(
            tries=settings.transcription.tier_tries,
            backoff_seconds=settings.transcription.tier_backoff_seconds,
        )
        self._memo = MemoActivities(database, self._files, settings.credits_low_below, self._wallet)
        self._language = LanguageActivities(
            database,
            engines.language,
            self._bounds,
            settings.credits_low_below,
            self._prices,
            wallet=self._wallet,
            guess=engines.guess,
        )
        self._speech_end = SpeechEndings(database, self._wallet)

    def activities(self) -> list[Activity]:
        """All of them."""
        return [
            *self._memos(),
            *self._recordings(),
            *self._transcription(),
            *self._writing(),
            *self._speech(),
            *self._strangers(),
            *self._upkeep(),
        ]

    def _memos(self) -> list[Activity]:
        memo, outside = self._memo, OutsideActivities(self._database, self._wallet)
        return [
            memo.reserve,
            memo.settle,
            memo.end,
            memo.discard_work,
            outside.await_outside,
            outside.end_outside,
            outside.adopt_outside,
        ]

    def _recordings(self) -> list[Activity]:
        settings = self._settings
        audio = AudioActivities(
            database=self._database,
            files=self._files,
            tools=self._engines.tools,
            voice=self._engines.voice,
            offers=self._engines.offers(settings.transcription.vendor_call_timeout_seconds),
            limits=AudioLimits(max_seconds=settings.limits.max_audio_hours * 3600),
            wallet=self._wallet,
        )
        return [audio.probe, audio.convert, audio.cut, audio.voice_activity]

    def _transcription(self) -> list[Activity]:
        transcription = TranscriptionActivities(
            database=self._database,
            files=self._files,
            tools=self._engines.tools,
            transcribers=self._engines.transcribers,
            bounds=self._bounds,
            prices=self._prices,
        )
        batch = BatchActivities(
            database=self._database,
            files=self._files,
            engines=self._engines.batches,
            bounds=self._bounds,
            poll_seconds=self._settings.azure.batch_poll_seconds,
            prices=self._prices,
        )
        return [
            transcription.transcribe,
            transcription.transcribe_chunk,
            transcription.join_chunks,
            batch.submit,
            batch.collect,
            batch.discard,
        ]

    def _writing(self) -> list[Activity]:
        headline = HeadlineActivities(self._database, self._engines.language, self._prices)
        blueprint, language = BlueprintActivities(self._database), self._language
        return [
            headline.headline,
            blueprint.order_blueprint,
            language.reserve_language,
            language.write_language,
            language.end_language,
        ]

    def _speech(self) -> list[Activity]:
        settings, engines = self._settings, self._engines
        speech = SpeechActivities(
            database=self._database,
            files=self._files,
            tools=engines.tools,
            engines=SpeechEngines(
                synthesizers={name: speaker.engine for name, speaker in engines.speakers.items()},
                offers=[speaker.offer for speaker in engines.speakers.values()],
                joiner=engines.joiner,
                guess=engines.guess,
                tokens=open_own_tokens(settings),
            ),
            bounds=self._bounds,
            rules=SpeechRules(
                keep_seconds=settings.speech.keep_seconds,
                scope=EVERYBODY if settings.speech.share_parts else None,
                credits_low_below=settings.credits_low_below,
                own_token_fallback=settings.speech.own_token_fallback,
            ),
            prices=self._prices,
            wallet=self._wallet,
        )
        expiry = SpeechExpiry(self._database, self._files, settings.speech.keep_seconds)
        return [
            speech.plan_speech,
            speech.speak_part,
            speech.join_speech,
            self._speech_end.end_speech,
            expiry.expire_speech,
        ]

    def _strangers(self) -> list[Activity]:
        """What goes to addresses that strangers give."""
        settings = self._settings
        outside = open_outside(settings, self._stack)
        seals = Seals(settings.temporal.payload_keys)
        webhooks = WebhookActivities(self._database, WebhookSender(outside), seals.open)
        fetch = FetchActivities(
            self._database,
            self._files,
            MediaDownloads(outside, seconds=settings.egress.fetch_timeout_seconds),
            seals,
            FetchLimits(
                max_bytes=settings.limits.max_upload_mb << 20, tries=settings.egress.fetch_tries
            ),
        )
        return [webhooks.deliver_webhooks, fetch.fetch]

    def _upkeep(self) -> list[Activity]:
        database, files = self._database, self._files
        endings = Endings(database, self._memo, self._language, self._speech_end)
        erase = EraseActivities(database, files, self._jobs, endings)
        reconcile = ReconcileActivities(
            database,
            files,
            self._jobs,
            endings,
            ReconcileAges(),
            uploads=UploadSweep(database, files, self._storage.resumable),
            staged=StagingSweep(self._engines.batches),
            postman=Postman(
                database, open_notifier(self._settings, self._stack), activity.heartbeat
            ),
            wallet=self._wallet,
        )
        return [erase.stop_memo, erase.erase_memo, reconcile.heal]
