"""How a long text is read: as lines, in parts that fit, every character of it once."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from contracts.transcript import Transcript

_SENTENCE_END: Final = re.compile(r"[.!?…。！？।][\"'”’»)\]]*\s+|\n+")  # noqa: RUF001 - full-width marks
_BLANK: Final = re.compile(r"\s+")


def lines(transcript: Transcript) -> tuple[str, ...]:
    """What was said, one line for each turn of a speaker, ``Name: words`` when there are several.

    Without speakers every utterance is a line; without utterances the whole text is one.
    """
    found: list[str] = []
    last: int | None = None
    for utterance in transcript.utterances:
        text = utterance.text.strip()
        if not text:
            continue
        if utterance.speaker is None or utterance.speaker != last:
            found.append(f"{_name(transcript, utterance.speaker)}{text}")
        else:
            found[-1] += f" {text}"
        last = utterance.speaker
    if found or not transcript.text.strip():
        return tuple(found)
    return (transcript.text.strip(),)


def _name(transcript: Transcript, speaker: int | None) -> str:
    if speaker is None or len(transcript.speakers) < 2:  # noqa: PLR2004 - who speaks is a question
        return ""
    return f"{transcript.speakers.get(str(speaker), f'Speaker {speaker}')}: "


def parts(texts: Sequence[str], limit: int) -> list[tuple[str, ...]]:
    """Group texts into parts of at most ``limit`` characters, line breaks between them counted.

    Only a text that is longer by itself is divided: after a sentence, else at a blank, else where
    it must be. Nothing is left out and nothing comes twice: all parts joined are all texts joined.
    Parts are about equally long, so that none is left with a last few words.

    Args:
        limit: at least 1.
    """
    pieces = [piece for text in texts for piece in divided(text, limit)]
    size = sum(map(len, pieces)) + len(pieces)
    aim = max(1, -(-size // max(1, -(-size // limit))))
    found: list[tuple[str, ...]] = []
    group: list[str] = []
    length = 0
    for piece in pieces:
        longer = length + len(piece) + (1 if group else 0)
        if group and (longer > limit or length >= aim):
            found.append(tuple(group))
            group, longer = [], len(piece)
        group.append(piece)
        length = longer
    if group:
        found.append(tuple(group))
    return found


def divided(text: str, limit: int) -> Iterator[str]:
    """The text in pieces of at most ``limit`` characters; joined they are the text."""
    while len(text) > limit:
        cut = _cut(text, limit)
        yield text[:cut]
        text = text[cut:]
    if text:
        yield text


def _cut(text: str, limit: int) -> int:
    """The last good place to cut in the second half of what fits, by how good it is."""
    head = text[:limit]
    for border in (_SENTENCE_END, _BLANK):
        places = [found.end() for found in border.finditer(head) if found.end() > limit // 2]
        if places:
            return places[-1]
    return limit
