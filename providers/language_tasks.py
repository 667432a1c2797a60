"""The uses of a language model: what each is asked for, and what is made of the answer."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Generic, NamedTuple, TypeVar

from pydantic import BaseModel

from contracts.headline import MAX_CHARACTERS, Headline
from contracts.language import (
    Answer,
    Combination,
    LanguageRequest,
    Memories,
    Memory,
    Use,
)
from contracts.values import Value
from providers import failures
from providers.language_shapes import (
    AnswerShape,
    BlueprintShape,
    CombinationShape,
    HeadlineShape,
    MemoryShape,
)
from providers.local_headline import whole_words
from providers.local_language import LocalLanguage
from providers.prompt_files import named_language

Shape = TypeVar("Shape", bound=BaseModel)
Text = TypeVar("Text", bound=Value)

_QUOTES: Final = "\"'“”„‚‘’«» "  # noqa: RUF001 - quotation marks of many languages


class Wrote(NamedTuple):
    """By whom, for what is kept on the result and in failures."""

    provider: str
    engine: str


class Task(NamedTuple, Generic[Shape, Text]):
    """One use.

    Attributes:
        shape: what a model answers in.
        made: the answer as ours; raises ProviderBroken when it cannot be used.
        extract: the same without a model.
    """

    use: Use
    shape: type[Shape]
    made: Callable[[Shape, LanguageRequest, Wrote], Text]
    extract: Callable[[LocalLanguage, LanguageRequest], Awaitable[Text]]


def _headline(shape: HeadlineShape, _: LanguageRequest, by: Wrote) -> Headline:
    return Headline(
        title=_title(shape.headline, by), intro=_flat(shape.introduction), engine=by.engine
    )


def _answer(shape: AnswerShape, _: LanguageRequest, __: Wrote) -> Answer:
    return Answer(text=shape.answer, found=shape.found)


def _combination(shape: CombinationShape, _: LanguageRequest, by: Wrote) -> Combination:
    return Combination(
        headline=_title(shape.headline, by), intro=_flat(shape.introduction), text=shape.text
    )


def _memory(shape: MemoryShape, _: LanguageRequest, __: Wrote) -> Memory:
    return Memory(title=_flat(shape.title), content=shape.content)


def _memories(shape: BlueprintShape, request: LanguageRequest, by: Wrote) -> Memories:
    if len(shape.memories) != len(request.prompts):
        raise failures.unreadable(by.provider)
    return Memories(
        memories=tuple(
            Memory(title=prompt.title or _flat(each.title), content=each.content)
            for prompt, each in zip(request.prompts, shape.memories, strict=True)
        )
    )


def _flat(text: str) -> str:
    return " ".join(text.split())


def _title(text: str, by: Wrote) -> str:
    """At most 60 characters, whole words, no quotation marks around it and no full stop."""
    title = whole_words(_flat(text).strip(_QUOTES), MAX_CHARACTERS).strip(_QUOTES).rstrip(".")
    if not title:
        raise failures.unusable(by.provider, "empty")
    return title


HEADLINE: Final = Task(Use.HEADLINE, HeadlineShape, _headline, LocalLanguage.headline)
QUESTION: Final = Task(Use.QUESTION, AnswerShape, _answer, LocalLanguage.question)
COMBINE: Final = Task(Use.COMBINE, CombinationShape, _combination, LocalLanguage.combine)
MEMORY: Final = Task(Use.MEMORY, MemoryShape, _memory, LocalLanguage.memory)
BLUEPRINT: Final = Task(Use.BLUEPRINT, BlueprintShape, _memories, LocalLanguage.blueprint)


def values(use: Use, request: LanguageRequest, data: str) -> Mapping[str, str]:
    """What goes into a prompt."""
    asked = _numbered(request) if use is Use.BLUEPRINT else request.instruction
    return {
        "data": data,
        "language": named_language(request.language),
        "instruction": asked,
        "role": request.role,
    }


def _numbered(request: LanguageRequest) -> str:
    """The prompts of a blueprint."""
    return "\n".join(
        f"{number}. {f'{each.title}: ' if each.title else ''}{each.text}"
        for number, each in enumerate(request.prompts, start=1)
    )
