"""The bookkeeping of a memo job: reserve, settle for a transcript, end with a state."""

from functools import partial

from temporalio import activity

from activities.outside import seconds_of, take_over
from activities.ports import Database, Files, Transaction
from activities.wallet_ports import OwnWallet, Wallet
from contracts import ids
from contracts.audio import MediaKind
from contracts.credits import LOW_BELOW, Charge
from contracts.jobs import JobFailure, JobState, Step
from contracts.memo import (
    Ended,
    EndMemo,
    MemoJob,
    MemoStatus,
    Reserved,
    Settled,
    SettleMemo,
)
from contracts.outside import OutsideTranscript
from contracts.pricing import transcription_price
from contracts.reservations import Need
from contracts.webhooks import Delivery, MemoEventData, WebhookEvent, credits_low

TRANSCRIPTION = "transcription"
HEADLINE = "headline_and_intro"

_STATUS = {
    JobState.COMPLETED: MemoStatus.COMPLETED,
    JobState.COMPLETED_NO_TRANSCRIPT: MemoStatus.COMPLETED_NO_TRANSCRIPT,
    JobState.FAILED: MemoStatus.FAILED,
    JobState.CANCELLED: MemoStatus.CANCELLED,
}


class MemoActivities:
    """Short steps, each one database transaction and safe to do twice.

    Args:
        credits_low_below: a charge that takes the balance below it is told.
        wallet: who keeps the credits; the ledger alone when there is none.
    """

    def __init__(
        self,
        database: Database,
        files: Files,
        credits_low_below: int = LOW_BELOW,
        wallet: Wallet | None = None,
    ) -> None:
        self._database = database
        self._files = files
        self._low_below = credits_low_below
        self._wallet = wallet or OwnWallet()

    @activity.defn(name="reserve")
    async def reserve(self, job: MemoJob) -> Reserved:
        """Take the job up: state ``running``, credits held for the claimed seconds.

        What an earlier round heard, or was told after its end, is the result.

        Raises:
            InsufficientCredits: fewer are free; the job is left as it was.
        """
        await self._wallet.cover(_need(job, "hold"), partial(_first_price, job=job))
        async with self._database.write() as tx:
            state = await tx.jobs.state(job.job_id, job.user_id)
            if state is None or state.final:
                return Reserved(present=False)
            first = Step.FETCH if job.fetch else Step.PROBE
            await tx.jobs.move(job.job_id, job.user_id, JobState.RUNNING, step=first)
            key = ids.step_key(job.job_id, "hold", job.round)
            said = await _late_report(tx, job)
            price = await _price(tx, job, said)
            space_id = None if self._wallet.elsewhere else job.space_id
            held = await tx.credits.hold(job.user_id, job.job_id, key, price, space_id=space_id)
            await tx.memos.set_processing(
                job.memo_id, job.user_id, TRANSCRIPTION, MemoStatus.PROCESSING
            )
            earlier = None
            if job.round > 1:
                earlier = await tx.transcripts.find(job.job_id, job.user_id)
                earlier = await take_over(tx, job, said, earlier)
            return Reserved(present=True, held=held, result=earlier)

    @activity.defn(name="settle")
    async def settle(self, order: SettleMemo) -> Settled:
        """Charge the measured seconds, once in the job's life; returns its charge in all."""
        job = order.job
        await self._wallet.cover(_need(job, "settle"), partial(_last_price, order=order))
        async with self._database.write() as tx:
            charge = await tx.credits.settle(
                job.user_id,
                job.job_id,
                ids.step_key(job.job_id, "settle"),
                transcription_price(order.seconds),
                operation=TRANSCRIPTION,
            )
            await self._wallet.settled(tx, job.job_id, job.user_id, charge)
            # Nothing now: a try before this one did it, and its answer was lost.
            charged = charge.amount or (await tx.credits.of_job(job.user_id, job.job_id)).charged
            await tx.memos.set_processing(
                job.memo_id, job.user_id, TRANSCRIPTION, MemoStatus.COMPLETED
            )
            await tx.jobs.advance(
                job.job_id,
                job.user_id,
                Step.HEADLINE,
                data={"step": Step.SETTLE, "charged": charged},
            )
            said = MemoEventData(
                memo_id=job.memo_id,
                job_id=job.job_id,
                status=MemoStatus.PROCESSING,
                seconds=order.seconds,
                words=order.transcript.words,
                credits=charged,
                tier=order.transcript.tier,
            )
            announced = await _announce(tx, job, WebhookEvent.MEMO_TRANSCRIBED, said)
            announced += await announce_low(tx, job.user_id, charge, self._low_below)
        await self._wallet.tell(job.job_id, job.user_id)
        return Settled(charged=charged, announced=announced)

    @activity.defn(name="end")
    async def end(self, order: EndMemo) -> Ended:
        """Release what is still held, write the final state and the reasons, remove work files."""
        job = order.job
        async with self._database.write() as tx:
            state = await tx.jobs.state(job.job_id, job.user_id)
            if state is None:
                return Ended()
            key = ids.step_key(job.job_id, "release", job.round)
            await tx.credits.release(job.user_id, job.job_id, key)
            await self._wallet.ended(tx, job.job_id, job.user_id)
            if job.fetch:
                await tx.addresses.forget(job.job_id, job.user_id)
            if order.state is not JobState.COMPLETED:
                await tx.memos.set_processing(
                    job.memo_id,
                    job.user_id,
                    TRANSCRIPTION,
                    _STATUS[order.state],
                    **reason(order.failure),
                )
            if order.headline_failure is not None:
                await tx.memos.set_processing(
                    job.memo_id,
                    job.user_id,
                    HEADLINE,
                    MemoStatus.FAILED,
                    **reason(order.headline_failure),
                )
            if order.headline_failure is not None or order.state is JobState.CANCELLED:
                await tx.language.drop_notes(job.job_id, job.user_id)
            await tx.jobs.move(
                job.job_id,
                job.user_id,
                order.state,
                step=Step.DONE,
                failure=order.failure,
                result=order.result or None,
            )
            announced = await _announce_end(tx, order)
        await self._wallet.tell(job.job_id, job.user_id)
        return Ended(announced=announced)

    @activity.defn(name="discard_work")
    async def discard_work(self, job: MemoJob) -> int:
        """Remove what activities left for each other; returns the number of files removed."""
        async with self._database.read() as tx:
            keys = await tx.media.of_job(job.job_id, job.user_id, MediaKind.WORK)
        for key in keys:
            await self._files.delete(key)
        if keys:
            async with self._database.write() as tx:
                for key in keys:
                    await tx.media.remove(key, job.user_id)
        return len(keys)


