"""An app that uses the API: one kept-alive connection, no more work per request than needed."""

import asyncio
import json
import shutil
import sqlite3
import uuid
from typing import Any, Final, NamedTuple, Self

from benchmarks.audio import tone
from benchmarks.stack import Stack

LOOK_SECONDS: Final = 0.0005
LONGEST_SECONDS: Final = 30.0
AUDIO_SECONDS: Final = 5
USER: Final = str(uuid.UUID(int=1))


class Refused(Exception):
    """The API answered something else than was asked for."""


class Answer(NamedTuple):
    """Status and body of an answer."""

    status: int
    body: bytes


class Connection:
    """HTTP/1.1 over one socket, for answers with a Content-Length."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int) -> Self:
        """Connect to a port of this machine."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(
        self, method: str, path: str, token: str, body: Any = None, *, keyed: bool = True
    ) -> Answer:
        """Send one request, with a new key if so wished, and read its answer."""
        content = b"" if body is None else json.dumps(body).encode()
        key = f"Idempotency-Key: {uuid.uuid4()}\r\n" if keyed else ""
        self._writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
            f"{key}Content-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n".encode()
            + content
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length:")[2].partition("\r\n")[0])
        return Answer(int(head[9:12]), await self._reader.readexactly(length))


class App:
    """Sends memos of one user, and sees in the database how they end."""

    def __init__(self, stack: Stack, connection: Connection, token: str) -> None:
        self._stack = stack
        self._connection = connection
        self._token = token
        database = stack.folder / "voicekeep.db"
        self._rows = sqlite3.connect(f"file:{database}?mode=ro", uri=True, isolation_level=None)
        self._recording = tone(stack.folder / "tone.m4a", AUDIO_SECONDS)

    @classmethod
    async def open(cls, stack: Stack) -> Self:
        """Sign in and connect."""
        token = stack.run("token", "--user", USER)
        return cls(stack, await Connection.open(stack.api_port), token)

    async def reconnect(self) -> None:
        """A new connection: the API closes one that was idle for some seconds."""
        self._connection = await Connection.open(self._stack.api_port)

    async def another(self) -> Self:
        """The same user on another connection."""
        connection = await Connection.open(self._stack.api_port)
        return type(self)(self._stack, connection, self._token)

    def record(self) -> dict[str, Any]:
        """Put a recording into storage; the request for its memo."""
        memo_id = str(uuid.uuid4())
        key = f"{USER}/{memo_id}/audio_1.m4a"
        target = self._stack.folder / "files" / "user-uploads" / key
        target.parent.mkdir(parents=True)
        shutil.copyfile(self._recording, target)
        return {"memoId": memo_id, "filePath": key, "duration": AUDIO_SECONDS}

    async def post(self, request: dict[str, Any]) -> str:
        """Ask for a memo; its job's id."""
        answer = await self._connection.send("POST", "/api/v1/memos", self._token, request)
        if answer.status != 201:
            raise Refused(answer.body.decode())
        job_id: str = json.loads(answer.body)["jobId"]
        return job_id

    async def get(self, path: str) -> Any:
        """Read something."""
        answer = await self._connection.send("GET", path, self._token)
        if answer.status != 200:
            raise Refused(answer.body.decode())
        return json.loads(answer.body)

    async def completed(self, job_id: str, within: float = LONGEST_SECONDS) -> None:
        """Return within a millisecond of the job's completion."""
        state = "queued"
        async with asyncio.timeout(within):
            while state in {"queued", "running"}:
                await asyncio.sleep(LOOK_SECONDS)
                state = self._state(job_id)
        if state != "completed":
            raise Refused(f"{job_id} is {state}")

    def _state(self, job_id: str) -> str:
        found = self._rows.execute("SELECT state FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return str(found[0])
