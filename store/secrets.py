"""Secrets that users gave for one job: sealed, and here for as long as the job needs them."""

from typing import ClassVar

from store.job_texts import JobTexts, Statements, statements_of
from store.secret_tables import job_secrets


class Secrets(JobTexts):
    """The secrets, inside a transaction."""

    statements: ClassVar[Statements] = statements_of(job_secrets, "sealed")

    async def keep(self, job_id: str, user_id: str, sealed: str) -> None:
        """Keep a job's secret; one of an earlier round gives way.

        Args:
            sealed: by ``runtime.seals``, for this job.
        """
        await self._keep(job_id, user_id, sealed=sealed)
