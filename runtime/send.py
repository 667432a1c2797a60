"""`voicekeep send`: one recording through the public HTTP API, watched to its end."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self
from uuid import uuid4

import httpx

from contracts.errors import Failure, NotFound, Rejected, Unavailable
from runtime.data_folder import read_running
from runtime.issuer import EmbeddedIssuer
from runtime.send_pieces import FROM_BYTES, Pieces
from runtime.send_progress import Progress
from runtime.settings import Settings

LOCAL_USER: Final = "00000000-0000-4000-8000-00000000cafe"
"""Whose memos those of `voicekeep send` are, unless a user is named."""

API_NAME: Final = "VOICEKEEP_API"
TOKEN_NAME: Final = "VOICEKEEP_TOKEN"  # noqa: S105 - the name of a variable

CALL_TIMEOUT: Final = httpx.Timeout(30, read=120)
RECONNECT_SECONDS: Final = 0.5
AWAY_SECONDS: Final = 60.0
"""How long an API that went away is waited for: it may be starting again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to send to, and as whom.

    Attributes:
        ui: web UI of Temporal, for a link; none when it is not known.
    """

    api: str
    token: str
    ui: str | None = None
    namespace: str = "default"


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


def find_target(settings: Settings, user_id: str | None) -> Target:
    """The running `up` of the folder, else the API and token named in the environment.

    Raises:
        Unavailable: nothing runs there.
    """
    api, token = os.environ.get(API_NAME), os.environ.get(TOKEN_NAME)
    if api and token:
        return Target(api=api.rstrip("/"), token=token, ui=settings.temporal.ui_url)
    running = read_running(settings.data_dir)
    if running is None:
        raise Unavailable(
            f"Nothing runs on {settings.data_dir}: start it with `voicekeep up`, or set "
            f"{API_NAME} and {TOKEN_NAME} for another API"
        )
    signed = EmbeddedIssuer.open(settings.data_dir).sign(user_id or LOCAL_USER)
    return Target(api=running.api, token=signed, ui=running.ui, namespace=running.namespace)


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
    with Api.open(target) as api:
        created = api.upload(file, languages, progress, pause)
        job_id, memo_id = created["jobId"], created["memoId"]
        events: list[dict[str, Any]] = []
        for event in api.follow(job_id, pause):
            events.append(event)
            progress.event(event)
        return Sent(
            job=api.get(f"/api/v1/jobs/{job_id}"),
            memo=api.get(f"/api/v1/memos/{memo_id}")["memo"],
            transcript=api.transcript(memo_id),
            events=tuple(events),
            seconds=time.monotonic() - began,
            target=target,
        )


class Api:
    """The few calls `send` makes."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    @classmethod
    @contextmanager
    def open(cls, target: Target) -> Iterator[Self]:
        """A client with the token in it; proxies of the environment are not asked."""
        headers = {"Authorization": f"Bearer {target.token}"}
        with httpx.Client(
            base_url=target.api, headers=headers, timeout=CALL_TIMEOUT, trust_env=False
        ) as client:
            yield cls(client)

    def upload(
        self, file: Path, languages: Sequence[str], progress: Progress, pause: float
    ) -> dict[str, Any]:
        """Send the file as a phone would; a large one in pieces, so that a bad line is no end."""
        key = {"Idempotency-Key": str(uuid4())}
        if file.stat().st_size >= FROM_BYTES:
            pieces = Pieces(self._client, failure_of, progress, pause=pause, patience=AWAY_SECONDS)
            try:
                path = pieces.send(file)
            except httpx.TransportError as error:
                raise Unavailable(f"No answer from {self._client.base_url}") from error
            body = {"filePath": path, "duration": 0, "recordingLanguages": list(languages)}
            return self._call("POST", "/api/v1/memos", json=body, headers=key)
        with file.open("rb") as source:
            counted = progress.reading(source, file.stat().st_size)
            return self._call(
                "POST",
                "/api/v1/memos/upload",
                files={"file": (file.name, counted)},
                data={"recordingLanguages": list(languages)},
                headers=key,
            )

    def get(self, path: str) -> dict[str, Any]:
        """One JSON answer."""
        return self._call("GET", path)

    def transcript(self, memo_id: str) -> dict[str, Any] | None:
        """The transcript; none when there is none."""
        try:
            return self.get(f"/api/v1/memos/{memo_id}/transcript?format=json")
        except NotFound:
            return None

    def follow(self, job_id: str, pause: float) -> Iterator[dict[str, Any]]:
        """Every event of a job up to the last one; goes on where it was when the API restarts."""
        last, away_since = 0, None
        while True:
            try:
                for event in self._events(job_id, last):
                    last, away_since = event["seq"], None
                    yield event
                    if event["type"] == "done":
                        return
            except (httpx.TransportError, Unavailable) as error:
                now = time.monotonic()
                away_since = away_since or now
                if now - away_since > AWAY_SECONDS:
                    raise Unavailable("The API went away") from error
            time.sleep(pause)

    def _events(self, job_id: str, after: int) -> Iterator[dict[str, Any]]:
        headers = {"Last-Event-ID": str(after)} if after else {}
        path = f"/api/v1/jobs/{job_id}/events"
        with self._client.stream("GET", path, headers=headers) as answer:
            if answer.is_error:
                answer.read()
                raise failure_of(answer)
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    yield json.loads(line.removeprefix("data:"))

    def _call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        try:
            answer = self._client.request(method, path, **request)
        except httpx.TransportError as error:
            raise Unavailable(f"No answer from {self._client.base_url}") from error
        if answer.is_error:
            raise failure_of(answer)
        body: dict[str, Any] = answer.json()
        return body


def failure_of(answer: httpx.Response) -> Failure:
    """The error an answer carries, as one of ours."""
    try:
        body = answer.json()
        message, code = str(body["error"]), str(body["code"])
    except (ValueError, KeyError, TypeError):
        message, code = f"The API answered {answer.status_code}", "unexpected_answer"
    if answer.status_code == httpx.codes.NOT_FOUND:
        return NotFound(message)
    if answer.is_server_error:
        return Unavailable(message, code=code)
    return Rejected(message, code=code)
