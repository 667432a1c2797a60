"""Healing what fell between two systems: rows without a workflow, holds and files without a job."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from temporalio import activity

from activities.batch import StagingSweep
from activities.endings import Endings
from activities.notifications import Postman
from activities.outside import OutsideDelivery
from activities.ports import Database, Files, JobStarter
from activities.uploads import UploadSweep
from activities.wallet_ports import OwnWallet, Wallet
from activities.webhooks import OverdueWebhooks
from contracts.jobs import JobFailure, JobState, StaleJob
from contracts.memo import Healed

PAGE = 200
STAGED_MINUTE = 7
LOST = JobFailure(
    code="workflow_ended",
    message="The workflow was ended from outside before it came to a result",
)


@dataclass(frozen=True)
class ReconcileAges:
    """How old, in seconds, something must be before it counts as fallen between.

    Attributes:
        queued: a row whose workflow was perhaps never started.
        running: a job that wrote nothing, so that Temporal is asked about it.
        file: a work file of an ended job, or an upload that became no memo.
    """

    queued: float = 20.0
    running: float = 120.0
    file: float = 3600.0


class ReconcileActivities:
    """One tick reads page by page; a killed one is done again, and finds less to do."""

    def __init__(  # noqa: PLR0913 - ports, one each
        self,
        database: Database,
        files: Files,
        starter: JobStarter,
        endings: Endings,
        ages: ReconcileAges,
        *,
        uploads: UploadSweep,
        staged: StagingSweep,
        postman: Postman | None = None,
        wallet: Wallet | None = None,
    ) -> None:
        self._database = database
        self._files = files
        self._starter = starter
        self._endings = endings
        self._ages = ages
        self._uploads = uploads
        self._staged = staged
        self._postman = postman
        self._wallet = wallet or OwnWallet()

    @activity.defn(name="heal")
    async def heal(self) -> Healed:
        """Start what was never started, end what lost its workflow, clear up what is left over."""
        return Healed(
            started=await self._heal_queued(),
            failed=await self._heal_running(),
            reports_told=await OutsideDelivery(self._database, self._starter).deliver(),
            webhooks_sent=await OverdueWebhooks(self._database, self._starter).send(),
            holds_released=await self._heal_holds(),
            reservations_healed=await self._heal_reservations(),
            files_removed=await self._heal_files(),
            keys_forgotten=await self._forget_keys(),
            staged_removed=await self._sweep_staged(),
            mail_sent=await self._postman.send_due() if self._postman else 0,
        )

    async def _sweep_staged(self) -> int:
        """Once an hour: each look is a call to a vendor's storage."""
        if activity.info().scheduled_time.minute != STAGED_MINUTE:
            return 0
        return await self._staged.remove()

    async def _heal_queued(self) -> int:
        started = 0
        async for job in self._stale(JobState.QUEUED, self._ages.queued):
            started += await self._starter.start(job.kind, job.id, job.user_id, job.request)
        return started

    async def _heal_running(self) -> int:
        ended = 0
        async for job in self._stale(JobState.RUNNING, self._ages.running):
            if not await self._starter.running(job.id):
                await self._endings.end(job, JobState.FAILED, LOST)
                ended += 1
        return ended

    async def _heal_holds(self) -> int:
        released, after = 0, ""
        while True:
            async with self._database.write() as tx:
                page = await tx.credits.left_over(after=after, limit=PAGE)
                for hold in page:
                    # A job may leave one over in each round: the hold's own key tells them apart.
                    key = f"{hold.key}:left_over"
                    released += bool(await tx.credits.release(hold.user_id, hold.job_id, key))
            if len(page) < PAGE:
                return released
            after = page[-1].job_id
            activity.heartbeat(released)

    async def _heal_reservations(self) -> int:
        """Bring on what is reserved elsewhere, and tell how many an operator has to look for."""
        if not self._wallet.elsewhere:
            return 0
        healed = await self._wallet.heal()
        async with self._database.read() as tx:
            uncertain = await tx.reservations.count_uncertain()
        gauge = activity.metric_meter().create_gauge(
            "voicekeep_reservations_uncertain", "Reservations elsewhere that nobody knows of."
        )
        gauge.set(uncertain)
        return healed

    async def _forget_keys(self) -> int:
        async with self._database.write() as tx:
            # Each goes with the end of its job; this is for jobs that were ended otherwise.
            await tx.addresses.forget_ended()
            await tx.secrets.forget_ended()
        forgotten = 0
        while True:
            async with self._database.write() as tx:
                page = await tx.idempotency.forget_expired(PAGE)
            forgotten += page
            if page < PAGE:
                return forgotten
            activity.heartbeat(forgotten)

    async def _heal_files(self) -> int:
        removed = await self._files.sweep(self._ages.file)
        removed += await self._uploads.sweep(self._ages.file)
        while True:
            async with self._database.read() as tx:
                page = await tx.media.abandoned(older_than_seconds=self._ages.file, limit=PAGE)
            for owned in page:
                removed += await self._files.delete(owned.key)
                async with self._database.write() as tx:
                    await tx.media.remove(owned.key, owned.user_id)
                activity.heartbeat(removed)
            if len(page) < PAGE:
                return removed

    async def _stale(self, state: JobState, age: float) -> AsyncIterator[StaleJob]:
        after = ""
        while True:
            async with self._database.read() as tx:
                page = await tx.jobs.stale(state, older_than_seconds=age, after=after, limit=PAGE)
            for job in page:
                yield job
                activity.heartbeat(job.id)
            if len(page) < PAGE:
                return
            after = page[-1].id
