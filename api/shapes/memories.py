"""Bodies and answers about memories: what was written about a memo."""

from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from api.shapes.fields import (
    EXAMPLE_MEMO,
    EXAMPLE_TIME,
    Answer,
    Body,
    Omittable,
    Title,
    Uuid,
    example,
)
from contracts.memory import MemoMemory

LONGEST_PROMPT: Final = 4000
LONGEST_CONTENT: Final = 200_000
EXAMPLE_MEMORY: Final = "9b2d6c1e-3f0a-4e53-8a77-0c4d5e6f7a8b"
EXAMPLE_PROMPT: Final = "3d0f9a4c-62b1-4f1d-9e7c-5a6b7c8d9e0f"

PromptText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_PROMPT)
]


class NewMemory(Body):
    """What is to be written: by a stored prompt, or by one of the moment."""

    model_config = example({"prompt": "List the tasks and who does them"})

    prompt_id: Omittable[Uuid] = Field(
        None, description="A prompt of a blueprint one may read; or `prompt`.", examples=[""]
    )
    prompt: Omittable[PromptText] = Field(
        None, description="What is to be written, in one's own words; or `promptId`."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.prompt_id is None) == (self.prompt is None):
            raise PydanticCustomError("value_error", "Exactly one of promptId and prompt is needed")
        return self


class MemoryChange(Body):
    """What a user may change of a memory; what is left out stays."""

    model_config = example({"title": "Tasks"})

    title: Omittable[Title] = Field(None)
    content: Omittable[Annotated[str, StringConstraints(max_length=LONGEST_CONTENT)]] = Field(None)


MEMORY_EXAMPLE: Final[dict[str, Any]] = {
    "id": EXAMPLE_MEMORY,
    "memo_id": EXAMPLE_MEMO,
    "title": "Tasks",
    "content": "- Buy bread and milk\n- A birthday card for Anna",
    "media": None,
    "style": None,
    "sort_order": 0,
    "metadata": {"type": "memory", "jobId": f"memory-{EXAMPLE_PROMPT}"},
    "created_at": EXAMPLE_TIME,
    "updated_at": EXAMPLE_TIME,
}


class MemoryView(BaseModel):
    """The memory's row."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    id: str
    memo_id: str
    title: str | None
    content: str | None
    media: Any
    style: Any
    sort_order: int
    metadata: dict[str, Any] = Field(description="Among others the job and the engine it is by.")
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, memory: MemoMemory) -> "MemoryView":
        """The view of a row."""
        times = {
            "created_at": memory.created_at.isoformat(),
            "updated_at": memory.updated_at.isoformat(),
        }
        return cls(**{**dict(memory), **times})


class MemoryWritten(Answer):
    """The memory that was asked for."""

    memory: MemoryView
    job_id: str


class OneMemory(Answer):
    """One memory."""

    memory: MemoryView


class MemoryList(Answer):
    """The memories of a memo, in their order."""

    memories: list[MemoryView]


class MemoryDeleted(Answer):
    """The memory is gone."""

    memory_id: str
