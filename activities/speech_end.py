"""The last word on a text that is read aloud, and what is told of it."""

from temporalio import activity

from activities.flat_price import FlatPrice
from activities.own_tokens import forget_token
from activities.ports import Database, Transaction
from activities.wallet_ports import Wallet
from contracts.jobs import JobFailure, JobState, Step
from contracts.speech_job import (
    EndSpeech,
    SpeechEnded,
    SpeechFile,
    SpeechJob,
    SpeechReady,
    SpeechState,
)
from contracts.webhooks import Delivery, SpeechEventData, WebhookEvent


class SpeechEndings:
    """Ends jobs that have no file."""

    def __init__(self, database: Database, wallet: Wallet | None = None) -> None:
        self._database = database
        self._price = FlatPrice(wallet)

    @activity.defn(name="end_speech")
    async def end_speech(self, order: EndSpeech) -> SpeechEnded:
        """Release what is held and write the final state, unless it has one."""
        job, announced = order.job, tuple[Delivery, ...]()
        async with self._database.write() as tx:
            state = await tx.jobs.state(job.job_id, job.user_id)
            file = await tx.speech.find(job.file_id, job.user_id)
            if state is JobState.COMPLETED and file is not None:
                ready = SpeechReady(
                    seconds=file.seconds or 0.0, size=file.size or 0, charged=job.price
                )
                return SpeechEnded(state=state, ready=ready)
            if state is None or state.final:
                return SpeechEnded(state=state or order.state)
            await self._price.release(tx, job)
            await forget_token(tx, job)
            why = order.failure or JobFailure(code="cancelled", message="The job was cancelled")
            await tx.speech.failed(job.file_id, job.user_id, why.code, why.message)
            await tx.jobs.move(
                job.job_id, job.user_id, order.state, step=Step.DONE, failure=order.failure
            )
            if file is None:  # deleted while it was made: what was spoken since goes too
                for owned in await tx.speech.drop_parts(job.file_id, job.user_id):
                    await tx.media.loosen(owned.key, owned.user_id)
            elif order.state is JobState.FAILED:
                announced = await announce_speech(
                    tx, job, file, WebhookEvent.SPEECH_FAILED, failure=order.failure
                )
        await self._price.tell(job)
        return SpeechEnded(state=order.state, announced=announced)


async def announce_speech(
    tx: Transaction,
    job: SpeechJob,
    file: SpeechFile,
    event: WebhookEvent,
    made: SpeechReady | None = None,
    *,
    failure: JobFailure | None = None,
) -> tuple[Delivery, ...]:
    """Write the messages that tell how it ended; returns those that are new."""
    said = SpeechEventData(
        file_id=job.file_id,
        job_id=job.job_id,
        content_hash=file.content_hash,
        status=SpeechState.READY if made else SpeechState.FAILED,
        format=job.form,
        characters=len(file.order.text),
        seconds=made.seconds if made else None,
        size=made.size if made else None,
        credits=made.charged if made else None,
        error=failure,
    )
    return await tx.webhooks.announce(
        job.user_id, event, said, subject=job.job_id, job_id=job.job_id, attempt_round=job.round
    )
