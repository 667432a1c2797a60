"""Ids in paths: text of any kind, because what names no row is simply not found."""

import re
from typing import Annotated, Final

from fastapi import Path

from contracts.errors import NotFound

MemoId = Annotated[str, Path(description="Id of a memo.")]
MemoryId = Annotated[str, Path(description="Id of a memory.")]
BlueprintId = Annotated[str, Path(description="Id of a blueprint.")]
JobId = Annotated[str, Path(description="Id of a job: `memo-<memo id>`, `question-<id>`, …")]

_JOB_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,200}")


def check_job_id(job_id: str) -> str:
    """A text that can name a job.

    Raises:
        NotFound: it names none, and a database may refuse to look for it.
    """
    if not _JOB_ID.fullmatch(job_id):
        raise NotFound
    return job_id
