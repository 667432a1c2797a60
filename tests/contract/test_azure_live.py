"""Azure's live recognition: the real Speech SDK against a stand-in for its websocket."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import aclosing

import aiohttp
import pytest

from activities.stream_ports import StreamTranscriber
from contracts.audio import AudioFacts
from contracts.errors import ProviderBroken, ProviderBusy, ProviderFailure, ProviderOut
from contracts.transcript import Transcript, TranscriptPart, join_parts
from providers.azure_live import AzureLive, LiveOptions
from providers.azure_speech import AzureSpeech, SpeechCredential
from tests.fakes.alone import started
from tests.fakes.azure_speech_ws import FakeSpeechSocket
from tests.fakes.listening import made_up

SECONDS = 7
CHUNK = bytes(3200)


@pytest.fixture
async def vendor() -> AsyncIterator[FakeSpeechSocket]:
    fake = FakeSpeechSocket("key")
    await fake.start()
    yield fake
    await fake.aclose()


def live(vendor: FakeSpeechSocket, key: str = "key", *, closing_seconds: float = 20) -> AzureLive:
    credential = SpeechCredential("north", "north", "https://north.example", key)
    speech = AzureSpeech([credential], api_version="2025-10-15", timeout=20)
    options = LiveOptions(
        locales=("en-GB",),
        phrases=("Voicekeep",),
        host=vendor.url,
        closing_seconds=closing_seconds,
    )
    return AzureLive(speech, options)


async def audio(seconds: float = SECONDS) -> AsyncIterator[bytes]:
    for _ in range(int(seconds * 10)):
        yield CHUNK


async def heard(
    engine: AzureLive, *languages: str, diarization: bool = True, seconds: float = SECONDS
) -> list[TranscriptPart]:
    sound = audio(seconds)
    stream = engine.transcribe_stream(sound, languages=languages, diarization=diarization)
    return [part async for part in stream]


def joined(parts: list[TranscriptPart]) -> Transcript:
    return join_parts(parts, parts[-1].end)


async def test_every_sentence_comes_with_its_times_speaker_and_language(
    vendor: FakeSpeechSocket,
) -> None:
    transcript = joined(await heard(live(vendor), "de"))
    said = made_up(SECONDS)
    assert [(u.text, u.offset, u.duration) for u in transcript.utterances] == [
        (each.text, each.offset, each.duration) for each in said
    ]
    assert [(w.text, w.offset, w.duration) for w in transcript.words] == [
        word for each in said for word in each.words
    ]
    assert transcript.speakers == {"1": "Speaker 1", "2": "Speaker 2"}
    assert transcript.languages == ("de-DE",)
    assert vendor.calls[0]["query"]["language"] == "de-DE"


async def test_what_it_declares_is_what_it_gives(vendor: FakeSpeechSocket) -> None:
    engine: StreamTranscriber = live(vendor)
    transcript = joined(await heard(live(vendor), "de"))
    declared = engine.capabilities
    assert declared.diarization == bool(transcript.speakers)
    assert declared.word_times == bool(transcript.words)
    assert declared.takes_language(["de-AT"])
    wav = AudioFacts(
        container="wav", codec="pcm_s16le", seconds=7, sample_rate=16_000, channels=1, size=224_044
    )
    assert declared.takes_format(wav)
    assert not declared.takes_format(wav.model_copy(update={"sample_rate": 8000}))


async def test_parts_follow_each_other_and_end_with_the_audio(vendor: FakeSpeechSocket) -> None:
    parts = await heard(live(vendor))
    assert parts[0].start == 0
    assert parts[-1].end == SECONDS
    assert all(one.end == other.start for one, other in itertools.pairwise(parts))


async def test_among_several_languages_each_sentence_has_its_own_and_speakers_can_be_left_out(
    vendor: FakeSpeechSocket,
) -> None:
    transcript = joined(await heard(live(vendor), "en-US", "fr-FR", diarization=False))
    assert vendor.calls[0]["context"]["languageId"]["languages"] == ["en-US", "fr-FR"]
    assert vendor.calls[0]["context"]["languageId"]["mode"] == "DetectContinuous"
    assert transcript.languages == ("fr-FR",)
    assert not transcript.speakers


async def test_sentences_come_while_the_rest_is_still_to_be_said(vendor: FakeSpeechSocket) -> None:
    more = asyncio.Event()

    async def spoken() -> AsyncIterator[bytes]:
        async for chunk in audio(6):
            yield chunk
        await more.wait()
        async for chunk in audio(1):
            yield chunk

    engine = live(vendor)
    stream = engine.transcribe_stream(spoken(), languages=[], diarization=True)
    parts = [await anext(stream)]
    more.set()
    parts += [part async for part in stream]
    assert joined(parts).text == " ".join(each.text for each in made_up(SECONDS))


async def test_silence_is_a_part_without_words(vendor: FakeSpeechSocket) -> None:
    [part] = await heard(live(vendor), seconds=0.3)
    assert (part.start, part.end, part.utterances) == (0, 0.3, ())


async def test_a_lost_connection_is_taken_up_again_without_a_word_lost_or_doubled(
    vendor: FakeSpeechSocket,
) -> None:
    vendor.fault(drop_after=6 * 32_000)
    transcript = joined(await heard(live(vendor), seconds=12))
    assert len(vendor.calls) == 2
    assert transcript.text == " ".join(each.text for each in made_up(12))


async def test_a_stream_that_is_closed_early_ends_the_call(vendor: FakeSpeechSocket) -> None:
    asked = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield CHUNK
            await asyncio.sleep(0)

    engine = live(vendor)
    stream = engine.transcribe_stream(endless(), languages=[], diarization=True)
    async with aclosing(stream):
        await anext(stream)
    before = asked
    await asyncio.sleep(0.2)
    assert asked == before
    assert (await heard(engine))[-1].end == SECONDS


async def test_a_call_that_is_cancelled_ends_and_the_next_one_works(
    vendor: FakeSpeechSocket,
) -> None:
    async def stuck() -> AsyncIterator[bytes]:
        yield CHUNK
        await asyncio.Event().wait()

    async def listen() -> None:
        async for _ in engine.transcribe_stream(stuck(), languages=[], diarization=True):
            pass

    engine = live(vendor)
    call = asyncio.create_task(listen())
    await asyncio.sleep(0.3)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await heard(engine)


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        ({"status": 401}, ProviderOut),
        ({"status": 403}, ProviderOut),
        ({"status": 400}, ProviderBroken),
        ({"status": 404, "times": 9}, ProviderBusy),
        ({"status": 429, "times": 9}, ProviderBusy),
        ({"status": 500, "times": 9}, ProviderBusy),
        ({"status": 503, "times": 9}, ProviderBusy),
        ({"drop_after": 3200, "times": 9}, ProviderBusy),
        (
            {"phrase": '{"Offset": -1, "Duration": 0, "RecognitionStatus": "Success"}'},
            ProviderBroken,
        ),
    ],
    ids=str,
)
async def test_every_way_the_vendor_fails_has_its_class(
    vendor: FakeSpeechSocket, fault: dict[str, object], failure: type[ProviderFailure]
) -> None:
    vendor.fault(**fault)
    with pytest.raises(ProviderFailure) as raised:
        await heard(live(vendor))
    assert type(raised.value) is failure
    assert vendor.url.removeprefix("ws://") not in str(raised.value)


async def test_a_refused_key_takes_the_credential_out(vendor: FakeSpeechSocket) -> None:
    engine = live(vendor, "wrong-key")
    for _ in range(2):
        with pytest.raises(ProviderOut) as raised:
            await heard(engine)
        assert "wrong-key" not in str(raised.value)
    assert len(vendor.calls) == 1


async def test_a_vendor_that_is_not_there_is_busy(vendor: FakeSpeechSocket) -> None:
    await vendor.aclose()
    with pytest.raises(ProviderBusy):
        await heard(live(vendor))


async def test_a_vendor_that_says_nothing_is_busy_when_its_time_is_up(
    vendor: FakeSpeechSocket,
) -> None:
    vendor.fault(silent=True)
    with pytest.raises(ProviderBusy, match="did not answer"):
        await heard(live(vendor, closing_seconds=0.5))


async def test_what_breaks_the_audio_is_told_as_it_is(vendor: FakeSpeechSocket) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield CHUNK
        raise ConnectionResetError("the source is gone")

    engine = live(vendor)
    with pytest.raises(ConnectionResetError, match="the source is gone"):
        async for _ in engine.transcribe_stream(broken(), languages=[], diarization=True):
            pass


async def test_the_stand_in_runs_by_itself_and_counts(vendor: FakeSpeechSocket) -> None:
    async with started("tests.fakes.azure_speech_ws", "--key", "key") as url:
        vendor.url = url
        assert await heard(live(vendor), seconds=1)
        async with aiohttp.ClientSession() as client:
            shown = await client.get(f"http{url.removeprefix('ws')}/__calls")
            assert (await shown.json())["count"] == 1
