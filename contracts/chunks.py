"""Long audio in chunks: who owns which second, and how what was heard is joined at the seams."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from contracts.transcript import TranscriptPart, Utterance, Word
from contracts.values import Value

OVERLAP_SECONDS: Final = 2.0
"""What both sides of a cut hear, where it had to be made in the middle of speech."""

LEAST_SHARE: Final = 1 / 3
"""Of the most a chunk may be: a shorter one is not worth its call, wherever the silence is."""

SAME_WORD_MS: Final = 400
"""Two recognisers, or one twice, may place a word so far apart."""


CHUNKS: Final = "chunks"
"""Under this name, which is no tier's, the parts of a recording in chunks are kept."""


class Chunk(Value):
    """A stretch of a recording that is transcribed by itself; all in seconds.

    Attributes:
        start: its own first second.
        end: the next chunk's own first second.
        lead_in: what it hears of the chunk before it.
        lead_out: what it hears of the chunk after it.
        speech: how much speech was found in it.
    """

    index: int
    start: float
    end: float
    lead_in: float = 0.0
    lead_out: float = 0.0
    speech: float = 0.0

    @property
    def hears_from(self) -> float:
        """First second that is sent to the provider."""
        return self.start - self.lead_in

    @property
    def hears_to(self) -> float:
        """Second after the last one that is sent."""
        return self.end + self.lead_out


def make_chunks(
    places: Sequence[tuple[float, bool, float]], seconds: float, longest: float
) -> tuple[Chunk, ...]:
    """Cut a recording at the last good place before each chunk would grow too long.

    Args:
        places: ``(second, silent, speech)`` in order: where it can be cut, whether nobody speaks
            there, and the seconds of speech since the place before.
        seconds: length of the recording.
        longest: most seconds a provider is to hear in one call, overlaps included.
    """
    most = max(longest - 2 * OVERLAP_SECONDS, OVERLAP_SECONDS)
    chunks: list[Chunk] = []
    start, speech, lead_in = 0.0, 0.0, 0.0
    best: tuple[float, bool, float] | None = None

    def close(end: float, *, silent: bool, spoken: float) -> None:
        nonlocal start, lead_in
        lead_out = 0.0 if silent else OVERLAP_SECONDS
        chunks.append(
            Chunk(
                index=len(chunks),
                start=start,
                end=end,
                lead_in=lead_in,
                lead_out=lead_out,
                speech=spoken,
            )
        )
        start, lead_in = end, lead_out

    for second, silent, spoken in (*places, (seconds, True, 0.0)):
        while second - start > most:
            if best is not None and best[0] - start >= most * LEAST_SHARE:
                close(best[0], silent=best[1], spoken=best[2])
                speech -= best[2]
                best = None
            else:  # a stretch of speech longer than a chunk may be
                close(start + most, silent=False, spoken=min(spoken, most))
        speech += spoken
        best = (second, silent, speech)
    if seconds > start or not chunks:
        close(seconds, silent=True, spoken=max(speech, 0.0))
    return tuple(chunks)


def join_at_seams(
    heard: Sequence[tuple[Chunk, TranscriptPart]],
) -> list[TranscriptPart]:
    """Each chunk's own words: none lost and none doubled where two chunks heard the same.

    Where both heard the same word near the cut, the one side ends with it and the other goes on
    after it; else a word belongs to the chunk its middle lies in.

    Args:
        heard: chunks in order with what was heard in them; offsets from the beginning of the audio.
    """
    parts = [part for _, part in heard]
    for left in range(len(heard) - 1):
        chunk = heard[left][0]
        if chunk.lead_out and heard[left + 1][0].index == chunk.index + 1:
            before, after = _seam(parts[left], parts[left + 1], round(chunk.end * 1000))
            parts[left], parts[left + 1] = before, after
    return parts


def _seam(
    left: TranscriptPart, right: TranscriptPart, cut: int
) -> tuple[TranscriptPart, TranscriptPart]:
    keep_left = sum(_middle(word) < cut for word in left.words)
    skip_right = sum(_middle(word) < cut for word in right.words)
    # Among equal words close to each other the nearest in time is the same one; of all pairs the
    # one nearest to the cut has the most around it on both sides.
    pairs = sorted(
        (abs(_middle(a) - _middle(b)), abs(_middle(a) - cut), i, j)
        for i, a in enumerate(left.words)
        if abs(_middle(a) - cut) <= OVERLAP_SECONDS * 1000
        for j, b in enumerate(right.words)
        if _same(a, b)
    )
    taken: dict[int, int] = {}
    for _, _, i, j in pairs:
        if i not in taken and j not in taken.values():
            taken[i] = j
    if taken:
        i = min(taken, key=lambda i: abs(_middle(left.words[i]) - cut))
        keep_left, skip_right = i + 1, taken[i] + 1
    return (
        _with_words(
            left, left.words[:keep_left], left.words[keep_left:], lambda middle: middle < cut
        ),
        _with_words(
            right, right.words[skip_right:], right.words[:skip_right], lambda middle: middle >= cut
        ),
    )


def _middle(word: Word | Utterance) -> int:
    return word.offset + word.duration // 2


def _same(a: Word, b: Word) -> bool:
    return abs(_middle(a) - _middle(b)) <= SAME_WORD_MS and _bare(a.text) == _bare(b.text)


def _bare(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def _with_words(
    part: TranscriptPart,
    kept: tuple[Word, ...],
    dropped: tuple[Word, ...],
    own: Callable[[int], bool],
) -> TranscriptPart:
    """The part with these words alone; an utterance that lost some is written anew of its rest.

    Args:
        own: whether a time, in milliseconds, is on this side of the cut: it decides about whole
            utterances where no words are told.
    """
    if not part.words:
        mine = tuple(each for each in part.utterances if own(_middle(each)))
        return part.model_copy(update={"utterances": mine})
    utterances = (_without(utterance, kept, dropped) for utterance in part.utterances)
    return part.model_copy(
        update={"words": kept, "utterances": tuple(u for u in utterances if u is not None)}
    )


def _without(
    utterance: Utterance, kept: tuple[Word, ...], dropped: tuple[Word, ...]
) -> Utterance | None:
    end = utterance.offset + utterance.duration
    if not any(utterance.offset <= _middle(word) <= end for word in dropped):
        return utterance
    rest = [word for word in kept if utterance.offset <= _middle(word) <= end]
    if not rest:
        return None
    return replace(
        utterance,
        text=" ".join(word.text for word in rest),
        offset=rest[0].offset,
        duration=rest[-1].offset + rest[-1].duration - rest[0].offset,
    )
