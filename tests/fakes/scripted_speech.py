"""An engine that speaks at once, and what joins its parts: for steps tried by themselves."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from activities.speech import SpeechEngines
from contracts.speech import (
    BYTES_PER_SECOND,
    SAMPLE_RATE,
    Piece,
    SpeechCapabilities,
    SpeechFormat,
    SpeechOffer,
    Spoken,
    Timing,
    TimingKind,
)
from contracts.speech_setup import Names

SECONDS_OF_PART = 0.5
TEXT = "\n\n".join(
    f"The {number} paragraph tells of ships that came in before the fog did."
    for number in ("first", "second")
)
"""Two parts."""


class Speaker:
    """Half a second of sound for whatever it gets; what is in ``faults`` is raised first.

    Attributes:
        tokens: of users, that came with the parts; none: our own key was to speak.
    """

    provider = "scripted"
    capabilities = SpeechCapabilities(max_characters=100)

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.tokens: list[str | None] = []
        self.faults: list[Exception] = []
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def synthesize(self, piece: Piece, target: Path) -> Spoken:
        self.calls.append(piece.text)
        self.tokens.append(None if piece.token is None else piece.token.get_secret_value())
        await asyncio.sleep(0.01)
        if self.faults:
            raise self.faults.pop()
        if self.meanwhile is not None:
            await self.meanwhile()
        samples = round(SECONDS_OF_PART * SAMPLE_RATE)
        target.write_bytes(bytes([len(self.calls), 0]) * samples)
        word = Timing(kind=TimingKind.WORD, text=piece.text.split()[1], start=0.1, end=0.3)
        return Spoken(samples=samples, timings=(word,))


class PlainJoiner:
    """One part behind the other."""

    async def join(
        self,
        parts: Sequence[Path],
        target: Path,
        form: SpeechFormat,
        *,
        tempo: float = 1.0,
        progress: Callable[[float], None],
    ) -> float:
        target.write_bytes(b"".join(part.read_bytes() for part in parts))
        progress(1.0)
        return target.stat().st_size / BYTES_PER_SECOND / tempo


class Unsure:
    """Knows no language."""

    async def language(self, text: str) -> str | None:
        return None


def engines_of(speaker: Speaker) -> SpeechEngines:
    """One tier, ``tier``, with the voice ``nova``."""
    names = Names({"nova": "nova"}, "", {"": "m"})
    offer = SpeechOffer(
        name="tier", provider="scripted", capabilities=speaker.capabilities, names=names
    )
    return SpeechEngines({"tier": speaker}, [offer], PlainJoiner(), Unsure())
