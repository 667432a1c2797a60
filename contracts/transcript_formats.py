"""The transcript as text, subtitles or a document: pure rules, the same words in every one.

Subtitles follow what caption guides agree on: two lines of at most 42 columns, no more than seven
seconds, never two at once, breaks at the end of a sentence or at a pause.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from contracts.transcript import Gap, Transcript, Utterance, Word

LINE_COLUMNS: Final = 42
LINES: Final = 2
MAX_CUE_MS: Final = 7_000
MIN_CUE_MS: Final = 1_000
PAUSE_MS: Final = 1_500
"""A silence after which a new cue begins."""

SENTENCE_ENDS: Final = tuple(".!?…。！？؟।")  # noqa: RUF001 - the marks other scripts end with
_WORD_JOINER: Final = "\u2060"  # has no width and no meaning: keeps two marks apart
_MARKDOWN: Final = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_[]<>#|~&"})
_VTT: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class TranscriptFormat(StrEnum):
    """The formats a transcript can be asked for in."""

    JSON = "json"
    TXT = "txt"
    SRT = "srt"
    VTT = "vtt"
    MD = "md"


MEDIA_TYPES: Final = MappingProxyType(
    {
        TranscriptFormat.JSON: "application/json",
        TranscriptFormat.TXT: "text/plain; charset=utf-8",
        TranscriptFormat.SRT: "application/x-subrip; charset=utf-8",
        TranscriptFormat.VTT: "text/vtt; charset=utf-8",
        TranscriptFormat.MD: "text/markdown; charset=utf-8",
    }
)


class Cue(NamedTuple):
    """One subtitle; ``start`` and ``end`` in milliseconds, ``lines`` as shown."""

    start: int
    end: int
    lines: tuple[str, ...]
    speaker: int | None = None


class _Token(NamedTuple):
    text: str
    start: int
    end: int
    joined: bool  # follows the token before it without a blank


def as_txt(transcript: Transcript) -> str:
    """Paragraphs, one per turn; with the speaker's name when there are several."""
    named = len(transcript.speakers) > 1
    paragraphs = []
    for speaker, _, text in _turns(transcript):
        name = f"{_name(transcript, speaker)}: " if named and speaker is not None else ""
        paragraphs.append(name + text)
    return "\n\n".join(paragraphs) + "\n" if paragraphs else ""


def as_md(transcript: Transcript, title: str, intro: str = "") -> str:
    """A document: title, intro, each turn with the time it begins at, and what is missing."""
    blocks = [f"# {_escape_markdown(title)}"]
    if intro:
        blocks.append(_escape_markdown(intro))
    for speaker, offset, text in _turns(transcript):
        name = "" if speaker is None else f" **{_escape_markdown(_name(transcript, speaker))}:**"
        blocks.append(f"`{_clock(offset, '.').partition('.')[0]}`{name} {_escape_markdown(text)}")
    blocks += [f"*{_gap_note(gap)}*" for gap in transcript.gaps]
    return "\n\n".join(blocks) + "\n"


