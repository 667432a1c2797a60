"""Which utterances are to be translated, and the transcript that comes of it."""

from contracts.transcript import Transcript, Utterance, Word
from contracts.translation import foreign, language_told, translated

MIXED = Transcript(
    text="Guten Tag. Hello. …",
    seconds=4,
    utterances=(
        Utterance(text="Guten Tag.", offset=500, duration=900, speaker=1),
        Utterance(text="Hello.", offset=1500, duration=700, speaker=2, locale="en-US"),
        Utterance(text="…", offset=2500, duration=100, speaker=1),
    ),
    words=(Word(text="Guten", offset=500, duration=300),),
    primary_language="de-DE",
    languages=("de-DE", "en-US"),
    speakers={"1": "Speaker 1", "2": "Speaker 2"},
)


def test_an_utterance_is_in_its_own_language_else_in_that_of_the_whole_else_in_the_guessed() -> (
    None
):
    assert foreign(MIXED) == (0,)
    untold = MIXED.model_copy(update={"primary_language": None})
    assert not language_told(untold)
    assert foreign(untold, "en") == ()
    assert foreign(untold, "de") == foreign(untold, None) == (0,)


def test_times_and_speakers_stay_and_words_of_the_other_language_go() -> None:
    made = translated(MIXED, {0: "Good day."})
    assert made.text == "Good day. Hello. …"
    assert [each.text for each in made.utterances] == ["Good day.", "Hello.", "…"]
    assert [each.offset for each in made.utterances] == [500, 1500, 2500]
    assert [each.speaker for each in made.utterances] == [1, 2, 1]
    assert (made.words, made.primary_language, made.seconds) == ((), "en", 4)


def test_what_needs_no_translation_is_left_as_it_is() -> None:
    assert translated(MIXED, {}) == MIXED


def test_a_text_without_utterances_is_one_over_the_whole_recording() -> None:
    bare = Transcript(text="Guten Tag.", seconds=4)
    assert foreign(bare) == (0,)
    (only,) = translated(bare, {0: "Good day."}).utterances
    assert (only.text, only.offset, only.duration) == ("Good day.", 0, 4000)
    assert foreign(Transcript(text="", seconds=4)) == ()
