"""Three speech resources in two regions, stand-ins all of them, and our side of them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from activities.batch_ports import BatchTranscriber
from activities.ports import Transcriber
from contracts.audio import AudioFacts
from contracts.transcript import Transcript, join_parts
from providers.azure_batch import AzureBatch, BatchOptions
from providers.azure_fast import FastOptions
from providers.azure_speech import AzureSpeech, SpeechCredential
from tests.fakes.azure import FakeAzure
from tests.fakes.http_wire import Request, Response, Wire

LOCALES: Final = ("de-DE", "en-GB", "fr-FR")
SECONDS: Final = 12.0
FACTS: Final = AudioFacts(
    container="wav",
    codec="pcm_s16le",
    seconds=SECONDS,
    sample_rate=16_000,
    channels=1,
    size=int(SECONDS * 32_000) + 44,
)
FAST: Final = FastOptions(
    locales=LOCALES, speakers=10, phrases=("Voicekeep",), max_bytes=250_000_000, max_seconds=6900
)
OPERATION: Final = "memo-1f0e:transcribe-batch"
REGIONS: Final = ("north", "north", "south")


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Azure(NamedTuple):
    """Three resources, the first two in one region, and what speaks to them."""

    speech: AzureSpeech
    fakes: list[FakeAzure]
    clock: Clock

    @property
    def calls(self) -> list[list[Any]]:
        """Keys of the calls that came to each."""
        return [[call.get("key", "refused") for call in fake.calls] for fake in self.fakes]


@asynccontextmanager
async def azure_site() -> AsyncIterator[Azure]:
    fakes = [FakeAzure({f"key-{number}"}) for number in range(len(REGIONS))]
    credentials = [
        SpeechCredential(
            name=f"{region}-{number}",
            region=region,
            endpoint=await fake.start(),
            key=f"key-{number}",
        )
        for number, (region, fake) in enumerate(zip(REGIONS, fakes, strict=True))
    ]
    clock = Clock()
    speech = AzureSpeech(credentials, api_version="2025-10-15", timeout=20, clock=clock)
    yield Azure(speech, fakes, clock)
    await speech.aclose()
    for fake in fakes:
        await fake.aclose()


@asynccontextmanager
async def linked(audio: Path) -> AsyncIterator[str]:
    """Address of the audio, for the vendor to fetch."""

    async def answer(_: Request) -> tuple[Response, dict[str, Any]]:
        return Response(200, audio.read_bytes(), {"content-type": "audio/wav"}), {}

    wire = Wire(answer)
    yield f"{await wire.start()}/audio.wav?sig=secret-of-the-link"
    await wire.aclose()


async def hear(
    engine: Transcriber,
    path: Path,
    facts: AudioFacts = FACTS,
    *,
    languages: Sequence[str] = ("en-US",),
    diarization: bool = True,
    after: float = 0,
) -> Transcript:
    stream = engine.transcribe(
        path, facts, languages=languages, diarization=diarization, after=after
    )
    return join_parts([part async for part in stream], facts.seconds)


def batch_of(azure: Azure, staging_url: str = "http://127.0.0.1:1/account") -> BatchTranscriber:
    options = BatchOptions(
        locales=LOCALES, speakers=10, max_bytes=1_000_000_000, staging_url=staging_url
    )
    return AzureBatch(azure.speech, options)
