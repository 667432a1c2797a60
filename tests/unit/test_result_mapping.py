"""What every provider's answer becomes: utterances, words, languages, speakers, by one table."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pytest

from contracts.transcript import (
    Transcript,
    TranscriptPart,
    Utterance,
    has_speech,
    join_parts,
)
from providers.azure_answers import BatchAnswer, FastAnswer, part_of_batch, part_of_fast
from providers.gemini_answers import TranscriptShape
from providers.gemini_answers import part_of as part_of_gemini
from providers.openai_answers import Answer
from providers.openai_answers import part_of as part_of_openai

SECONDS: Final = 60.0
TICKS: Final = 10_000

Phrase = tuple[int, int, str, int | None, str | None]
"""Offset and duration in milliseconds, text, speaker, locale."""


def fast(phrases: Sequence[Phrase]) -> TranscriptPart:
    shown = [
        {
            "offsetMilliseconds": at,
            "durationMilliseconds": long,
            "text": text,
            "words": [{"text": text, "offsetMilliseconds": at, "durationMilliseconds": long}],
            **told(speaker=speaker, locale=locale),
        }
        for at, long, text, speaker, locale in phrases
    ]
    answer = FastAnswer.model_validate_json(json.dumps({"phrases": shown}))
    return part_of_fast(answer, SECONDS, ())


def batch(phrases: Sequence[Phrase]) -> TranscriptPart:
    shown = [
        {
            "channel": 0,
            "offsetInTicks": float(at * TICKS),
            "durationInTicks": float(long * TICKS),
            "nBest": [
                {
                    "display": text,
                    "displayWords": [
                        {
                            "displayText": text,
                            "offsetInTicks": float(at * TICKS),
                            "durationInTicks": float(long * TICKS),
                        }
                    ],
                },
                {"display": "worse"},
            ],
            **told(speaker=speaker, locale=locale),
        }
        for at, long, text, speaker, locale in phrases
    ]
    body = {"source": "https://x/?sig=secret", "recognizedPhrases": shown}
    return part_of_batch([BatchAnswer.model_validate_json(json.dumps(body))], SECONDS, ())


def told(**facts: Any) -> Mapping[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}


AZURE: Final = pytest.mark.parametrize("heard", [fast, batch], ids=["fast", "batch"])
Heard = Callable[[Sequence[Phrase]], TranscriptPart]


def transcript(part: TranscriptPart) -> Transcript:
    return join_parts([part], SECONDS)


@AZURE
def test_phrases_grouped_by_channel_are_sorted_by_their_offsets(heard: Heard) -> None:
    found = transcript(
        heard(
            [
                (0, 900, "One.", 1, "en-GB"),
                (4000, 900, "Three.", 1, "en-GB"),
                (2000, 900, "Two.", 2, "en-GB"),  # of the second channel
                (6000, 900, "Four.", 2, "en-GB"),
            ]
        )
    )
    assert found.text == "One. Two. Three. Four."
    assert [u.offset for u in found.utterances] == [0, 2000, 4000, 6000]
    assert [u.speaker for u in found.utterances] == [1, 2, 1, 2]
    assert [(w.text, w.offset, w.duration) for w in found.words] == [
        ("One.", 0, 900),
        ("Two.", 2000, 900),
        ("Three.", 4000, 900),
        ("Four.", 6000, 900),
    ]
    assert found.speakers == {"1": "Speaker 1", "2": "Speaker 2"}


@AZURE
def test_utterances_are_kept_without_speakers(heard: Heard) -> None:
    found = transcript(heard([(0, 900, "Hello there.", None, "en-GB")]))
    (only,) = found.utterances
    assert (only.speaker, only.offset, only.duration) == (None, 0, 900)
    assert found.speakers == {}


@AZURE
def test_speakers_counted_from_nought_are_counted_from_one(heard: Heard) -> None:
    found = transcript(heard([(0, 1, "One.", 0, None), (5, 1, "Two.", 1, None)]))
    assert [u.speaker for u in found.utterances] == [1, 2]


@AZURE
def test_languages_stand_in_the_order_seen_and_the_longest_is_the_primary_one(
    heard: Heard,
) -> None:
    found = transcript(
        heard(
            [
                (9000, 1, "Das ist viel mehr als alles andere.", None, "de-DE"),
                (0, 1, "Short.", None, "en-GB"),
                (500, 1, "Court.", None, "fr-FR"),
                (700, 1, "Short again.", None, "en-GB"),
            ]
        )
    )
    assert found.languages == ("en-GB", "fr-FR", "de-DE")
    assert found.primary_language == "de-DE"


@AZURE
def test_of_languages_with_as_many_characters_the_first_seen_is_the_primary_one(
    heard: Heard,
) -> None:
    phrases: list[Phrase] = [(0, 1, "abcd", None, "sv-SE"), (9, 1, "efgh", None, "de-DE")]
    assert transcript(heard(phrases)).primary_language == "sv-SE"
    turned: list[Phrase] = [(9, 1, "abcd", None, "sv-SE"), (0, 1, "efgh", None, "de-DE")]
    assert transcript(heard(turned)).primary_language == "de-DE"


@AZURE
def test_no_language_is_told_where_none_is_known(heard: Heard) -> None:
    found = transcript(heard([(0, 1, "Hello there.", None, None)]))
    assert (found.languages, found.primary_language) == ((), None)


@pytest.mark.parametrize(
    ("text", "speech"), [("", False), ("7 . 3!", False), ("a", False), ("ab", True), ("é ü", True)]
)
@AZURE
def test_fewer_than_two_letters_in_all_are_no_speech(heard: Heard, text: str, speech: bool) -> None:
    assert has_speech(transcript(heard([(0, 1, text, None, None)]))) is speech


def test_a_file_name_with_a_signature_is_in_no_transcript() -> None:
    assert "secret" not in transcript(batch([(0, 1, "Hello.", 1, "en-GB")])).model_dump_json()


def test_openai_names_its_language_and_its_speakers() -> None:
    body = {
        "text": "Hallo. Ja.",
        "language": "german",
        "segments": [
            {"start": 2.0, "end": 3.0004, "text": " Ja.", "speaker": "B"},
            {"start": 0.0, "end": 1.5, "text": " Hallo.", "speaker": "A"},
        ],
    }
    part = part_of_openai(Answer.model_validate_json(json.dumps(body)), SECONDS, ("de-CH", "en-GB"))
    found = transcript(part)
    assert found.text == "Hallo. Ja."
    assert [(u.offset, u.duration) for u in found.utterances] == [(0, 1500), (2000, 1000)]
    assert {u.locale for u in found.utterances} == {"de-CH"}
    assert found.speakers == {"1": "Speaker 1", "2": "Speaker 2"}
    assert found.primary_language == "de-CH"


def test_openai_without_segments_is_one_utterance_over_the_whole_recording() -> None:
    part = part_of_openai(Answer.model_validate_json('{"text": "Hello there."}'), SECONDS, ())
    assert transcript(part).utterances == (
        Utterance(text="Hello there.", offset=0, duration=60_000),
    )


def test_gemini_guesses_times_that_are_kept_within_the_recording() -> None:
    shape = TranscriptShape.model_validate(
        {
            "segments": [
                {"start": "00:50", "end": "01:30", "speaker": 7, "language": "en", "text": "Two."},
                {"start": "00:00", "end": "00:05", "speaker": 0, "language": "de", "text": "One."},
            ]
        }
    )
    found = transcript(part_of_gemini("gemini", shape, SECONDS, ("en-GB",), diarization=True))
    assert found.text == "One. Two."
    assert [(u.offset, u.duration) for u in found.utterances] == [(0, 5000), (50_000, 10_000)]
    assert [(u.speaker, u.locale) for u in found.utterances] == [(None, "de"), (1, "en-GB")]
    assert found.languages == ("de", "en-GB")
