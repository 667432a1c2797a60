"""Blueprints: prompts that belong together, run one after another over a memo."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from contracts.language import MemoryPrompt
from contracts.paging import Cursor
from contracts.values import Value

MAX_PROMPTS: Final = 20
"""Of one blueprint: all of them are asked for in one call of a model."""

MAX_BLUEPRINTS: Final = 500
"""Of one user."""

DEFAULT_LANGUAGE: Final = "en"


class Prompt(Value):
    """What one memory is made by; its texts by language tag.

    Attributes:
        sort_order: its place in its blueprint, from 0.
    """

    id: str
    prompt_text: dict[str, str]
    memory_title: dict[str, str] = {}
    sort_order: int = 0


class PromptDraft(Value):
    """A prompt as its blueprint's owner writes it.

    Attributes:
        id: of a prompt the blueprint has already; none is a new one.
    """

    id: str | None = None
    prompt_text: dict[str, str]
    memory_title: dict[str, str] = {}


class Blueprint(Value):
    """A blueprint with its prompts in their order; its texts by language tag.

    Attributes:
        user_id: its owner; none when it came with the service.
        is_public: everybody may read and use it.
        system_prompt: what the model is told to be.
    """

    id: str
    user_id: str | None = None
    name: dict[str, str]
    description: dict[str, str] = {}
    is_public: bool = False
    system_prompt: dict[str, str] = {}
    prompts: tuple[Prompt, ...] = ()
    created_at: datetime
    updated_at: datetime

    def role(self, *languages: str | None) -> str:
        """Its system prompt, in the first of these languages that it has."""
        return in_language(self.system_prompt, *languages)

    def asked(self, *languages: str | None) -> tuple[MemoryPrompt, ...]:
        """What is asked for, in the first of these languages that each prompt has."""
        return tuple(as_asked(prompt, *languages) for prompt in self.prompts)


class BlueprintPage(Value):
    """Blueprints, newest first; ``next`` is where the following page begins."""

    blueprints: tuple[Blueprint, ...]
    next: Cursor | None = None


class FoundPrompt(Value):
    """A prompt somebody may use, and the system prompt of its blueprint."""

    prompt: Prompt
    system_prompt: dict[str, str] = {}


def as_asked(prompt: Prompt, *languages: str | None) -> MemoryPrompt:
    """What a prompt asks for, in the first of these languages that it has."""
    return MemoryPrompt(
        title=in_language(prompt.memory_title, *languages),
        text=in_language(prompt.prompt_text, *languages),
        prompt_id=prompt.id,
    )


def in_language(texts: Mapping[str, str], *languages: str | None) -> str:
    """The text in the first of these languages there is one for; else English; else any.

    A language is met by its own tag, then by its primary subtag. Nothing at all is an empty text.

    >>> in_language({"en": "Tasks", "de": "Aufgaben"}, None, "de-CH")
    'Aufgaben'
    >>> in_language({"fr": "Devoirs"}, "ja")
    'Devoirs'
    """
    by_tag = {tag.lower(): text for tag, text in texts.items() if text}
    for tag in _tags(*languages, DEFAULT_LANGUAGE):
        if tag in by_tag:
            return by_tag[tag]
    return next(iter(by_tag.values()), "")


def _tags(*languages: str | None) -> Iterator[str]:
    for language in languages:
        if language:
            yield language.lower()
            yield language.lower().partition("-")[0]
