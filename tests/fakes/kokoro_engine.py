"""A stand-in for the module ``kokoro_onnx``: a tone as long as the text, by language and voice.

Children of the process pool import it by its name. Names of models change how it behaves:
``missing`` cannot be loaded, ``broken`` fails while it speaks, ``dying`` ends its process,
``silent`` says nothing, ``slow`` answers at another rate, ``loud`` says more than samples can hold.
"""

import os
from typing import Any, Final

import numpy as np

RATE: Final = 24_000
SECONDS_OF_CHARACTER: Final = 0.05
VOICES: Final = ("af_heart", "af_nova", "bm_george")
LANGUAGES: Final = ("en-us", "en-gb", "es", "fr-fr", "hi", "it", "ja", "pt-br", "cmn")


class Kokoro:
    def __init__(self, model_path: str, voices_path: str) -> None:
        if model_path == "missing":
            raise FileNotFoundError(model_path)
        assert voices_path
        self.name = model_path

    def get_voices(self) -> list[str]:
        return [*VOICES]

    def create(
        self, text: str, voice: str, speed: float = 1.0, lang: str = "en-us"
    ) -> tuple[Any, int]:
        """Its own checks: speed, voice; a language that espeak's phonemes do not have fails."""
        assert 0.5 <= speed <= 2.0, "Speed should be between 0.5 and 2.0"
        assert voice in VOICES, f"Voice {voice} not found in available voices"
        if lang not in LANGUAGES or self.name == "broken":
            raise RuntimeError(f'"{text}" has no phonemes in "{lang}"')
        if self.name == "dying":
            os._exit(9)
        if self.name == "silent":
            return np.zeros(0, dtype=np.float32), RATE
        length = round(len(text) * SECONDS_OF_CHARACTER * RATE / speed)
        pitch = 100 * (1 + LANGUAGES.index(lang)) + 10 * VOICES.index(voice)
        tone = np.sin(2 * np.pi * pitch * np.arange(length) / RATE).astype(np.float32)
        if self.name == "loud":
            tone = tone * 9
            tone[0] = np.nan
        return tone / (1 if self.name == "loud" else 2), RATE // 2 if self.name == "slow" else RATE
