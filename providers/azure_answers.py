"""The shapes Azure answers transcriptions in, and what they are in ours.

Fast transcription has times in milliseconds, batch transcription in ticks of 100 ns, written as
floats. Microsoft's pages: "Use the fast transcription API", "Get batch transcription results";
live recognition as the Speech SDK 1.53 passes it on.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Annotated, Final

from pydantic import BaseModel, Field

from contracts.transcript import TranscriptPart, Utterance, Word
from providers.answer_text import Text

LONGEST_MILLISECONDS: Final = 7 * 24 * 3600 * 1000
TICKS: Final = 10_000
"""Ticks of a millisecond."""

Milliseconds = Annotated[float, Field(ge=0, le=LONGEST_MILLISECONDS, allow_inf_nan=False)]
Ticks = Annotated[float, Field(ge=0, le=LONGEST_MILLISECONDS * TICKS, allow_inf_nan=False)]
Speaker = Annotated[int, Field(ge=0, le=1000)]


class FastWord(BaseModel):
    """One word of a phrase."""

    text: Text
    offset: Milliseconds = Field(alias="offsetMilliseconds")
    duration: Milliseconds = Field(alias="durationMilliseconds")


class FastPhrase(BaseModel):
    """What one speaker said without a pause, on one channel."""

    text: Text
    offset: Milliseconds = Field(alias="offsetMilliseconds")
    duration: Milliseconds = Field(alias="durationMilliseconds")
    speaker: Speaker | None = None
    locale: Text | None = None
    words: list[FastWord] = []


class FastAnswer(BaseModel):
    """The answer of fast transcription; phrases are grouped by channel, not sorted by time."""

    phrases: list[FastPhrase]


class BatchWord(BaseModel):
    """One word as it is displayed."""

    text: Text = Field(alias="displayText")
    offset: Ticks = Field(alias="offsetInTicks")
    duration: Ticks = Field(alias="durationInTicks")


class BatchGuess(BaseModel):
    """One way to understand a phrase; only the first has times of words."""

    display: Text
    words: list[BatchWord] = Field([], alias="displayWords")


class BatchPhrase(BaseModel):
    """A phrase with the ways to understand it, the best first."""

    offset: Ticks = Field(alias="offsetInTicks")
    duration: Ticks = Field(alias="durationInTicks")
    speaker: Speaker | None = None
    locale: Text | None = None
    guesses: list[BatchGuess] = Field([], alias="nBest")


class BatchAnswer(BaseModel):
    """A result file of batch transcription, without its ``source``: that holds a signed URL."""

    phrases: list[BatchPhrase] = Field(alias="recognizedPhrases")


class LiveWord(BaseModel):
    """One word of live recognition, as it is displayed or as it was heard."""

    displayed: Text | None = Field(None, alias="DisplayText")
    heard: Text | None = Field(None, alias="Word")
    offset: Ticks = Field(alias="Offset")
    duration: Ticks = Field(alias="Duration")


class LiveGuess(BaseModel):
    """One way to understand a phrase."""

    displayed: list[LiveWord] = Field([], alias="DisplayWords")
    heard: list[LiveWord] = Field([], alias="Words")


class LiveLanguage(BaseModel):
    """The language of a phrase, when there were several to choose from."""

    locale: Text = Field(alias="Language")


class LivePhrase(BaseModel):
    """What live recognition says of one phrase; ``speaker`` is ``Guest-1`` or ``Unknown``."""

    text: Text = Field("", alias="DisplayText")
    offset: Ticks = Field(alias="Offset")
    duration: Ticks = Field(alias="Duration")
    speaker: str | None = Field(None, alias="SpeakerId")
    language: LiveLanguage | None = Field(None, alias="PrimaryLanguage")
    guesses: list[LiveGuess] = Field([], alias="NBest")


_GUEST: Final = re.compile(r"\D*-(\d{1,3})")


def part_of_live(
    phrase: LivePhrase, start: float, locale: str | None, *, diarization: bool
) -> TranscriptPart:
    """A phrase as the part that follows ``start``; without utterances when nothing was said.

    Args:
        start: seconds; where the part before it ends.
        locale: the only one that was asked for.
    """
    guest = _GUEST.fullmatch(phrase.speaker or "") if diarization else None
    guess = phrase.guesses[0] if phrase.guesses else LiveGuess()
    utterance = Utterance(
        text=phrase.text.strip(),
        offset=_rounded(phrase.offset / TICKS),
        duration=_rounded(phrase.duration / TICKS),
        speaker=int(guest[1]) if guest else None,
        locale=phrase.language.locale if phrase.language else locale,
    )
    words = (
        Word(
            text=(word.displayed or word.heard or "").strip(),
            offset=_rounded(word.offset / TICKS),
            duration=_rounded(word.duration / TICKS),
        )
        for word in guess.displayed or guess.heard
    )
    return TranscriptPart(
        start=start,
        end=max(start, (phrase.offset + phrase.duration) / TICKS / 1000),
        utterances=(utterance,) if utterance.text else (),
        words=tuple(word for word in words if word.text),
    )


def part_of_fast(answer: FastAnswer, seconds: float, asked: Sequence[str]) -> TranscriptPart:
    """The answer as one part over the whole audio; without utterances when nothing was said.

    Args:
        seconds: length of the audio.
        asked: locales that were asked for.
    """
    return _part(
        seconds,
        asked,
        (
            Utterance(
                text=phrase.text.strip(),
                offset=_rounded(phrase.offset),
                duration=_rounded(phrase.duration),
                speaker=phrase.speaker,
                locale=phrase.locale,
            )
            for phrase in answer.phrases
        ),
        (
            Word(
                text=word.text.strip(),
                offset=_rounded(word.offset),
                duration=_rounded(word.duration),
            )
            for phrase in answer.phrases
            for word in phrase.words
        ),
    )


def part_of_batch(
    answers: Sequence[BatchAnswer], seconds: float, asked: Sequence[str]
) -> TranscriptPart:
    """The result files as one part over the whole audio; see `part_of_fast`."""
    phrases = [
        (phrase, phrase.guesses[0])
        for phrase in chain.from_iterable(answer.phrases for answer in answers)
        if phrase.guesses
    ]
    return _part(
        seconds,
        asked,
        (
            Utterance(
                text=guess.display.strip(),
                offset=_rounded(phrase.offset / TICKS),
                duration=_rounded(phrase.duration / TICKS),
                speaker=phrase.speaker,
                locale=phrase.locale,
            )
            for phrase, guess in phrases
        ),
        (
            Word(
                text=word.text.strip(),
                offset=_rounded(word.offset / TICKS),
                duration=_rounded(word.duration / TICKS),
            )
            for _, guess in phrases
            for word in guess.words
        ),
    )


def _part(
    seconds: float, asked: Sequence[str], utterances: Iterable[Utterance], words: Iterable[Word]
) -> TranscriptPart:
    said = sorted((each for each in utterances if each.text), key=lambda each: each.offset)
    from_zero = any(each.speaker == 0 for each in said)
    only = asked[0] if len(asked) == 1 else None
    return TranscriptPart(
        start=0,
        end=seconds,
        utterances=tuple(
            replace(
                each,
                speaker=_from_one(each.speaker, from_zero=from_zero),
                locale=each.locale or only,
            )
            for each in said
        ),
        words=tuple(sorted((each for each in words if each.text), key=lambda each: each.offset)),
    )


def _from_one(speaker: int | None, *, from_zero: bool) -> int | None:
    """Our speakers are counted from 1; Microsoft's pages show both ways."""
    return speaker + 1 if from_zero and speaker is not None else speaker


def _rounded(milliseconds: float) -> int:
    return math.floor(milliseconds + 0.5)
