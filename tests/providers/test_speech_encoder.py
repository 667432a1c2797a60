"""Speech encoded while it is spoken: what comes early, what it is worth, what is left of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from contracts.errors import Unavailable
from contracts.speech import BYTES_PER_SECOND, Piece, SpeechFormat
from providers.espeak import Espeak
from providers.process_pool import ProcessPool
from providers.speech_encoder import SpeechEncoder
from tests.media.decoding import decoded
from tests.media.words import SPEED, VOICE, heard_words

EXACT = (SpeechFormat.WAV, SpeechFormat.PCM, SpeechFormat.FLAC)
SAID = ("computer, university, elephant", "monday, banana", "potato, umbrella, telephone, chicago")


@pytest.fixture(scope="module")
async def spoken(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[bytes]]:
    """Parts that say words, each its own."""
    target, pool = tmp_path_factory.mktemp("spoken") / "part", ProcessPool(workers=1)
    parts = []
    for words in SAID:
        piece = Piece(text=f"{words}.", voice=VOICE, language="en-US", speed=SPEED)
        await Espeak(pool).synthesize(piece, target)
        parts.append(target.read_bytes())
    yield parts
    await pool.aclose()


@pytest.fixture
async def encoder(tmp_path: Path) -> AsyncIterator[SpeechEncoder]:
    encoder = SpeechEncoder(tmp_path / "work", most=2)
    yield encoder
    await encoder.aclose()


class Voice:
    """Parts that are given one by one, when they are let go of; then perhaps a fault."""

    def __init__(self, parts: list[bytes], fault: Exception | None = None) -> None:
        self.parts = parts
        self.fault = fault
        self.given = 0
        self.next = asyncio.Semaphore(1)

    async def samples(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            await self.next.acquire()
            self.given += 1
            yield part
        if self.fault is not None:
            await self.next.acquire()
            raise self.fault


async def heard(audio: AsyncIterator[bytes]) -> bytes:
    """All of it."""
    return b"".join([chunk async for chunk in audio])


def left() -> tuple[int, int]:
    """Children and open files of this process."""
    own = psutil.Process()
    return len(own.children(recursive=True)), own.num_fds()


@pytest.mark.parametrize(
    ("form", "tempo"),
    [*((form, 1.0) for form in SpeechFormat), (SpeechFormat.WAV, 1.25)],
)
async def test_bytes_come_while_the_second_part_is_held_back_and_are_one_file_in_the_end(
    form: SpeechFormat, tempo: float, encoder: SpeechEncoder, spoken: list[bytes]
) -> None:
    voice, got = Voice(spoken), b""
    async for chunk in encoder.encode(voice.samples(), form, tempo=tempo):
        if not got:
            assert voice.given == 1
            for _ in spoken:
                voice.next.release()
        got += chunk
    whole = b"".join(spoken)
    exact = form in EXACT and tempo == 1
    samples = decoded(got, form)
    assert not exact or samples == whole
    seconds = len(whole) / BYTES_PER_SECOND / tempo
    assert len(samples) / BYTES_PER_SECOND == pytest.approx(seconds, abs=0.1)
    if tempo == 1:
        assert heard_words(decoded(got, form, 16_000)) == ", ".join(SAID).split(", ")


async def test_what_the_samples_raise_comes_out_and_nothing_is_left(
    encoder: SpeechEncoder, spoken: list[bytes]
) -> None:
    assert await heard(encoder.encode(Voice(spoken[:1]).samples(), SpeechFormat.MP3, tempo=1.0))
    before, voice = left(), Voice(spoken[:1], LookupError("another voice"))
    voice.next.release()
    with pytest.raises(LookupError, match="another voice"):
        await heard(encoder.encode(voice.samples(), SpeechFormat.MP3, tempo=1.0))
    assert left() == before


async def test_whoever_stops_listening_leaves_neither_process_nor_open_file(
    encoder: SpeechEncoder, spoken: list[bytes]
) -> None:
    assert await heard(encoder.encode(Voice(spoken[:1]).samples(), SpeechFormat.FLAC, tempo=1.0))
    before = left()
    async with aclosing(
        encoder.encode(Voice(spoken).samples(), SpeechFormat.FLAC, tempo=1.0)
    ) as audio:
        assert await anext(audio)
        assert left() > before
    assert left() == before


async def test_a_slow_listener_keeps_the_rest_where_it_is(encoder: SpeechEncoder) -> None:
    parts = [bytes(BYTES_PER_SECOND)] * 240
    voice = Voice(parts)
    for _ in parts:
        voice.next.release()
    # As many bytes come out as go in, but for a little: 11 MB.
    async with aclosing(encoder.encode(voice.samples(), SpeechFormat.WAV, tempo=1.001)) as audio:
        await anext(audio)
        given = 0
        while given < voice.given:
            given = voice.given
            await asyncio.sleep(0.3)
        assert given < 60
        size = sum([len(chunk) async for chunk in audio])
    assert voice.given == 240
    assert size == pytest.approx(240 * BYTES_PER_SECOND / 1.001, rel=0.01)


async def test_no_more_encoders_than_allowed_and_none_for_samples_as_they_are(
    tmp_path: Path, spoken: list[bytes]
) -> None:
    encoder = SpeechEncoder(tmp_path, most=1)
    busy = encoder.encode(Voice(spoken).samples(), SpeechFormat.MP3, tempo=1.0)
    async with aclosing(busy):
        await anext(busy)
        with pytest.raises(Unavailable):
            await anext(encoder.encode(Voice(spoken).samples(), SpeechFormat.AAC, tempo=1.0))
        children = left()[0]
        plain = Voice(spoken[:1]).samples()
        pcm = await heard(encoder.encode(plain, SpeechFormat.PCM, tempo=1.0))
        assert (pcm, left()[0]) == (spoken[0], children)
    again = Voice(spoken[:1]).samples()
    assert await anext(encoder.encode(again, SpeechFormat.AAC, tempo=1.0))
    await encoder.aclose()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("sleep 1000", "wrote nothing"),
        ("head -c 1000 >/dev/null; exit 3", "status 3"),
    ],
    ids=["still", "gone"],
)
async def test_an_encoder_that_stands_still_or_dies_is_told_and_ended(
    script: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "ffmpeg"
    version = 'if [ "$1" = -version ]; then echo ffmpeg version 5; exit; fi\n'
    path.write_text(f"#!/bin/bash\n{version}{script}\n")
    path.chmod(0o755)
    encoder = SpeechEncoder(tmp_path / "work", most=1, ffmpeg=str(path), still_seconds=0.3)
    voice = Voice([bytes(BYTES_PER_SECOND)] * 9)
    for _ in voice.parts:
        voice.next.release()
    with pytest.raises(Unavailable, match=said):
        await heard(encoder.encode(voice.samples(), SpeechFormat.MP3, tempo=1.0))
    assert not [
        child for child in psutil.Process().children(recursive=True) if "sleep" in child.name()
    ]
    await encoder.aclose()


async def test_without_a_folder_to_work_in_nothing_is_begun(
    tmp_path: Path, spoken: list[bytes]
) -> None:
    (tmp_path / "work").write_text("a file where a folder has to be")
    encoder = SpeechEncoder(tmp_path / "work", most=1)
    with pytest.raises(Unavailable, match="no folder"):
        await anext(encoder.encode(Voice(spoken).samples(), SpeechFormat.MP3, tempo=1.0))
    await encoder.aclose()


async def test_without_ffmpeg_the_first_byte_is_not_waited_for(
    tmp_path: Path, spoken: list[bytes]
) -> None:
    encoder = SpeechEncoder(tmp_path, most=1, ffmpeg="no-such-ffmpeg")
    with pytest.raises(Unavailable, match="not installed"):
        await anext(encoder.encode(Voice(spoken).samples(), SpeechFormat.MP3, tempo=1.0))
