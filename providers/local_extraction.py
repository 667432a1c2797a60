"""Sentences of a transcript that share words with what was asked: run in child processes.

Nothing here understands anything. A sentence counts by the rarity of the words it shares with the
question; a question that is made of stop words alone gets the weightiest sentences instead.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from providers.local_headline import extract
from providers.sentences import sentences
from providers.stop_words import stop_words

_WORD: Final = re.compile(r"\w+")
_UNSPACED: Final = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")
_STEM_CHARACTERS: Final = 6
_FRACTION_OF_THE_BEST: Final = 0.5


class Found(NamedTuple):
    """Sentences in the order they were said.

    Attributes:
        asked: whether what was asked has words to look for; else these are the weightiest.
    """

    sentences: list[str]
    asked: bool


def find(pieces: Sequence[str], language: str, query: str, most: int) -> Found:
    """The sentences that fit a query best.

    Args:
        pieces: what was said, as ``providers.sentences.stretches`` gives it.
        language: primary subtag, ``de``.
        most: how many at most.
    """
    wanted = set(stems(query, language))
    if not wanted:
        return Found(weightiest(pieces, language), asked=False)
    said = sentences(pieces, language)
    words = [set(stems(sentence, language)) for sentence in said]
    often = Counter(stem for each in words for stem in each & wanted)
    rarity = {stem: math.log(1 + len(said) / often[stem]) for stem in sorted(often)}
    scores = [sum(rarity[stem] for stem in sorted(each & wanted)) for each in words]
    best = max(scores, default=0.0)
    good = [at for at, score in enumerate(scores) if best and score >= best * _FRACTION_OF_THE_BEST]
    chosen = sorted(good, key=lambda at: (-scores[at], at))[:most]
    return Found([said[at] for at in sorted(chosen)], asked=True)


def weightiest(pieces: Sequence[str], language: str) -> list[str]:
    """The two or three sentences in which the weightiest keywords stand."""
    found = extract(pieces, language)
    return sentences([found[1]], language) if found else []


def combine(
    sources: Sequence[tuple[str, Sequence[str]]], language: str
) -> tuple[str, str, str] | None:
    """Headline, intro, and everything that was said under the names of the recordings."""
    found = extract([piece for _, pieces in sources for piece in pieces], language)
    if found is None:
        return None
    texts = [f"## {name}\n\n{' '.join(sentences(pieces, language))}" for name, pieces in sources]
    return *found, "\n\n".join(texts)


def stems(text: str, language: str) -> list[str]:
    """Words that are no stop words, folded and shortened so that their forms meet.

    Scripts without blanks are taken in pairs of characters.
    """
    found: list[str] = []
    for word in _WORD.findall(text.lower()):
        if word in stop_words(language):
            continue
        if _UNSPACED.search(word):
            found += [word[at : at + 2] for at in range(max(1, len(word) - 1))]
        else:
            found.append(_folded(word)[:_STEM_CHARACTERS])
    return found


def _folded(word: str) -> str:
    apart = unicodedata.normalize("NFKD", word.casefold())
    return "".join(character for character in apart if not unicodedata.combining(character))
