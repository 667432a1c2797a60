"""Memos over HTTP: begun, read, listed, changed, deleted."""

from uuid import uuid4

import pytest

from contracts.jobs import JobState
from tests.api.front import SAID, Front, User, opened
from contracts.errors import Unavailable


async def test_a_memo_is_accepted_with_its_row_its_job_and_a_started_workflow(
    front: Front, anna: User
) -> None:
    answer = await front.post_memo(anna, title=" Shopping ", recordingLanguages=["de-DE"])

    assert answer.status_code == 201
    body = answer.json()
    memo_id = body["memoId"]
    assert body["success"] is True
    assert body["jobId"] == f"memo-{memo_id}"
    assert body["audioPath"] == f"{anna.id}/a/audio.m4a"
    assert body["memo"]["title"] == "Shopping"
    assert body["memo"]["status"] == "pending"
    assert body["memo"]["jobId"] == body["jobId"]
    assert body["memo"]["metadata"]["recordingLanguages"] == ["de-DE"]
    [(kind, job_id, user_id, request)] = front.starter.started
    assert (kind, job_id, user_id) == ("memo", body["jobId"], anna.id)
    assert request["claimed_seconds"] == 61
    read = await front.ask("GET", f"memos/{memo_id}", anna)
    assert read.json() == {"success": True, "memo": body["memo"]}
