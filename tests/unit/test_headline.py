"""Headline and intro out of the memo's own words."""

import random

import pytest

from contracts.headline import MAX_CHARACTERS
from contracts.transcript import Transcript, Utterance, Word
from providers.local_headline import INTRO_SENTENCE_CHARACTERS, extract, whole_words
from providers.sentences import LONG_WORDS, chunks, closed, sentences, stretches

ENGLISH = [
    "We have to talk about the budget. The marketing budget for next year is far too high.",
    "Dr. Jones wants to cut the trade fair in Cologne! Is that possible?",
    "Yes. If we drop the trade fair, the marketing budget shrinks by ten percent.",
    "Lunch was good.",
]
GERMAN = [
    "Hallo zusammen, heute sprechen wir über das Budget für nächstes Jahr.",
    "Frau Dr. Müller hat die Zahlen mitgebracht. Das Budget muss um zehn Prozent sinken!",
    "Ist das machbar? Ja, aber nur wenn wir die Messe in Köln streichen, sagt Peter.",
]


def spoken(*utterances: str) -> Transcript:
    return Transcript(
        text=" ".join(utterances),
        seconds=60,
        utterances=tuple(
            Utterance(text=text, offset=at * 1000, duration=900)
            for at, text in enumerate(utterances)
        ),
    )


def made(pieces: list[str], language: str) -> tuple[str, str]:
    found = extract(pieces, language)
    assert found is not None
    return found


@pytest.mark.parametrize(("pieces", "language"), [(ENGLISH, "en"), (GERMAN, "de")])
def test_title_and_intro_are_what_was_said(pieces: list[str], language: str) -> None:
    title, intro = made(pieces, language)
    said = " ".join(pieces)
    assert "udget" in title + intro
    assert title[0].isupper()
    assert title[1:] in said
    assert len(title) <= MAX_CHARACTERS
    assert 2 <= len(sentences([intro], language)) <= 3
    assert all(sentence in said for sentence in sentences([intro], language))


def test_the_weightiest_words_make_the_title_and_small_talk_does_not() -> None:
    title, intro = made(ENGLISH, "en")
    assert "budget" in title
    assert "Lunch" not in title + intro


def test_a_full_stop_behind_a_title_of_a_person_ends_no_sentence() -> None:
    assert sentences([GERMAN[1]], "de") == [
        "Frau Dr. Müller hat die Zahlen mitgebracht.",
        "Das Budget muss um zehn Prozent sinken!",
    ]


def test_a_recogniser_without_punctuation_gets_capitals_and_full_stops() -> None:
    pieces = ["he was a cold hearted man", "she was a more amiable woman", "they had leisure"]
    _, intro = made(pieces, "en")
    assert intro == "He was a cold hearted man. She was a more amiable woman. They had leisure."


def test_a_title_never_ends_within_a_word() -> None:
    long = "the committee discussed procurement regulations " * 6
    title, _ = made([long], "en")
    assert len(title) <= MAX_CHARACTERS
    assert {word.lower() for word in title.split()} <= set(long.split())


def test_one_endless_word_is_cut_because_nothing_else_can_be() -> None:
    title, intro = made(["x" * 500], "")
    assert len(title) == MAX_CHARACTERS
    assert len(intro) == INTRO_SENTENCE_CHARACTERS
    assert intro.endswith("…")


@pytest.mark.parametrize(
    ("said", "language", "title", "intro"),
    [
        ("ok", "en", "Ok", "Ok."),
        ("hello there", "en", "Hello there", "Hello there."),
        ("iyi günler", "tr", "İyi günler", "İyi günler."),
        ("你好", "zh", "你好", "你好。"),
        ("...wait", "en", "Wait", "...Wait."),
    ],
)
def test_a_very_short_memo_has_a_headline_too(
    said: str, language: str, title: str, intro: str
) -> None:
    assert made([said], language) == (title, intro)


@pytest.mark.parametrize("said", ["", "...", " ", "?!", "—"])
def test_nothing_said_gives_no_headline(said: str) -> None:
    assert extract([said], "en") is None


@pytest.mark.parametrize("language", ["en", "de", "xx", "", "zh", "ar", "fa", "nb"])
def test_every_language_gets_a_headline(language: str) -> None:
    title, intro = made(["alpha beta gamma delta", "beta gamma"], language)
    assert title
    assert intro


def test_the_end_of_a_long_transcript_counts_as_much_as_its_beginning() -> None:
    rng = random.Random(5)
    filler = [" ".join(rng.choices(["and", "the", "of", "we", "it"], k=12)) for _ in range(3000)]
    last = "the submarine cable to Iceland was repaired by the submarine crew"
    title, intro = made([*filler, *[last] * 30], "en")
    assert "submarine" in title
    assert "submarine" in intro


def test_the_same_transcript_always_gives_the_same_headline() -> None:
    assert len({extract(ENGLISH, "en") for _ in range(3)}) == 1


def test_text_made_to_hang_the_sentence_rules_ends() -> None:
    hostile = ["." * 5000, "a." * 5000, "(" * 5000 + ".", "1.2.3." * 2000, "\\(.*)+$." * 200]
    assert made(hostile, "en")


def test_chunks_lose_nothing() -> None:
    words = [f"w{n}" for n in range(1000)]
    parts = list(chunks([" ".join(words[:500]), " ".join(words[500:])], 200))
    assert " ".join(parts).split() == words
    assert max(map(len, parts)) <= 200


def test_a_long_utterance_is_divided_where_the_speaker_paused() -> None:
    count = LONG_WORDS + 6
    words = tuple(
        Word(text=f"w{n}", offset=n * 300 + (1000 if n >= count // 2 else 0), duration=250)
        for n in range(count)
    )
    text = " ".join(word.text for word in words)
    end = words[-1].offset + words[-1].duration
    whole = Transcript(
        text=text,
        seconds=60,
        utterances=(Utterance(text=text, offset=0, duration=end),),
        words=words,
    )
    first, second = stretches(whole)
    assert first.split()[-1] == f"w{count // 2 - 1}"
    assert second.split()[0] == f"w{count // 2}"


def test_utterances_with_punctuation_are_left_as_they_are() -> None:
    assert stretches(spoken("One. Two.", "Three?")) == ["One. Two.", "Three?"]
    assert stretches(Transcript(text="No utterances", seconds=1)) == ["No utterances"]


def test_a_sentence_is_closed_once() -> None:
    assert closed("is it?", "en") == "Is it?"
    assert closed("he said “no.”", "en") == "He said “no.”"
    assert closed("well, then,", "en") == "Well, then."


def test_whole_words_fit() -> None:
    assert whole_words("one two three", 7) == "one two"
    assert whole_words("one two three", 8) == "one two"
    assert whole_words("one two", 60) == "one two"
