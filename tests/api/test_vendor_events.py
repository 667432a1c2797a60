"""Events of Azure: signed, bounded, and never more than a wake-up."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from contracts.batch import JobOwner
from contracts.errors import Unavailable
from contracts.jobs import JobState
from contracts.outside import VendorEvent
from store.vendor_jobs import MOST_EVENTS
from tests.api.front import Front, User, opened

SECRET = "webhook-secret-of-a-test"
KEY = "events-key-of-a-test"
SPEECH = "webhooks/azure-speech"
GRID = "webhooks/azure-events"
DONE = "TranscriptionCompletion"


@pytest.fixture
async def front(data_dir: Path) -> AsyncIterator[Front]:
    secrets: dict[str, Any] = {"AZURE_SPEECH_WEBHOOK_SECRET": SECRET, "AZURE_EVENTS_KEY": KEY}
    async with opened(data_dir, RATE_LIMIT_PER_MINUTE=3, **secrets) as front:
        yield front


def signature(body: bytes, secret: str = SECRET) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()


def about(vendor_job: str) -> bytes:
    place = "https://swedencentral.api.cognitive.microsoft.com/speechtotext/transcriptions"
    return json.dumps({"self": f"{place}/{vendor_job}?api-version=2025-10-15"}).encode()


async def speech(
    front: Front, body: bytes, *, name: str = DONE, signed: str | None = None, query: str = ""
) -> httpx.Response:
    headers = {
        "X-MicrosoftSpeechServices-Event": name,
        "X-MicrosoftSpeechServices-Signature": signature(body) if signed is None else signed,
    }
    return await front.ask("POST", f"{SPEECH}{query}", content=body, headers=headers)


def stored(vendor_job: str, file: str = "contenturl_0.json") -> dict[str, Any]:
    path = f"/blobServices/default/containers/x/blobs/results/{vendor_job}/{file}"
    kind = "Microsoft.Storage.BlobCreated"
    return {"id": str(uuid4()), "eventType": kind, "subject": path, "data": {"url": "https://x"}}


async def grid(front: Front, *events: Any, key: str = KEY) -> httpx.Response:
    return await front.ask("POST", f"{GRID}?key={key}", json=list(events))


async def waiting(front: Front, user: User) -> tuple[str, str]:
    """A memo whose job waits for a vendor's: their ids."""
    memo = await front.new_memo(user)
    await front.move(memo, JobState.RUNNING)
    vendor_job = str(uuid4())
    owner = JobOwner(job_id=memo["jobId"], user_id=user.id)
    async with front.database.write() as tx:
        await tx.vendor_jobs.keep("azure", vendor_job, owner)
    return memo["jobId"], vendor_job


async def test_a_signed_event_wakes_the_job_that_waits(front: Front, anna: User) -> None:
    job_id, vendor_job = await waiting(front, anna)
    answer = await speech(front, about(vendor_job.upper()))
    assert answer.json() == {"success": True, "woken": 1, "ignored": False}
    told = VendorEvent(vendor_job=vendor_job)
    assert front.starter.signals == [(job_id, "vendor_event", told)]
    assert "X-RateLimit-Limit" not in answer.headers


@pytest.mark.parametrize("signed", ["", "x", signature(b"other"), signature(about("x"), "wrong")])
async def test_an_event_that_is_not_signed_is_401_and_wakes_nobody(
    front: Front, anna: User, signed: str
) -> None:
    _, vendor_job = await waiting(front, anna)
    answer = await speech(front, about(vendor_job), signed=signed)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    unsigned = await front.ask("POST", SPEECH, content=about(vendor_job))
    assert unsigned.status_code == 401
    assert front.starter.signals == []


async def test_a_challenge_is_answered_with_its_token_when_it_is_signed(front: Front) -> None:
    query = "?validationToken=to%20ken%3C1%3E"
    answer = await speech(front, b"", name="challenge", query=query)
    assert (answer.status_code, answer.text) == (200, "to ken<1>")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    unsigned = await speech(front, b"", name="challenge", query=query, signed="")
    assert (unsigned.status_code, "to ken" in unsigned.text) == (401, False)


