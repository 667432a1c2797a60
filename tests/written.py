"""Language jobs of a site, as the API makes them: rows first, then the workflow."""

import uuid
from pathlib import Path

from temporalio.client import WorkflowHandle

from contracts import ids
from contracts.language import MemoryPrompt, Use
from contracts.language_job import LanguageJob, LanguageOrder, LanguageResult
from contracts.memo import MemoJob
from contracts.queues import MAIN
from tests.fakes.language import marked
from tests.site import DEATH_NOTICED, Site

PLANTED = "Zwetschgenkuchen"
"""Stands in the question and in the answer to it, and nowhere else."""

ORDER = LanguageOrder(
    instruction=f"Who likes {PLANTED}?",
    prompts=(MemoryPrompt(title="First", text=PLANTED), MemoryPrompt(text="List the boats.")),
)


async def transcribed(
    site: Site, folder: Path, language: str = "en-US", *, lines: int = 3, **fields: object
) -> MemoJob:
    """A memo with a transcript; its own job was never begun."""
    audio = folder / "memo.wav"
    audio.write_bytes(b"RIFF")
    memo = await site.memo(audio, **fields)
    transcript = marked(lines).model_copy(
        update={"primary_language": language, "languages": (language,)}
    )
    async with site.database.write() as tx:
        await tx.transcripts.save(memo.job_id, memo.user_id, memo.memo_id, "openai", transcript)
    return memo


async def ordered(
    site: Site, memo: MemoJob, use: Use, order: LanguageOrder = ORDER, **fields: object
) -> LanguageJob:
    """The rows of a language job."""
    job = LanguageJob(
        job_id=ids.language_job(use, str(uuid.uuid4())),
        use=use,
        user_id=memo.user_id,
        subject_id=str(uuid.uuid4()) if use is Use.COMBINE else memo.memo_id,
        memo_ids=(memo.memo_id,),
        price=0 if use is Use.HEADLINE else 5,
        heartbeat_seconds=5,
    ).model_copy(update=fields)
    async with site.database.write() as tx:
        await tx.jobs.create(
            job.job_id,
            job.user_id,
            kind=use,
            subject_id=job.subject_id,
            request=job.model_dump(mode="json"),
            deadline_seconds=600,
        )
        await tx.language.order(job, order)
    return job


async def start(site: Site, job: LanguageJob) -> WorkflowHandle[object, LanguageResult]:
    """Start its workflow; a dead worker's workflow task is given out again soon."""
    return await site.client.start_workflow(
        ids.LANGUAGE,
        job,
        id=job.job_id,
        task_queue=MAIN,
        task_timeout=DEATH_NOTICED,
        result_type=LanguageResult,
    )
