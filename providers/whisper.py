"""Whisper on our own machine, by faster-whisper (the extra ``whisper``): any language, no key.

Each part of 20 to 30 seconds that ends in silence is one call in a child process, as with
pocketsphinx, so a resumed attempt hears exactly what an unbroken one would. The child may write no
file: a model that is not there yet is not fetched but said to be missing.
"""

import importlib
from collections.abc import AsyncIterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from contracts.audio import AudioFacts
from contracts.errors import (
    FormatNotTaken,
    NoSpeech,
    ProviderBroken,
    ProviderBusy,
    ProviderOut,
)
from contracts.tiers import Capabilities
from contracts.transcript import TranscriptPart, Utterance, Word
from providers.process_pool import ChildLost, ProcessPool
from providers.speech_cutting import BYTES_PER_SECOND, RATE, SpeechPart, next_part, wav_samples

CAPABILITIES: Final = Capabilities(
    containers=frozenset({"wav"}),
    codecs=frozenset({"pcm_s16le"}),
    sample_rate=RATE,
    channels=1,
    word_times=True,
    free=True,
)
CALL_SECONDS: Final = 1200.0
"""Bound of one part, loading the model and the processor time of all threads included."""
MEMORY_BYTES: Final = 16 << 30
"""Address space of a child; libraries reserve far more of it than they use."""
ENGINE: Final = "faster_whisper"

_INSTALL: Final = "install voicekeep[whisper]"


class WhisperModel(NamedTuple):
    """What a child loads.

    Attributes:
        name: a folder with a converted model, or a name (``small``) looked for in ``folder``.
        folder: where downloaded models lie; the Hugging Face cache.
        device: ``cpu``, ``cuda`` or ``auto``.
        compute_type: of CTranslate2, ``int8``, ``float16`` or ``default``.
    """

    name: str
    folder: str
    device: str = "auto"
    compute_type: str = "default"


class Stretch(NamedTuple):
    """What was said without a pause, as a child hears it; milliseconds from the beginning."""

    text: str
    start: int
    end: int
    words: list[tuple[str, int, int]]


class Heard(NamedTuple):
    """One part as a child hears it.

    Attributes:
        end: seconds from the beginning of the audio.
        last: whether the audio ends here.
        speech: whether there was speech, understood or not.
        language: two letters; empty when there was no speech.
    """

    end: float
    last: bool
    speech: bool
    language: str
    stretches: list[Stretch]


class Whisper:
    """Implements ``Transcriber`` of ``activities.ports``.

    Args:
        pool: of its own: ``ProcessPool(workers=1, memory_bytes=MEMORY_BYTES)``; each child loads
            the model once.
        engine: the module that has ``WhisperModel``; a child imports it by this name.
    """

    def __init__(self, pool: ProcessPool, model: WhisperModel, *, engine: str = ENGINE) -> None:
        self._pool = pool
        self._model = model
        self._engine = engine

    @property
    def provider(self) -> str:
        """Name of the provider in attempts and logs."""
        return "whisper"

    @property
    def capabilities(self) -> Capabilities:
        """What it takes and gives."""
        return CAPABILITIES

    async def transcribe(
        self,
        audio: Path,
        facts: AudioFacts,
        *,
        languages: Sequence[str],
        diarization: bool,  # noqa: ARG002 - it cannot
        after: float,
    ) -> AsyncIterator[TranscriptPart]:
        """Yield what is heard, part by part, from ``after`` seconds on.

        Raises:
            FormatNotTaken: not a 16 kHz mono PCM WAV.
            NoSpeech: voice activity detection finds none in the whole audio.
            ProviderOut: faster-whisper is not installed, or the model is not there.
            ProviderBroken: the engine crashed.
            ProviderBusy: the machine is too busy for the engine.
        """
        if not CAPABILITIES.takes_format(facts):
            raise FormatNotTaken("Whisper is given 16 kHz mono PCM WAV only")
        start, speech, last = after, after > 0, False
        while not last:
            heard = await self._hear(audio, start, languages)
            last, speech = heard.last, speech or heard.speech
            if heard.end > start:
                yield _part(start, heard, languages)
            start = heard.end
        if not speech:
            raise NoSpeech("No speech was found in the audio")

    async def _hear(self, audio: Path, start: float, languages: Sequence[str]) -> Heard:
        asked = tuple(dict.fromkeys(tag.split("-")[0].lower() for tag in languages))
        work = (self._engine, self._model, str(audio), start, asked)
        try:
            return await self._pool.run(hear, *work, seconds=CALL_SECONDS)
        except ChildLost as error:
            failure = ProviderBusy if error.timed_out else ProviderBroken
            raise failure("The recogniser did not live to answer") from error


