"""What is final of a recording that is still being transcribed, part by part."""

from contracts.chunks import Chunk, join_at_seams
from contracts.transcript import TranscriptPart, Utterance


class Hearing:
    """Takes parts in their order, gives utterances in theirs, each as the transcript will have it.

    One is final when the part after its own is there: what both sides of a seam have heard is told
    apart then, and nothing of the later part comes before it.
    """

    def __init__(self) -> None:
        self._last: tuple[Chunk, TranscriptPart] | None = None
        self._waiting: list[Utterance] = []

    @property
    def end(self) -> float:
        """Second at which the next part begins."""
        return 0.0 if self._last is None else self._last[0].end

    def take(self, part: TranscriptPart, overlap: float = 0.0) -> list[Utterance]:
        """The next part, which begins at ``end``; returns what is final now.

        Args:
            overlap: seconds that it has heard of the part after it.
        """
        index = 0 if self._last is None else self._last[0].index + 1
        chunk = Chunk(index=index, start=part.start, end=part.end, lead_out=overlap)
        if self._last is None:
            self._last = (chunk, part)
            return []
        before, part = join_at_seams([self._last, (chunk, part)])
        self._last = (chunk, part)
        self._waiting = sorted([*self._waiting, *before.utterances], key=_place)
        first = min(map(_place, part.utterances), default=None)
        count = sum(first is None or _place(each) <= first for each in self._waiting)
        final, self._waiting = self._waiting[:count], self._waiting[count:]
        return final


def _place(utterance: Utterance) -> tuple[int, int]:
    """As ``join_parts`` orders them."""
    return utterance.offset, utterance.duration
