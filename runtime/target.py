"""The public HTTP API as `voicekeep send` and `voicekeep speak` call it: where it is, as whom."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx

from contracts.errors import Failure, NotFound, Rejected, Unavailable
from runtime.data_folder import read_running
from runtime.issuer import EmbeddedIssuer
from runtime.settings import Settings

LOCAL_USER: Final = "00000000-0000-4000-8000-00000000cafe"
"""Whose jobs those of these commands are, unless a user is named."""

API_NAME: Final = "VOICEKEEP_API"
TOKEN_NAME: Final = "VOICEKEEP_TOKEN"  # noqa: S105 - the name of a variable

CALL_TIMEOUT: Final = httpx.Timeout(30, read=120)
RECONNECT_SECONDS: Final = 0.5
AWAY_SECONDS: Final = 60.0
"""How long an API that went away is waited for: it may be starting again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the API is, and as whom it is asked.

    Attributes:
        ui: web UI of Temporal, for a link; none when it is not known.
    """

    api: str
    token: str
    ui: str | None = None
    namespace: str = "default"

    @property
    def docs(self) -> str:
        """The reference of the API."""
        return f"{self.api}/docs"

    def workflow(self, job_id: str) -> str | None:
        """Where a job is looked at; none when no web UI is known."""
        return f"{self.ui}/namespaces/{self.namespace}/workflows/{job_id}" if self.ui else None


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


class Api:
    """The calls of the commands.

    Args:
        client: with address and token in it.
        pause: seconds before what was cut off is taken up again.
    """

    def __init__(self, client: httpx.Client, pause: float) -> None:
        self.client = client
        self.pause = pause

    @classmethod
    @contextmanager
    def open(cls, target: Target, pause: float = RECONNECT_SECONDS) -> Iterator[Self]:
        """A client with the token in it; proxies of the environment are not asked."""
        headers = {"Authorization": f"Bearer {target.token}"}
        with httpx.Client(
            base_url=target.api, headers=headers, timeout=CALL_TIMEOUT, trust_env=False
        ) as client:
            yield cls(client, pause)

    def get(self, path: str) -> dict[str, Any]:
        """One JSON answer."""
        return self.call("GET", path)

    def follow(self, path: str, last: int = 0) -> Iterator[dict[str, Any]]:
        """Every event of a job up to the last one; goes on where it was when the API restarts.

        Args:
            path: of the stream.
            last: `seq` of the last event seen.
        """
        away_since = None
        while True:
            try:
                for event in self._events(path, last):
                    last, away_since = event["seq"], None
                    yield event
                    if event["type"] == "done":
                        return
            except (httpx.TransportError, Unavailable) as error:
                now = time.monotonic()
                away_since = away_since or now
                if now - away_since > AWAY_SECONDS:
                    raise Unavailable("The API went away") from error
            time.sleep(self.pause)

    def _events(self, path: str, after: int) -> Iterator[dict[str, Any]]:
        headers = {"Last-Event-ID": str(after)} if after else {}
        with self.stream(path, headers) as answer:
            for line in answer.iter_lines():
                if line.startswith("data:"):
                    yield json.loads(line.removeprefix("data:"))

    @contextmanager
    def stream(self, path: str, headers: dict[str, str] | None = None) -> Iterator[httpx.Response]:
        """An answer that is read as it comes.

        Raises:
            Failure: it is a refusal.
        """
        with self.client.stream("GET", path, headers=headers) as answer:
            if answer.is_error:
                answer.read()
                raise failure_of(answer)
            yield answer

    def call(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """One JSON answer.

        Raises:
            Failure: it is a refusal; Unavailable: there is none.
        """
        try:
            answer = self.client.request(method, path, **request)
        except httpx.TransportError as error:
            raise self.no_answer() from error
        if answer.is_error:
            raise failure_of(answer)
        body: dict[str, Any] = answer.json()
        return body

    def no_answer(self) -> Unavailable:
        """That the API is away."""
        return Unavailable(f"No answer from {self.client.base_url}")


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
