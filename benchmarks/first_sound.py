"""When the first of a long text is heard: twelve parts, four at once, a second of a vendor each.

The anchor is the same answer's end. The vendor is the stand-in of the tests, which says each part
and waits a second more, so every engine of this machine is out of the figure but the encoder.
"""

import asyncio
import sys
import time
from typing import Any, Final
from uuid import uuid4

import httpx

from benchmarks.app import USER, Refused
from benchmarks.measure import Round, Row, milliseconds, p50, ratio_row
from benchmarks.stack import BIN, Stack, free_port, listening, stack

PARTS: Final = 12
PART: Final = "The lighthouse keeper counted seven ships before the fog came in. " * 5
FORMATS: Final = ("mp3", "pcm")
MOST: Final = 0.5
"""Of the whole: three rounds of the vendor's second, of which the first is waited for."""


def run(rounds: int) -> list[Row]:
    """The rows of this benchmark."""
    with stack() as made:
        vendor = free_port()
        made.env |= {
            "OPENAI_BASE_URL": f"http://127.0.0.1:{vendor}/v1",
            "OPENAI_API_KEY": "none",
            "SPEECH_TIERS": "openai",
            "LANGUAGE_MODEL_TIERS": "local",
        }
        made.run("migrate")
        made.start_temporal()
        made.run("schedules", "apply")
        made.start_api()
        command = [sys.executable, "-m", "tests.fakes.openai", "--port", str(vendor)]
        made.start(command, listening(vendor))
        _slow_down(vendor)
        made.start([str(BIN / "voicekeep"), "worker"], lambda: True)
        token = made.run("token", "--user", USER)
        return [asyncio.run(_row(made, token, form, rounds)) for form in FORMATS]


def _slow_down(vendor: int) -> None:
    fault = {"times": 10_000, "latency": 1.0, "call": "audio/speech"}
    httpx.post(f"http://127.0.0.1:{vendor}/__faults", json=fault).raise_for_status()


async def _row(made: Stack, token: str, form: str, rounds: int) -> Row:
    await _heard(made, token, form)
    taken = [await _heard(made, token, form) for _ in range(rounds)]
    what = f"first byte of a text of {PARTS} parts as {form}, against its last"
    return ratio_row(
        what, [Round([last], [first]) for first, last in taken], p50, milliseconds, most=MOST
    )


async def _heard(made: Stack, token: str, form: str) -> tuple[float, float]:
    """Seconds until the first and the last byte of a text that nobody has asked for before."""
    name = uuid4().hex
    text = "\n\n".join(f"{name} {number}. {PART}" for number in range(PARTS))
    body: dict[str, Any] = {"model": "tts-1", "voice": "nova", "input": text}
    address = f"http://127.0.0.1:{made.api_port}"
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=address, headers=headers, timeout=120) as client:
        begun = time.perf_counter()
        asked = client.stream("POST", "/v1/audio/speech", json=body | {"response_format": form})
        async with asked as answer:
            if answer.status_code != httpx.codes.OK:
                raise Refused((await answer.aread()).decode())
            chunks = answer.aiter_bytes()
            await anext(chunks)
            first = time.perf_counter() - begun
            async for _ in chunks:
                pass
        return first, time.perf_counter() - begun
