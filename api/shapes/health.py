"""Answers about the process itself."""

from enum import StrEnum

from pydantic import BaseModel, Field


class Condition(StrEnum):
    """Whether a part answers."""

    OK = "ok"
    UNAVAILABLE = "unavailable"


class Overall(StrEnum):
    """Whether everything does."""

    OK = "ok"
    DEGRADED = "degraded"


class Checks(BaseModel):
    """What the service stands on."""

    database: Condition
    temporal: Condition
    storage: Condition


class Health(BaseModel):
    """The state of the service; 503 when it is degraded."""

    status: Overall
    service: str = Field("voicekeep")
    timestamp: str
    checks: Checks


class Alive(BaseModel):
    """The process answers, whatever it stands on does."""

    status: Overall = Overall.OK
    service: str = Field("voicekeep")
    timestamp: str


class KeySet(BaseModel):
    """Public keys of the embedded issuer (RFC 7517); empty when it is off."""

    keys: list[dict[str, str]]
