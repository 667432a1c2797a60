"""A memo whose user is told of it by webhook, as the API enters it."""

from collections.abc import Sequence
from pathlib import Path

from contracts.memo import MemoJob, MemoStatus
from contracts.webhooks import MemoEventData, WebhookEvent
from runtime.seals import Seals
from tests.fakes.webhook_receiver import WebhookReceiver
from tests.recordings import make
from tests.site import Site


def sealed(receiver: WebhookReceiver, user_id: str) -> str:
    return Seals(()).seal(receiver.secret or "", user_id)


async def memo_told_of(
    site: Site,
    receiver: WebhookReceiver,
    folder: Path,
    events: Sequence[WebhookEvent] = (),
    **fields: object,
) -> MemoJob:
    """A memo as the API enters it, for a user with one endpoint that wants some events, or all."""
    job = await site.memo(make(folder / "tone.wav", 5), **fields)
    async with site.database.write() as tx:
        await tx.webhook_endpoints.add(
            job.user_id,
            f"{receiver.wire.url}/hook",
            sealed(receiver, job.user_id),
            events=events,
        )
        said = MemoEventData(memo_id=job.memo_id, job_id=job.job_id, status=MemoStatus.PENDING)
        announced = await tx.webhooks.announce(
            job.user_id, WebhookEvent.MEMO_CREATED, said, subject=job.job_id, job_id=job.job_id
        )
    return job.model_copy(update={"announced": announced})
