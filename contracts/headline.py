"""Headline and intro of a memo."""

from typing import Final

from contracts.values import Value

MAX_CHARACTERS: Final = 60


class Headline(Value):
    """A title of at most 60 characters and an intro of two or three sentences.

    Attributes:
        engine: which engine wrote it, with its version or model.
    """

    title: str
    intro: str
    engine: str


def default_title(language: str | None) -> str:
    """What a memo is called before it has a headline, in the user's language."""
    return "Neue Aufnahme" if (language or "").lower().startswith("de") else "New recording"
