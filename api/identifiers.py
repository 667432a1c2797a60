"""Ids in paths: text of any kind, because what names no row is simply not found."""

from typing import Annotated

from fastapi import Path

MemoId = Annotated[str, Path(description="Id of a memo.")]
JobId = Annotated[str, Path(description="Id of a job: `memo-<memo id>` or `erase-<memo id>`.")]