def _need(job: MemoJob, step: str) -> Need:
    key = ids.step_key(job.job_id, step, job.round)
    return Need(job_id=job.job_id, user_id=job.user_id, key=key, round=job.round)


async def _late_report(tx: Transaction, job: MemoJob) -> OutsideTranscript | None:
    """A report that came after the round before had failed."""
    if job.round == 1:
        return None
    return await tx.outside.transcript(job.job_id, job.user_id)


async def _price(tx: Transaction, job: MemoJob, said: OutsideTranscript | None) -> int:
    if said is None:
        return transcription_price(job.claimed_seconds)
    return transcription_price(await seconds_of(tx, job, said))


async def _first_price(tx: Transaction, *, job: MemoJob) -> int:
    return await _price(tx, job, await _late_report(tx, job))


async def _last_price(tx: Transaction, *, order: SettleMemo) -> int:
    """None for a job that has been charged."""
    before = await tx.credits.of_job(order.job.user_id, order.job.job_id)
    return 0 if before.charged else transcription_price(order.seconds)


async def _announce_end(tx: Transaction, order: EndMemo) -> tuple[Delivery, ...]:
    """What is told of a job's end; nothing of one that its own user cancelled."""
    if order.state is JobState.CANCELLED:
        return ()
    result = order.result
    said = MemoEventData(
        memo_id=order.job.memo_id,
        job_id=order.job.job_id,
        status=_STATUS[order.state],
        seconds=result.get("seconds"),
        words=result.get("words"),
        credits=result.get("charged"),
        tier=result.get("tier"),
        error=order.failure,
    )
    failed = order.state is JobState.FAILED
    event = WebhookEvent.MEMO_FAILED if failed else WebhookEvent.MEMO_COMPLETED
    return await _announce(tx, order.job, event, said)


async def _announce(
    tx: Transaction, job: MemoJob, event: WebhookEvent, said: MemoEventData
) -> tuple[Delivery, ...]:
    return await tx.webhooks.announce(
        job.user_id,
        event,
        said,
        subject=job.job_id,
        job_id=job.job_id,
        attempt_round=job.round,
    )


async def announce_low(
    tx: Transaction, user_id: str, charge: Charge, threshold: int
) -> tuple[Delivery, ...]:
    """Tell that the balance fell below the threshold, if it was this charge that took it there.

    Told is whose balance it is: of a space's, its owner.
    """
    low = credits_low(charge, threshold)
    if low is None:
        return ()
    told = user_id if charge.space_id is None else await tx.spaces.owner(charge.space_id)
    if told is None:
        return ()
    await tx.notifications.credits_low(told, low, subject=charge.key)
    return await tx.webhooks.announce(told, WebhookEvent.CREDITS_LOW, low, subject=charge.key)


def reason(failure: JobFailure | None) -> dict[str, str]:
    """A failure as ``metadata.processing`` tells it."""
    if failure is None:
        return {}
    return {"error": failure.message, "error_code": failure.code}
