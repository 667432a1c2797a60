"""A stand-in for the module ``faster_whisper``: one word for each half second of what it is given.

Children of the process pool import it by its name. Names of models change how it behaves:
``missing`` cannot be loaded, ``broken`` fails while it decodes, ``dying`` ends its process.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

RATE: Final = 16_000
STEP: Final = 0.5
QUIET: Final = 0.02
DETECTED: Final = "pl"
LIKELY: Final = (("pl", 0.5), ("de", 0.3), ("en", 0.2))


class vad:  # noqa: N801 - a module there
    @staticmethod
    def get_speech_timestamps(audio: Any) -> list[dict[str, int]]:
        """All of it is speech; what is quieter than any speech is none."""
        return [{"start": 0, "end": len(audio)}] if abs(audio).max() > QUIET else []


@dataclass
class Word:
    word: str
    start: float
    end: float
    probability: float = 0.9


@dataclass
class Segment:
    start: float
    end: float
    text: str
    words: list[Word] | None = None


@dataclass
class Info:
    language: str
    all_language_probs: list[tuple[str, float]] | None = field(default_factory=lambda: [*LIKELY])


class WhisperModel:
    def __init__(
        self,
        model_size_or_path: str,
        *,
        device: str,
        compute_type: str,
        download_root: str,
        local_files_only: bool,
    ) -> None:
        assert local_files_only
        if model_size_or_path == "missing":
            raise FileNotFoundError(f"{download_root}/{model_size_or_path}")
        self.name = model_size_or_path
        self.device = f"{device} {compute_type}"

    def transcribe(
        self,
        audio: Any,
        *,
        language: str | None,
        word_timestamps: bool,
        condition_on_previous_text: bool,
    ) -> tuple[Iterator[Segment], Info]:
        assert str(audio.dtype) == "float32"
        assert abs(audio).max() <= 1
        if self.name == "broken":
            raise RuntimeError("CUDA failed with error out of memory")
        if self.name == "dying":
            os._exit(9)
        return self._segments(len(audio) / RATE), Info(language or DETECTED)

    def _segments(self, seconds: float) -> Iterator[Segment]:
        words = [Word(f" word{n}", n * STEP, n * STEP + 0.4) for n in range(int(seconds / STEP))]
        half = len(words) // 2
        for some in (words[:half], words[half:]):
            if some:
                text = "".join(word.word for word in some)
                yield Segment(some[0].start, some[-1].end + 9, text, some)
        yield Segment(seconds, seconds, "  ", None)
