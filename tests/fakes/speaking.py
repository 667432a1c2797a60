"""What the stand-ins of speaking vendors say: real speech, by the engine that needs no vendor."""

import asyncio
import threading
from functools import lru_cache
from typing import Final

from providers.espeak import EspeakVoice, SpokenHere, speak

WORDS_A_MINUTE: Final = 140
"""Slowly enough for the recogniser of the tests to understand every word."""
_ONE_AT_A_TIME: Final = threading.Lock()


async def said(
    text: str, language: str = "en", speed: float = 1.0, voice: str = "+f2"
) -> SpokenHere:
    """Samples (24 000 Hz, mono, signed 16 bit) and the times of the words."""
    name = language.split("-", maxsplit=1)[0]
    return await asyncio.to_thread(_said, text, f"{name}{voice}", round(WORDS_A_MINUTE * speed))


@lru_cache(maxsize=16)
def _said(text: str, voice: str, words_a_minute: int) -> SpokenHere:
    with _ONE_AT_A_TIME:
        return speak(text, EspeakVoice(voice, words_a_minute))
