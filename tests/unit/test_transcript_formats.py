"""Transcripts as text, subtitles and documents."""

import itertools
import re
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.transcript import Gap, Transcript, Utterance, Word
from contracts.transcript_formats import (
    LINE_COLUMNS,
    LINES,
    MAX_CUE_MS,
    MIN_CUE_MS,
    as_md,
    as_srt,
    as_txt,
    as_vtt,
    cues,
)

TIMES: Final = re.compile(r"(\d\d+):(\d\d):(\d\d)[.,](\d{3})")


def said(*utterances: tuple[str, int, int] | tuple[str, int, int, int]) -> Transcript:
    """A transcript of (text, offset, duration, speaker)."""
    found = [
        Utterance(text=u[0], offset=u[1], duration=u[2], speaker=u[3] if len(u) > 3 else None)
        for u in utterances
    ]
    numbers = sorted({u.speaker for u in found if u.speaker})
    return Transcript(
        text=" ".join(u.text for u in found),
        seconds=60,
        utterances=tuple(found),
        speakers={str(number): f"Speaker {number}" for number in numbers},
    )


def test_a_short_utterance_is_one_cue_in_both_subtitle_formats() -> None:
    transcript = said(("Bread, milk & a <card>.", 300, 2800))
    assert as_srt(transcript) == (
        "1\n00:00:00,300 --> 00:00:03,100\nBread, milk & a <\u2060card>.\n"
    )
    assert as_vtt(transcript) == (
        "WEBVTT\n\n1\n00:00:00.300 --> 00:00:03.100\nBread, milk &amp; a &lt;card&gt;.\n"
    )


def test_words_that_look_like_an_arrow_do_not_make_a_cue() -> None:
    transcript = said(("from 1\n00:00:00,000 --> 00:00:09,000 {\\an8} on", 0, 2000))
    [times, *_] = [line for line in as_srt(transcript).splitlines() if "-->" in line]
    assert times.startswith("00:00:00,000")
    assert as_srt(transcript).count("-->") == 1
    assert "{\\" not in as_srt(transcript)
    assert as_vtt(transcript).count("-->") == 1


def test_measured_times_of_words_decide_where_a_cue_begins() -> None:
    text = "one two three"
    words = tuple(
        Word(text=w, offset=o, duration=400) for w, o in (("one", 0), ("two", 500), ("three", 6000))
    )
    transcript = said((text, 0, 6400)).model_copy(update={"words": words})
    assert [(cue.start, cue.lines) for cue in cues(transcript)] == [
        (0, ("one two",)), (6000, ("three",)),
    ]  # fmt: skip


def test_a_long_utterance_becomes_cues_of_two_short_lines() -> None:
    transcript = said((" ".join(["syllables"] * 60), 0, 40_000))
    found = cues(transcript)
    assert len(found) > 5
    for cue in found:
        assert len(cue.lines) <= LINES
        assert all(len(line) <= LINE_COLUMNS for line in cue.lines)
        assert cue.end - cue.start <= MAX_CUE_MS


def test_wide_letters_take_two_columns_and_are_cut_without_blanks() -> None:
    text = "天気が良いので散歩に行きましょう" * 8
    transcript = said((text, 0, 20_000))
    for cue in cues(transcript):
        assert all(len(line) * 2 <= LINE_COLUMNS for line in cue.lines)
    assert "".join("".join(cue.lines) for cue in cues(transcript)) == text


def test_a_short_word_stays_long_enough_to_be_read_where_there_is_room() -> None:
    first, second = cues(said(("Yes.", 0, 100), ("No.", 5000, 100)))
    assert (first.start, first.end) == (0, MIN_CUE_MS)
    assert (second.start, second.end) == (5000, 5000 + MIN_CUE_MS)


def test_two_who_speak_at_once_are_shown_one_after_the_other() -> None:
    transcript = said(("one two three four", 0, 4000, 1), ("no no", 2000, 1000, 2))
    first, second = cues(transcript)
    assert first.end <= second.start
    assert (first.speaker, second.speaker) == (1, 2)
    assert "<v Speaker 1>one two three four" in as_vtt(transcript)