def _part(start: float, heard: Heard, languages: Sequence[str]) -> TranscriptPart:
    same = (tag for tag in languages if tag.split("-")[0].lower() == heard.language)
    locale = next(same, heard.language or None)
    return TranscriptPart(
        start=start,
        end=heard.end,
        utterances=tuple(
            Utterance(
                text=each.text, offset=each.start, duration=each.end - each.start, locale=locale
            )
            for each in heard.stretches
        ),
        words=tuple(
            Word(text=text, offset=begin, duration=end - begin)
            for each in heard.stretches
            for text, begin, end in each.words
        ),
    )


def hear(
    engine: str, model: WhisperModel, name: str, start: float, languages: tuple[str, ...]
) -> Heard:
    """Transcribe one part in a child process."""
    with Path(name).open("rb") as file:
        part = next_part(file, start)
        if not part.segments:
            return Heard(part.end, part.last, speech=False, language="", stretches=[])
        began, samples = _samples(file, part)
    if not _module(engine).vad.get_speech_timestamps(samples):
        # Silero, which comes with the engine, tells speech from noise as loud as it; Whisper would
        # make words of that.
        return Heard(part.end, part.last, speech=False, language="", stretches=[])
    loaded = _loaded(engine, model)
    try:
        segments, language = _recognised(loaded, samples, languages)
        stretches = [
            _stretch(each, round(began * 1000), round(part.end * 1000)) for each in segments
        ]
    except (RuntimeError, ValueError) as error:
        # Of CTranslate2: no memory on the device, a model that does not fit its files.
        raise ProviderBroken(f"Whisper could not decode: {type(error).__name__}") from None
    spoken = [each for each in stretches if each.text]
    return Heard(part.end, part.last, speech=True, language=language, stretches=spoken)


def _samples(file: BinaryIO, part: SpeechPart) -> tuple[float, Any]:
    """From the first word to the last, pauses included; second it begins at, and 32-bit floats."""
    import numpy as np  # noqa: PLC0415 - comes with the extra; a child alone needs it

    began, ended = part.segments[0].start, part.segments[-1].end
    offset, _ = wav_samples(file)
    file.seek(offset + round(began * RATE) * 2)
    pcm = file.read(round((ended - began) * BYTES_PER_SECOND) // 2 * 2)
    return began, np.frombuffer(pcm, dtype="<i2").astype(np.float32) / 32768


def _module(engine: str) -> Any:
    try:
        return importlib.import_module(engine)
    except ImportError as error:
        raise ProviderOut(f"faster-whisper is not installed: {_INSTALL}") from error


@cache
def _loaded(engine: str, model: WhisperModel) -> Any:
    try:
        return _module(engine).WhisperModel(
            model.name,
            device=model.device,
            compute_type=model.compute_type,
            download_root=model.folder,
            local_files_only=True,
        )
    except Exception as error:  # noqa: BLE001 - of four libraries, whatever is missing
        message = (
            f"Whisper's model {model.name} cannot be loaded ({type(error).__name__}): fetch it "
            f"with faster_whisper.download_model, or name its folder in WHISPER_MODEL"
        )
        raise ProviderOut(message) from None


def _recognised(model: Any, samples: Any, languages: tuple[str, ...]) -> tuple[Any, str]:
    """Segments and their language: one of those asked for, when any was."""
    wanted = languages[0] if len(languages) == 1 else None
    options = {"word_timestamps": True, "condition_on_previous_text": False}
    segments, info = model.transcribe(samples, language=wanted, **options)
    if len(languages) > 1 and info.language not in languages:
        likely = dict(info.all_language_probs or ())
        wanted = max(languages, key=lambda tag: likely.get(tag, 0.0))
        segments, info = model.transcribe(samples, language=wanted, **options)
    return segments, str(info.language)


def _stretch(segment: Any, offset: int, last: int) -> Stretch:
    """A segment with times from the beginning of the audio, none beyond the part."""

    def at(seconds: float) -> int:
        return min(offset + max(0, round(seconds * 1000)), last)

    return Stretch(
        text=segment.text.strip(),
        start=at(segment.start),
        end=max(at(segment.start), at(segment.end)),
        words=[
            (each.word.strip(), at(each.start), max(at(each.start), at(each.end)))
            for each in segment.words or ()
            if each.word.strip()
        ],
    )