@pytest.mark.parametrize("path", [SPEECH, f"{GRID}?key=", f"{GRID}?key=None"])
async def test_an_unset_secret_closes_the_route(data_dir: Path, path: str) -> None:
    async with opened(data_dir) as front:
        headers = {"X-MicrosoftSpeechServices-Signature": signature(b"[]", "")}
        answer = await front.ask("POST", path, content=b"[]", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (503, "not_configured")


async def test_replays_wake_once(front: Front, anna: User) -> None:
    _, vendor_job = await waiting(front, anna)
    answers = [await speech(front, about(vendor_job)) for _ in range(10)]
    assert [answer.status_code for answer in answers] == [200] * 10
    assert [answer.json()["woken"] for answer in answers] == [1] + [0] * 9
    assert len(front.starter.signals) == 1


async def test_a_storm_of_different_events_wakes_so_often_and_no_more(
    front: Front, anna: User
) -> None:
    _, vendor_job = await waiting(front, anna)
    names = [f"Event{number}" for number in range(100)]
    await asyncio.gather(*(speech(front, about(vendor_job), name=name) for name in names))
    assert len(front.starter.signals) == MOST_EVENTS


@pytest.mark.parametrize(
    "name", ["TranscriptionCreation", "TranscriptionProcessing", "TranscriptionDeletion", "Ping"]
)
async def test_events_that_are_no_end_wake_nobody(front: Front, anna: User, name: str) -> None:
    _, vendor_job = await waiting(front, anna)
    answer = await speech(front, about(vendor_job), name=name)
    assert (answer.status_code, answer.json()["ignored"]) == (200, True)
    assert front.starter.signals == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", about("x"), about(str(uuid4())), b"[" * 50_000]
)
async def test_garbage_and_unknown_jobs_are_200_and_ignored(front: Front, body: bytes) -> None:
    answer = await speech(front, body)
    assert (answer.status_code, answer.json()["ignored"]) == (200, True)


async def test_ten_megabytes_are_too_large(front: Front) -> None:
    body = b" " * 10_000_000
    assert (await speech(front, body)).status_code == 413
    answer = await front.ask("POST", f"{GRID}?key={KEY}", content=body)
    assert answer.status_code == 413


async def test_an_event_while_temporal_is_away_is_503_and_counts_when_it_comes_again(
    front: Front, anna: User
) -> None:
    _, vendor_job = await waiting(front, anna)
    front.starter.failure = Unavailable("Temporal does not answer", retry_after=1)
    answer = await speech(front, about(vendor_job))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    front.starter.failure = None
    assert (await speech(front, about(vendor_job))).json()["woken"] == 1


async def test_a_subscription_is_validated_by_its_code(front: Front) -> None:
    event = {
        "id": "1",
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": "512d38b6", "validationUrl": "https://x"},
    }
    answer = await grid(front, event)
    assert (answer.status_code, answer.json()) == (200, {"validationResponse": "512d38b6"})
    refused = await grid(front, event, key="wrong")
    assert (refused.status_code, "512d38b6" in refused.text) == (401, False)


async def test_results_that_were_stored_wake_their_job_once_a_file(
    front: Front, anna: User
) -> None:
    job_id, vendor_job = await waiting(front, anna)
    files = ["contenturl_0.json", "report.json", "contenturl_0.json"]
    answer = await grid(front, *(stored(vendor_job, file) for file in files))
    assert answer.json()["woken"] == 2
    assert {job for job, _, _ in front.starter.signals} == {job_id}


async def test_the_key_may_stand_in_a_header(front: Front, anna: User) -> None:
    _, vendor_job = await waiting(front, anna)
    headers = {"X-Azure-Events-Key": KEY}
    answer = await front.ask("POST", GRID, json=[stored(vendor_job)], headers=headers)
    assert answer.json()["woken"] == 1
    wrong = await front.ask("POST", GRID, json=[], headers={"X-Azure-Events-Key": "x"})
    assert wrong.status_code == 401


@pytest.mark.parametrize(
    "event",
    [
        None,
        7,
        {},
        {"eventType": "Microsoft.Storage.BlobDeleted"},
        {"eventType": "Microsoft.Storage.BlobCreated", "subject": {"a": [1]}},
        {"eventType": "Microsoft.Storage.BlobCreated", "subject": "/results/x/report.json"},
        {"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": []},
        stored(str(uuid4())),
    ],
)
async def test_events_of_other_kinds_are_ignored(front: Front, event: Any) -> None:
    answer = await grid(front, event)
    assert (answer.status_code, answer.json()["ignored"]) == (200, True)


@pytest.mark.parametrize("content", [b"", b"{", b"{}", b"7"])
async def test_a_body_that_is_no_list_is_refused(front: Front, content: bytes) -> None:
    answer = await front.ask("POST", f"{GRID}?key={KEY}", content=content)
    assert answer.status_code == 400
