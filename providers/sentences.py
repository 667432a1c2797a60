"""The sentences of a transcript, whether or not its recogniser writes punctuation."""

import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Final

from contracts.transcript import Transcript, Word

LONG_WORDS: Final = 24
"""An utterance of more words than this, without punctuation, is divided at its longest pause."""

_SPOKEN: Final = re.compile(r"\w")
_CLOSED: Final = re.compile(r"[.!?…。！？।][\"'”’»)\]]*$")  # noqa: RUF001 - full-width marks
_INSIDE: Final = re.compile(r"[.!?…。！？।]")  # noqa: RUF001 - likewise
_CHUNK_CHARACTERS: Final = 2000
_FULL_STOPS: Final = {"zh": "。", "ja": "。", "hi": "।", "mr": "।"}
_DOTTED: Final = frozenset({"tr", "az"})
_SEGMENTED: Final = frozenset(
    {
        *("en", "hi", "mr", "zh", "es", "am", "ar", "hy", "bg", "ur", "ru", "pl"),
        *("fa", "nl", "da", "fr", "my", "el", "it", "ja", "de", "kk", "sk"),
    }
)


def stretches(transcript: Transcript) -> list[str]:
    """What was said, in pieces that end where a sentence may end.

    Utterances with punctuation are left as they are; long ones without any are divided at the
    pauses between their words.
    """
    pieces: list[str] = []
    words = list(transcript.words)
    at = 0
    for utterance in transcript.utterances:
        end = utterance.offset + utterance.duration
        begin = at
        while at < len(words) and words[at].offset < end:
            at += 1
        own = words[begin:at]
        same = " ".join(word.text for word in own) == utterance.text
        if same and not _INSIDE.search(utterance.text):
            pieces += [" ".join(word.text for word in part) for part in _at_pauses(own)]
        else:
            pieces.append(utterance.text)
    return pieces or [transcript.text]


def _at_pauses(words: Sequence[Word]) -> Iterator[Sequence[Word]]:
    """Divide at the longest pause, not near the ends, until no part is long."""
    rest = [words]
    while rest:
        part = rest.pop()
        if len(part) <= LONG_WORDS:
            yield part
            continue
        margin = len(part) // 4

        def pause(at: int, part: Sequence[Word] = part) -> int:
            return part[at].offset - part[at - 1].offset - part[at - 1].duration

        cut = max(range(margin, len(part) - margin), key=pause)
        rest += [part[cut:], part[:cut]]


def sentences(pieces: Sequence[str], language: str) -> list[str]:
    """Sentences in order, each with a capital and a full stop.

    Args:
        pieces: utterances.
        language: primary subtag, ``de``.
    """
    found: list[str] = []
    for piece in pieces:
        if _INSIDE.search(piece):
            found += _punctuated(piece, language)
        else:
            found.append(piece)
    return [closed(each, language) for each in found if _SPOKEN.search(each)]


def _punctuated(text: str, language: str) -> list[str]:
    """Sentences by the rules of the language, in chunks: the rules get slow on long texts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its source has escapes that newer Pythons complain about
        import pysbd  # noqa: PLC0415 - loaded in children alone

    known = language if language in _SEGMENTED else "en"
    found: list[str] = []
    for chunk in chunks([text], _CHUNK_CHARACTERS):
        found += pysbd.Segmenter(language=known, clean=False).segment(chunk)
    return found


def chunks(texts: Sequence[str], limit: int) -> Iterator[str]:
    """All of the texts, joined by blanks and divided between words, about ``limit`` characters."""
    chunk: list[str] = []
    length = 0
    for word in (word for text in texts for word in text.split()):
        if length + len(word) > limit and chunk:
            yield " ".join(chunk)
            chunk, length = [], 0
        chunk.append(word[:limit])
        length += len(word) + 1
    if chunk:
        yield " ".join(chunk)


def closed(text: str, language: str) -> str:
    """A stretch of words as a sentence: a capital in front, a full stop behind."""
    text = capitalised(" ".join(text.split()), language)
    if _CLOSED.search(text):
        return text
    return text.rstrip(",;:-–— ") + _FULL_STOPS.get(language, ".")


def capitalised(text: str, language: str) -> str:
    """The text with its first letter upper-case."""
    for at, character in enumerate(text):
        if character.isalnum():
            if language in _DOTTED and character == "i":
                return f"{text[:at]}İ{text[at + 1 :]}"
            return text[:at] + character.title() + text[at + 1 :]
    return text
