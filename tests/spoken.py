"""Texts that are to be read aloud, ordered as the API does."""

import uuid
from typing import Any

from temporalio.client import WorkflowHandle

from contracts import ids
from contracts.queues import MAIN
from contracts.speech import SpeechOrder
from contracts.speech_job import SpeechJob, SpeechResult
from contracts.speech_text import normalised
from runtime.sessions import own_token_seals
from tests.site import DEATH_NOTICED, Site

WEEK = 7 * 24 * 3600.0


def paragraphs(number: int) -> str:
    """A text whose every paragraph is a part of its own, and each another one."""
    words = "It was a bright cold day in the harbour and all the clocks of the town were silent. "
    return "\n\n".join(f"Paragraph number {at}. {words * 4}" for at in range(1, number + 1))


async def ordered(
    site: Site,
    text: str,
    *,
    user_id: str | None = None,
    price: int = 0,
    token: str | None = None,
    **fields: Any,
) -> SpeechJob:
    """Write the rows of a text that is to be read aloud, with a token of the user's if there is."""
    file_id, owner = str(uuid.uuid4()), user_id or str(uuid.uuid4())
    order = SpeechOrder(**{"text": normalised(text), "voice": "nova", "format": "wav"} | fields)
    job = SpeechJob(
        job_id=ids.speech_job(file_id),
        user_id=owner,
        file_id=file_id,
        form=order.format,
        price=price,
        heartbeat_seconds=2,
        own_token=token is not None,
    )
    async with site.database.write() as tx:
        await tx.speech.add(file_id, owner, job.job_id, order, keep_seconds=WEEK)
        await tx.jobs.create(
            job.job_id,
            owner,
            kind=ids.SPEECH,
            subject_id=file_id,
            request=job.model_dump(mode="json"),
            deadline_seconds=600,
        )
        if token is not None:
            seals = own_token_seals(site.settings().sign_in, site.folder)
            await tx.secrets.keep(job.job_id, owner, seals.seal(token, job.job_id))
    return job


async def start(site: Site, job: SpeechJob) -> WorkflowHandle[object, SpeechResult]:
    """Start its workflow."""
    return await site.client.start_workflow(
        ids.SPEECH,
        job,
        id=job.job_id,
        task_queue=MAIN,
        task_timeout=DEATH_NOTICED,
        result_type=SpeechResult,
    )
