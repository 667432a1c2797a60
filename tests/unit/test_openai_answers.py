"""OpenAI's answers in our shape."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.transcript import TranscriptPart, Utterance, Word
from providers.openai_answers import Answer, part_of


def read(value: dict[str, Any], *asked: str, seconds: float = 9.0) -> TranscriptPart:
    return part_of(Answer.model_validate_json(json.dumps(value)), seconds, asked)


def test_segments_become_utterances_and_words_keep_their_times() -> None:
    part = read(
        {
            "text": "Hello there. Bye.",
            "language": "german",
            "segments": [
                {"text": " Hello there.", "start": 0.0, "end": 1.2345, "speaker": None},
                {"text": " ", "start": 1.3, "end": 1.4},
                {"text": " Bye.", "start": 2.0005, "end": 3},
            ],
            "words": [{"word": " Hello", "start": 0.1, "end": 0.4}],
        }
    )
    assert part.utterances == (
        Utterance(text="Hello there.", offset=0, duration=1235, locale="de"),
        Utterance(text="Bye.", offset=2001, duration=999, locale="de"),
    )
    assert part.words == (Word(text="Hello", offset=100, duration=300),)
    assert (part.start, part.end) == (0, 9.0)


def test_a_text_without_segments_is_one_utterance_over_the_whole_audio() -> None:
    part = read({"text": "All of it."}, "de-CH")
    assert part.utterances == (
        Utterance(text="All of it.", offset=0, duration=9000, locale="de-CH"),
    )


def test_words_that_stand_in_segments_are_found() -> None:
    word = {"word": "hi", "start": 1, "end": 2}
    part = read({"text": "hi", "segments": [{"text": "hi", "start": 1, "end": 2, "words": [word]}]})
    assert [each.text for each in part.words] == ["hi"]


def test_speakers_are_numbered_in_the_order_they_speak() -> None:
    segments = [{"text": who, "start": 0, "end": 1, "speaker": who} for who in ("B", "A", "B")]
    part = read({"text": "BAB", "segments": segments})
    assert [each.speaker for each in part.utterances] == [1, 2, 1]


@pytest.mark.parametrize(
    ("language", "asked", "locale"),
    [
        ("german", ["de-CH", "en-US"], "de-CH"),
        ("German", ["en-US"], "de"),
        ("de", [], "de"),
        ("klingon", [], None),
        (None, ["fr-FR"], "fr-FR"),
        (None, ["fr-FR", "en-US"], None),
    ],
)
def test_the_locale_is_the_one_asked_for_when_it_is_the_one_heard(
    language: str | None, asked: list[str], locale: str | None
) -> None:
    part = read({"text": "x", "language": language}, *asked)
    assert part.utterances[0].locale == locale


def test_what_a_database_cannot_hold_is_left_out() -> None:
    assert read({"text": "a\x00b"}).utterances[0].text == "ab"


def test_nothing_said_is_no_utterance() -> None:
    assert read({"text": "  "}).utterances == ()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "<html>",
        "{}",
        '{"text": 3}',
        '{"text": "a", "segments": [{"text": "a", "start": NaN, "end": 1}]}',
        '{"text": "a", "segments": [{"text": "a", "start": -1, "end": 1}]}',
        '{"text": "a", "segments": [{"text": "a", "start": 0, "end": 1e999}]}',
        '{"text": "\\ud800"}',
        '{"text": "cut off',
    ],
)
def test_what_is_no_answer_is_not_taken_for_one(body: str) -> None:
    with pytest.raises(ValidationError):
        Answer.model_validate_json(body)
