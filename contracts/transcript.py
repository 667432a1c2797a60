"""The transcript and how its parts join."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from pydantic.dataclasses import dataclass

from contracts.costs import Units
from contracts.values import SMALL, Value


@dataclass(frozen=True, slots=True, kw_only=True, config=SMALL)
class Word:
    """One spoken word; ``offset`` and ``duration`` in milliseconds."""

    text: str
    offset: int
    duration: int


@dataclass(frozen=True, slots=True, kw_only=True, config=SMALL)
class Utterance:
    """What one speaker said without a pause; ``offset`` and ``duration`` in milliseconds.

    Attributes:
        speaker: number of the speaker from 1, or null when the provider does not tell speakers.
        locale: BCP 47 language of this utterance, when the provider tells.
    """

    text: str
    offset: int
    duration: int
    speaker: int | None = None
    locale: str | None = None


class Gap(Value):
    """A stretch that no tier could transcribe; ``start`` and ``end`` in seconds."""

    start: float
    end: float
    error: str


class TranscriptPart(Value):
    """What a provider heard between two points of the audio.

    Attributes:
        start: seconds from the beginning of the audio.
        end: seconds; the next part starts here. Providers that answer at once yield one part over
            the whole audio.
        utterances: offsets are from the beginning of the audio, not of the part.
        words: likewise; empty when the provider has no word times.
        units: what the provider says it took, beside the audio.
    """

    start: float
    end: float
    utterances: tuple[Utterance, ...] = ()
    words: tuple[Word, ...] = ()
    units: Units = Units()


class Transcript(Value):
    """Everything that was said in one recording.

    Attributes:
        text: the utterances in order, joined by blanks.
        seconds: length of the audio.
        languages: distinct locales in the order seen.
        primary_language: the locale with the most characters.
        speakers: display names by speaker number, ``{"1": "Speaker 1"}``.
    """

    text: str
    seconds: float
    utterances: tuple[Utterance, ...] = ()
    words: tuple[Word, ...] = ()
    languages: tuple[str, ...] = ()
    primary_language: str | None = None
    speakers: dict[str, str] = {}
    gaps: tuple[Gap, ...] = ()

    @property
    def sha256(self) -> str:
        """Digest of text and times: two transcripts with one digest say the same."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def word_count(self) -> int:
        """Number of words, by the word list or else by blanks."""
        return len(self.words) or len(self.text.split())


def join_parts(parts: Sequence[TranscriptPart], seconds: float) -> Transcript:
    """Make one transcript of the parts, in the order of their utterances' offsets."""
    ordered = sorted(
        (utterance for part in parts for utterance in part.utterances),
        key=lambda utterance: (utterance.offset, utterance.duration),
    )
    characters: Counter[str] = Counter()
    for utterance in ordered:
        if utterance.locale:
            characters[utterance.locale] += len(utterance.text)
    speakers = sorted({u.speaker for u in ordered if u.speaker is not None})
    return Transcript(
        text=" ".join(u.text.strip() for u in ordered if u.text.strip()),
        seconds=seconds,
        utterances=tuple(ordered),
        words=tuple(sorted((w for part in parts for w in part.words), key=lambda w: w.offset)),
        languages=tuple(characters),
        primary_language=characters.most_common(1)[0][0] if characters else None,
        speakers={str(number): f"Speaker {number}" for number in speakers},
    )


def moved(part: TranscriptPart, seconds: float) -> TranscriptPart:
    """The same part so many seconds later: of a chunk, in the times of the whole recording."""
    by = round(seconds * 1000)
    return part.model_copy(
        update={
            "start": part.start + seconds,
            "end": part.end + seconds,
            "utterances": tuple(replace(u, offset=max(u.offset + by, 0)) for u in part.utterances),
            "words": tuple(replace(w, offset=max(w.offset + by, 0)) for w in part.words),
        }
    )


def has_speech(transcript: Transcript) -> bool:
    """Whether anything was said: fewer than two letters in all is no speech."""
    return sum(character.isalpha() for character in transcript.text) > 1


class TranscriptRef(Value):
    """What travels through Temporal instead of the words.

    Attributes:
        ref: id of the saved transcript (the job's id).
        seconds: length of the audio.
        words: number of words.
        language: primary language, when known.
        sha256: digest of the saved transcript.
        tier: name of the tier that served.
        speech: false when nothing was said.
    """

    ref: str
    seconds: float
    words: int
    sha256: str
    tier: str
    language: str | None = None
    speech: bool = True
