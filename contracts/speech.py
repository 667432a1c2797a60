"""Text to speech: what is asked for, which engines can speak it, and what comes back.

Every engine gives the same thing, raw samples of ``SAMPLE_RATE`` mono; a container is made once,
of all parts together.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from pydantic import Field, SecretStr

from contracts import transcript_formats
from contracts.costs import Units
from contracts.errors import InvalidInput
from contracts.speech_setup import Names, unknown_model, unknown_voice
from contracts.transcript import TranscriptPart, Utterance, Word, join_parts
from contracts.values import Value

SAMPLE_RATE: Final = 24_000
SAMPLE_BYTES: Final = 2
BYTES_PER_SECOND: Final = SAMPLE_RATE * SAMPLE_BYTES
"""Of what engines give: signed 16 bit, little endian, one channel."""

MIN_SPEED: Final = 0.25
MAX_SPEED: Final = 4.0


class SpeechFormat(StrEnum):
    """Container and codec of the audio, in the words of OpenAI's API.

    ``opus`` is Opus in Ogg, ``aac`` is AAC in ADTS, ``pcm`` is the bare samples.
    """

    MP3 = "mp3"
    OPUS = "opus"
    AAC = "aac"
    FLAC = "flac"
    WAV = "wav"
    PCM = "pcm"

    @property
    def media_type(self) -> str:
        """Content type of a file of this format."""
        return _MEDIA_TYPES[self]


_MEDIA_TYPES: Final[Mapping[SpeechFormat, str]] = MappingProxyType(
    {
        SpeechFormat.MP3: "audio/mpeg",
        SpeechFormat.OPUS: "audio/ogg",
        SpeechFormat.AAC: "audio/aac",
        SpeechFormat.FLAC: "audio/flac",
        SpeechFormat.WAV: "audio/wav",
        SpeechFormat.PCM: f"audio/pcm;rate={SAMPLE_RATE};channels=1",
    }
)


class SpeechOrder(Value):
    """What a user wants to hear; holds words, so it stays in the database.

    Attributes:
        text: as ``speech_text.normalised`` leaves it.
        voice: a name of the table of voices, or an engine's own.
        model: of the vendor; empty: the configured one.
        speed: 1.0 is the voice's own.
        language: BCP 47 tag of the text, when the user says it.
    """

    text: str
    voice: str
    model: str = ""
    format: SpeechFormat = SpeechFormat.MP3
    speed: float = 1.0
    language: str | None = None

    @property
    def content_hash(self) -> str:
        """The same for equal requests: SHA-256 of text, voice, model, format and speed.

        The language counts only when it was said.
        """
        said = [self.text, self.voice, self.model, self.format.value, f"{self.speed:.4f}"]
        return _digest(said if self.language is None else [*said, self.language.lower()])


class Piece(Value):
    """One part as an engine gets it.

    Attributes:
        text: no longer than the engine takes.
        voice: in the engine's own words.
        model: likewise; empty where there is no choice.
        language: BCP 47 tag, when it is known.
        speed: what is to be heard; an engine says whether it did it.
        token: of the user, where it speaks instead of our key; it is never written anywhere.
    """

    text: str
    voice: str
    model: str = ""
    language: str | None = None
    speed: float = 1.0
    token: SecretStr | None = Field(None, exclude=True, repr=False)


class TimingKind(StrEnum):
    """What a timing is about."""

    WORD = "word"
    SENTENCE = "sentence"


class Timing(Value):
    """When something is said; seconds from the beginning of the audio."""

    kind: TimingKind
    text: str
    start: float
    end: float

    def moved(self, seconds: float, speed: float = 1.0) -> "Timing":
        """The same in audio that was made faster, and that stands ``seconds`` later in another."""
        times = {"start": self.start / speed + seconds, "end": self.end / speed + seconds}
        return self.model_copy(update=times)


class Spoken(Value):
    """What an engine made of one part; the samples are in a file.

    Attributes:
        samples: how many there are.
        units: that the vendor counts.
        speed: that the engine did itself; the rest is done to the samples.
        timings: of words or sentences, where the engine tells them.
    """

    samples: int
    units: Units = Units()
    speed: float = 1.0
    timings: tuple[Timing, ...] = ()

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return self.samples / SAMPLE_RATE


class SpeechCapabilities(Value):
    """What an engine takes and gives.

    Attributes:
        max_characters: of one call, in Unicode code points.
        timings: finest that it tells; none: nothing.
        min_speed: slowest it speaks by itself.
        max_speed: fastest; with 1.0 for both, speed is done to the samples.
        languages: primary subtags it speaks; empty means any.
        wants_language: whether it has to be told the language of the text.
        free: whether a call costs only our own CPU.
    """

    max_characters: int
    timings: TimingKind | None = None
    min_speed: float = 1.0
    max_speed: float = 1.0
    languages: frozenset[str] = frozenset()
    wants_language: bool = False
    free: bool = False

    def own_speed(self, wanted: float) -> float:
        """The part of a speed that the engine does itself."""
        return min(max(wanted, self.min_speed), self.max_speed)

    def speaks(self, language: str | None) -> bool:
        """Whether it speaks the language; a text of unknown language is everybody's to try."""
        return language is None or not self.languages or primary(language) in self.languages


