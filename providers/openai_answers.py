"""The shapes OpenAI's transcription answers in, and what they are in ours."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field
from pydantic.dataclasses import dataclass

from contracts.costs import Units, tokens
from contracts.language_names import LANGUAGES
from contracts.transcript import TranscriptPart, Utterance, Word
from contracts.values import SMALL
from providers.answer_text import Text

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True, kw_only=True, config=SMALL)
class SpokenWord:
    """One word of ``verbose_json``."""

    word: Text
    start: Seconds
    end: Seconds


@dataclass(frozen=True, slots=True, kw_only=True, config=SMALL)
class SpokenSegment:
    """One segment; ``speaker`` in ``diarized_json`` only, ``words`` of some other servers."""

    text: Text
    start: Seconds
    end: Seconds
    speaker: str | None = None
    words: list[SpokenWord] | None = None


class Answer(BaseModel):
    """Any of ``json``, ``verbose_json`` and ``diarized_json``.

    Attributes:
        usage: ``{"type": "duration", "seconds"}`` or ``{"type": "tokens", "input_tokens", …}``;
            servers of other makers write what they like.
    """

    text: Text
    language: str | None = None
    segments: list[SpokenSegment] | None = None
    words: list[SpokenWord] | None = None
    usage: Any = None

    @property
    def units(self) -> Units:
        """The tokens it took, where the server counts them."""
        told = self.usage if isinstance(self.usage, dict) else {}
        return tokens(told.get("input_tokens"), told.get("output_tokens"))


def part_of(answer: Answer, seconds: float, asked: Sequence[str]) -> TranscriptPart:
    """The answer as one part over the whole audio; without utterances when nothing was said.

    Args:
        seconds: length of the audio.
        asked: languages that were asked for; BCP 47.
    """
    locale = _locale(answer.language, asked)
    segments = answer.segments or [SpokenSegment(text=answer.text, start=0, end=seconds)]
    words = answer.words or [word for each in segments for word in each.words or ()]
    speakers = {name: n for n, name in enumerate(_speakers(segments), start=1)}
    return TranscriptPart(
        start=0,
        end=seconds,
        utterances=tuple(
            Utterance(
                text=segment.text.strip(),
                offset=_milliseconds(segment.start),
                duration=_duration(segment.start, segment.end),
                speaker=speakers.get(segment.speaker) if segment.speaker else None,
                locale=locale,
            )
            for segment in segments
            if segment.text.strip()
        ),
        words=tuple(
            Word(
                text=word.word.strip(),
                offset=_milliseconds(word.start),
                duration=_duration(word.start, word.end),
            )
            for word in words
            if word.word.strip()
        ),
    )


def _speakers(segments: Sequence[SpokenSegment]) -> list[str]:
    """Names of the speakers in the order they speak."""
    return list(dict.fromkeys(each.speaker for each in segments if each.speaker))


def _milliseconds(seconds: float) -> int:
    return math.floor(seconds * 1000 + 0.5)


def _duration(start: float, end: float) -> int:
    return max(0, _milliseconds(end) - _milliseconds(start))


def _locale(language: str | None, asked: Sequence[str]) -> str | None:
    """BCP 47 for a language that Whisper names in English and others by its code."""
    if not language:
        return asked[0] if len(asked) == 1 else None
    name = language.strip().lower()
    code = LANGUAGES.get(name, name if len(name) <= _LONGEST_CODE else None)
    same = (tag for tag in asked if tag.split("-")[0].lower() == code)
    return next(same, code)


_LONGEST_CODE: Final = 3
