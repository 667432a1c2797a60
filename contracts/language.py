"""What a language model is asked, what it answers, and what that took.

None of these values travels through Temporal: they hold what was said.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, Generic, Self, TypeVar

from contracts.costs import Units, tokens
from contracts.tiers import AttemptOutcome
from contracts.transcript import Transcript
from contracts.values import Value


class Use(StrEnum):
    """What a model is used for; also the name of its prompt."""

    HEADLINE = "headline"
    QUESTION = "question"
    COMBINE = "combine"
    MEMORY = "memory"
    BLUEPRINT = "blueprint"
    TRANSLATE = "translate"


USES: Final = frozenset(use.value for use in Use)
"""Kinds of the jobs in which something is written."""


class Source(Value):
    """One recording to read.

    Attributes:
        title: what its owner calls it; shown to the model when there are several sources.
        transcript: what was said. Text without utterances is read as it is.
    """

    title: str = ""
    transcript: Transcript


class MemoryPrompt(Value):
    """One thing a blueprint asks for.

    Attributes:
        title: what the memory is to be called; empty leaves that to the model.
        text: what is to be written.
        prompt_id: the stored prompt it came from, kept on the memory.
    """

    title: str = ""
    text: str
    prompt_id: str | None = None


class LanguageRequest(Value):
    """Something to be written about one or several recordings.

    Attributes:
        sources: in the order they are to be read.
        language: BCP 47 tag of the answer; none means the language of the recordings.
        instruction: the question, or the prompt of the memory; for combine what the user adds.
        prompts: of a blueprint, one memory each, in their order.
        role: the blueprint's own system prompt, or the user's.
        prompt_version: version of our prompt file; none means the newest.
    """

    sources: tuple[Source, ...]
    language: str | None = None
    instruction: str = ""
    prompts: tuple[MemoryPrompt, ...] = ()
    role: str = ""
    prompt_version: int | None = None


class Answer(Value):
    """The answer to a question.

    Attributes:
        found: whether the recordings hold an answer; else the text says that they do not.
        extract: the text is made of sentences that were said, not written by a model.
    """

    text: str
    found: bool = True
    extract: bool = False


class Combination(Value):
    """Several recordings as one; ``extract`` as in ``Answer``.

    Attributes:
        headline: at most 60 characters.
        intro: two or three sentences.
    """

    headline: str
    intro: str
    text: str
    extract: bool = False


class Memory(Value):
    """Something written about a recording because a prompt asked for it; ``extract`` as above."""

    title: str
    content: str
    extract: bool = False


class Memories(Value):
    """One memory for each prompt of a blueprint, in the order of the prompts."""

    memories: tuple[Memory, ...]


class Translation(Value):
    """What was said, in English: one text for each utterance of the only source, in their order."""

    texts: tuple[str, ...] = ()


class PromptRef(Value):
    """Which of our prompts was used."""

    name: str
    version: int

    def __str__(self) -> str:
        """As in results: ``question.1``."""
        return f"{self.name}.{self.version}"


class Usage(Value):
    """What the calls took, all of them together; tokens as the vendor counts them.

    Attributes:
        input_tokens: zero for engines that count none.
        output_tokens: hidden reasoning included, where the vendor bills it so.
        characters: sent to engines, prompts not counted.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    characters: int = 0

    @property
    def units(self) -> Units:
        """The tokens as units of a bill: no tokens at all is a vendor that counts none."""
        if not self.input_tokens and not self.output_tokens:
            return Units()
        return tokens(self.input_tokens, self.output_tokens)

    def __add__(self, other: Self) -> Self:
        """Both together."""
        return type(self)(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            characters=self.characters + other.characters,
        )


class Reading(Value):
    """How much of the recordings was read, in characters of their texts, speakers' names included.

    ``characters_read`` is less than ``characters_total`` never silently: an engine that cannot
    read all of it fails.

    Attributes:
        parts: texts the model was given one by one, because all at once would have been too long;
            1 when it saw everything at once.
    """

    characters_read: int
    characters_total: int
    parts: int = 1


class Purpose(StrEnum):
    """What one call is for.

    ``PART`` is to write one part of an answer that is made in parts, each kept when it is there.
    """

    WRITE = "write"
    NOTES = "notes"
    PART = "part"


class ModelCall(Value):
    """One call of an engine.

    Attributes:
        number: 1, 2, 3, … within the request, in the order they begin.
        tier: as in ``LANGUAGE_MODEL_TIERS``.
        engine: model or version.
        purpose: to write the answer, or notes on one part of a long text.
        outcome: none while it runs.
        seconds: how long it took.
        code: of the failure (``contracts.errors``).
        message: of the failure; holds no spoken words.
        units: what the vendor bills it by; while it runs what was sent.
    """

    number: int
    tier: str
    provider: str
    engine: str
    purpose: Purpose
    outcome: AttemptOutcome | None = None
    seconds: float | None = None
    code: str | None = None
    message: str | None = None
    usage: Usage = Usage()
    units: Units = Units()


Text = TypeVar("Text", bound=Value)


class Written(Value, Generic[Text]):
    """What was written, and how.

    Attributes:
        prompt: the prompt of the use; the local engine has none.
        tier: the tier that wrote it; notes it wrote from may come from tiers before it.
        engine: model or version, for the record on the result.
        usage: of every call that was answered, in whichever tier.
        calls: every call in the order they began, failed ones too.
    """

    text: Text
    prompt: PromptRef | None
    tier: str
    provider: str
    engine: str
    usage: Usage
    reading: Reading
    calls: tuple[ModelCall, ...]


def total(usages: Iterable[Usage]) -> Usage:
    """All of them together."""
    return sum(usages, Usage())
