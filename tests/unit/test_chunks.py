"""Cutting and joining long audio: every second heard once, every word kept once."""

import itertools
import random
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts.chunks import OVERLAP_SECONDS, Chunk, join_at_seams, make_chunks
from contracts.transcript import TranscriptPart, Utterance, Word, join_parts

VOCABULARY = ("harbour", "lights", "seven", "boats", "evening", "quiet", "the", "and", "home")


def speech(generator: random.Random, seconds: float) -> list[Word]:
    """Words without a pause between them, at known times."""
    words, at = [], 0
    while at < seconds * 1000:
        duration = generator.randint(120, 600)
        words.append(Word(text=generator.choice(VOCABULARY), offset=at, duration=duration))
        at += duration + generator.randint(0, 30)
    return words


def hear(chunk: Chunk, words: list[Word], generator: random.Random, jitter: int) -> TranscriptPart:
    """What a recogniser makes of one chunk: whole words in it, each a little out of place."""
    heard = tuple(
        replace(word, offset=word.offset + generator.randint(-jitter, jitter))
        for word in words
        if word.offset >= chunk.hears_from * 1000
        and word.offset + word.duration <= chunk.hears_to * 1000
    )
    utterances = (
        (
            Utterance(
                text=" ".join(word.text for word in heard),
                offset=heard[0].offset,
                duration=heard[-1].offset + heard[-1].duration - heard[0].offset,
            ),
        )
        if heard
        else ()
    )
    return TranscriptPart(start=chunk.start, end=chunk.end, utterances=utterances, words=heard)


@pytest.mark.parametrize("seed", range(1000))
def test_no_word_is_lost_or_doubled_at_a_cut_in_the_middle_of_speech(seed: int) -> None:
    generator = random.Random(seed)
    words = speech(generator, 60)
    cut = generator.uniform(5, 55)
    chunks = (
        Chunk(index=0, start=0, end=cut, lead_out=OVERLAP_SECONDS),
        Chunk(index=1, start=cut, end=61, lead_in=OVERLAP_SECONDS),
    )
    parts = join_at_seams([(chunk, hear(chunk, words, generator, 60)) for chunk in chunks])
    joined = join_parts(parts, 61)
    assert [word.text for word in joined.words] == [word.text for word in words]
    assert joined.text.split() == [word.text for word in words]


@given(st.integers(600, 20_000).map(lambda hundredths: hundredths / 100))
@example(28.13)
@example(8.12)
@example(16.06)
def test_what_is_heard_without_words_is_kept_on_both_sides_of_any_cut(cut: float) -> None:
    # 28.13 s are 28129.999… ms: a cut is no exact number of them.
    chunks = (
        Chunk(index=0, start=0, end=cut, lead_out=OVERLAP_SECONDS),
        Chunk(index=1, start=cut, end=2 * cut, lead_in=OVERLAP_SECONDS),
    )
    heard = [(chunk, whole(chunk, text)) for chunk, text in zip(chunks, "ab", strict=True)]
    joined = join_parts(join_at_seams(heard), 2 * cut)
    assert joined.text == "a b"


def whole(chunk: Chunk, text: str) -> TranscriptPart:
    """A chunk as a recogniser tells it that tells no times within it."""
    offset = round(chunk.hears_from * 1000)
    duration = round(chunk.hears_to * 1000) - offset
    utterance = Utterance(text=text, offset=offset, duration=duration)
    return TranscriptPart(start=chunk.start, end=chunk.end, utterances=(utterance,))


def test_at_a_silent_cut_everything_is_kept_as_it_was_heard() -> None:
    left = TranscriptPart(start=0, end=10, words=(Word(text="a", offset=9900, duration=300),))
    right = TranscriptPart(start=10, end=20, words=(Word(text="b", offset=9950, duration=300),))
    chunks = (Chunk(index=0, start=0, end=10), Chunk(index=1, start=10, end=20))
    assert join_at_seams(list(zip(chunks, (left, right), strict=True))) == [left, right]


def test_without_word_times_an_utterance_belongs_where_its_middle_lies() -> None:
    def said(offset: int) -> Utterance:
        return Utterance(text="x", offset=offset, duration=1000)

    left = TranscriptPart(start=0, end=10, utterances=(said(8000), said(9800)))
    right = TranscriptPart(start=10, end=20, utterances=(said(8900), said(9800)))
    chunks = (
        Chunk(index=0, start=0, end=10, lead_out=2),
        Chunk(index=1, start=10, end=20, lead_in=2),
    )
    parts = join_at_seams(list(zip(chunks, (left, right), strict=True)))
    assert [len(part.utterances) for part in parts] == [1, 1]


@given(
    st.lists(st.tuples(st.floats(0.5, 40), st.booleans(), st.floats(0, 1)), max_size=200),
    st.floats(10, 300),
)
def test_chunks_cover_everything_once_and_none_is_too_long(
    steps: list[tuple[float, bool, float]], longest: float
) -> None:
    places, at = [], 0.0
    for step, silent, share in steps:
        at += step
        places.append((at, silent, step * share))
    chunks = make_chunks(places, at + 1, longest)
    assert chunks[0].start == 0
    assert chunks[-1].end == at + 1
    for before, after in itertools.pairwise(chunks):
        assert before.end == after.start
        assert before.lead_out == after.lead_in
    assert all(0 < c.hears_to - c.hears_from <= longest + 1e-6 for c in chunks)
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))


def test_a_cut_is_made_at_the_last_place_that_fits() -> None:
    places = [(20.0 * n, True, 15.0) for n in range(1, 10)]
    chunks = make_chunks(places, 200, 104)
    assert [(c.start, c.end, c.speech) for c in chunks] == [(0, 100, 75), (100, 200, 60)]
