"""What a stand-in of a vendor hears: made up from the length of the audio, or recognised."""

import io
import itertools
import tempfile
import wave
from pathlib import Path
from typing import NamedTuple

import av

from contracts.audio import CONVERTED_RATE
from contracts.errors import MediaRejected, UnsupportedMedia
from providers.media_probe import measure
from providers.pocketsphinx import hear
from tests.fakes.openai import WORDS_PER_SEGMENT, words_of


class NotAudio(Exception):
    """Of no format the vendor reads."""


class SaidWord(NamedTuple):
    """Times in milliseconds."""

    text: str
    offset: int
    duration: int


class Said(NamedTuple):
    """A sentence."""

    text: str
    words: list[SaidWord]

    @property
    def offset(self) -> int:
        return self.words[0].offset

    @property
    def duration(self) -> int:
        return self.words[-1].offset + self.words[-1].duration - self.offset


class Heard(NamedTuple):
    """Container as `contracts.signatures` names it, length, and what was said."""

    container: str
    seconds: float
    said: list[Said]


def listen(audio: bytes, *, recognise: bool = False) -> Heard:
    """Measure audio and hear it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "audio"
        path.write_bytes(audio)
        try:
            facts = measure(str(path))
        except (MediaRejected, UnsupportedMedia) as failure:
            raise NotAudio from failure
        said = list(_recognised(path)) if recognise else made_up(facts.seconds)
    return Heard(facts.container, facts.seconds, said)


def made_up(seconds: float) -> list[Said]:
    """Two words a second, ten words a sentence."""
    words = [
        SaidWord(
            each["word"],
            round(each["start"] * 1000),
            round((each["end"] - each["start"]) * 1000),
        )
        for each in words_of(seconds)
    ]
    return [
        sentence(words[at : at + WORDS_PER_SEGMENT])
        for at in range(0, len(words), WORDS_PER_SEGMENT)
    ]


def sentence(words: list[SaidWord]) -> Said:
    return Said(" ".join(word.text for word in words).capitalize() + ".", words)


def _recognised(path: Path) -> list[Said]:
    wav = path.with_suffix(".wav")
    _convert(path, wav)
    said, start, last = [], 0.0, False
    while not last:
        part = hear(str(wav), start)
        start, last = part.end, part.last
        said += [sentence([SaidWord(*word) for word in spoken]) for spoken in part.utterances]
    return said


def _convert(source: Path, target: Path) -> None:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=CONVERTED_RATE)
    pcm = io.BytesIO()
    with av.open(source) as container:
        frames = container.decode(audio=0)
        for frame in itertools.chain(frames, [None]):
            for each in resampler.resample(frame):
                pcm.write(bytes(each.planes[0])[: each.samples * 2])
    with wave.open(str(target), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(CONVERTED_RATE)
        file.writeframes(pcm.getvalue())
