"""How a long text is read in parts: every character once, in its order, in bounds."""

from hypothesis import given
from hypothesis import strategies as st

from contracts.reading import divided, lines, parts
from contracts.transcript import Transcript, Utterance
from tests.fakes.language import spoken

TEXTS = st.lists(st.text(alphabet="ab .!?\n。é😀", max_size=60), max_size=40)


@given(TEXTS, st.integers(1, 80))
def test_parts_joined_are_the_texts_joined(texts: list[str], limit: int) -> None:
    found = parts(texts, limit)
    assert "".join(line for part in found for line in part) == "".join(texts)
    assert all(part for part in found)
    assert all(len("\n".join(part)) <= limit for part in found)


@given(TEXTS, st.integers(1, 80))
def test_no_text_that_fits_is_divided(texts: list[str], limit: int) -> None:
    whole = [text for text in texts if text and len(text) <= limit]
    found = [line for part in parts(texts, limit) for line in part]
    assert all(found.count(text) >= whole.count(text) for text in whole)


@given(st.text(alphabet="ab .!?\n", max_size=400), st.integers(1, 80))
def test_a_divided_text_is_the_text(text: str, limit: int) -> None:
    pieces = list(divided(text, limit))
    assert "".join(pieces) == text
    assert all(0 < len(piece) <= limit for piece in pieces)


def test_a_long_text_is_divided_after_a_sentence_else_at_a_blank() -> None:
    assert list(divided("One two three. Four five six.", 20)) == [
        "One two three. ",
        "Four five six.",
    ]
    assert list(divided("one two three four five", 10)) == ["one two ", "three ", "four five"]
    assert list(divided("x" * 25, 10)) == ["x" * 10, "x" * 10, "x" * 5]


def test_parts_are_about_equally_long() -> None:
    sizes = [sum(map(len, part)) for part in parts(["word " * 9] * 101, 1000)]
    assert len(sizes) == 5
    assert max(sizes) - min(sizes) <= 4 * 45


def test_a_turn_of_a_speaker_is_one_line_with_the_name() -> None:
    said = [("Good morning.", 1), ("How are you?", 1), ("Fine.", 2), ("", 2), ("And you?", 2)]
    transcript = Transcript(
        text="…",
        seconds=5,
        utterances=tuple(
            Utterance(text=text, offset=n, duration=1, speaker=speaker)
            for n, (text, speaker) in enumerate(said)
        ),
        speakers={"1": "Ann", "2": "Speaker 2"},
    )
    assert lines(transcript) == ("Ann: Good morning. How are you?", "Speaker 2: Fine. And you?")


def test_one_speaker_alone_is_not_named_and_no_speaker_is_a_line_each() -> None:
    assert lines(spoken("Hello.", "Again.", speakers=1)) == ("Hello. Again.",)
    assert lines(spoken("Hello.", "Again.")) == ("Hello.", "Again.")


def test_a_transcript_without_utterances_is_read_by_its_text() -> None:
    assert lines(Transcript(text=" All of it. ", seconds=1)) == ("All of it.",)
    assert lines(Transcript(text="  ", seconds=1)) == ()
