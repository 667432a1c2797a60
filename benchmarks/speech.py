"""What a text costs that was read aloud before: asked for again, and listened to.

No worker runs and no vendor is asked. The file is there, as its workflow would have left it.
"""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import uuid4

from benchmarks.app import USER, Connection, Refused
from benchmarks.measure import (
    Round,
    Row,
    Samples,
    by_turns,
    difference_row,
    milliseconds,
    over,
    p50,
    ratio_row,
)
from benchmarks.stack import Stack, free_port, listening, stack
from contracts import ids
from contracts.speech import SpeechFormat, SpeechOrder
from contracts.speech_job import SpeechReady
from contracts.speech_text import normalised
from store.database import Database

ASKED: Final = 200
MOST_SECONDS: Final = 0.003
AUDIO_BYTES: Final = 256 << 10
WEEK: Final = 7 * 86_400.0
TEXT: Final = normalised("The lighthouse keeper counted seven ships before the fog came in. " * 8)
ORDER: Final = SpeechOrder(text=TEXT, voice="nova")


class Call(NamedTuple):
    """One request, as each side is sent it."""

    method: str
    path: str
    token: str
    body: Any = None


def run(rounds: int) -> list[Row]:
    """The rows of this benchmark."""
    with stack() as made:
        made.run("migrate")
        made.start_temporal()
        made.start_api()
        return asyncio.run(_rows(made, rounds))


async def _rows(made: Stack, rounds: int) -> list[Row]:
    file_id, stored = await _spoken(made)
    bare = _start_bare(made, stored)
    token = made.run("token", "--user", USER)
    body = {"text": TEXT, "voice": ORDER.voice}
    known = {"user_id": USER, "content_hash": ORDER.content_hash}
    asked = await _compared(
        rounds,
        (bare, Call("POST", "/speech", "", body | known)),
        (made.api_port, Call("POST", "/api/v1/speech", token, body)),
    )
    heard = await _compared(
        rounds,
        (bare, Call("GET", "/audio", "")),
        (made.api_port, Call("GET", f"/api/v1/speech/{file_id}/audio", token)),
    )
    hit = difference_row("text that was read aloud before, POST, p50", asked, p50, milliseconds)
    mine = over(asked, lambda each: p50(each.ours)).median
    what = f"text that was read aloud before, GET of {AUDIO_BYTES >> 10} KiB, p50"
    return [
        hit._replace(target=f"≤ {milliseconds(MOST_SECONDS)} in all", met=mine <= MOST_SECONDS),
        ratio_row(what, heard, p50, milliseconds),
    ]


async def _spoken(made: Stack) -> tuple[str, Path]:
    """The row and the file of a text that is there."""
    file_id, job_id = str(uuid4()), f"speech-{uuid4()}"
    key = ids.speech_key(USER, file_id, SpeechFormat.MP3)
    stored = made.folder / "files" / "user-uploads" / key
    stored.parent.mkdir(parents=True)
    stored.write_bytes(os.urandom(AUDIO_BYTES))
    database = Database(f"sqlite:///{made.folder / 'voicekeep.db'}")
    async with database.write() as tx:
        await tx.speech.add(file_id, USER, job_id, ORDER, keep_seconds=WEEK)
        await tx.speech.ready(
            file_id,
            USER,
            SpeechReady(seconds=16.0, size=AUDIO_BYTES),
            key=key,
            sha256="a" * 64,
            tier="openai",
            timings=(),
            keep_seconds=WEEK,
        )
    await database.close()
    return file_id, stored


def _start_bare(made: Stack, stored: Path) -> int:
    port = free_port()
    paths = (str(made.folder / "voicekeep.db"), str(stored))
    command = [sys.executable, "-m", "benchmarks.bare_reader", str(port), *paths]
    made.start(command, listening(port))
    return port


async def _compared(rounds: int, anchor: tuple[int, Call], ours: tuple[int, Call]) -> list[Round]:
    for side in (anchor, ours):
        await _each(*side, 20)
    return await by_turns(rounds, lambda: _each(*anchor, ASKED), lambda: _each(*ours, ASKED))


async def _each(port: int, call: Call, times: int) -> Samples:
    """Seconds of each of so many requests over one connection."""
    connection = await Connection.open(port)
    samples = []
    for _ in range(times):
        begun = time.perf_counter()
        answer = await connection.send(*call, keyed=False)
        samples.append(time.perf_counter() - begun)
        if answer.status != 200:
            raise Refused(answer.body.decode())
    return samples
