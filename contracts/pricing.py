"""What an operation costs, in credits."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from contracts.ids import MEMO
from contracts.language import Use

COSTS: Final = MappingProxyType(
    {
        "TRANSCRIPTION_PER_MINUTE": 2,
        "HEADLINE_GENERATION": 10,
        "MEMORY_CREATION": 10,
        "BLUEPRINT_PROCESSING": 5,
        "QUESTION_MEMO": 5,
        "NEW_MEMORY": 5,
        "MEMO_COMBINE": 5,
        "MEETING_RECORDING_PER_MINUTE": 2,
    }
)
"""The public price list. The headline that comes with a memo by itself is free all the same."""

MINIMUM_TRANSCRIPTION: Final = 2

LANGUAGE_PRICES: Final = MappingProxyType(
    {
        Use.HEADLINE: 0,
        Use.QUESTION: COSTS["QUESTION_MEMO"],
        Use.COMBINE: COSTS["MEMO_COMBINE"],
        Use.MEMORY: COSTS["NEW_MEMORY"],
        Use.BLUEPRINT: COSTS["BLUEPRINT_PROCESSING"],
    }
)
"""Of one piece of writing, however much is read for it; of a translation a setting tells."""


def transcription_price(seconds: float) -> int:
    """Credits for transcribing audio: ``max(ceil(seconds / 60 * 2), 2)``, so steps of 30 s.

    >>> [transcription_price(s) for s in (0, 60, 61, 90, 120, 300, 3600, 7200)]
    [2, 2, 3, 3, 4, 10, 120, 240]
    """
    per_minute = COSTS["TRANSCRIPTION_PER_MINUTE"]
    # Milliseconds are whole numbers: 60 s stays 2 credits whatever a float makes of it.
    milliseconds = round(max(seconds, 0.0) * 1000)
    return max(math.ceil(milliseconds * per_minute / 60_000), MINIMUM_TRANSCRIPTION)


def speech_price(characters: int, per_1000: int) -> int:
    """Credits for reading a text aloud: for each 1000 characters begun.

    >>> speech_price(1, 3), speech_price(1000, 3), speech_price(1001, 3), speech_price(9, 0)
    (3, 3, 6, 0)
    """
    return math.ceil(characters / 1000) * per_1000


def language_price(use: Use) -> int:
    """Credits for one piece of writing; charged when it is written, and never before.

    >>> language_price(Use.QUESTION)
    5
    """
    return LANGUAGE_PRICES[use]


def expected_price(kind: str, request: Mapping[str, Any]) -> int:
    """Credits a job is expected to hold, by what it was asked for.

    >>> expected_price("memo", {"claimed_seconds": 300}), expected_price("question", {"price": 5})
    (10, 5)
    """
    if kind == MEMO:
        return transcription_price(float(request.get("claimed_seconds", 0)))
    return int(request.get("price", 0))
