"""The base of every value that crosses a border."""

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """A frozen value. It only ever grows: a new field has a default, an unknown one is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")
