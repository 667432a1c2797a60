"""Memos whose recording is at an address, as the API leaves them for the worker."""

from contracts.memo import MemoJob
from runtime.seals import PLAIN
from tests.site import Site


async def memo_by_url(site: Site, url: str, **fields: object) -> MemoJob:
    """Write the rows of a memo whose recording has to be fetched."""
    job = await site.memo(None, fetch=True, **fields)
    async with site.database.write() as tx:
        await tx.media.remove(job.audio_path, job.user_id)
        await tx.addresses.keep(job.job_id, job.user_id, PLAIN + url)
    return job
