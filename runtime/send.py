"""`voicekeep send`: one recording through the public HTTP API, watched to its end."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from contracts.errors import NotFound
from runtime.send_pieces import FROM_BYTES, Pieces
from runtime.send_progress import Progress
from runtime.target import AWAY_SECONDS, RECONNECT_SECONDS, Api, Target, failure_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Everything known of a recording that went through.

    Attributes:
        events: what the job told on its way, in order.
        seconds: from the first byte sent to the last event.
    """

    job: dict[str, Any]
    memo: dict[str, Any]
    transcript: dict[str, Any] | None
    events: tuple[dict[str, Any], ...]
    seconds: float
    target: Target


def send(
    target: Target,
    file: Path,
    languages: Sequence[str],
    progress: Progress,
    *,
    pause: float = RECONNECT_SECONDS,
) -> Sent:
    """Upload the file, follow its job to the end, and fetch what came of it.

    Args:
        pause: seconds before a broken stream of events is taken up again.

    Raises:
        Failure: the API refuses; Unavailable: it is away.
    """
    began = time.monotonic()
    with Api.open(target, pause) as api:
        created = _upload(api, file, languages, progress)
        job_id, memo_id = created["jobId"], created["memoId"]
        events: list[dict[str, Any]] = []
        for event in api.follow(f"/api/v1/jobs/{job_id}/events"):
            events.append(event)
            progress.event(event)
        return Sent(
            job=api.get(f"/api/v1/jobs/{job_id}"),
            memo=api.get(f"/api/v1/memos/{memo_id}")["memo"],
            transcript=_transcript(api, memo_id),
            events=tuple(events),
            seconds=time.monotonic() - began,
            target=target,
        )


def _upload(api: Api, file: Path, languages: Sequence[str], progress: Progress) -> dict[str, Any]:
    """Send the file as a phone would; a large one in pieces, so that a bad line is no end."""
    key = {"Idempotency-Key": str(uuid4())}
    if file.stat().st_size >= FROM_BYTES:
        pieces = Pieces(api.client, failure_of, progress, pause=api.pause, patience=AWAY_SECONDS)
        try:
            path = pieces.send(file)
        except httpx.TransportError as error:
            raise api.no_answer() from error
        body = {"filePath": path, "duration": 0, "recordingLanguages": list(languages)}
        return api.call("POST", "/api/v1/memos", json=body, headers=key)
    with file.open("rb") as source:
        counted = progress.reading(source, file.stat().st_size)
        return api.call(
            "POST",
            "/api/v1/memos/upload",
            files={"file": (file.name, counted)},
            data={"recordingLanguages": list(languages)},
            headers=key,
        )


def _transcript(api: Api, memo_id: str) -> dict[str, Any] | None:
    try:
        return api.get(f"/api/v1/memos/{memo_id}/transcript?format=json")
    except NotFound:
        return None