class SpeechOffer(Value):
    """A configured tier of speech.

    Attributes:
        name: in ``SPEECH_TIERS``.
        names: what its voices and models are called.
        call_seconds: bound of one call.
        own_token: it speaks with the token of the user alone, for jobs that have one.
    """

    name: str
    provider: str
    capabilities: SpeechCapabilities
    names: Names
    call_seconds: float = 120.0
    own_token: bool = False


class PlannedVoice(Value):
    """One tier of a plan: who speaks, and how it is asked.

    Attributes:
        name: of the tier.
        voice: in the provider's words.
        model: likewise.
        language: BCP 47 tag the engine is told; none: it finds out itself.
        speed: that it is asked for.
        own_token: the user's own token speaks, and pays.
    """

    name: str
    provider: str
    voice: str
    model: str = ""
    language: str | None = None
    speed: float = 1.0
    max_characters: int
    call_seconds: float = 120.0
    free: bool = False
    own_token: bool = False

    def part_hash(self, text: str) -> str:
        """The same for parts that sound the same: equal ones are bought once.

        The format is not in it: parts are samples.
        """
        said = [self.provider, self.voice, self.model, self.language or "", f"{self.speed:.4f}"]
        return _digest([text, *said])

    def piece(self, text: str, token: SecretStr | None = None) -> Piece:
        """One part of the text as the engine gets it."""
        return Piece(
            text=text,
            voice=self.voice,
            model=self.model,
            language=self.language,
            speed=self.speed,
            token=token,
        )


def primary(language: str) -> str:
    """Primary subtag of a BCP 47 tag, in lower case."""
    return language.replace("_", "-").partition("-")[0].lower()


def plan_speech(
    order: SpeechOrder, offers: Sequence[SpeechOffer], language: str | None
) -> tuple[PlannedVoice, ...]:
    """The tiers that can speak this text with this voice, in the configured order.

    A tier that lacks the voice or the model, or does not speak the language, is passed over: the
    language never changes silently. One that was only guessed is told to tiers that have to be
    told: a changed paragraph may change the guess, and with it every part's hash.

    Args:
        language: of the text, as the user says or as it was found; none: unknown.

    Raises:
        InvalidInput: ``unknown_voice``, ``unknown_model`` or ``language_not_spoken`` when none is
            left.
    """
    voiced = [(offer, voice) for offer in offers if (voice := offer.names.voice(order.voice))]
    if not voiced:
        raise unknown_voice(offer.names for offer in offers)
    modelled = [(offer, voice) for offer, voice in voiced if order.model in offer.names.models]
    if not modelled:
        raise unknown_model(offer.names for offer, _ in voiced)
    plan = tuple(
        PlannedVoice(
            name=offer.name,
            provider=offer.provider,
            voice=voice,
            model=offer.names.models[order.model],
            language=language if offer.capabilities.wants_language else order.language,
            speed=offer.capabilities.own_speed(order.speed),
            max_characters=offer.capabilities.max_characters,
            call_seconds=offer.call_seconds,
            free=offer.capabilities.free,
            own_token=offer.own_token,
        )
        for offer, voice in modelled
        if offer.capabilities.speaks(language)
    )
    if not plan:
        said = primary(language or "")
        raise InvalidInput(
            f"No configured engine with this voice speaks the language `{said}`",
            code="language_not_spoken",
        )
    return plan


def as_vtt(timings: Sequence[Timing]) -> str:
    """WebVTT for a player: words in cues of two lines, sentences as they are."""
    words = tuple(
        Word(
            text=timing.text,
            offset=round(timing.start * 1000),
            duration=round((timing.end - timing.start) * 1000),
        )
        for timing in timings
    )
    said = tuple(
        Utterance(text=word.text, offset=word.offset, duration=word.duration) for word in words
    )
    if timings and timings[0].kind is TimingKind.WORD:
        text = " ".join(word.text for word in words)
        end = words[-1].offset + words[-1].duration
        said = (Utterance(text=text, offset=0, duration=end),)
    seconds = timings[-1].end if timings else 0.0
    part = TranscriptPart(start=0, end=seconds, utterances=said, words=words)
    return transcript_formats.as_vtt(join_parts([part], seconds))


def _digest(said: Sequence[str]) -> str:
    text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
