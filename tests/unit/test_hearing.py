"""What is told of a recording before all of it is heard is how its transcript begins."""

import random

import pytest

from contracts.chunks import OVERLAP_SECONDS, Chunk, join_at_seams
from contracts.hearing import Hearing
from contracts.transcript import TranscriptPart, Utterance, Word, join_parts

LENGTH = 12.0


def heard_by(number: int, generator: random.Random) -> TranscriptPart:
    """What a careless recogniser makes of one chunk: places jump about, some of it is silence."""
    start = number * LENGTH
    words: list[Word] = []
    utterances: list[Utterance] = []
    for _ in range(generator.choice((0, 1, 3))):
        at = round((start + generator.uniform(-OVERLAP_SECONDS, LENGTH + OVERLAP_SECONDS)) * 1000)
        some = [
            Word(text=generator.choice("abc"), offset=max(at, 0) + 300 * each, duration=200)
            for each in range(generator.randint(1, 4))
        ]
        words += some
        text, first, last = " ".join(word.text for word in some), some[0], some[-1]
        duration = last.offset + last.duration - first.offset
        utterances.append(Utterance(text=text, offset=first.offset, duration=duration))
    timed = tuple(sorted(words, key=lambda word: word.offset)) if number % 4 else ()
    return TranscriptPart(
        start=start, end=start + LENGTH, utterances=tuple(utterances), words=timed
    )


@pytest.mark.parametrize("seed", range(200))
def test_what_is_told_is_how_the_transcript_begins(seed: int) -> None:
    generator = random.Random(seed)
    overlaps = [generator.choice((0.0, OVERLAP_SECONDS)) for _ in range(6)]
    parts = [heard_by(number, generator) for number in range(6)]
    chunks = [
        Chunk(index=at, start=part.start, end=part.end, lead_out=overlaps[at])
        for at, part in enumerate(parts)
    ]
    whole = join_parts(join_at_seams(list(zip(chunks, parts, strict=True))), 6 * LENGTH)
    hearing = Hearing()
    told: list[Utterance] = []
    for part, overlap in zip(parts, overlaps, strict=True):
        assert hearing.end == part.start
        told += hearing.take(part, overlap)
        assert whole.utterances[: len(told)] == tuple(told)


def test_a_part_is_final_when_the_one_after_it_is_there_even_a_silent_one() -> None:
    def part(number: int, *texts: str) -> TranscriptPart:
        utterances = tuple(
            Utterance(text=text, offset=number * 10_000 + 1000 * at, duration=900)
            for at, text in enumerate(texts)
        )
        return TranscriptPart(start=number * 10, end=number * 10 + 10, utterances=utterances)

    hearing = Hearing()
    assert hearing.take(part(0, "one", "two")) == []
    assert [each.text for each in hearing.take(part(1))] == ["one", "two"]
    assert hearing.take(part(2, "three")) == []
    assert [each.text for each in hearing.take(part(3, "four"))] == ["three"]
