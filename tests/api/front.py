"""The app as tests ask it, and what they plant behind it."""

import io
import wave
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from fastapi import FastAPI

from api.dependencies import Services
from api.main import create_app
from contracts.ids import memo_job
from contracts.jobs import JobFailure, JobState, Step
from contracts.transcript import Transcript, TranscriptPart, join_parts
from engines import credits_service
from providers.speech_encoder import SpeechEncoder
from runtime.issuer import EmbeddedIssuer
from runtime.settings import Settings, load
from store.database import Database
from tests.fakes.ports import RecordingStarter, part
from tests.fakes.vendor_tokens import KnownTokens

API = "/api/v1"
SAID = "hello world this is a memo"


def wav(seconds: float = 0.1, rate: int = 16_000) -> bytes:
    """A small real recording of silence."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(b"\0\0" * int(seconds * rate))
    return buffer.getvalue()


def settings_for(data_dir: Path, **overrides: Any) -> Settings:
    """Settings of a test: nothing from the machine's own environment file."""
    given = {
        "DATA_DIR": data_dir,
        "EMBEDDED_ISSUER": True,
        "RATE_LIMIT_PER_MINUTE": 0,
        "LONG_CALL_WAIT_SECONDS": 0,
        "OPENAI_API_WAIT_SECONDS": 0,
        "EVENT_STREAM_SECONDS": 0.1,
    }
    return load(None, **(given | overrides))


@dataclass(frozen=True)
class User:
    """A user with a token."""

    id: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Front:
    """The app, a client of it, and the stand-in that starts its workflows."""

    app: FastAPI
    client: httpx.AsyncClient
    starter: RecordingStarter
    settings: Settings
    issuer: EmbeddedIssuer
    vendor_tokens: KnownTokens

    @property
    def services(self) -> Services:
        services: Services = self.app.state.opening._opened.result()
        return services

    @property
    def database(self) -> Database:
        return self.services.database

    @property
    def stored(self) -> list[str]:
        """Every file below the storage folder, unfinished ones included."""
        root = self.settings.files_dir
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())

    def user(self, user_id: str | None = None, **claims: Any) -> User:
        user_id = user_id or str(uuid4())
        token = self.issuer.sign(user_id, **claims)
        return User(user_id, {"Authorization": f"Bearer {token}"})

    async def ask(
        self, method: str, path: str, user: User | None = None, **kwargs: Any
    ) -> httpx.Response:
        """One request; a path that does not begin at the root is below the API's prefix."""
        url = path if path.startswith("/") else f"{API}/{path}"
        headers = {**(user.headers if user else {}), **kwargs.pop("headers", {})}
        return await self.client.request(method, url, headers=headers, **kwargs)

    async def post_memo(
        self, user: User, *, headers: Mapping[str, Any] | None = None, **fields: Any
    ) -> httpx.Response:
        body = {"filePath": f"{user.id}/a/audio.m4a", "duration": 61} | fields
        return await self.ask("POST", "memos", user, json=body, headers=dict(headers or {}))

    async def new_memo(self, user: User, **fields: Any) -> dict[str, Any]:
        """A memo that was accepted, and its answer."""
        answer = await self.post_memo(user, **fields)
        assert answer.status_code == 201, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def upload(
        self, user: User, content: bytes | None = None, *, headers: Any = None, **fields: Any
    ) -> httpx.Response:
        files = {"file": ("memo.m4a", wav() if content is None else content, "audio/m4a")}
        return await self.ask(
            "POST", "memos/upload", user, files=files, data=fields, headers=headers or {}
        )

    async def move(self, memo: Mapping[str, Any], *states: JobState) -> None:
        """Let the job of a memo go through states, as its workflow would."""
        user_id = memo["memo"]["user_id"]
        for state in states:
            failure = None
            if state is JobState.FAILED:
                failure = JobFailure(code="provider_failed", message="No tier could serve")
            step = Step.DONE if state.final else Step.TRANSCRIBE
            async with self.database.write() as tx:
                await tx.jobs.move(memo["jobId"], user_id, state, step=step, failure=failure)
        if states[-1].final:
            self.starter.live.discard(memo["jobId"])

    async def say(self, memo: Mapping[str, Any], *parts: TranscriptPart) -> Transcript:
        """Record a transcript of a memo."""
        said = join_parts(parts or (part(0, 6, SAID),), 6.0)
        async with self.database.write() as tx:
            await tx.transcripts.save(
                memo["jobId"], memo["memo"]["user_id"], memo["memoId"], "local", said
            )
        return said

    async def share(self, memo: Mapping[str, Any], member: User) -> str:
        """Share a memo with a space another user belongs to; the space's id."""
        space_id, owner_id = str(uuid4()), memo["memo"]["user_id"]
        async with self.database.write() as tx:
            await tx.spaces.create(space_id, owner_id, "Team", None)
            await tx.spaces.join(space_id, member.id)
            await tx.spaces.link(memo["memoId"], space_id, owner_id)
        return space_id


@asynccontextmanager
async def opened(
    data_dir: Path,
    *,
    starter: RecordingStarter | None = None,
    temporal: bool = False,
    **overrides: Any,
) -> AsyncIterator[Front]:
    """The app between its start and its end; with Temporal's own client when that is asked for."""
    settings = settings_for(data_dir, **overrides)
    starter = starter or RecordingStarter()
    tokens = KnownTokens()
    app = create_app(
        settings,
        jobs=None if temporal else starter,
        elsewhere=credits_service(settings),
        vendor_tokens=tokens,
        encoder=SpeechEncoder(settings.data_dir / "work", most=settings.speech.encoders),
    )
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://voicekeep.test") as client,
    ):
        await app.state.opening.services()
        issuer = EmbeddedIssuer.open(settings.data_dir)
        yield Front(app, client, starter, settings, issuer, tokens)


def job_of(memo_id: str) -> str:
    """Id of a memo's job."""
    return memo_job(memo_id)
