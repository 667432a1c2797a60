"""Bodies and answers about blueprints and their prompts.

Texts are by language tag: ``{"en": "Tasks", "de": "Aufgaben"}``. Bodies take the names of the rows
too, so that what was read can be sent back.
"""

from typing import Annotated, Any, Final, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from api.shapes.fields import EXAMPLE_TIME, EXAMPLE_USER, Answer, Body, Omittable, Uuid, example
from api.shapes.memories import EXAMPLE_PROMPT
from contracts.blueprint import MAX_PROMPTS, Blueprint, Prompt, PromptDraft

MAX_LANGUAGES: Final = 30
EXAMPLE_BLUEPRINT: Final = "7a1e5b52-90c4-4a2f-8c3d-1b2c3d4e5f60"

_LanguageTag = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z]{2,4}(-[A-Za-z0-9]{2,8}){0,3}$", max_length=35)
]
_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
_Long = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]

Names = Annotated[dict[_LanguageTag, _Name], Field(max_length=MAX_LANGUAGES)]
Texts = Annotated[dict[_LanguageTag, _Long], Field(max_length=MAX_LANGUAGES)]


def _told(texts: dict[str, str]) -> dict[str, str]:
    if not texts:
        raise PydanticCustomError("empty", "Input should have a text in at least one language")
    return texts


def _each_once(prompts: list["PromptFields"]) -> list["PromptFields"]:
    ids = [prompt.id for prompt in prompts if prompt.id is not None]
    if len(set(ids)) < len(ids):
        raise PydanticCustomError("value_error", "prompts must not name a prompt twice")
    return prompts


class _RowBody(Body):
    """A body whose fields may have the names of the row, too."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)


class PromptFields(_RowBody):
    """A prompt inside a blueprint; its place in the list is its sort order."""

    id: Omittable[Uuid] = Field(
        None, description="Of a prompt the blueprint has already, to keep it; none: a new one."
    )
    prompt_text: Annotated[Texts, AfterValidator(_told)] = Field(
        description="What is to be written, by language.", json_schema_extra={"minProperties": 1}
    )
    memory_title: Names = Field({}, description="What the memory is called, by language.")

    def draft(self) -> PromptDraft:
        """As it is written."""
        return PromptDraft(id=self.id, prompt_text=self.prompt_text, memory_title=self.memory_title)


Prompts = Annotated[list[PromptFields], Field(max_length=MAX_PROMPTS), AfterValidator(_each_once)]

_BODY: Final[dict[str, Any]] = {
    "name": {"en": "Meeting", "de": "Besprechung"},
    "description": {"en": "Tasks and decisions"},
    "systemPrompt": {"en": "Be brief and name who said what."},
    "isPublic": False,
    "prompts": [
        {"promptText": {"en": "List the tasks"}, "memoryTitle": {"en": "Tasks"}},
        {"promptText": {"en": "List the decisions"}, "memoryTitle": {"en": "Decisions"}},
    ],
}


class NewBlueprint(_RowBody):
    """A blueprint to be made."""

    model_config = example(_BODY)

    name: Annotated[Names, AfterValidator(_told)] = Field(
        description="By language.", json_schema_extra={"minProperties": 1}
    )
    description: Texts = Field({}, description="By language.")
    system_prompt: Texts = Field({}, description="What the model is told to be, by language.")
    is_public: bool = Field(default=False, description="Everybody may read and use it.")
    prompts: Prompts = Field(
        [], description=f"At most {MAX_PROMPTS}; one memory is written by each, in their order."
    )


class BlueprintChange(_RowBody):
    """What its owner may change of a blueprint; what is left out stays."""

    model_config = example({"isPublic": True})

    name: Omittable[Annotated[Names, AfterValidator(_told)]] = Field(None)
    description: Omittable[Texts] = Field(None)
    system_prompt: Omittable[Texts] = Field(None)
    is_public: Omittable[bool] = Field(None)
    prompts: Omittable[Prompts] = Field(
        None, description="Take the place of all there were; those with an `id` stay the same ones."
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError("value_error", "At least one field is required")
        return self


class PromptView(BaseModel):
    """The prompt's row, and its place."""

    id: str
    prompt_text: dict[str, str]
    memory_title: dict[str, str]
    sort_order: int

    @classmethod
    def of(cls, prompt: Prompt) -> "PromptView":
        """The view of a row."""
        return cls(**dict(prompt))


BLUEPRINT_EXAMPLE: Final[dict[str, Any]] = {
    "id": EXAMPLE_BLUEPRINT,
    "name": {"en": "Meeting"},
    "description": {"en": "Tasks and decisions"},
    "is_public": False,
    "user_id": EXAMPLE_USER,
    "system_prompt": {"en": "Be brief and name who said what."},
    "prompts": [
        {
            "id": EXAMPLE_PROMPT,
            "prompt_text": {"en": "List the tasks"},
            "memory_title": {"en": "Tasks"},
            "sort_order": 0,
        }
    ],
    "created_at": EXAMPLE_TIME,
    "updated_at": EXAMPLE_TIME,
}


class BlueprintView(BaseModel):
    """The blueprint's row and its prompts, in their order."""

    id: str
    name: dict[str, str]
    description: dict[str, str]
    is_public: bool
    user_id: str | None = Field(description="Its owner; null when it came with the service.")
    system_prompt: dict[str, str]
    prompts: list[PromptView]
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, blueprint: Blueprint) -> "BlueprintView":
        """The view of a row."""
        news = {
            "prompts": [PromptView.of(prompt) for prompt in blueprint.prompts],
            "created_at": blueprint.created_at.isoformat(),
            "updated_at": blueprint.updated_at.isoformat(),
        }
        return cls(**{**dict(blueprint), **news})


class OneBlueprint(Answer):
    """One blueprint."""

    blueprint: BlueprintView


class BlueprintList(Answer):
    """A page of blueprints, newest first."""

    blueprints: list[BlueprintView]
    limit: int
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")


class BlueprintDeleted(Answer):
    """The blueprint is gone, with its prompts; memories written by it stay."""

    blueprint_id: str
