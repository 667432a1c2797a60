"""A text as one engine takes it: which parts it has, and how fast they are to be heard."""

from collections.abc import Sequence

from contracts.speech import PlannedVoice
from contracts.speech_job import KeptPart, PlannedTexts
from contracts.speech_text import parts
from contracts.values import Value

SAME_TEMPO = 0.01
"""A difference in speed that nobody hears; engines round theirs."""

_OF_CALLS = {"call_seconds", "free"}


class Division(Value):
    """The parts of a text, in order, for one voice.

    Attributes:
        hashes: of each part; equal for parts that sound the same.
    """

    voice: PlannedVoice
    parts: tuple[str, ...]
    hashes: tuple[str, ...]

    def planned(self, there: frozenset[str]) -> PlannedTexts:
        """What is to be done, each distinct part once."""
        first = {part_hash: at for at, part_hash in reversed(list(enumerate(self.hashes)))}
        missing = sorted(at for part_hash, at in first.items() if part_hash not in there)
        return PlannedTexts(voice=self.voice, parts=len(self.parts), missing=tuple(missing))


def divide(voice: PlannedVoice, text: str) -> Division:
    """Divide a normalised text; a long one takes seconds of CPU, so not in an event loop."""
    found = parts(text, voice.max_characters)
    return Division(voice=voice, parts=found, hashes=tuple(voice.part_hash(part) for part in found))


def tempo_of(wanted: float, part: KeptPart) -> float:
    """How much faster than its samples a text is to be; parts of one voice are equally fast."""
    tempo = wanted / part.speed
    return 1.0 if abs(tempo - 1) < SAME_TEMPO else tempo


def told(voices: Sequence[PlannedVoice]) -> list[dict[str, object]]:
    """The voices as an event of the job tells them: enough to find their parts, no words."""
    return [voice.model_dump(exclude=_OF_CALLS, exclude_defaults=True) for voice in voices]