def as_srt(transcript: Transcript) -> str:
    """SubRip. It has no escapes: what a player would read as markup is broken up invisibly."""
    blocks = []
    for number, cue in enumerate(cues(transcript), 1):
        lines = "\n".join(_escape_srt(line) for line in cue.lines)
        blocks.append(f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{lines}\n")
    return "\n".join(blocks)


def as_vtt(transcript: Transcript) -> str:
    """WebVTT, with a voice tag when there are several speakers; gaps stand in notes."""
    named = len(transcript.speakers) > 1
    blocks = ["WEBVTT\n"]
    blocks += [f"NOTE {_gap_note(gap)}\n" for gap in transcript.gaps]
    for number, cue in enumerate(cues(transcript), 1):
        lines = "\n".join(line.translate(_VTT) for line in cue.lines)
        if named and cue.speaker is not None:
            lines = f"<v {_name(transcript, cue.speaker).translate(_VTT)}>{lines}"
        blocks.append(f"{number}\n{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{lines}\n")
    return "\n".join(blocks)


def cues(transcript: Transcript) -> list[Cue]:
    """The subtitles of a transcript, in order and never two at once."""
    found = [
        Cue(
            group[0].start,
            min(group[-1].end, group[0].start + MAX_CUE_MS),
            _lines(group),
            utterance.speaker,
        )
        for utterance in transcript.utterances
        for group in _groups(_tokens(utterance, transcript.words))
    ]
    return _apart(sorted(found, key=lambda cue: cue.start))


def timed_words(transcript: Transcript) -> Sequence[Word]:
    """Each word with its times: measured, else the utterance's time shared out by length."""
    return transcript.words or [
        Word(text=token.text, offset=token.start, duration=token.end - token.start)
        for utterance in transcript.utterances
        for token in _tokens(utterance, ())
    ]


def _turns(transcript: Transcript) -> Iterator[tuple[int | None, int, str]]:
    """Speaker, offset in milliseconds and words of each turn.

    Without speakers a turn ends with the utterance: where the speaker paused.
    """
    held: tuple[int | None, int, list[str]] | None = None
    for utterance in transcript.utterances:
        text = _one_line(utterance.text)
        if not text:
            continue
        if held and held[0] is not None and held[0] == utterance.speaker:
            held[2].append(text)
            continue
        if held:
            yield held[0], held[1], " ".join(held[2])
        held = (utterance.speaker, utterance.offset, [text])
    if held:
        yield held[0], held[1], " ".join(held[2])


def _tokens(utterance: Utterance, words: Sequence[Word]) -> list[_Token]:
    """The words of an utterance with their times.

    Measured times are used when there is one for each word; else the utterance's time is shared
    out by length.
    """
    texts = [piece for word in _one_line(utterance.text).split() for piece in _pieces(word)]
    end = utterance.offset + max(utterance.duration, 0)
    inside = [w for w in words if utterance.offset <= w.offset < max(end, utterance.offset + 1)]
    if len(inside) == len(texts):
        return [
            _Token(text, word.offset, word.offset + max(word.duration, 0), joined)
            for (text, joined), word in zip(texts, inside, strict=True)
        ]
    total = sum(len(text) for text, _ in texts) or 1
    span, done, tokens = end - utterance.offset, 0, []
    for text, joined in texts:
        start = utterance.offset + span * done // total
        done += len(text)
        tokens.append(_Token(text, start, utterance.offset + span * done // total, joined))
    return tokens


def _pieces(word: str) -> Iterator[tuple[str, bool]]:
    """A word, cut where it is wider than a line: scripts that write without blanks."""
    piece, width, first = "", 0, True
    for character in word:
        columns = _columns(character)
        # A mark belongs to the letter before it: it is never the first of a piece.
        if piece and columns and width + columns > LINE_COLUMNS:
            yield piece, not first
            piece, width, first = "", 0, False
        piece += character
        width += columns
    yield piece, not first


def _groups(tokens: Sequence[_Token]) -> Iterator[list[_Token]]:
    """Tokens that make one cue together."""
    group: list[_Token] = []
    for token in tokens:
        if group and _begins_anew(group, token):
            yield group
            group = []
        group.append(token)
    if group:
        yield group


def _begins_anew(group: Sequence[_Token], token: _Token) -> bool:
    last = group[-1]
    if token.start - last.end > PAUSE_MS or token.end - group[0].start > MAX_CUE_MS:
        return True
    if len(_lines([*group, token])) > LINES:
        return True
    # A sentence that has filled a line ends its cue; shorter ones share one.
    return last.text.endswith(SENTENCE_ENDS) and len(_lines(group)) == LINES


def _lines(group: Sequence[_Token]) -> tuple[str, ...]:
    lines = [group[0].text]
    for token in group[1:]:
        joined = lines[-1] + ("" if token.joined else " ") + token.text
        if _columns(joined) <= LINE_COLUMNS:
            lines[-1] = joined
        else:
            lines.append(token.text)
    return tuple(lines)


def _apart(ordered: Sequence[Cue]) -> list[Cue]:
    """Never two at once, and long enough to be read where there is room."""
    placed: list[Cue] = []
    for cue in ordered:
        start = cue.start
        if placed and placed[-1].end > start:
            # Two spoke at once: the first is cut short, but stays long enough to be read.
            before = placed[-1]
            start = min(before.end, max(start, before.start + MIN_CUE_MS))
            placed[-1] = before._replace(end=start)
        placed.append(cue._replace(start=start, end=max(cue.end, start + 1)))
    for index, cue in enumerate(placed):
        room = placed[index + 1].start if index + 1 < len(placed) else cue.start + MIN_CUE_MS
        placed[index] = cue._replace(end=max(cue.end, min(room, cue.start + MIN_CUE_MS)))
    return placed


def _name(transcript: Transcript, speaker: int) -> str:
    return _one_line(transcript.speakers.get(str(speaker), f"Speaker {speaker}"))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _columns(text: str) -> int:
    """Columns a text takes: two for wide letters, none for marks above and below."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) != 0 for c in text)


def _clock(milliseconds: int, point: str) -> str:
    seconds, rest = divmod(max(milliseconds, 0), 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}:{second:02}{point}{rest:03}"


def _gap_note(gap: Gap) -> str:
    start, end = round(gap.start * 1000), round(gap.end * 1000)
    return f"Nothing could be transcribed from {_clock(start, '.')} to {_clock(end, '.')}"


def _escape_srt(line: str) -> str:
    for mark in ("-->", "<", "{"):
        line = line.replace(mark, mark[0] + _WORD_JOINER + mark[1:])
    return line


def _escape_markdown(text: str) -> str:
    return _one_line(text).translate(_MARKDOWN)
