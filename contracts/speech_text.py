"""Text that is to be spoken: made regular, and divided into parts a provider takes.

Parts are local: a change in one paragraph leaves the parts of every other paragraph as they are, so
they are found by their hash and not bought again.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

import regex

from contracts.errors import InvalidInput

MAX_CHARACTERS: Final = 50_000
"""Longest text of one request, in Unicode code points as it was sent."""

SHORT_PARAGRAPH: Final = 300
"""Neighbouring paragraphs shorter than this share a part: 50 000 one-letter lines are not as many
calls."""

PARAGRAPHS_KEPT: Final = 32
"""Long paragraphs whose sentences a process remembers: every tier and every part of a text asks for
them again."""

MOST_MARKS: Final = 8
"""Combining marks kept on one letter; no script stacks more."""

_LINES: Final = regex.compile(r"\r\n?|[\u0085\u2028]")
_PARAGRAPHS: Final = regex.compile(r"[ \t]*\n[ \t]*(?:\n[ \t]*)+|[ \t]*\u2029[ \t]*")
# Tag characters, noncharacters and byte order marks say nothing; joiners are part of words.
_SILENT: Final = regex.compile(r"[\uFEFF\uFFF9-\uFFFB\p{Noncharacter_Code_Point}]")
_CONTROLS: Final = regex.compile(r"[\p{Cc}--\n]", regex.V1)
_SPACES: Final = regex.compile(r"[\p{Zs}\t]+")
_MARKS: Final = regex.compile(rf"(\p{{M}}{{{MOST_MARKS}}})\p{{M}}+")
_SAID: Final = regex.compile(r"[\p{L}\p{N}\p{Extended_Pictographic}\p{Sc}]")
# Where a sentence that is too long may end: not between two digits, whatever stands there.
_CLAUSES: Final = regex.compile(r"(?<=[,;:،؛、，；：—–])(?!\d)\s*|(?<!\d)\s+|\s+(?!\d)")  # noqa: RUF001
_WORDS: Final = regex.compile(r"(?w)\b(?!(?<=\d)[\d\s.,:’'])(?!(?<=[.,:’'\s])\d)", regex.V1)
_GAPS: Final = regex.compile(r"\s+")
_GRAPHEMES: Final = regex.compile(r"\X")


def normalised(text: str) -> str:
    """One spelling for texts that sound the same: NFC, plain spaces, regular paragraphs.

    Control characters are spaces, marks beyond ``MOST_MARKS`` on one letter go.

    Raises:
        InvalidInput: ``invalid_text`` for NUL and lone surrogates, ``text_too_long``, or
            ``nothing_to_say`` when no letter, digit or symbol is left.
    """
    if len(text) > MAX_CHARACTERS:
        message = f"text must have at most {MAX_CHARACTERS} characters"
        raise InvalidInput(message, code="text_too_long")
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidInput("text is not valid Unicode text", code="invalid_text")
    plain = _LINES.sub("\n", _SILENT.sub("", text))
    plain = unicodedata.normalize("NFC", _MARKS.sub(r"\1", plain))
    paragraphs = (_line(paragraph) for paragraph in _PARAGRAPHS.split(plain))
    regular = "\n\n".join(paragraph for paragraph in paragraphs if paragraph)
    if not _SAID.search(regular):
        raise InvalidInput("text has nothing in it that can be said", code="nothing_to_say")
    return regular


def _line(paragraph: str) -> str:
    lines = (_SPACES.sub(" ", _CONTROLS.sub(" ", line)).strip() for line in paragraph.split("\n"))
    return "\n".join(line for line in lines if line)


def parts(text: str, limit: int) -> tuple[str, ...]:
    """Divide a normalised text into parts of at most ``limit`` characters, all of it in order.

    At paragraphs where that can be, else between sentences, clauses, words; inside a word or a
    number only when it is longer than the limit by itself, and never inside a grapheme.

    Args:
        limit: of the provider, in characters; at least 100.
    """
    if limit < 100:  # noqa: PLR2004 - below that no grapheme is safe
        raise ValueError("A provider takes 100 characters at least")
    found: list[str] = []
    for group in _groups(text.split("\n\n"), limit):
        if len(group) <= limit:
            found.append(group)
        else:
            found += _packed(_pieces(group, limit), limit)
    return tuple(part for part in found if _SAID.search(part))


def _groups(paragraphs: Iterable[str], limit: int) -> Iterator[str]:
    """Long paragraphs by themselves, short neighbours together."""
    most = min(SHORT_PARAGRAPH, limit)
    group = ""
    for paragraph in paragraphs:
        together = f"{group}\n\n{paragraph}" if group else paragraph
        if group and (len(paragraph) >= most or len(together) > limit):
            yield group
            together = paragraph
        group = together
        if len(group) >= most:
            yield group
            group = ""
    if group:
        yield group


def _pieces(paragraph: str, limit: int) -> Iterator[str]:
    """The smallest pieces that need not be divided, spaces kept."""
    for sentence in _sentences(paragraph):
        yield from _smaller(sentence, limit, (_CLAUSES, _WORDS, _GAPS))


@lru_cache(maxsize=PARAGRAPHS_KEPT)
def _sentences(paragraph: str) -> tuple[str, ...]:
    """The sentences of a paragraph, spaces kept: 50 microseconds a character, so found once."""
    # Its tables take a tenth of a second to load; most texts have no part that is too long.
    from uniseg.sentencebreak import sentences  # noqa: PLC0415

    return tuple(sentences(paragraph))


def _smaller(text: str, limit: int, borders: tuple["regex.Pattern[str]", ...]) -> Iterator[str]:
    if len(text) <= limit:
        yield text
    elif not borders:
        yield from _packed(_GRAPHEMES.findall(text), limit)
    else:
        at = 0
        for border in borders[0].finditer(text):
            if border.end() > at:
                yield from _smaller(text[at : border.end()], limit, borders[1:])
                at = border.end()
        if at < len(text):
            yield from _smaller(text[at:], limit, borders[1:])


def _packed(pieces: Iterable[str], limit: int) -> Iterator[str]:
    """As many pieces together as fit; the spaces between two parts are nobody's."""
    part = ""
    for piece in pieces:
        if part and len((part + piece).rstrip()) > limit:
            yield part.strip()
            part = piece.lstrip()
        else:
            part += piece
    if part.strip():
        yield part.strip()
