"""The shape Gemini writes a transcript in, and what it is in ours."""

import math
import re
from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, Field

from contracts.transcript import TranscriptPart, Utterance
from providers import failures
from providers.answer_text import Text

_TIME: Final = re.compile(
    r"(?:(?:(?P<hours>\d{1,3}):)?(?P<minutes>\d{1,4}):)?(?P<seconds>\d{1,6}(?:\.\d{1,9})?)s?",
    re.ASCII,
)
_TAG: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")


class SpokenSegment(BaseModel):
    """What one speaker says."""

    start: str = Field(description="MM:SS")
    end: str = Field(description="MM:SS")
    speaker: int = Field(description="from 1; 0 when the speakers cannot be told apart")
    language: str = Field(description="BCP 47 tag")
    text: Text


class TranscriptShape(BaseModel):
    """All segments in their order; none when nothing is said."""

    segments: list[SpokenSegment]


def part_of(
    provider: str,
    shape: TranscriptShape,
    seconds: float,
    asked: Sequence[str],
    *,
    diarization: bool,
) -> TranscriptPart:
    """The answer as one part over the whole audio; without utterances when nothing was said.

    Times are the model's guesses to the second: they are kept within the audio.

    Args:
        seconds: length of the audio.
        asked: languages that were asked for; BCP 47.

    Raises:
        ProviderBroken: a time is none.
    """
    spoken = [each for each in shape.segments if each.text.strip()]
    last = math.floor(seconds * 1000)
    starts = [min(_milliseconds(provider, each.start), last) for each in spoken]
    ends = [min(_milliseconds(provider, each.end), last) for each in spoken]
    speakers = {
        number: rank
        for rank, number in enumerate(
            dict.fromkeys(each.speaker for each in spoken if each.speaker > 0), start=1
        )
    }
    return TranscriptPart(
        start=0,
        end=seconds,
        utterances=tuple(
            Utterance(
                text=" ".join(each.text.split()),
                offset=start,
                duration=max(0, end - start),
                speaker=speakers.get(each.speaker) if diarization else None,
                locale=_locale(each.language, asked),
            )
            for each, start, end in zip(spoken, starts, ends, strict=True)
        ),
    )


def _milliseconds(provider: str, time: str) -> int:
    found = _TIME.fullmatch(time.strip())
    if found is None:
        raise failures.unreadable(provider)
    hours, minutes = int(found["hours"] or 0), int(found["minutes"] or 0)
    return round((hours * 3600 + minutes * 60 + float(found["seconds"])) * 1000)


def _locale(tag: str, asked: Sequence[str]) -> str | None:
    """The tag asked for that has the same language, else the model's when it is one."""
    if not _TAG.fullmatch(tag):
        return asked[0] if len(asked) == 1 else None
    primary = tag.split("-", maxsplit=1)[0].lower()
    same = (each for each in asked if each.split("-")[0].lower() == primary)
    return next(same, tag)
