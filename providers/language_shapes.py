"""The shapes a model answers in, one for each use; their descriptions are part of the prompts."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field
from pydantic_core import PydanticCustomError

from providers.answer_text import Text


def _filled(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("empty_text", "nothing stands in it")
    return text.strip()


Words = Annotated[Text, AfterValidator(_filled)]


class HeadlineShape(BaseModel):
    """Headline and introduction."""

    headline: Words = Field(description="at most 60 characters")
    introduction: Words = Field(description="two or three sentences")


class AnswerShape(BaseModel):
    """An answer to a question."""

    answer: Words
    found: bool = Field(description="whether the recordings hold the answer")


class CombinationShape(BaseModel):
    """Several recordings as one text."""

    headline: Words = Field(description="at most 60 characters")
    introduction: Words = Field(description="two or three sentences")
    text: Words = Field(description="Markdown")


class MemoryShape(BaseModel):
    """What one prompt asked for."""

    title: Words
    content: Words = Field(description="Markdown")


class BlueprintShape(BaseModel):
    """What several prompts asked for."""

    memories: list[MemoryShape] = Field(description="one for each prompt, in their order")


class NotesShape(BaseModel):
    """Notes on one part of a long text."""

    notes: Words


class LineShape(BaseModel):
    """One line of a recording in English."""

    number: int = Field(description="of the line")
    text: Words = Field(description="what the line says, in English")


class TranslationShape(BaseModel):
    """Lines of a recording in English."""

    lines: list[LineShape] = Field(description="one for each line, with its number")
