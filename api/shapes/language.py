"""Bodies and answers about what language models write: answers, combinations, headlines."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from api.shapes.fields import EXAMPLE_MEMO, Answer, Body, Omittable, Uuid, example
from api.shapes.memories import EXAMPLE_PROMPT, PromptText
from api.shapes.memos import MemoView

LONGEST_QUESTION: Final = 4000
MOST_COMBINED: Final = 50
"""Memos combined in one; each of them is read whole."""

QuestionText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_QUESTION)
]


def _each_once(memo_ids: list[str]) -> list[str]:
    if len(set(memo_ids)) < len(memo_ids):
        raise PydanticCustomError("value_error", "memoIds must not name a memo twice")
    return memo_ids


class Question(Body):
    """A question about a memo."""

    model_config = example({"question": "What did we decide about the budget?"})

    question: QuestionText = Field(description="Trimmed; what is blank is no question.")


class QuestionAnswered(Answer):
    """The answer, kept as a memory of the memo."""

    answer: str
    memo_id: str
    question: str
    memory_id: str


class Combination(Body):
    """Memos to be brought together."""

    model_config = example({"memoIds": [EXAMPLE_MEMO, EXAMPLE_PROMPT]})

    memo_ids: Annotated[
        list[Uuid],
        Field(min_length=2, max_length=MOST_COMBINED, json_schema_extra={"uniqueItems": True}),
        AfterValidator(_each_once),
    ] = Field(description="In the order they are to be read; none of them twice.")
    blueprint_id: Omittable[Uuid] = Field(
        None, description="Blueprint whose system prompt and prompts are kept to.", examples=[""]
    )
    custom_prompt: Omittable[PromptText] = Field(
        None, description="What the new memo is to be, in one's own words."
    )


class Combined(Answer):
    """The memo that was made of the others."""

    memo: MemoView
    headline: str
    intro: str


class HeadlineWritten(Answer):
    """The memo's new headline and introduction."""

    headline: str
    intro: str
