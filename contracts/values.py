"""The base of every value that crosses a border."""

from typing import Final

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """A frozen value. It only ever grows: a new field has a default, an unknown one is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


SMALL: Final = ConfigDict(extra="ignore")
"""Of a frozen dataclass with slots: a value of which there are tens of thousands, in a third of the
memory. It grows by the same rules."""