def test_a_name_cannot_break_out_of_its_voice_tag() -> None:
    transcript = said(("a", 0, 1000, 1), ("b", 1000, 1000, 2))
    names = {"1": "Eve>\n\n00:00", "2": "Bob"}
    vtt = as_vtt(transcript.model_copy(update={"speakers": names}))
    assert "<v Eve&gt; 00:00>a" in vtt


def test_plain_text_has_a_paragraph_for_each_turn_and_names_when_there_are_several() -> None:
    one = said(("Bread.", 0, 1000), ("Milk.", 3000, 1000))
    assert as_txt(one) == "Bread.\n\nMilk.\n"
    two = said(("Bread?", 0, 1000, 1), ("And?", 1000, 500, 1), ("Milk.", 3000, 1000, 2))
    assert as_txt(two) == "Speaker 1: Bread? And?\n\nSpeaker 2: Milk.\n"


def test_a_document_has_title_intro_times_and_names_the_gaps() -> None:
    transcript = said(("# 1. *Bread* [x](y)", 3_661_000, 1000, 1))
    gap = Gap(start=10, end=20.5, error="provider_failed")
    document = as_md(transcript.model_copy(update={"gaps": (gap,)}), "A_b", "One.\nTwo.")
    assert document == (
        "# A\\_b\n\nOne. Two.\n\n"
        "`01:01:01` **Speaker 1:** \\# 1. \\*Bread\\* \\[x\\](y)\n\n"
        "*Nothing could be transcribed from 00:00:10.000 to 00:00:20.500*\n"
    )


@pytest.mark.parametrize("render", [as_txt, as_srt, as_vtt])
def test_a_transcript_without_words_is_empty(render: object) -> None:
    assert callable(render)
    assert render(said(("  ", 0, 100))).replace("WEBVTT\n", "") == ""


utterances = st.builds(
    Utterance,
    text=st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=300),
    offset=st.integers(0, 50_000),
    duration=st.integers(0, 20_000),
    speaker=st.none() | st.integers(1, 3),
)


@given(st.lists(utterances, max_size=6))
def test_every_word_is_shown_once_in_cues_that_follow_one_another(
    spoken: list[Utterance],
) -> None:
    ordered = sorted(spoken, key=lambda utterance: utterance.offset)
    transcript = Transcript(
        text="", seconds=70, utterances=tuple(ordered), speakers={"1": "A", "2": "B", "3": "C"}
    )
    found = cues(transcript)
    assert all(cue.start < cue.end <= cue.start + MAX_CUE_MS for cue in found)
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))
    assert all(1 <= len(cue.lines) <= LINES for cue in found)
    shown = sorted("".join("".join(cue.lines) for cue in found).replace(" ", ""))
    assert shown == sorted("".join("".join(u.text.split()) for u in ordered))


@given(st.lists(utterances, max_size=4))
def test_subtitles_can_be_read_back(spoken: list[Utterance]) -> None:
    ordered = tuple(sorted(spoken, key=lambda utterance: utterance.offset))
    transcript = Transcript(text="", seconds=70, utterances=ordered)
    expected = [(cue.start, cue.end, len(cue.lines)) for cue in cues(transcript)]
    for text in (as_srt(transcript), as_vtt(transcript).removeprefix("WEBVTT\n").lstrip("\n")):
        blocks = [block.strip("\n") for block in text.split("\n\n") if block.strip("\n")]
        read = []
        for number, block in enumerate(blocks, 1):
            head, times, *lines = block.split("\n")
            assert head == str(number)
            start, end = (milliseconds(part) for part in times.split(" --> "))
            assert not any("-->" in line for line in lines)
            read.append((start, end, len(lines)))
        assert read == expected


def milliseconds(text: str) -> int:
    match = TIMES.fullmatch(text)
    assert match, text
    hours, minutes, seconds, rest = (int(group) for group in match.groups())
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + rest
